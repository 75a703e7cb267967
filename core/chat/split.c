/*
 * split - one pass over the text for each part: walk line by line and character by character,
 * remember the last border of every rank that leaves room, take the best one.
 */
#include "core/chat/split.h"

#include "core/base/grapheme.h"

#include <assert.h>

/* Bounds that let any part with room for SPLIT_MAX_MIN units make progress, whatever the text. */
#define FENCE_LINE_MAX 80
#define FENCE_RUN_MAX  16
#define QUOTE_MAX      16
#define LANGUAGE_MAX   24
#define INDENT_MAX     128

/* An open code fence. length 0 = none. */
struct fence {
    size_t length, indent;
    struct str quote;    /* the "> " before it */
    struct str language; /* the first word behind it */
    char mark;
};

enum line_role { LINE_TEXT, LINE_OPENS, LINE_CODE, LINE_CLOSES };

/* Best first. */
enum rank {
    RANK_BLOCK,
    RANK_LINE,
    RANK_CODE, /* a line end inside a fence */
    RANK_SENTENCE,
    RANK_WORD,
    RANK_INSIDE, /* a word end inside `code`, **bold** or [a link](...) */
    RANK_POINT,
    RANK_N,
};

/* How full a part must be, in eighths, for a border of this rank to be taken. */
static const size_t least_fill[RANK_N] = { 3, 4, 4, 4, 2, 2, 0 };

struct border {
    size_t end;   /* the part's text ends here; 0 = no such border */
    size_t units; /* up to `end`, with the head */
    struct fence fence;
    bool in_line; /* inside a line: code goes on without a line end */
};

struct scan {
    const struct split_rule *rule;
    struct str rest; /* not in a part yet */
    size_t max;
    size_t at, units;
    struct fence fence; /* open at `at` */
    bool seen;          /* something that is not blank is before `at` */
    struct border best[RANK_N];
};

/* What next_part leaves for the following part. */
struct splitter {
    struct arena *a;
    const struct split_rule *rule;
    struct str rest, gap, head; /* gap: before `rest`; head: what opens `fence` again */
    struct fence fence;
};

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_blank_str(struct str s)
{
    return str_trim(s).n == 0;
}

static struct str line_at(struct str s, size_t at)
{
    s = str_skip(s, at);
    return str_head(s, str_find_char(s, '\n'));
}

static size_t run_length(struct str s, char c)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == c) n++;
    return n;
}

/* Bytes of spaces and quote marks at the start of a line, up to and with the last mark. */
static size_t quote_length(struct str line)
{
    size_t n = 0;
    for (size_t i = 0; i < line.n && (line.p[i] == ' ' || line.p[i] == '>'); i++)
        if (line.p[i] == '>') n = i + 1;
    return n && n < line.n && line.p[n] == ' ' ? n + 1 : n;
}

/* Bytes of "- " or "12. " at the start of `s`, 0 = no list mark. */
static size_t list_mark_length(struct str s)
{
    size_t n = 0;
    while (n < s.n && n < 9 && s.p[n] >= '0' && s.p[n] <= '9') n++;
    bool mark = n < s.n && (n ? s.p[n] == '.' || s.p[n] == ')'
                              : s.p[n] == '-' || s.p[n] == '*' || s.p[n] == '+');
    return mark && n + 1 < s.n && s.p[n + 1] == ' ' ? n + 2 : 0;
}

static bool fence_opens(struct str line, struct fence *ret)
{
    if (line.n > FENCE_LINE_MAX) return false;
    struct str quote = str_head(line, quote_length(line));
    struct str s = str_skip(line, quote.n);
    size_t indent = run_length(s, ' ');
    s = str_skip(s, indent);
    for (size_t n; (n = list_mark_length(s)) != 0; s = str_skip(s, indent)) {
        s = str_skip(s, n);
        indent = run_length(s, ' ');
    }

    char mark = s.n ? s.p[0] : '\0';
    size_t length = run_length(s, mark);
    struct str info = str_trim(str_skip(s, length));
    if ((mark != '`' && mark != '~') || length < 3 || length > FENCE_RUN_MAX) return false;
    if (quote.n > QUOTE_MAX || (mark == '`' && str_find_char(info, '`') != SIZE_MAX)) return false;

    struct str language = str_cut(&info, ' ');
    if (language.n > LANGUAGE_MAX) language = STR_NONE;
    /* More than three spaces would make it an indented block where there is no list around it. */
    *ret = (struct fence){ length, indent < 3 ? indent : 3, quote, language, mark };
    return true;
}

