/*
 * json - reading: json_scan refuses what json-c is too kind to, json-c builds the tree, getters
 * check types.
 */
#include "core/base/json.h"

#include "core/base/json_scan.h"
#include "core/base/mem.h"

#include <json-c/json.h>
#include <limits.h>
#include <math.h>

#define KEEP_MAX (64 * 1024)

/* A struct json is a json_object under another name; null is NULL in both. */
static struct json_object *in(struct json *v)
{
    return (struct json_object *)(void *)v;
}

static struct json *out(struct json_object *v)
{
    return (struct json *)(void *)v;
}

static enum err_kind refused(struct err *why, const char *what, size_t at)
{
    return err_set(why, ERR_PROTO, "bad JSON: %s at byte %zu", what, at);
}

/*
 * One for all documents: made anew for each, it costs more than to parse a short one. Without
 * flags: the scan is stricter than they are.
 */
static _Thread_local struct json_tokener *kept;

static struct json_tokener *tokener(void)
{
    if (!kept) {
        kept = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
        if (!kept) mem_exhausted(sizeof(*kept));
    }
    json_tokener_reset(kept);
    return kept;
}

/* What a long text made it grow to is not held for ever. */
static void tokener_spare(size_t n)
{
    if (n < KEEP_MAX) return;
    json_tokener_free(kept);
    kept = NULL;
}

enum err_kind json_parse(struct str text, struct json **ret, struct err *why)
{
    size_t at;
    const char *wrong = json_scan(text, &at);
    if (wrong) return refused(why, wrong, at);
    if (text.n >= INT_MAX) return refused(why, "too long", 0);

    struct json_tokener *tok = tokener();
    struct json_object *doc = json_tokener_parse_ex(tok, text.p, (int)text.n);
    at = json_tokener_get_parse_end(tok);
    if (json_tokener_get_error(tok) == json_tokener_continue) {
        doc = json_tokener_parse_ex(tok, "", 1); /* a number at the top ends with the text */
        at = text.n;
    }
    enum json_tokener_error error = json_tokener_get_error(tok);
    tokener_spare(text.n);
    if (error != json_tokener_success) return refused(why, json_tokener_error_desc(error), at);
    struct str rest = str_trim(str_skip(text, at));
    if (rest.n) {
        json_object_put(doc);
        return refused(why, "unexpected character", (size_t)(rest.p - text.p));
    }
    *ret = out(doc);
    return ERR_NONE;
}

bool json_plain_string(struct str text, struct str *ret)
{
    if (text.n < 2 || text.p[0] != '"' || text.p[text.n - 1] != '"') return false;
    *ret = str_from(text.p + 1, text.n - 2);
    return json_plain(*ret) == ret->n;
}

void json_free(struct json *doc)
{
    json_object_put(in(doc));
}

bool json_is_object(struct json *v)
{
    return json_object_is_type(in(v), json_type_object);
}

bool json_is_array(struct json *v)
{
    return json_object_is_type(in(v), json_type_array);
}

struct json *json_get(struct json *obj, const char *key)
{
    struct json_object *v = NULL;
    if (json_is_object(obj)) json_object_object_get_ex(in(obj), key, &v);
    return out(v);
}

bool json_str(struct json *v, struct str *ret)
{
    if (!json_object_is_type(in(v), json_type_string)) return false;
    *ret = str_from(json_object_get_string(in(v)), (size_t)json_object_get_string_len(in(v)));
    return true;
}

bool json_i64(struct json *v, int64_t *ret)
{
    if (!json_object_is_type(in(v), json_type_int)) return false;
    /* json-c moves what is out of range to the nearest bound, so INT64_MIN itself counts as out of
     * range. */
    int64_t n = json_object_get_int64(in(v));
    if (n == INT64_MIN || (n == INT64_MAX && json_object_get_uint64(in(v)) > INT64_MAX))
        return false;
    *ret = n;
    return true;
}

bool json_f64(struct json *v, double *ret)
{
    if (!json_object_is_type(in(v), json_type_double) && !json_object_is_type(in(v), json_type_int))
        return false;
    double d = json_object_get_double(in(v));
    if (!isfinite(d)) return false;
    *ret = d;
    return true;
}

bool json_get_str(struct json *obj, const char *key, struct str *ret)
{
    return json_str(json_get(obj, key), ret);
}

bool json_get_i64(struct json *obj, const char *key, int64_t *ret)
{
    return json_i64(json_get(obj, key), ret);
}

bool json_get_f64(struct json *obj, const char *key, double *ret)
{
    return json_f64(json_get(obj, key), ret);
}

bool json_flag(struct json *v, bool *ret)
{
    if (!json_object_is_type(in(v), json_type_boolean)) return false;
    *ret = json_object_get_boolean(in(v));
    return true;
}

bool json_get_bool(struct json *obj, const char *key, bool *ret)
{
    return json_flag(json_get(obj, key), ret);
}

size_t json_length(struct json *arr)
{
    return json_is_array(arr) ? json_object_array_length(in(arr)) : 0;
}

struct json *json_at(struct json *arr, size_t i)
{
    return i < json_length(arr) ? out(json_object_array_get_idx(in(arr), i)) : NULL;
}

bool json_next(struct json *obj, struct json_member *m)
{
    const struct lh_entry *e = m->at;
    if (!m->begun)
        e = json_is_object(obj) ? json_object_get_object(in(obj))->head : NULL;
    else if (e)
        e = e->next;
    m->begun = true;
    m->at = e;
    if (!e) return false;
    m->key = str_of(lh_entry_k(e));
    m->value = out(lh_entry_v(e));
    return true;
}

bool json_write(struct json *v, struct buf *to)
{
    size_t n = 0;
    const char *text = json_object_to_json_string_length(
        in(v), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &n);
    return buf_add(to, v ? str_from(text, n) : STR("null"));
}
