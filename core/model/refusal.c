/* refusal: see refusal.h. */
#include "core/model/refusal.h"
#include "core/model/remote.h"

/* A string or a number: some send their status as a code. */
static struct str word_of(struct json *obj, const char *key, int *status)
{
    struct str word = STR_NONE;
    int64_t n;
    if (json_get_i64(obj, key, &n) && n >= 400 && n < 600) *status = (int)n;
    json_get_str(obj, key, &word);
    return word;
}

static void refusal_read(struct json *doc, struct policy_refusal *r)
{
    struct json *error = json_get(doc, "error");
    struct json *at = json_is_object(error) ? error : doc;
    struct json *metadata = json_get(at, "metadata");
    struct str error_type = STR_NONE;
    r->code = word_of(at, "code", &r->status);
    r->type = word_of(at, "type", &r->status);
    /* OpenRouter: what it says of a question that was moderated would read as a refused key. */
    if (json_get_str(metadata, "error_type", &error_type))
        r->code = error_type;
    else if (json_get(metadata, "flagged_input") || json_get(metadata, "reasons"))
        r->code = STR("moderation");
    if (!json_str(error, &r->message) && !json_get_str(at, "message", &r->message))
        json_get_str(at, "detail", &r->message);
}

enum err_kind refusal_of(int http_status, struct str body, uint32_t hint_ms, struct err *why)
{
    struct policy_refusal r = { .status = http_status, .hint_ms = hint_ms };
    struct json *doc = NULL;
    enum err_kind kind = remote_moved(http_status, why);
    if (kind != ERR_NONE) return kind;
    if (json_parse(body, &doc, NULL) == ERR_NONE) refusal_read(doc, &r);
    if (!doc && !str_starts(str_trim(body), STR("<"))) r.message = body;
    r.status = http_status;
    kind = policy_refused(&r, why);
    json_free(doc);
    return kind;
}

bool refusal_is(struct json *doc)
{
    struct json *error = json_get(doc, "error");
    struct str text;
    bool flag = true;
    if (json_get_bool(doc, "error", &flag)) return flag;
    if (json_get_str(doc, "object", &text) && str_eq(text, STR("error"))) return true; /* vLLM */
    return error && (!json_str(error, &text) || text.n);
}

enum err_kind refusal_inside(struct json *doc, struct err *why)
{
    struct policy_refusal r = { 0 };
    refusal_read(doc, &r);
    return policy_refused(&r, why);
}