static bool fence_closes(const struct fence *f, struct str line)
{
    if (line.n > FENCE_LINE_MAX) return false;
    struct str s = str_trim(str_skip(line, f->quote.n ? quote_length(line) : 0));
    return run_length(s, f->mark) == s.n && s.n >= f->length;
}

/* What `line` is when `f` is open before it; *f is what is open behind it. */
static enum line_role line_step(struct fence *f, struct str line)
{
    /* A quote ends at the first line without its mark, and the fence in it, too. */
    if (f->length && f->quote.n && !quote_length(line)) *f = (struct fence){ 0 };
    if (f->length) {
        if (!fence_closes(f, line)) return LINE_CODE;
        *f = (struct fence){ 0 };
        return LINE_CLOSES;
    }
    return fence_opens(line, f) ? LINE_OPENS : LINE_TEXT;
}

static size_t units_of(const struct scan *s, struct str text)
{
    return utf8_length(text, s->rule->unit);
}

/* Units of the line end and the fence that close `f`. */
static size_t tail_units(const struct scan *s, const struct fence *f)
{
    return f->length ? 1 + units_of(s, f->quote) + f->indent + f->length : 0;
}

static void offer(struct scan *s, enum rank rank, bool in_line)
{
    if (!s->seen || s->units + tail_units(s, &s->fence) > s->max) return;
    s->best[rank] = (struct border){ s->at, s->units, s->fence, in_line };
}

/* Does a sentence end just before `line.p + at`? */
static bool sentence_ends(struct str line, size_t at)
{
    while (at > 1 && memchr("\"')]*_", line.p[at - 1], 6)) at--;
    if (at < 2) return false;
    char c = line.p[at - 1], before = line.p[at - 2];
    if (c == '!' || c == '?') return true;
    return c == '.' && !(before >= '0' && before <= '9'); /* "1." numbers a list */
}

/* The full stops of Chinese and Japanese, which no blank follows. */
static bool wide_stop(struct str g)
{
    return str_eq(g, STR("。")) || str_eq(g, STR("！")) || str_eq(g, STR("？"));
}

/* What is open inside a line. Each line starts anew: a mark that is never closed does no harm. */
struct inlines {
    bool code, bold, bracket;
};

static void inlines_step(struct inlines *in, struct str line, size_t at)
{
    char c = line.p[at], next = at + 1 < line.n ? line.p[at + 1] : '\0';
    if (c == '`') in->code = !in->code;
    if (c == '*' && next == '*') in->bold = !in->bold;
    if (c == '[') in->bracket = true;
    if (c == ')' || (c == ']' && next != '(')) in->bracket = false;
}

/* Walk a line of text. False: it does not fit. */
static bool scan_text(struct scan *s, struct str line)
{
    struct inlines in = { false, false, false };
    struct str g;
    for (size_t i = 0; i < line.n; i += g.n, s->at += g.n, s->units += units_of(s, g)) {
        if (s->units > s->max) return false;
        g = str_head(str_skip(line, i), grapheme_next(str_skip(line, i)));
        bool blank = is_blank(g.p[0]), inside = in.code || in.bold || in.bracket;
        if (!blank) {
            offer(s, RANK_POINT, true);
            s->seen = true;
        } else if (i && !is_blank(line.p[i - 1])) {
            offer(s, inside ? RANK_INSIDE : RANK_WORD, true);
            if (!inside && sentence_ends(line, i)) offer(s, RANK_SENTENCE, true);
        }
        if (!inside && i >= 3 && wide_stop(str_from(line.p + i - 3, 3)))
            offer(s, RANK_SENTENCE, true);
        inlines_step(&in, line, i);
    }
    return s->units <= s->max;
}

