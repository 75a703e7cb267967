/*
 * markup - Discord's parser works by regular expressions on what is left of the text, in a fixed
 * order: fences end at the first three backticks, whatever their length; code in one or two
 * backticks; an underscore ends emphasis only at a word's end.
 */
#include "channels/discord/markup.h"

#define ZERO_WIDTH "\xE2\x80\x8B" /* U+200B: keeps apart what Discord would read as one mark */

static const char *const marks[WALK_STYLES] = {
    [WALK_BOLD] = "**",
    [WALK_ITALIC] = "*",
    [WALK_STRIKE] = "~~",
};

void markup_init(struct markup *m, struct buf *to)
{
    *m = (struct markup){
        .to = to, .lines.fresh = true, .line_start = true, .url_end = SIZE_MAX, .closed = SIZE_MAX
    };
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static char last(const struct markup *m)
{
    return m->to->n ? m->to->p[m->to->n - 1] : '\0';
}

static size_t run_length(struct str s, char c)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == c) n++;
    return n;
}

/* --- lines --- */

/* Write the line ends that wait, and what stands at the start of the line behind them. */
static void flush_lines(struct markup *m, unsigned indent)
{
    if (!m->seen) m->lines.breaks = 0;
    bool starts = m->lines.breaks || !m->seen;
    for (; m->lines.breaks; m->lines.breaks--) {
        buf_add_char(m->to, '\n');
        if (m->lines.breaks > 1 && m->quoted && m->was_quoted) buf_add_cstr(m->to, "> ");
    }
    if (!starts) return;
    if (m->quoted) buf_add_cstr(m->to, "> ");
    if (m->seen) buf_addf(m->to, "%*s", (int)indent, "");
    m->was_quoted = m->quoted;
    m->line_start = true;
    m->seen = true;
}

/* What follows an address at once would be taken for a part of it. */
static void leave_url(struct markup *m)
{
    if (m->to->n == m->url_end) buf_add_char(m->to, ' ');
}

/* Where one mark ends and the next begins, they would be taken for one. */
static void leave_mark(struct markup *m)
{
    if (m->to->n == m->closed) buf_add_cstr(m->to, ZERO_WIDTH);
}

static void flush(struct markup *m)
{
    flush_lines(m, m->lines.indent);
    m->lines.fresh = false;
    if (m->lead) buf_add_cstr(m->to, m->lead);
    m->lead = NULL;
    if (m->n_written == m->n_open) return;
    leave_url(m);
    leave_mark(m);
    while (m->n_written < m->n_open) buf_add_cstr(m->to, marks[m->open[m->n_written++]]);
    m->line_start = false;
}

void markup_line(struct markup *m)
{
    if (m->one_line && !m->lines.fresh && !is_blank(last(m))) buf_add_char(m->to, ' ');
    if (!m->one_line) m->lines.breaks++; /* several in a row count, other than between blocks */
}

/* --- addresses --- */

/* Discord takes parentheses inside an address in pairs, and none inside them. */
static bool is_paired(struct str url)
{
    bool open = false;
    for (size_t i = 0; i < url.n; i++) {
        if (url.p[i] != '(' && url.p[i] != ')') continue;
        if (open == (url.p[i] == '(')) return false;
        open = !open;
    }
    return !open;
}

static bool url_needs_escape(struct str url, size_t i, bool paired)
{
    char c = url.p[i], next = i + 1 < url.n ? url.p[i + 1] : '\0';
    if ((unsigned char)c <= ' ' || c == 0x7F || memchr("<>\\`|*\"", c, 7)) return true;
    if (c == '(' || c == ')') return !paired;
    if (c == '~') return next == '~' || (i && url.p[i - 1] == '~');
    struct str behind = str_skip(url, i + 1);
    return c == '@' &&
           (str_starts_nocase(behind, STR("everyone")) || str_starts_nocase(behind, STR("here")));
}

static void add_url(struct buf *to, struct str url, bool paired)
{
    for (size_t i = 0; i < url.n; i++) {
        if (url_needs_escape(url, i, paired))
            buf_addf(to, "%%%02X", (unsigned char)url.p[i]);
        else
            buf_add_char(to, url.p[i]);
    }
}

