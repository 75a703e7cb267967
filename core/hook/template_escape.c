/*
 * template_escape: a value stays a text, whatever is in it.
 *
 * https://spec.commonmark.org/0.31.2/#backslash-escapes: a backslash takes the meaning from any
 * ASCII punctuation, also in the address of a link, but not in code.
 */
#include "core/base/utf8.h"
#include "core/hook/template_impl.h"

#define TICKS_MAX        40 /* cmark looks for 80 at most */
#define ZERO_WIDTH_SPACE "\xe2\x80\x8b"

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_dropped(char c)
{
    return ((unsigned char)c < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

/* ---- text ---- */

/* "12." and "12)" would begin a list: how long the number is, 0 when it is none of these. */
static size_t list_number(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9') n++;
    return n && n < s.n && (s.p[n] == '.' || s.p[n] == ')') ? n : 0;
}

/* What has a meaning at the beginning of a line only. Returns what is left. */
static struct str line_begins(struct buf *to, struct str s)
{
    size_t n = list_number(s);
    if (n) {
        buf_addf(to, "%.*s\\%c", (int)n, s.p, s.p[n]);
        return str_skip(s, n + 1);
    }
    if (s.n && strchr("#+-=", s.p[0])) buf_add_char(to, '\\');
    return s;
}

/* "@everyone" and "@name" call people; "a@b.example" is an address. */
static bool calls_somebody(struct str all, size_t at)
{
    return all.p[at] == '@' && (at == 0 || !is_alnum(all.p[at - 1])) && at + 1 < all.n;
}

/* Nothing stands before it in its line but what quotes, lists and headings begin with. */
static bool is_line_start(const struct buf *to)
{
    size_t i = to->n;
    while (i > 0 && strchr(" \t>-*+#.)0123456789", to->p[i - 1])) i--;
    return i == 0 || to->p[i - 1] == '\n';
}

/* Four spaces or a tab at the beginning of a line would make code of it. */
static struct str skip_blanks(struct str s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) s = str_skip(s, 1);
    return s;
}

static void escape_line(struct buf *to, struct str line)
{
    for (size_t i = 0; i < line.n && !to->full; i++) {
        if (strchr("\\`*_[]<>~|&", line.p[i])) buf_add_char(to, '\\');
        buf_add_char(to, line.p[i]);
        if (calls_somebody(line, i)) buf_add_cstr(to, ZERO_WIDTH_SPACE);
    }
}

static void escape_text(struct buf *to, struct str s)
{
    bool begins = is_line_start(to);
    while (!to->full) {
        bool ends = str_find_char(s, '\n') != SIZE_MAX;
        struct str line = str_cut(&s, '\n');
        escape_line(to, begins ? line_begins(to, skip_blanks(line)) : line);
        if (!ends) return;
        buf_add_char(to, '\n');
        begins = true;
    }
}

/* ---- code: more backticks around it than there are in it ---- */

static size_t longest_ticks(struct str s)
{
    size_t n = 0, most = 0;
    for (size_t i = 0; i < s.n; i++) {
        n = s.p[i] == '`' ? n + 1 : 0;
        if (n > most) most = n;
    }
    return most;
}

static void add_ticks(struct buf *to, size_t n)
{
    while (n--) buf_add_char(to, '`');
}

/* Both or nothing: a part of it would be text. */
static void put_code(struct buf *to, struct str s)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(3 * s.n + 16);
    size_t ticks = longest_ticks(s) + 1;
    size_t around = ticks > TICKS_MAX ? 1 : ticks;
    add_ticks(&b, around);
    buf_add_char(&b, ' ');
    for (size_t i = 0; i < s.n; i++)
        buf_add_char(&b, s.p[i] == '\n' ? ' ' : s.p[i] == '`' && ticks > TICKS_MAX ? '\'' : s.p[i]);
    buf_add_char(&b, ' ');
    add_ticks(&b, around);
    buf_add(to, buf_str(&b));
}

static void put_block(struct buf *to, struct str s)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(3 * s.n + 32);
    size_t ticks = longest_ticks(s) < 3 ? 3 : longest_ticks(s) + 1;
    if (to->n) buf_add_cstr(&b, "\n\n");
    add_ticks(&b, ticks);
    buf_addf(&b, "\n%.*s\n", STR_ARG(s));
    add_ticks(&b, ticks);
    buf_add_char(&b, '\n');
    buf_add(to, buf_str(&b));
}

/* ---- addresses ---- */

static bool is_web(struct str s)
{
    return str_starts_nocase(s, STR("https://")) || str_starts_nocase(s, STR("http://"));
}

/* kept: punctuation that may stand there as it is. */
static void escape_address(struct buf *to, struct str s, const char *kept)
{
    for (size_t i = 0; i < s.n && !to->full; i++) {
        char c = s.p[i];
        if (is_alnum(c) || (c && strchr("-._~", c)) || (c && strchr(kept, c)))
            buf_addf(to, "%s%c", c == '&' || c == '_' || c == '~' ? "\\" : "", c);
        else
            buf_addf(to, "%%%02X", (unsigned)(unsigned char)c);
    }
}

/* Characters that nobody sees would hide those behind them from the rules above. */
static struct str without_controls(struct str s, struct buf *clean)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_dropped(s.p[i])) buf_add_char(clean, s.p[i]);
    return buf_str(clean);
}

void template_escape(struct buf *to, struct str s, enum setting setting)
{
    _cleanup_(buf_done) struct buf clean = BUF_INIT(s.n);
    s = without_controls(s, &clean);
    switch (setting) {
    case IN_TEXT: escape_text(to, s); break;
    case AS_CODE: put_code(to, s); break;
    case AS_A_BLOCK: put_block(to, s); break;
    case IN_ADDRESS: escape_address(to, s, ""); break;
    case AS_AN_ADDRESS:
        if (is_web(s)) escape_address(to, s, ":/?#!$&'+,;=%");
        break;
    }
}
