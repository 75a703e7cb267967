/* template_render: walks the nodes with a stack of the sections around. */
#include "core/base/utf8.h"
#include "core/hook/template_impl.h"

#define VALUE_MAX  (64 * 1024) /* bytes of one value; more is cut */
#define STEP_BYTES 64          /* of a value count as a step, and so many members looked at */

struct rendering {
    const struct template *t;
    enum template_for whom;
    struct json *around[TEMPLATE_DEPTH_MAX + 1]; /* the innermost last */
    size_t n_around, steps;
    struct arena *arena; /* of one value */
    struct buf *to;
    struct err *why;
};

/* ---- looking up ---- */

/* False: it has no such member. An item that is null is there, as NULL. */
static bool member(struct rendering *r, struct json *v, struct str name, struct json **ret)
{
    struct json_member m = { 0 };
    uint64_t at;
    size_t seen = 0;
    if (json_is_array(v) && str_u64(name, &at)) {
        *ret = json_at(v, (size_t)at);
        return at < json_length(v);
    }
    while (json_next(v, &m)) {
        r->steps += ++seen % STEP_BYTES == 0;
        if (!str_eq(m.key, name)) continue;
        *ret = m.value;
        return true;
    }
    return false;
}

/* A value, or the length of a list. */
struct found {
    struct json *value;
    bool there, is_length;
    int64_t length;
};

static struct found look_up(struct rendering *r, const struct node *n)
{
    struct found f = { .value = r->around[r->n_around - 1], .there = true };
    if (n->n_parts == 0) return f;
    f.there = false;
    for (size_t i = r->n_around; i > 0 && !f.there; i--)
        f.there = member(r, r->around[i - 1], n->parts[0], &f.value);
    for (size_t i = 1; i < n->n_parts && f.there; i++) {
        if (i + 1 == n->n_parts && json_is_array(f.value) && str_eq(n->parts[i], STR("length")))
            return (struct found){ .there = true,
                                   .is_length = true,
                                   .length = (int64_t)json_length(f.value) };
        f.there = member(r, f.value, n->parts[i], &f.value);
    }
    return f;
}

/* ---- a value's text ---- */

static struct str number_text(struct arena *a, struct json *v)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(64);
    json_write(v, &b);
    return arena_dup(a, buf_str(&b));
}

static struct str text_of(const struct rendering *r, const struct found *f)
{
    struct str s;
    bool flag;
    if (f->is_length) return arena_printf(r->arena, "%lld", (long long)f->length);
    if (!f->value) return STR_NONE;
    if (json_str(f->value, &s))
        return utf8_cleaned(r->arena, str_head(s, utf8_prefix(s, VALUE_MAX, TEXT_BYTES)));
    if (json_flag(f->value, &flag)) return flag ? STR("true") : STR("false");
    return number_text(r->arena, f->value);
}

static struct str in_case(struct arena *a, struct str s, char first, char last)
{
    char *p = arena_cstr(a, s);
    for (size_t i = 0; i < s.n; i++)
        if (p[i] >= first && p[i] <= last) p[i] ^= 'a' ^ 'A';
    return str_from(p, s.n);
}

static struct str truncated(struct arena *a, struct str s, int64_t max)
{
    size_t n = utf8_prefix(s, (size_t)max, TEXT_POINTS);
    return n == s.n ? s : arena_printf(a, "%.*s…", STR_ARG(str_trim(str_head(s, n))));
}

static struct str branch(struct str s)
{
    static const char *const before[] = { "refs/heads/", "refs/tags/" };
    for (size_t i = 0; i < 2; i++)
        if (str_starts(s, str_of(before[i]))) return str_skip(s, strlen(before[i]));
    return s;
}

static struct str counted(struct arena *a, int64_t n, const struct filter *f)
{
    if (n != 1 && f->more.n) return arena_printf(a, "%lld %.*s", (long long)n, STR_ARG(f->more));
    return arena_printf(a, "%lld %.*s%s", (long long)n, STR_ARG(f->text), n == 1 ? "" : "s");
}

static struct str filtered(const struct rendering *r, const struct filter *f, struct str s)
{
    struct arena *a = r->arena;
    int64_t n;
    switch (f->kind) {
    case FILTER_UPPER: return in_case(a, s, 'a', 'z');
    case FILTER_LOWER: return in_case(a, s, 'A', 'Z');
    case FILTER_LINE: return str_trim(str_cut(&s, '\n'));
    case FILTER_TRUNCATE: return truncated(a, s, f->n);
    case FILTER_SHORT: return str_head(s, utf8_prefix(s, (size_t)f->n, TEXT_POINTS));
    case FILTER_BRANCH: return branch(s);
    case FILTER_COUNT: return str_i64(s, &n) ? counted(a, n, f) : s;
    case FILTER_DEFAULT:
    case FILTER_CODE:
    case FILTER_BLOCK:
    case FILTER_FIRST: break;
    }
    return s;
}

