/*
 * args: from path, query and body to one JSON object, by the table of the operation. Whatever is
 * not in the table, or not as the table says, is refused by its name.
 */
#include "core/base/utf8.h"
#include "gateway/admin/call.h"
#include <stdio.h>

#define VALUE_MAX  4096 /* of one parameter in the query */
#define LIMIT_SOME 50

const struct admin_field admin_page_args[] = {
    { "limit", ADMIN_INT, .min = 1, .max = ADMIN_LIMIT_MAX, .help = "Rows of a page." },
    { "after", ADMIN_TEXT, .help = "What the page before gave as next." },
    ADMIN_END,
};

const struct admin_field admin_name_args[] = {
    ADMIN_FIELD_NAME,
    ADMIN_END,
};

const struct admin_field admin_id_args[] = {
    ADMIN_FIELD_ID,
    ADMIN_END,
};

static const struct admin_field *field_find(const struct admin_field *table, struct str name)
{
    for (; table && table->name; table++)
        if (str_eq(str_of(table->name), name)) return table;
    return NULL;
}

static bool refuse(struct admin_call *call, const struct admin_field *f, const char *what)
{
    admin_problem(call, 422, f->name, "%s: %s", f->name, what);
    return false;
}

static bool refuse_word(struct admin_call *call, const struct admin_field *f)
{
    _cleanup_(buf_done) struct buf all = BUF_INIT(400);
    for (size_t i = 0; f->words[i]; i++) buf_addf(&all, "%s%s", i ? ", " : "", f->words[i]);
    admin_problem(call, 422, f->name, "%s: one of %.*s", f->name, STR_ARG(buf_str(&all)));
    return false;
}

static bool is_word(const struct admin_field *f, struct str s)
{
    for (size_t i = 0; f->words[i]; i++)
        if (str_eq(s, str_of(f->words[i]))) return true;
    return false;
}

/* "2026-11-27T04:17:28Z" in its forms; what the figures mean is PostgreSQL's to judge. */
static bool looks_like_time(struct str s)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";
    if (s.n < sizeof form || s.n > 40) return false;
    for (size_t i = 0; form[i]; i++) {
        bool digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (form[i] == 'd' ? !digit : s.p[i] != form[i]) return false;
    }
    return s.p[s.n - 1] == 'Z' || s.p[s.n - 6] == '+' || s.p[s.n - 6] == '-';
}

static bool bounded(const struct admin_field *f)
{
    return f->min || f->max;
}

static bool text_fits(struct admin_call *call, const struct admin_field *f, struct str s)
{
    size_t min = bounded(f) ? (size_t)f->min : 1, max = bounded(f) ? (size_t)f->max : 1000;
    char what[80];
    struct uuid id;
    switch (f->kind) {
    case ADMIN_UUID: return uuid_parse(s, &id) || refuse(call, f, "not a UUID");
    case ADMIN_TIME:
        return looks_like_time(s) || refuse(call, f, "a time like 2026-01-31T23:59:59Z");
    case ADMIN_WORD: return is_word(f, s) || refuse_word(call, f);
    default: break;
    }
    if (s.n < min || s.n > max) {
        snprintf(what, sizeof what, "a text of %zu to %zu bytes", min, max);
        return refuse(call, f, what);
    }
    if (memchr(s.p, '\0', s.n)) return refuse(call, f, "a NUL byte cannot be kept");
    return true;
}

static bool number_fits(struct admin_call *call, const struct admin_field *f, double v)
{
    char what[80];
    if (!bounded(f) || (v >= (double)f->min && v <= (double)f->max)) return true;
    snprintf(what, sizeof what, "a number from %lld to %lld", (long long)f->min, (long long)f->max);
    return refuse(call, f, what);
}

/* ---- a parameter of path or query: text ---- */

