/* request: the arguments of a command line as path, query and JSON body. */
#include "core/base/utf8.h"
#include "core/net/http_form.h"
#include "gateway/cli/cli.h"
#include <errno.h>
#include <stdio.h>

#define FILE_MAX (4u << 20) /* more than the gateway takes: it says so */

struct writer {
    struct arena *arena;
    const struct cli_line *line;
    struct err *why;
};

static enum err_kind refuse(struct writer *w, const struct admin_field *f, const char *what)
{
    char name[CLI_TITLE_MAX];
    bool option = !cli_is_plain(w->line->op, f);
    cli_name(f->name, name);
    return err_set(w->why, ERR_CONF, "%s%s: %s", option ? "--" : "", name, what);
}

/* ---- texts that stand elsewhere ---- */

static enum err_kind read_stream(struct writer *w, FILE *from, const char *name, struct str *ret)
{
    _cleanup_(buf_done) struct buf all = BUF_INIT(FILE_MAX);
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, from)) > 0)
        if (!buf_add(&all, str_from(piece, n)))
            return err_set(w->why, ERR_CONF, "%.100s is larger than %u MB", name, FILE_MAX >> 20);
    if (ferror(from)) return err_set(w->why, ERR_CONF, "%.100s cannot be read", name);
    struct str text = buf_str(&all);
    if (str_ends(text, STR("\n"))) text.n--;
    *ret = arena_dup(w->arena, text);
    return ERR_NONE;
}

/* "@FILE", "-" for standard input, "@@text" for "@text"; else the text itself. */
static enum err_kind text_of(struct writer *w, struct str given, struct str *ret)
{
    *ret = given;
    if (str_eq(given, STR("-"))) return read_stream(w, stdin, "standard input", ret);
    if (!str_starts(given, STR("@"))) return ERR_NONE;
    *ret = str_skip(given, 1);
    if (str_starts(given, STR("@@"))) return ERR_NONE;
    const char *path = arena_cstr(w->arena, *ret);
    FILE *file = fopen(path, "re");
    if (!file) return err_set(w->why, ERR_CONF, "%.100s: %m", path);
    enum err_kind kind = read_stream(w, file, path, ret);
    (void)fclose(file);
    return kind;
}

/* ---- one value ---- */

static bool is_number(struct str s)
{
    struct json *doc = NULL;
    double d;
    struct err why;
    bool is = !json_parse(s, &doc, &why) && json_f64(doc, &d);
    json_free(doc);
    return is;
}

static enum err_kind put_text(struct writer *w, const struct admin_field *f, struct str s,
                              struct json_out *to)
{
    if (!utf8_valid(s)) return refuse(w, f, "this is no UTF-8");
    json_put_str(to, s);
    return ERR_NONE;
}

static enum err_kind put_json(struct writer *w, const struct admin_field *f, struct str s,
                              struct json_out *to)
{
    struct json *doc = NULL;
    struct err why;
    char what[160];
    bool is = !json_parse(s, &doc, &why), object = is && json_is_object(doc);
    json_free(doc);
    if (f->kind == ADMIN_ANY && !is) return put_text(w, f, s, to);
    snprintf(what, sizeof what, "a JSON object is needed%s%.100s", is ? "" : ": ",
             is ? "" : why.msg);
    if (f->kind == ADMIN_OBJECT && !object) return refuse(w, f, what);
    json_put_raw(to, s);
    return ERR_NONE;
}

/* "a,b", or a JSON list for texts with commas. */
static enum err_kind put_texts(struct writer *w, const struct admin_field *f, struct str s,
                               struct json_out *to)
{
    struct json *doc = NULL;
    struct err why;
    if (!str_starts(s, STR("["))) {
        while (s.n)
            if (put_text(w, f, str_trim(str_cut(&s, ',')), to)) return w->why->kind;
        return ERR_NONE;
    }
    if (json_parse(s, &doc, &why)) return refuse(w, f, "this list is no JSON");
    for (size_t i = 0; i < json_length(doc); i++) {
        _cleanup_(buf_done) struct buf one = BUF_INIT(FILE_MAX);
        json_write(json_at(doc, i), &one);
        json_put_raw(to, arena_dup(w->arena, buf_str(&one)));
    }
    json_free(doc);
    return ERR_NONE;
}

