/*
 * markdown - reads Markdown as far as it must to know code from text, one line at a time. Where it
 * errs about that, the text looks a bit odd; what Slack would act on is broken up in both.
 */
#include "channels/slack/address.h"
#include "channels/slack/format.h"

#define IN_CODE "\xE2\x81\xA0" /* U+2060 behind a <: invisible, and entities mean nothing there */

struct place {
    char fence;                    /* ` or ~; 0 = in no block of code */
    size_t fence_n, fence_quotes;  /* its length; how deep in quotes it began */
    bool in_list, blank, indented; /* blank, indented: what the line before was */
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t run_length(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == s.p[0]) n++;
    return n;
}

static struct str skip_blanks(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s = str_skip(s, 1);
    return s;
}

static char char_at(struct str s, size_t i)
{
    return i < s.n ? s.p[i] : '\n';
}

/* --- what begins with < --- */

static bool starts_any(struct str s, const char *const *with, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_starts_nocase(s, str_of(with[i]))) return true;
    return false;
}

/* Does Slack know "<" with this behind it? `s` is the rest of the line. */
static bool is_slack(struct str s)
{
    static const char *const calls[] = { "!channel", "!here",     "!everyone",
                                         "!group",   "!subteam^", "!date^" };
    static const char *const schemes[] = { "http://", "https://", "mailto:", "tel:", "slack:" };
    struct str inside = str_head(s, str_find_char(s, '>'));
    if (starts_any(s, calls, sizeof(calls) / sizeof(calls[0]))) return true;
    if (starts_any(s, schemes, sizeof(schemes) / sizeof(schemes[0])))
        return str_find_char(inside, '|') != SIZE_MAX;
    char id = char_at(s, 1);
    return (char_at(s, 0) == '@' || char_at(s, 0) == '#') && ((id >= 'A' && id <= 'Z'));
}

/* Could it be a tag, or Slack's? Entities and escapes might become what Slack knows. */
static bool is_tag(struct str s)
{
    char c = char_at(s, 0);
    return is_letter(c) || memchr("/!?@#&\\", c, 7);
}

static bool is_mail(struct str s)
{
    size_t at = str_find_char(s, '@');
    for (size_t i = 0; i < s.n; i++)
        if (!is_letter(s.p[i]) && !is_digit(s.p[i]) && !memchr("@.-_+", s.p[i], 5)) return false;
    return at && at < s.n - 1;
}

/* The length of an address that stands in <> at `i`, as Markdown has them; 0 = it is none. */
static size_t autolink(struct str line, size_t i)
{
    static const char *const schemes[] = { "http://", "https://", "mailto:" };
    struct str rest = str_skip(line, i + 1);
    size_t n = str_find_char(rest, '>');
    if (n == SIZE_MAX || !n) return 0;
    struct str inside = str_head(rest, n);
    if (str_find_char(inside, '|') != SIZE_MAX || str_find_char(inside, '<') != SIZE_MAX) return 0;
    bool target = i >= 2 && line.p[i - 1] == '(' && line.p[i - 2] == ']' && rest.n > n + 1 &&
                  memchr(") ", rest.p[n + 1], 2) && !memchr("!@#&\\", inside.p[0], 5);
    bool one_word =
        str_find_char(inside, ' ') == SIZE_MAX && str_find_char(inside, '\t') == SIZE_MAX;
    bool address = starts_any(inside, schemes, 3) || is_mail(inside);
    return target || (address && one_word) ? n + 2 : 0;
}

/* --- lines --- */

static void add_code(struct str code, struct buf *to)
{
    for (size_t i = 0; i < code.n; i++) {
        buf_add_char(to, code.p[i]);
        if (code.p[i] == '<' && is_slack(str_skip(code, i + 1))) buf_add_cstr(to, IN_CODE);
    }
}

/* The length of the code in backticks at the start of `s`, or of the backticks alone. */
static size_t code_span(struct str s, bool *ret_is_code)
{
    size_t n = run_length(s), at = n;
    *ret_is_code = false;
    for (; at < s.n; at += s.p[at] == '`' ? run_length(str_skip(s, at)) : 1) {
        if (s.p[at] != '`' || run_length(str_skip(s, at)) != n) continue;
        *ret_is_code = true;
        return at + n;
    }
    return n;
}