/* Offset of the next address in plain text, its length in *ret_n. */
static size_t find_url(struct str s, size_t *ret_n)
{
    size_t n = 0;
    for (size_t at = 0; at + 7 <= s.n; at++) {
        struct str rest = str_skip(s, at);
        if (!str_starts_nocase(rest, STR("http://")) && !str_starts_nocase(rest, STR("https://")))
            continue;
        while (n < rest.n && !is_blank(rest.p[n]) && !memchr("<>\"", rest.p[n], 3)) n++;
        *ret_n = n;
        return at;
    }
    return SIZE_MAX;
}

/* --- text --- */

/* "<" begins a mention, an emoji, a time, a command or an address. */
static bool angle_begins(struct str s)
{
    static const char *const kinds[] = { "<@",   "<#",      "<:",    "<a:",   "<t:",   "</",
                                         "<id:", "<sound:", "<http", "<tel:", "<sms:", "<+" };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (str_starts_nocase(s, str_of(kinds[i]))) return true;
    return s.n == 1;
}

/* Must the first character of `s` be escaped at the start of a line? */
static bool line_begins(struct str s)
{
    char next = s.n > 1 ? s.p[1] : '\n';
    size_t n = run_length(s, '#');
    switch (s.p[0]) {
    case '>':
    case '*': return true;
    case '-': return is_blank(next) || next == '#';
    case '#': return n == s.n || is_blank(s.p[n]);
    default: return false;
    }
}

/* Must the first character of `s` be escaped? What follows `s` is not known. */
static bool is_mark(const struct markup *m, struct str s)
{
    char next = s.n > 1 ? s.p[1] : '\0', before = last(m);
    if (m->line_start && line_begins(s)) return true;
    switch (s.p[0]) {
    case '\\': return !is_alnum(next) && !is_blank(next);
    case '`': return true;
    case '*': return !is_blank(before) || !is_blank(next);
    case '_': return !is_alnum(before) || !is_alnum(next);
    case '~':
    case '|': return !next || next == s.p[0] || before == s.p[0];
    case '<': return angle_begins(s);
    case '(': return before == ']';
    case '[':
    case ']': return m->in_label;
    default: return false;
    }
}

/* The digits of "1. " at the start of a line: their full stop is what has to be escaped. */
static size_t number_length(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') n++;
    bool mark = n && n < s.n && s.p[n] == '.' && (n + 1 == s.n || is_blank(s.p[n + 1]));
    return mark ? n : 0;
}

/* One line, or a part of it. */
static void add_escaped(struct markup *m, struct str s)
{
    size_t digits = m->line_start ? number_length(s) : 0;
    for (size_t i = 0; i < s.n; i++) {
        if ((digits && i == digits) || is_mark(m, str_skip(s, i))) buf_add_char(m->to, '\\');
        buf_add_char(m->to, s.p[i]);
        if (!is_blank(s.p[i])) m->line_start = false;
    }
}

/*
 * Discord takes what stands behind an address for a part of it, up to a blank; but for what ends a
 * sentence. Returns what is left of `s`.
 */
static struct str add_behind_url(struct markup *m, struct str s)
{
    size_t n = 0;
    if (m->to->n != m->url_end) return s;
    while (n < s.n && memchr("_.,:;!?\"')]", s.p[n], 10)) n++;
    buf_add(m->to, str_head(s, n));
    if (n == s.n)
        m->url_end = m->to->n;
    else if (!is_blank(s.p[n]))
        buf_add_char(m->to, ' ');
    return str_skip(s, n);
}

/* Addresses that the parser did not see, in HTML for one, are none the less some for Discord. */
static void add_line(struct markup *m, struct str s)
{
    s = add_behind_url(m, s);
    for (size_t at, n; (at = find_url(s, &n)) != SIZE_MAX;) {
        add_escaped(m, str_head(s, at));
        add_url(m->to, str_from(s.p + at, n), true);
        m->line_start = false;
        m->url_end = m->to->n;
        s = add_behind_url(m, str_skip(s, at + n));
    }
    add_escaped(m, s);
}