/* The same for code, where every blank counts. */
static bool scan_code(struct scan *s, struct str line)
{
    struct str g;
    s->seen = true;
    for (size_t i = 0; i < line.n; i += g.n, s->at += g.n, s->units += units_of(s, g)) {
        if (s->units > s->max) return false;
        g = str_head(str_skip(line, i), grapheme_next(str_skip(line, i)));
        if (i) offer(s, RANK_POINT, true);
        if (i && !is_blank(g.p[0]) && is_blank(line.p[i - 1])) offer(s, RANK_WORD, true);
    }
    return s->units <= s->max;
}

/* A fence's first and last lines are never cut. */
static bool scan_whole(struct scan *s, struct str line)
{
    s->seen = true;
    s->at += line.n;
    s->units += units_of(s, line);
    return s->units <= s->max;
}

static void offer_line_end(struct scan *s, struct str line, enum line_role role)
{
    struct str next = line_at(s->rest, s->at + 1);
    struct fence f = s->fence;
    enum line_role next_role = line_step(&f, next);
    bool empty_fence = role == LINE_OPENS || (s->fence.length && next_role == LINE_CLOSES);
    if (empty_fence || (role == LINE_TEXT && is_blank_str(line))) return;
    if (s->fence.length)
        offer(s, RANK_CODE, false);
    else if (role == LINE_CLOSES || next_role == LINE_OPENS || is_blank_str(next))
        offer(s, RANK_BLOCK, false);
    else
        offer(s, RANK_LINE, false);
}

/* Find the borders of the next part. True: all that is left fits into it. */
static bool scan_part(struct scan *s)
{
    for (;;) {
        struct str line = line_at(s->rest, s->at);
        struct fence after = s->fence;
        enum line_role role = line_step(&after, line);
        bool fits;
        if (role == LINE_CODE) {
            fits = scan_code(s, line);
        } else {
            if (role == LINE_TEXT) s->fence = after; /* a quote may have ended here */
            fits = role == LINE_TEXT ? scan_text(s, line) : scan_whole(s, line);
        }
        if (!fits) return false;
        s->fence = after;
        if (s->at == s->rest.n) return true;
        offer_line_end(s, line, role);
        s->at++;
        s->units++;
    }
}

static struct border choose(const struct scan *s)
{
    const struct border *last = &s->best[RANK_POINT];
    for (size_t r = 0; r < RANK_N; r++) {
        const struct border *b = &s->best[r];
        if (b->end && b->units * 8 >= s->max * least_fill[r]) return *b;
        if (b->units > last->units) last = b;
    }
    return *last;
}

static size_t blank_run(struct str s)
{
    size_t n = 0;
    while (n < s.n && is_blank(s.p[n])) n++;
    return n;
}

/* Blank lines at the start of `s`, without the indentation of what follows them. */
static size_t blank_lines(struct str s)
{
    size_t n = blank_run(s), lines = n;
    while (lines && s.p[lines - 1] != '\n') lines--;
    return n - lines <= INDENT_MAX ? lines : n;
}

/* The blanks at a border that no part shows. */
static size_t border_gap(const struct border *b, struct str after)
{
    if (b->fence.length) return b->in_line ? 0 : 1;
    size_t n = blank_lines(after);
    return n ? n : blank_run(after);
}

static bool add_fence(struct buf *to, const struct fence *f)
{
    return buf_add(to, f->quote) && buf_addf(to, "%*s", (int)f->indent, "") &&
           buf_addf(to, "%.*s", (int)f->length,
                    f->mark == '`' ? "````````````````" : "~~~~~~~~~~~~~~~~");
}

