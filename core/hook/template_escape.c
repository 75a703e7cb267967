/*
 * template_escape: a value stays a text, whatever is in it.
 *
 * https://spec.commonmark.org/0.31.2/#backslash-escapes: a backslash takes the meaning from any
 * ASCII punctuation, also in the address of a link, but not in code.
 */
#include "core/base/utf8.h"
#include "core/hook/template_impl.h"

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

static void escape_text(struct buf *to, struct str s)
{
    struct str line = is_line_start(to) ? line_begins(to, s) : s;
    for (size_t i = s.n - line.n; i < s.n && !to->full; i++) {
        char c = s.p[i];
        if (is_dropped(c)) continue;
        if (strchr("\\`*_[]<>~|&", c)) buf_add_char(to, '\\');
        buf_add_char(to, c);
        if (calls_somebody(s, i)) buf_add_cstr(to, ZERO_WIDTH_SPACE);
        if (c != '\n') continue;
        while (i + 1 < s.n && (s.p[i + 1] == ' ' || s.p[i + 1] == '\t')) i++; /* no code by them */
        size_t left = s.n - i - 1;
        i += left - line_begins(to, str_skip(s, i + 1)).n;
    }
}

/* ---- code ---- */

static void escape_code(struct buf *to, struct str s)
{
    for (size_t i = 0; i < s.n && !to->full; i++)
        if (!is_dropped(s.p[i])) buf_add_char(to, s.p[i] == '`' ? '\'' : s.p[i]);
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

void template_escape(struct buf *to, struct str s, enum setting setting)
{
    switch (setting) {
    case IN_TEXT: escape_text(to, s); break;
    case IN_CODE: escape_code(to, s); break;
    case IN_ADDRESS: escape_address(to, s, ""); break;
    case AS_AN_ADDRESS:
        if (is_web(s)) escape_address(to, s, ":/?#@!$&'*+,;=%");
        break;
    }
}
