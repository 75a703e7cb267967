/*
 * A configuration that came as JSON: written in the words of the file, and read like one, so that
 * the same tables decide what is right. And several documents, one over the other.
 */
#include "core/base/conf.h"
#include "core/base/json.h"

#include <inttypes.h>

#define TEXT_MAX (4 << 20)

/* libconfig's names. */
static bool is_name(struct str key)
{
    for (size_t i = 0; i < key.n; i++) {
        char c = key.p[i];
        bool letter = (c | 32) >= 'a' && (c | 32) <= 'z';
        bool more = i > 0 && ((c >= '0' && c <= '9') || c == '_' || c == '-');
        if (!letter && !more) return false;
    }
    return key.n > 0;
}

static void put_string(struct buf *to, struct str s)
{
    buf_add_char(to, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            buf_addf(to, "\\%c", c);
        else if (c < ' ')
            buf_addf(to, "\\x%02x", c);
        else
            buf_add_char(to, (char)c);
    }
    buf_add_char(to, '"');
}

/* False: it is none of these. */
static bool put_scalar(struct buf *to, struct json *v)
{
    struct str s;
    int64_t i;
    double f;
    bool b;

    if (json_str(v, &s) && str_find_char(s, '\0') == SIZE_MAX)
        put_string(to, s);
    else if (json_i64(v, &i))
        buf_addf(to, "%" PRId64, i);
    else if (json_f64(v, &f))
        buf_addf(to, "%.17g", f);
    else if (json_flag(v, &b))
        buf_add_cstr(to, b ? "true" : "false");
    else
        return false;
    return true;
}

static enum err_kind put_value(struct buf *to, struct json *v, struct err *why);

/* Anything in a list goes through: that it must be strings, the tables know. */
static enum err_kind put_list(struct buf *to, struct json *v, struct err *why)
{
    enum err_kind kind = ERR_NONE;

    buf_add_cstr(to, "(");
    for (size_t i = 0; i < json_length(v) && kind == ERR_NONE; i++) {
        if (i) buf_add_cstr(to, ", ");
        kind = put_value(to, json_at(v, i), why);
    }
    buf_add_cstr(to, ")");
    return kind;
}

static enum err_kind put_group(struct buf *to, struct json *group, struct err *why)
{
    struct json_member m = { .begun = false };

    buf_add_cstr(to, "{ ");
    while (json_next(group, &m)) {
        if (!is_name(m.key)) return err_set(why, ERR_CONF, "a key that no setting has");
        buf_addf(to, "%.*s = ", STR_ARG(m.key));
        if (put_value(to, m.value, why)) return err_add(why, "%.*s: ", STR_ARG(m.key));
        buf_add_cstr(to, "; ");
    }
    buf_add_cstr(to, "}");
    return ERR_NONE;
}

static enum err_kind put_value(struct buf *to, struct json *v, struct err *why)
{
    if (json_is_object(v)) return put_group(to, v, why);
    if (json_is_array(v)) return put_list(to, v, why);
    return put_scalar(to, v) ? ERR_NONE : err_set(why, ERR_CONF, "no setting has such a value");
}

/* One entry a line: that is the number in messages. */
static enum err_kind put_groups(struct buf *to, struct json *list, const char *name,
                                struct err *why)
{
    buf_add_cstr(to, "( ");
    for (size_t i = 0; i < json_length(list); i++) {
        struct json *group = json_at(list, i);
        if (i) buf_add_cstr(to, "\n, ");
        enum err_kind kind = json_is_object(group)
                                 ? put_group(to, group, why)
                                 : err_set(why, ERR_CONF, "each entry must be an object");
        if (kind != ERR_NONE) return err_add(why, "%s:%zu: ", name, i + 1);
    }
    buf_add_cstr(to, " )");
    return ERR_NONE;
}

enum err_kind conf_open_json(struct json *value, const char *key, const char *name,
                             struct conf_doc **ret, struct err *why)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_MAX);

    buf_addf(&text, "%s = ", key);
    if (json_is_array(value)) {
        if (put_groups(&text, value, name, why)) return ERR_CONF;
    } else if (!json_is_object(value)) {
        return err_set(why, ERR_CONF, "%s: must be an object or an array of objects", name);
    } else if (put_group(&text, value, why)) {
        return err_add(why, "%s:1: ", name);
    }
    buf_add_cstr(&text, ";\n");
    if (text.full) return err_set(why, ERR_CONF, "%s: is too large", name);
    return conf_open_text(buf_str(&text), name, ret, why);
}

/* ---- layers ---- */

static struct str name_at(struct conf_doc *doc, const char *list, size_t i)
{
    return str_of(conf_peek(conf_group_at(doc, list, i), "name"));
}

/* The place of the one with this name; SIZE_MAX: there is none. */
static size_t find_name(struct conf_doc *doc, const char *list, struct str name)
{
    for (size_t i = 0; name.n && i < conf_groups(doc, list); i++)
        if (str_eq_nocase(name_at(doc, list, i), name)) return i;
    return SIZE_MAX;
}

static bool any_has(struct conf_doc *const *docs, size_t n_docs, const char *list, struct str name)
{
    for (size_t d = 0; d < n_docs; d++)
        if (find_name(docs[d], list, name) != SIZE_MAX) return true;
    return false;
}

/* Or what the last of the later ones has in its place. */
static struct conf_item uppermost(struct conf_doc *const *docs, size_t n_docs, size_t d,
                                  const char *list, size_t i)
{
    struct conf_item item = { docs[d], conf_group_at(docs[d], list, i) };
    struct str name = name_at(docs[d], list, i);

    for (size_t e = d + 1; e < n_docs; e++) {
        size_t at = find_name(docs[e], list, name);
        if (at != SIZE_MAX) item = (struct conf_item){ docs[e], conf_group_at(docs[e], list, at) };
    }
    return item;
}

size_t conf_layers(struct conf_doc *const *docs, size_t n_docs, const char *list,
                   struct conf_item *ret, size_t max)
{
    size_t n = 0;

    for (size_t d = 0; d < n_docs; d++) {
        for (size_t i = 0; i < conf_groups(docs[d], list); i++) {
            if (any_has(docs, d, list, name_at(docs[d], list, i))) continue;
            if (n < max) ret[n] = uppermost(docs, n_docs, d, list, i);
            n++;
        }
    }
    return n;
}