/* The head that opens `f` again; `in_line`: in the middle of one of its lines. */
static struct str head_of(struct arena *a, const struct fence *f, bool in_line)
{
    if (!f->length) return STR_NONE;
    _cleanup_(buf_done) struct buf b = BUF_INIT(SPLIT_MAX_MIN);
    add_fence(&b, f);
    buf_add(&b, f->language);
    buf_add_char(&b, '\n');
    if (in_line) buf_add(&b, f->quote);
    return arena_dup(a, buf_str(&b));
}

static struct str tail_of(struct arena *a, const struct fence *f, struct str mark)
{
    if (!f->length && !mark.n) return STR_NONE;
    _cleanup_(buf_done) struct buf b = BUF_INIT(SPLIT_MAX_MIN);
    if (f->length) {
        buf_add_char(&b, '\n');
        add_fence(&b, f);
    }
    buf_add(&b, mark);
    return arena_dup(a, buf_str(&b));
}

static struct str text_of(struct arena *a, struct str head, struct str body, struct str tail)
{
    if (!head.n && !tail.n) return body;
    char *p = arena_alloc(a, head.n + body.n + tail.n + 1);
    memcpy(p, head.p, head.n);
    memcpy(p + head.n, body.p, body.n);
    memcpy(p + head.n + body.n, tail.p, tail.n);
    return str_from(p, head.n + body.n + tail.n);
}

/* Find the borders of a part with room for `max` units. True: all of the rest fits. */
static bool scan_rest(const struct splitter *sp, size_t max, struct scan *ret)
{
    *ret = (struct scan){ .rule = sp->rule, .rest = sp->rest, .max = max, .fence = sp->fence };
    ret->units = units_of(ret, sp->head);
    if (sp->rest.n <= 4 * max && ret->units + units_of(ret, sp->rest) <= max) return true;
    return scan_part(ret);
}

/* Take one part off the rest. mark: this is the last one allowed, and what to end it with. */
static struct text_part next_part(struct splitter *sp, struct str mark)
{
    struct scan s;
    struct border b = { .end = sp->rest.n };
    bool whole = scan_rest(sp, sp->rule->max, &s);
    if (!whole && mark.n) scan_rest(sp, sp->rule->max - units_of(&s, mark), &s);
    if (!whole) b = choose(&s);
    assert(b.end);

    struct str tail = whole ? STR_NONE : tail_of(sp->a, &b.fence, mark);
    struct text_part part = { .head = sp->head.n, .tail = tail.n, .gap = sp->gap };
    part.text = text_of(sp->a, sp->head, str_head(sp->rest, b.end), tail);

    struct str after = str_skip(sp->rest, b.end);
    sp->gap = str_head(after, border_gap(&b, after));
    sp->rest = str_skip(after, sp->gap.n);
    sp->fence = b.fence;
    sp->head = head_of(sp->a, &b.fence, b.in_line);
    return part;
}

size_t split_text(struct arena *a, struct str text, const struct split_rule *rule,
                  struct text_part **ret)
{
    assert(rule->max >= SPLIT_MAX_MIN && rule->cut_mark.n <= 64);
    struct splitter sp = { .a = a, .rule = rule, .head = STR_NONE, .gap = STR_NONE };
    sp.rest = str_skip(text, blank_lines(text));
    while (sp.rest.n && is_blank(sp.rest.p[sp.rest.n - 1])) sp.rest.n--;

    size_t n = 0, cap = 4;
    struct text_part *parts = arena_new_array(a, struct text_part, cap);
    while (sp.rest.n && (!rule->parts_max || n < rule->parts_max)) {
        if (n == cap) {
            struct text_part *more = arena_new_array(a, struct text_part, cap *= 2);
            parts = memcpy(more, parts, n * sizeof(*parts));
        }
        struct str mark = n + 1 == rule->parts_max ? rule->cut_mark : STR_NONE;
        parts[n++] = next_part(&sp, mark);
    }
    *ret = parts;
    return n;
}

bool split_join(struct buf *to, const struct text_part *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct text_part *p = &parts[i];
        struct str body = str_from(p->text.p + p->head, p->text.n - p->head - p->tail);
        if (!buf_add(to, p->gap) || !buf_add(to, body)) return false;
    }
    return true;
}
