/*
 * template: from text to nodes. A section's nodes stand behind it, up to its `end`.
 */
#include "core/base/utf8.h"
#include "core/hook/template_impl.h"

struct parser {
    struct arena *arena;
    struct str all, rest; /* rest: a view of the end of `all` */
    struct template *t;
    size_t open[TEMPLATE_DEPTH_MAX]; /* sections that are not ended yet */
    size_t n_open, n_tags;
    /* Of the Markdown so far: whether the address of a link is open, until the line's end. */
    bool address, address_begun, line_start;
    struct err *why;
};

static enum err_kind wrong(struct parser *p, const char *what, struct str name)
{
    unsigned line = 1;
    for (const char *c = p->all.p; c < p->rest.p; c++) line += *c == '\n';
    return err_set(p->why, ERR_PROTO, "line %u: %s%s%.*s", line, what, name.n ? " " : "",
                   STR_ARG(str_head(name, 60)));
}

/* ---- the Markdown around the tags ---- */

/* Follow the template's own text, so that a value's setting is known. */
static void follow(struct parser *p, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool begins = str_starts(str_skip(s, i), STR("]("));
        p->line_start = c == '\n';
        p->address = begins || (p->address && c != ')' && c != '\n');
        p->address_begun = p->address && !begins;
        i += begins;
    }
}

static enum setting setting_here(const struct parser *p)
{
    if (p->address) return p->address_begun ? IN_ADDRESS : AS_AN_ADDRESS;
    return IN_TEXT;
}

/* ---- nodes ---- */

static struct node *add_node(struct parser *p, enum node_kind kind, struct str text)
{
    struct node *n = &p->t->nodes[p->t->n++];
    *n = (struct node){ .kind = kind, .text = text, .setting = setting_here(p) };
    return n;
}

