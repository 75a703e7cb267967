/* Two events, a line each: what is alike is JSON when the text in it is, and holds that text. */
#include "core/base/json.h"
#include "core/model/alike.h"
#include <stdlib.h>

static void check(struct str event, struct str raw)
{
    struct json *doc = NULL, *string = NULL;
    struct str text, found;
    if (json_parse(raw, &string, NULL) == ERR_NONE && json_str(string, &text)) {
        if (json_parse(event, &doc, NULL) != ERR_NONE) abort();
        bool plain = str_find(event, STR("\\u")) == SIZE_MAX; /* else "\u0074" is a "t", too */
        if (plain && json_get_str(doc, "t", &found) && !str_eq(found, text)) abort();
        json_free(doc);
    }
    json_free(string);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str rest = str_from((const char *)data, n), raw;
    struct str first = str_cut(&rest, '\n');
    struct json *doc = NULL;
    struct alike a;
    alike_init(&a);
    if (json_parse(first, &doc, NULL) == ERR_NONE) alike_keep(&a, first, "t");
    json_free(doc);
    if (alike_fits(&a, first, &raw)) check(first, raw);
    if (alike_fits(&a, rest, &raw)) check(rest, raw);
    alike_done(&a);
    return 0;
}