void markup_text(struct markup *m, struct str text)
{
    while (text.n) {
        bool ends = str_find_char(text, '\n') != SIZE_MAX;
        struct str line = str_cut(&text, '\n');
        size_t blanks = 0; /* a style's mark does not count next to one */
        while (blanks < line.n && is_blank(line.p[blanks])) blanks++;
        if (line.n) flush_lines(m, m->lines.indent);
        add_line(m, str_head(line, blanks));
        if (blanks < line.n) {
            flush(m);
            add_line(m, str_skip(line, blanks));
        }
        if (ends) markup_line(m);
    }
}

void markup_list_mark(struct markup *m, struct str mark)
{
    flush(m);
    buf_add(m->to, mark);
}

/* --- code --- */

/* `text` with its runs of backticks cut to `run_max`. */
static void add_code(struct buf *to, struct str text, size_t run_max)
{
    size_t run = 0;
    for (size_t i = 0; i < text.n; i++) {
        run = text.p[i] == '`' ? run + 1 : 0;
        if (run > run_max) {
            buf_add_cstr(to, ZERO_WIDTH);
            run = 1;
        }
        buf_add_char(to, text.p[i]);
    }
}

void markup_code(struct markup *m, struct str text)
{
    if (!text.n) return;
    const char *tick = str_find_char(text, '`') == SIZE_MAX ? "`" : "``";
    flush(m);
    leave_url(m);
    leave_mark(m);
    buf_add_cstr(m->to, tick);
    if (text.p[0] == '`') buf_add_char(m->to, ' ');
    add_code(m->to, text, 1);
    if (text.p[text.n - 1] == '`') buf_add_char(m->to, ' ');
    buf_add_cstr(m->to, tick);
    m->line_start = false;
    m->closed = m->to->n;
}

static bool is_language(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && !memchr("+#.-_", s.p[i], 5)) return false;
    return s.n && s.n <= 32;
}

void markup_pre(struct markup *m, struct str text, struct str language)
{
    if (!str_trim(text).n) return;
    flush_lines(m, 0);
    m->lines.fresh = false;
    buf_add_cstr(m->to, "```");
    if (is_language(language)) buf_add(m->to, language);
    while (text.n) {
        buf_add_cstr(m->to, m->quoted ? "\n> " : "\n");
        add_code(m->to, str_cut(&text, '\n'), 2);
    }
    buf_add_cstr(m->to, m->quoted ? "\n> ```" : "\n```");
    m->line_start = false;
    m->closed = m->to->n;
}

/* --- links --- */

void markup_url(struct markup *m, struct str url)
{
    flush(m);
    leave_url(m);
    if (is_alnum(last(m))) buf_add_char(m->to, ' ');
    add_url(m->to, url, true);
    m->line_start = false;
    m->url_end = m->to->n;
}

void markup_label(struct markup *m, struct markup *ret_before, size_t *ret_n)
{
    flush(m);
    *ret_before = *m;
    *ret_n = m->to->n;
    leave_url(m);
    buf_add_char(m->to, '[');
    m->line_start = false;
    m->in_label = m->one_line = true;
}

void markup_label_end(struct markup *m, struct str url)
{
    buf_add_cstr(m->to, "](");
    add_url(m->to, url, is_paired(url));
    buf_add_char(m->to, ')');
    m->in_label = m->one_line = false;
}

void markup_label_undo(struct markup *m, const struct markup *before, size_t n)
{
    *m = *before;
    buf_cut(m->to, n);
}

/* --- styles --- */

void markup_open(struct markup *m, enum walk_style style)
{
    if (!m->depth[style]++) m->open[m->n_open++] = style;
}

void markup_close(struct markup *m, enum walk_style style)
{
    if (--m->depth[style]) return;
    m->n_open--;
    if (m->n_written <= m->n_open) return; /* there was nothing in it */
    m->n_written = m->n_open;
    /* Behind a blank it would end nothing, and a tilde would be a part of it. */
    if (is_blank(last(m)) || (style == WALK_STRIKE && last(m) == '~'))
        buf_add_cstr(m->to, ZERO_WIDTH);
    buf_add_cstr(m->to, marks[style]);
    m->closed = m->to->n;
}