static void add_text(struct parser *p, struct str text)
{
    if (!text.n) return;
    add_node(p, NODE_TEXT, text);
    follow(p, text);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

static enum err_kind read_path(struct parser *p, struct str path, struct node *n)
{
    if (str_eq(path, STR("."))) return ERR_NONE;
    struct str left = path;
    bool more = true;
    while (more) {
        more = str_find_char(left, '.') != SIZE_MAX;
        struct str part = str_cut(&left, '.');
        bool good = part.n > 0 && n->n_parts < PARTS_MAX;
        for (size_t i = 0; i < part.n; i++) good = good && is_name_char(part.p[i]);
        if (!good) return wrong(p, "this is no name of a field:", path);
        n->parts[n->n_parts++] = part;
    }
    return ERR_NONE;
}

/* ---- filters ---- */

static const struct {
    const char *name;
    enum filter_kind kind;
    bool texts, number;
} filter_table[] = {
    { "default", FILTER_DEFAULT, .texts = true },
    { "upper", FILTER_UPPER },
    { "lower", FILTER_LOWER },
    { "line", FILTER_LINE },
    { "truncate", FILTER_TRUNCATE, .number = true },
    { "short", FILTER_SHORT, .number = true },
    { "branch", FILTER_BRANCH },
    { "count", FILTER_COUNT, .texts = true },
    { "code", FILTER_CODE },
    { "block", FILTER_BLOCK },
    { "first", FILTER_FIRST, .number = true },
};

/* "a text" at the start of *s, cut off together with white space behind it. */
static bool cut_quoted(struct str *s, struct str *ret)
{
    if (!s->n || s->p[0] != '"') return false;
    struct str left = str_skip(*s, 1);
    if (str_find_char(left, '"') == SIZE_MAX) return false;
    *ret = str_cut(&left, '"');
    *s = str_trim(left);
    return true;
}

static bool read_texts(struct filter *f, struct str args)
{
    if (!cut_quoted(&args, &f->text)) return false;
    if (!args.n) return true;
    if (f->kind != FILTER_COUNT || args.p[0] != ',') return false;
    args = str_trim(str_skip(args, 1));
    return cut_quoted(&args, &f->more) && !args.n;
}

static enum err_kind read_filter(struct parser *p, struct str text, struct node *n)
{
    struct str args = text, name = str_trim(str_cut(&args, ':'));
    args = str_trim(args);
    for (size_t i = 0; i < sizeof filter_table / sizeof *filter_table; i++) {
        if (!str_eq(name, str_of(filter_table[i].name))) continue;
        if (n->n_filters == FILTERS_MAX) return wrong(p, "too many filters", STR_NONE);
        struct filter *f = &n->filters[n->n_filters++];
        f->kind = filter_table[i].kind;
        bool good = filter_table[i].texts    ? read_texts(f, args)
                    : filter_table[i].number ? str_i64(args, &f->n) && f->n > 0
                                             : !args.n;
        bool fits = n->kind == NODE_VALUE     ? f->kind != FILTER_FIRST
                    : n->kind == NODE_SECTION ? f->kind == FILTER_FIRST
                                              : false;
        if (!fits) return wrong(p, "this filter does nothing here:", name);
        if (f->kind == FILTER_CODE) n->setting = AS_CODE;
        if (f->kind == FILTER_BLOCK) n->setting = AS_A_BLOCK;
        return good ? ERR_NONE : wrong(p, "this filter is written otherwise:", text);
    }
    return wrong(p, "there is no filter", name);
}

/* Up to the next bar; one inside quotes is a bar. ret_more: there was one. */
static struct str cut_filter(struct str *s, bool *ret_more)
{
    bool quoted = false;
    for (size_t i = 0; i < s->n; i++) {
        if (s->p[i] == '"') quoted = !quoted;
        if (s->p[i] != '|' || quoted) continue;
        struct str head = str_head(*s, i);
        *s = str_skip(*s, i + 1);
        *ret_more = true;
        return str_trim(head);
    }
    *ret_more = false;
    return str_trim(*s);
}

static enum err_kind read_field(struct parser *p, struct str tag, struct node *n)
{
    bool more;
    n->text = cut_filter(&tag, &more);
    if (read_path(p, n->text, n)) return p->why->kind;
    while (more)
        if (read_filter(p, cut_filter(&tag, &more), n)) return p->why->kind;
    return ERR_NONE;
}

/* ---- tags ---- */

static enum err_kind end_section(struct parser *p, struct str name)
{
    if (!p->n_open) return wrong(p, "no section is open here:", name);
    struct node *n = &p->t->nodes[p->open[p->n_open - 1]];
    if (!str_eq(n->text, name)) return wrong(p, "the open section is", n->text);
    n->end = p->t->n;
    p->n_open--;
    return ERR_NONE;
}

static enum err_kind begin_section(struct parser *p, enum node_kind kind, struct str tag)
{
    if (p->n_open == TEMPLATE_DEPTH_MAX)
        return wrong(p, "too many sections in one another", STR_NONE);
    p->open[p->n_open++] = p->t->n;
    return read_field(p, tag, add_node(p, kind, tag));
}

static enum err_kind take_tag(struct parser *p, struct str tag)
{
    struct str behind = str_trim(str_skip(tag, 1));
    switch (tag.n ? tag.p[0] : '\0') {
    case '\0': return wrong(p, "an empty tag", STR_NONE);
    case '!': return ERR_NONE;
    case '#': return begin_section(p, NODE_SECTION, behind);
    case '^': return begin_section(p, NODE_INVERTED, behind);
    case '/': return end_section(p, behind);
    case '{':
    case '&':
    case '>':
    case '=': return wrong(p, "such a tag of Mustache is not known here:", tag);
    default: break;
    }
    enum err_kind kind = read_field(p, tag, add_node(p, NODE_VALUE, tag));
    p->line_start = false;
    if (p->address) p->address_begun = true;
    return kind;
}

/* ---- lines that hold nothing but a section's tag ---- */

/* Bytes of white space at the end of `s` behind its last line end; SIZE_MAX: there is more. */
static size_t blank_tail(struct str s)
{
    size_t n = 0;
    while (n < s.n && (s.p[s.n - 1 - n] == ' ' || s.p[s.n - 1 - n] == '\t')) n++;
    return n == s.n || s.p[s.n - 1 - n] == '\n' ? n : SIZE_MAX;
}

/* Up to the line end and with it; SIZE_MAX: there is more in the line. */
static size_t blank_head(struct str s)
{
    size_t n = 0;
    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t' || s.p[n] == '\r')) n++;
    if (n == s.n) return n;
    return s.p[n] == '\n' ? n + 1 : SIZE_MAX;
}

/* before: the text in front of the tag, behind the last one; behind_tag: there was one. */
static bool stands_alone(const struct parser *p, struct str tag, struct str before,
                         struct str after)
{
    bool silent = tag.n && strchr("#^/!", tag.p[0]);
    size_t tail = blank_tail(before);
    bool starts = tail != SIZE_MAX && (tail < before.n || before.p == p->all.p || p->line_start);
    return silent && starts && blank_head(after) != SIZE_MAX;
}

static enum err_kind parse(struct parser *p)
{
    while (p->rest.n) {
        size_t at = str_find(p->rest, STR("{{"));
        if (at == SIZE_MAX) {
            add_text(p, p->rest);
            break;
        }
        if (p->n_tags++ == TEMPLATE_TAGS_MAX) return wrong(p, "too many tags", STR_NONE);
        struct str before = str_head(p->rest, at), tag = str_skip(p->rest, at + 2);
        p->rest = str_skip(p->rest, at);
        size_t end = str_find(tag, STR("}}"));
        if (end == SIZE_MAX) return wrong(p, "a tag is not closed by }}", STR_NONE);
        struct str after = str_skip(tag, end + 2);
        tag = str_trim(str_head(tag, end));
        if (stands_alone(p, tag, before, after)) {
            before.n -= blank_tail(before);
            after = str_skip(after, blank_head(after));
        }
        add_text(p, before);
        if (take_tag(p, tag)) return p->why->kind;
        p->rest = after;
    }
    if (!p->n_open) return ERR_NONE;
    return wrong(p, "a section is not ended:", p->t->nodes[p->open[p->n_open - 1]].text);
}

/* Each tag is at most one node, and the text before it another. */
static size_t tags_in(struct str s)
{
    size_t n = 0;
    for (size_t at = str_find(s, STR("{{")); at != SIZE_MAX; at = str_find(s, STR("{{"))) {
        s = str_skip(s, at + 2);
        n++;
    }
    return n;
}

enum err_kind template_parse(struct arena *a, struct str text, struct template **ret,
                             struct err *why)
{
    struct err ignored;
    struct template *t = arena_new(a, struct template);
    if (!why) why = &ignored;
    if (text.n > TEMPLATE_MAX)
        return err_set(why, ERR_PROTO, "a template has at most %d bytes", TEMPLATE_MAX);
    if (!utf8_valid(text)) return err_set(why, ERR_PROTO, "the template is no valid UTF-8");
    struct str all = arena_dup(a, text);
    t->nodes = arena_new_array(a, struct node, 2 * tags_in(all) + 1);
    struct parser p = {
        .arena = a, .all = all, .rest = all, .t = t, .line_start = true, .why = why
    };
    if (parse(&p)) return why->kind;
    *ret = t;
    return ERR_NONE;
}
