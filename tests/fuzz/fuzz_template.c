/* A template and JSON, with a NUL between: what is made of them is valid, and no value gets out of
 * its setting. */
#include "core/base/utf8.h"
#include "core/hook/template.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str json = str_from((const char *)data, size), text = str_cut(&json, '\0');
    struct arena arena;
    struct template *t;
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    arena_init(&arena);
    for (int whom = TEMPLATE_MARKDOWN; whom <= TEMPLATE_PLAIN; whom++) {
        _cleanup_(buf_done) struct buf out = BUF_INIT(2000);
        if (template_parse(&arena, text, &t, &why) || json_parse(json, &doc, NULL)) break;
        enum err_kind kind = template_render(t, whom, doc, &out, &why);
        if (!utf8_valid(buf_str(&out))) abort();
        if (kind != ERR_NONE && kind != ERR_NOT_FOUND && kind != ERR_PROTO && kind != ERR_LIMIT)
            abort();
        json_free(doc);
        doc = NULL;
    }
    json_free(doc);
    arena_done(&arena);
    return 0;
}