static enum err_kind put_value(struct writer *w, const struct admin_field *f, struct str given,
                               struct json_out *to)
{
    struct str s = given;
    int64_t i;
    if ((f->flags & ADMIN_NULLABLE) && str_eq(given, STR("null"))) {
        json_put_null(to);
        return ERR_NONE;
    }
    switch (f->kind) {
    case ADMIN_INT:
        if (!str_i64(s, &i)) return refuse(w, f, "a whole number is needed");
        json_put_i64(to, i);
        return ERR_NONE;
    case ADMIN_NUMBER:
        if (!is_number(s)) return refuse(w, f, "a number is needed");
        json_put_raw(to, s);
        return ERR_NONE;
    case ADMIN_BOOL:
        if (!str_eq(s, STR("true")) && !str_eq(s, STR("false")))
            return refuse(w, f, "true or false");
        json_put_bool(to, str_eq(s, STR("true")));
        return ERR_NONE;
    case ADMIN_UUID:
    case ADMIN_TIME:
    case ADMIN_WORD: return put_text(w, f, s, to);
    default: break;
    }
    if (text_of(w, given, &s)) return w->why->kind;
    if (f->kind == ADMIN_TEXTS) return put_texts(w, f, s, to);
    if (f->kind == ADMIN_TEXT) return put_text(w, f, s, to);
    return put_json(w, f, s, to);
}

/* ---- the three places ---- */

static const struct cli_given *given_find(const struct cli_line *line, struct str name)
{
    for (size_t i = 0; i < line->n_given; i++)
        if (str_eq(str_of(line->given[i].field->name), name)) return &line->given[i];
    return NULL;
}

static enum err_kind write_path(struct writer *w, struct buf *to)
{
    struct str path = str_skip(str_of(w->line->op->path), 1);
    while (path.n) {
        struct str part = str_cut(&path, '/');
        buf_add_char(to, '/');
        if (!str_starts(part, STR("{"))) {
            buf_add(to, part);
            continue;
        }
        const struct cli_given *g = given_find(w->line, str_from(part.p + 1, part.n - 2));
        if (!g->text.n || str_eq(g->text, STR(".")) || str_eq(g->text, STR("..")))
            return refuse(w, g->field, "this cannot stand in an address");
        http_form_put(to, g->text);
    }
    return ERR_NONE;
}

static enum err_kind write_query(struct writer *w, struct buf *to)
{
    const struct cli_line *line = w->line;
    char sign = '?';
    for (size_t i = 0; i < line->n_given; i++) {
        const struct admin_field *f = line->given[i].field;
        struct str text;
        if (admin_takes_body(line->op) || admin_in_path(line->op, f->name)) continue;
        if (text_of(w, line->given[i].text, &text)) return w->why->kind;
        buf_addf(to, "%c%s=", sign, f->name);
        http_form_put(to, text);
        sign = '&';
    }
    return ERR_NONE;
}

static enum err_kind write_field(struct writer *w, const struct admin_field *f, struct json_out *to)
{
    bool list = f->kind == ADMIN_TEXTS, null = false;
    if (!given_find(w->line, str_of(f->name))) return ERR_NONE;
    null = (f->flags & ADMIN_NULLABLE) &&
           str_eq(given_find(w->line, str_of(f->name))->text, STR("null"));
    json_key(to, f->name);
    if (list && !null) json_open(to, '[');
    for (size_t i = 0; i < w->line->n_given; i++)
        if (w->line->given[i].field == f && put_value(w, f, w->line->given[i].text, to))
            return w->why->kind;
    if (list && !null) json_close(to, ']');
    return ERR_NONE;
}

static enum err_kind write_body(struct writer *w, struct buf *body)
{
    const struct admin_op *op = w->line->op;
    struct json_out to = JSON_OUT(body);
    if (!admin_takes_body(op)) return ERR_NONE;
    json_open(&to, '{');
    for (const struct admin_field *f = op->args; f && f->name; f++)
        if (!admin_in_path(op, f->name) && write_field(w, f, &to)) return w->why->kind;
    json_close(&to, '}');
    return ERR_NONE;
}

static enum err_kind check_required(struct writer *w)
{
    const struct admin_op *op = w->line->op;
    for (const struct admin_field *f = op->args; f && f->name; f++) {
        char name[CLI_TITLE_MAX];
        cli_name(f->name, name);
        if (cli_is_plain(op, f) && !given_find(w->line, str_of(f->name)))
            return err_set(w->why, ERR_CONF, "%s is missing%s%s", name, f->help ? ": " : "",
                           f->help ? f->help : "");
    }
    return ERR_NONE;
}

enum err_kind cli_request_write(struct arena *a, const struct cli_line *line, struct buf *path,
                                struct buf *body, struct err *why)
{
    struct writer w = { a, line, why };
    if (check_required(&w) || write_path(&w, path) || write_query(&w, path) || write_body(&w, body))
        return why->kind;
    if (!path->full && !body->full) return ERR_NONE;
    return err_set(why, ERR_CONF, "these arguments are too large");
}