static const struct filter *find_filter(const struct node *n, enum filter_kind kind)
{
    for (size_t i = 0; i < n->n_filters; i++)
        if (n->filters[i].kind == kind) return &n->filters[i];
    return NULL;
}

/* The default is the template's own words: nothing of it is escaped. */
static bool put_default(struct rendering *r, const struct node *n)
{
    const struct filter *f = find_filter(n, FILTER_DEFAULT);
    if (f) buf_add(r->to, f->text);
    return f != NULL;
}

static enum err_kind put_found(struct rendering *r, const struct node *n)
{
    struct found f = look_up(r, n);
    bool list = f.there && json_is_array(f.value);
    if (!f.there && put_default(r, n)) return ERR_NONE;
    if (!f.there) return err_set(r->why, ERR_NOT_FOUND, "%.*s: missing", STR_ARG(n->text));
    if (list && n->n_filters && n->filters[0].kind == FILTER_COUNT)
        f = (struct found){ .there = true,
                            .is_length = true,
                            .length = (int64_t)json_length(f.value) };
    else if (list || json_is_object(f.value))
        return err_set(r->why, ERR_PROTO, "%.*s: %s, not a text", STR_ARG(n->text),
                       list ? "a list" : "an object");
    struct str s = text_of(r, &f);
    r->steps += s.n / STEP_BYTES;
    for (size_t i = 0; i < n->n_filters; i++) s = filtered(r, &n->filters[i], s);
    if (!s.n) {
        put_default(r, n);
        return ERR_NONE;
    }
    if (r->whom == TEMPLATE_PLAIN)
        buf_add(r->to, s);
    else
        template_escape(r->to, s, n->setting);
    return ERR_NONE;
}

static enum err_kind put_value(struct rendering *r, const struct node *n)
{
    struct arena arena;
    arena_init(&arena);
    r->arena = &arena;
    enum err_kind kind = put_found(r, n);
    arena_done(&arena);
    r->arena = NULL;
    return kind;
}

/* ---- sections ---- */

static enum err_kind render(struct rendering *r, size_t from, size_t to);

static bool holds(const struct found *f)
{
    struct str s;
    bool flag;
    if (!f->there) return false;
    if (f->is_length) return f->length > 0;
    if (!f->value) return false;
    if (json_flag(f->value, &flag)) return flag;
    if (json_str(f->value, &s)) return s.n > 0;
    return !json_is_array(f->value) || json_length(f->value) > 0;
}

static enum err_kind render_inside(struct rendering *r, struct json *item, size_t from, size_t to)
{
    r->around[r->n_around++] = item;
    enum err_kind kind = render(r, from, to);
    r->n_around--;
    return kind;
}

static enum err_kind render_section(struct rendering *r, size_t at)
{
    const struct node *n = &r->t->nodes[at];
    struct found f = look_up(r, n);
    if (n->kind == NODE_INVERTED) return holds(&f) ? ERR_NONE : render(r, at + 1, n->end);
    if (!holds(&f)) return ERR_NONE;
    if (!json_is_array(f.value)) return render_inside(r, f.value, at + 1, n->end);
    size_t length = json_length(f.value);
    const struct filter *first = find_filter(n, FILTER_FIRST);
    for (size_t i = 0; i < length && (!first || i < (size_t)first->n); i++)
        if (render_inside(r, json_at(f.value, i), at + 1, n->end)) return r->why->kind;
    return ERR_NONE;
}

/* Nodes from..to, without what is inside their sections. */
static enum err_kind render(struct rendering *r, size_t from, size_t to)
{
    for (size_t i = from; i < to && !r->to->full;) {
        const struct node *n = &r->t->nodes[i];
        if (++r->steps > TEMPLATE_STEPS_MAX)
            return err_set(r->why, ERR_LIMIT, "%.*s: the lists are too long for this template",
                           STR_ARG(n->text));
        enum err_kind kind = ERR_NONE;
        if (n->kind == NODE_TEXT)
            buf_add(r->to, n->text);
        else if (n->kind == NODE_VALUE)
            kind = put_value(r, n);
        else
            kind = render_section(r, i);
        if (kind) return kind;
        i = n->kind == NODE_SECTION || n->kind == NODE_INVERTED ? n->end : i + 1;
    }
    return ERR_NONE;
}

enum err_kind template_render(const struct template *t, enum template_for whom, struct json *value,
                              struct buf *to, struct err *why)
{
    struct err ignored;
    struct rendering r = { .t = t,
                           .whom = whom,
                           .around = { value },
                           .n_around = 1,
                           .to = to,
                           .why = why ? why : &ignored };
    enum err_kind kind = render(&r, 0, t->n);
    if (to->full) buf_cut(to, to->n - utf8_partial_tail(buf_str(to)));
    return kind;
}
