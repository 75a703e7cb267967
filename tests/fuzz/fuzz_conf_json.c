/*
 * Any JSON as a configuration: nothing in it can pass for more than the value of its one key.
 */
#include "core/base/conf.h"
#include "core/base/json.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const known[] = { "models", NULL };
    struct json *v = NULL;
    struct conf_doc *doc = NULL;
    struct err why = ERR_INIT;

    if (json_parse(str_from((const char *)data, n), &v, NULL)) return 0;
    if (conf_open_json(v, "models", "models", &doc, &why) == ERR_NONE) {
        size_t n_groups = json_is_array(v) ? json_length(v) : 1;
        if (conf_known(doc, known, &why) || conf_groups(doc, "models") != n_groups) abort();
        conf_close(doc);
    }
    json_free(v);
    return 0;
}
