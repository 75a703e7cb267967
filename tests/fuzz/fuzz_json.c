/*
 * Any bytes: parsing survives them, and a string that was written reads back the same.
 */
#include "core/base/json.h"
#include "core/base/utf8.h"

#include <stdlib.h>

static void must(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str text = str_from((const char *)data, n), got, plain;
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    if (json_plain_string(text, &plain)) {
        must(json_parse(text, &doc, &why) == ERR_NONE && json_str(doc, &got) && str_eq(got, plain));
        json_free(doc);
    }
    if (json_parse(text, &doc, &why) == ERR_NONE) {
        for (size_t i = 0; i < json_length(doc); i++) {
            if (json_str(json_at(doc, i), &got) && !memchr(got.p, 0, got.n)) must(utf8_valid(got));
        }
        json_free(doc);
    }

    _cleanup_(buf_done) struct buf clean = BUF_INIT(3 * n), written = BUF_INIT(8 * n + 2);
    struct json_out o = JSON_OUT(&written);
    utf8_clean(&clean, text);
    json_put_str(&o, text);
    must(!written.full);
    must(json_parse(buf_str(&written), &doc, &why) == ERR_NONE);
    must(json_str(doc, &got) && str_eq(got, buf_str(&clean)));
    json_free(doc);
    return 0;
}