static bool put_text(struct admin_call *call, const struct admin_field *f, struct str s,
                     struct json_out *to)
{
    int64_t i;
    bool yes = str_eq(s, STR("true"));
    json_key(to, f->name);
    switch (f->kind) {
    case ADMIN_INT:
        if (!str_i64(s, &i)) return refuse(call, f, "not a whole number");
        json_put_i64(to, i);
        return number_fits(call, f, (double)i);
    case ADMIN_BOOL:
        if (!yes && !str_eq(s, STR("false"))) return refuse(call, f, "true or false");
        json_put_bool(to, yes);
        return true;
    case ADMIN_NUMBER:
    case ADMIN_TEXTS:
    case ADMIN_OBJECT:
    case ADMIN_ANY: return refuse(call, f, "cannot stand in an address");
    default: json_put_str(to, s); return text_fits(call, f, s);
    }
}

/* ---- a member of the body: JSON ---- */

static bool put_texts(struct admin_call *call, const struct admin_field *f, struct json *v,
                      struct json_out *to)
{
    size_t max = f->max ? (size_t)f->max : 100;
    if (!json_is_array(v)) return refuse(call, f, "a list of texts");
    if (json_length(v) > max) return refuse(call, f, "too many texts");
    json_open(to, '[');
    for (size_t i = 0; i < json_length(v); i++) {
        struct str s;
        if (!json_str(json_at(v, i), &s)) return refuse(call, f, "a list of texts");
        json_put_str(to, s);
    }
    json_close(to, ']');
    return true;
}

static bool put_raw(struct admin_call *call, struct json *v, struct json_out *to)
{
    struct buf text = BUF_INIT(to->to->max);
    bool whole = json_write(v, &text);
    if (whole) json_put_raw(to, arena_dup(&call->arena, buf_str(&text)));
    buf_done(&text);
    return whole;
}

static bool put_value(struct admin_call *call, const struct admin_field *f, struct json *v,
                      struct json_out *to)
{
    struct str s;
    int64_t i;
    double d;
    bool b;
    json_key(to, f->name);
    if (!v) {
        json_put_null(to);
        return (f->flags & ADMIN_NULLABLE) || f->kind == ADMIN_ANY ||
               refuse(call, f, "cannot be null");
    }
    switch (f->kind) {
    case ADMIN_INT:
        if (!json_i64(v, &i)) return refuse(call, f, "not a whole number");
        json_put_i64(to, i);
        return number_fits(call, f, (double)i);
    case ADMIN_NUMBER:
        if (!json_f64(v, &d)) return refuse(call, f, "not a number");
        return number_fits(call, f, d) && put_raw(call, v, to); /* as written: 0.1 stays 0.1 */
    case ADMIN_BOOL:
        if (!json_flag(v, &b)) return refuse(call, f, "true or false");
        json_put_bool(to, b);
        return true;
    case ADMIN_TEXTS: return put_texts(call, f, v, to);
    case ADMIN_OBJECT:
        return json_is_object(v) ? put_raw(call, v, to) : refuse(call, f, "an object");
    case ADMIN_ANY: return put_raw(call, v, to);
    default:
        if (!json_str(v, &s)) return refuse(call, f, "a text");
        json_put_str(to, s);
        return text_fits(call, f, s);
    }
}

/* ---- the three places ---- */

static bool read_path(struct admin_call *call, struct json_out *to)
{
    struct str path = str_of(call->op->path);
    size_t n = 0;
    while (path.n) {
        struct str part = str_cut(&path, '/');
        if (!str_starts(part, STR("{"))) continue;
        const struct admin_field *f = field_find(call->op->args, str_from(part.p + 1, part.n - 2));
        if (!put_text(call, f, call->parts[n++], to)) return false;
    }
    return true;
}

