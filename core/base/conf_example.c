/*
 * The example file, written from the same tables that check the real one.
 */
#include "core/base/conf.h"
#include "core/base/conf_value.h"

#define COMMENT_WIDTH 96

/* How the lines of a group look. */
struct style {
    const char *margin;   /* before everything */
    const char *empty;    /* the line between two keys */
    const char *optional; /* before the line of a key that may be left out */
    const char *name;     /* of the group, in the names of environment variables */
};

/* `text` as comment lines of at most COMMENT_WIDTH. */
static void add_comment(struct buf *to, const char *margin, struct str text)
{
    while (text.n) {
        size_t n = text.n, max = COMMENT_WIDTH - strlen(margin) - 2;
        if (n > max)
            for (n = max; n > 0 && text.p[n] != ' '; n--) {}
        if (n == 0) n = text.n; /* a word longer than the line */
        buf_addf(to, "%s# %.*s\n", margin, STR_ARG(str_head(text, n)));
        text = str_trim(str_skip(text, n));
    }
}

static void add_help(struct buf *to, const char *margin, const struct conf_field *f)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(4096);
    char bounds[CONF_BOUNDS_MAX];

    conf_value_bounds(f, bounds);
    buf_add_cstr(&text, f->help ? f->help : "");
    for (const char *const *w = f->words; f->type == CONF_ENUM && *w; w++)
        buf_addf(&text, "%s%s", w == f->words ? " One of: " : ", ", *w);
    if (f->type == CONF_ENUM) buf_add_char(&text, '.');
    if (*bounds) buf_addf(&text, " (%s)", bounds);
    if (f->flags & CONF_REQUIRED) buf_add_cstr(&text, " Required.");
    if (f->flags & CONF_RELOADABLE) buf_add_cstr(&text, " SIGHUP applies it.");
    add_comment(to, margin, str_trim(buf_str(&text)));
}

static void add_quoted(struct buf *to, struct str s)
{
    buf_add_char(to, '"');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\') buf_add_char(to, '\\');
        buf_add_char(to, s.p[i]);
    }
    buf_add_char(to, '"');
}

static void add_upper(struct buf *to, const char *s)
{
    for (; *s; s++) buf_add_char(to, *s >= 'a' && *s <= 'z' ? (char)(*s - 'a' + 'A') : *s);
}

/* "env:TELEGRAM_TOKEN" */
static void add_variable(struct buf *to, const struct style *style, const char *key)
{
    buf_add_cstr(to, "\"env:");
    add_upper(to, style->name);
    if (*style->name) buf_add_char(to, '_');
    add_upper(to, key);
    buf_add_char(to, '"');
}

static void add_list(struct buf *to, struct str items)
{
    buf_add_char(to, '[');
    for (const char *comma = ""; items.n; comma = ",") {
        buf_addf(to, "%s ", comma);
        add_quoted(to, str_trim(str_cut(&items, ',')));
    }
    buf_add_cstr(to, " ]");
}

static void add_value(struct buf *to, const struct style *style, const struct conf_field *f)
{
    struct str def = str_of(f->def);

    switch (f->type) {
    case CONF_BOOL: buf_add(to, f->def ? def : STR("false")); break;
    case CONF_INT:
    case CONF_FLOAT: buf_add(to, f->def ? def : STR("0")); break;
    case CONF_DURATION:
    case CONF_SIZE: add_quoted(to, f->def ? def : STR("0")); break;
    case CONF_ENUM: add_quoted(to, f->def ? def : str_of(f->words[0])); break;
    case CONF_LIST: add_list(to, def); break;
    case CONF_OBJECT: buf_add_cstr(to, "{ }"); break;
    case CONF_SECRET:
        if (!f->def) {
            add_variable(to, style, f->key);
            break;
        }
        /* fall through */
    case CONF_STR: add_quoted(to, def); break;
    }
}

static void add_fields(struct buf *to, const struct style *style, const struct conf_field *fields)
{
    for (const struct conf_field *f = fields; f->key; f++) {
        if (f != fields) buf_add_cstr(to, style->empty);
        add_help(to, style->margin, f);
        const char *optional = f->flags & CONF_REQUIRED ? "" : style->optional;
        buf_addf(to, "%s%s%s = ", style->margin, optional, f->key);
        add_value(to, style, f);
        buf_add_cstr(to, ";\n");
    }
}

void conf_example(struct buf *to, const char *section, const char *help,
                  const struct conf_field *fields)
{
    const struct style style = { "    ", "\n", "# ", section };

    add_comment(to, "", str_of(help));
    buf_addf(to, "%s = {\n", section);
    add_fields(to, &style, fields);
    buf_add_cstr(to, "};\n\n");
}

void conf_example_item(struct buf *to, const char *type, const char *help,
                       const struct conf_field *fields, bool last)
{
    const struct style style = { "#         ", "#\n", "", type ? type : "" };

    add_comment(to, "#     ", str_of(help));
    buf_add_cstr(to, "#     {\n");
    if (type) buf_addf(to, "#         type = \"%s\";\n#\n", type);
    add_fields(to, &style, fields);
    buf_addf(to, "#     }%s\n", last ? "" : ",");
}