/* "[label](address": where to part the two, when the label names another address; 0 = nowhere. */
static size_t fake_link(struct str s)
{
    size_t close = str_find(s, STR("](")), end = 0;
    if (close == SIZE_MAX) return 0;
    struct str url = str_skip(s, close + 2);
    while (end < url.n && url.p[end] != ')' && url.p[end] != ' ') end++;
    return address_in(str_from(s.p + 1, close - 1), str_head(url, end)) ? close + 1 : 0;
}

static void add_text(struct str line, struct buf *to)
{
    size_t part_at = SIZE_MAX;
    for (size_t i = 0, n; i < line.n; i += n) {
        struct str rest = str_skip(line, i);
        size_t parted = rest.p[0] == '[' ? fake_link(rest) : 0;
        if (parted) part_at = i + parted;
        if (i == part_at) buf_add_cstr(to, "\xE2\x80\x8B");
        bool is_code = false, escaped = rest.p[0] == '\\' && rest.n > 1;
        n = 1;
        if (rest.p[0] == '`') {
            n = code_span(rest, &is_code);
        } else if (rest.p[escaped] == '<' && (n = autolink(line, i)) == 0) {
            n = 1 + (size_t)escaped;
            if (is_tag(str_skip(rest, n))) {
                buf_add_cstr(to, "&lt;"); /* in place of an escape, too */
                continue;
            }
        } else if (escaped) {
            n = 2;
        }
        if (is_code)
            add_code(str_head(rest, n), to);
        else
            buf_add(to, str_head(rest, n));
    }
}

static struct str skip_quotes(struct str line, size_t *ret_depth)
{
    struct str s = skip_blanks(line);
    *ret_depth = 0;
    for (; s.n && s.p[0] == '>'; s = skip_blanks(str_skip(s, 1))) ++*ret_depth;
    return s;
}

/* The length of a list's mark with a blank behind it. */
static size_t list_mark(struct str s)
{
    size_t n = 0;
    if (s.n && memchr("-*+", s.p[0], 3)) {
        n = 1;
    } else {
        while (n < s.n && n < 10 && is_digit(s.p[n])) n++;
        if (!n || n == s.n || !memchr(".)", s.p[n], 2)) return 0;
        n++;
    }
    return n < s.n && (s.p[n] == ' ' || s.p[n] == '\t') ? n : 0;
}

/* A line inside a block of code; it may be its last one. */
static void fenced_line(struct place *p, struct str line, struct buf *to)
{
    size_t depth;
    struct str s = skip_quotes(line, &depth);
    size_t n = s.n && s.p[0] == p->fence ? run_length(s) : 0;
    add_code(line, to);
    if (n >= p->fence_n && !str_trim(str_skip(s, n)).n) p->fence = '\0';
}

static bool opens_fence(struct place *p, struct str s, size_t depth)
{
    size_t n = s.n && (s.p[0] == '`' || s.p[0] == '~') ? run_length(s) : 0;
    if (n < 3 || (s.p[0] == '`' && str_find_char(str_skip(s, n), '`') != SIZE_MAX)) return false;
    p->fence = s.p[0];
    p->fence_n = n;
    p->fence_quotes = depth;
    return true;
}

static bool is_indented(const struct place *p, struct str line)
{
    bool deep = str_starts(line, STR("    ")) || str_starts(line, STR("\t"));
    return deep && !p->in_list && (p->blank || p->indented);
}

static void add_line(struct place *p, struct str line, struct buf *to)
{
    size_t depth, mark;
    struct str s = skip_quotes(line, &depth);
    bool blank = !str_trim(line).n, flush_left = line.n && line.p[0] != ' ' && line.p[0] != '\t';
    if (p->fence && depth >= p->fence_quotes) {
        fenced_line(p, line, to);
        return;
    }
    p->fence = '\0';
    bool indented = !blank && is_indented(p, line);
    if (p->blank && flush_left) p->in_list = false;
    for (; !indented && (mark = list_mark(s)); s = skip_blanks(str_skip(s, mark)))
        p->in_list = true;
    if (indented || opens_fence(p, s, depth))
        add_code(line, to);
    else
        add_text(line, to);
    p->indented = indented || (blank && p->indented);
    p->blank = blank;
}

bool slack_markdown(struct str markdown, struct buf *to)
{
    struct place place = { .blank = true };
    size_t before = to->n;
    bool was_full = to->full;
    while (markdown.n) {
        bool ends = str_find_char(markdown, '\n') != SIZE_MAX;
        add_line(&place, str_cut(&markdown, '\n'), to);
        if (ends) buf_add_char(to, '\n');
    }
    if (!to->full) return true;
    buf_cut(to, before);
    to->full = was_full;
    return false;
}