static bool read_query(struct admin_call *call, struct json_out *to)
{
    struct str query = call->in->query;
    _cleanup_(buf_done) struct buf value = BUF_INIT(VALUE_MAX);
    while (query.n) {
        struct str pair = str_cut(&query, '&'), name = str_cut(&pair, '=');
        const struct admin_field *f =
            admin_takes_body(call->op) ? NULL : field_find(call->op->args, name);
        if (!f && (call->op->flags & ADMIN_LIST)) f = field_find(admin_page_args, name);
        if (!f || admin_in_path(call->op, f->name)) {
            admin_problem(call, 422, "", "%.*s: no such parameter", STR_ARG(str_head(name, 60)));
            return false;
        }
        buf_clear(&value);
        if (!http_in_query(call->in, f->name, &value)) return refuse(call, f, "badly encoded");
        if (strcmp(f->name, "limit") == 0) {
            int64_t limit = 0;
            str_i64(buf_str(&value), &limit);
            if (!number_fits(call, f, (double)limit)) return false;
            call->limit = limit;
        } else if (!put_text(call, f, buf_str(&value), to)) {
            return false;
        }
    }
    return true;
}

static bool read_members(struct admin_call *call, struct json *body, struct json_out *to)
{
    struct json_member m = { 0 };
    while (json_next(body, &m)) {
        const struct admin_field *f = field_find(call->op->args, m.key);
        if (!f || admin_in_path(call->op, f->name)) {
            admin_problem(call, 422, "", "%.*s: no such member", STR_ARG(str_head(m.key, 60)));
            return false;
        }
    }
    /* In the table's order, so that the same arguments are the same text. */
    for (const struct admin_field *f = call->op->args; f && f->name; f++) {
        m = (struct json_member){ 0 };
        while (json_next(body, &m))
            if (str_eq(m.key, str_of(f->name)) && !put_value(call, f, m.value, to)) return false;
    }
    return true;
}

static bool read_body(struct admin_call *call, struct json_out *to)
{
    struct json *body = NULL;
    struct err why;
    if (!admin_takes_body(call->op) || str_trim(call->in->body).n == 0) return true;
    if (json_parse(call->in->body, &body, &why)) {
        admin_problem(call, 400, "", "the body: %s", why.msg);
        return false;
    }
    bool read = json_is_object(body);
    if (!read)
        admin_problem(call, 400, "", "the body: not a JSON object");
    else
        read = read_members(call, body, to);
    json_free(body);
    return read;
}

static bool has_required(struct admin_call *call, struct json *args)
{
    for (const struct admin_field *f = call->op->args; f && f->name; f++) {
        struct json_member m = { 0 };
        bool found = false;
        while (!found && json_next(args, &m)) found = str_eq(m.key, str_of(f->name));
        if ((f->flags & ADMIN_REQUIRED) && !found) return refuse(call, f, "missing");
    }
    return true;
}

/* "3", W/"3" or 3. */
static struct str version_of(struct str tag)
{
    if (str_starts(tag, STR("W/"))) tag = str_skip(tag, 2);
    if (tag.n >= 2 && tag.p[0] == '"') tag = str_from(tag.p + 1, tag.n - 2);
    return tag;
}

static bool check(struct admin_call *call, struct json_out *to)
{
    struct err why;
    _cleanup_(buf_done) struct buf whole = BUF_INIT(call->args.max);
    buf_addf(&whole, "%.*s}", STR_ARG(buf_str(&call->args)));
    if (json_parse(buf_str(&whole), &call->given, &why)) {
        admin_problem(call, 400, "", "%s", why.msg);
        return false;
    }
    return has_required(call, call->given) &&
           (!call->op->check || call->op->check(call, call->given, to));
}

bool admin_args_read(struct admin_call *call)
{
    struct json_out to = JSON_OUT(&call->args);
    struct str match = version_of(http_in_header(call->in, "If-Match"));
    call->limit = LIMIT_SOME;
    json_open(&to, '{');
    if (!read_path(call, &to) || !read_query(call, &to) || !read_body(call, &to)) return false;
    if (match.n && match.n < 20 && utf8_valid(match)) json_field_str(&to, "if_match", match);
    if (call->op->flags & ADMIN_LIST) json_field_i64(&to, "limit", call->limit + 1);
    if (!check(call, &to)) return false;
    json_close(&to, '}');
    if (!call->args.full) return true;
    admin_problem(call, 413, "", "too much");
    return false;
}
