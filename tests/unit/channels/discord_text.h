/*
 * What must hold for every text that discord_format makes, seen with the eyes of Discord's parser.
 */
#pragma once
#include "channels/discord/format.h"
#include "core/base/utf8.h"

struct discord_eyes {
    bool bold, italic, strike;
};

static size_t eyes_run(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] == s.p[0]) n++;
    return n;
}

static size_t eyes_code(struct str s)
{
    size_t n = eyes_run(s), at = n;
    if (n >= 3) { /* as Discord does: three, whatever follows */
        size_t end = str_find(str_skip(s, 3), STR("```"));
        return end == SIZE_MAX ? 0 : end + 6;
    }
    for (; at < s.n; at += eyes_run(str_skip(s, at)))
        if (s.p[at] == '`' && eyes_run(str_skip(s, at)) == n) return at + n;
    return 0;
}

static size_t eyes_url(struct str s)
{
    size_t n = 0;
    if (!str_starts_nocase(s, STR("http://")) && !str_starts_nocase(s, STR("https://"))) return 0;
    while (n < s.n && !memchr(" \t\n\v\f\r<*", s.p[n], 8) && !str_starts(str_skip(s, n), STR("~~")))
        n++;
    return n;
}

/* The "](address)" behind a link's text. */
static size_t eyes_target(struct str s)
{
    bool open = false;
    if (!str_starts_nocase(str_skip(s, 2), STR("http"))) return 0;
    for (size_t n = 2; n < s.n && !memchr(" \n<>\\", s.p[n], 5); n++) {
        if (s.p[n] == ')' && !open) return n + 1;
        if (s.p[n] == '(' || s.p[n] == ')') open = s.p[n] == '(';
    }
    return 0;
}

static bool eyes_blank(struct str s, size_t at)
{
    return at >= s.n || memchr(" \t\n\v\f\r", s.p[at], 6);
}

/* A mark at s.p[at]: its length; 0 = it should not be there. */
static size_t eyes_mark(struct discord_eyes *eyes, struct str s, size_t at)
{
    struct str rest = str_skip(s, at);
    size_t n = eyes_run(rest);
    switch (rest.p[0]) {
    case '*':
        if (n == 1 && eyes_blank(s, at + 1) && at && eyes_blank(s, at - 1)) return 1;
        if (n > 3) return 0;
        if (n & 1) eyes->italic = !eyes->italic;
        if (n & 2) eyes->bold = !eyes->bold;
        return n;
    case '~':
        if (n == 2) eyes->strike = !eyes->strike;
        return n <= 2 ? n : 0;
    case '|':
    case '_': return n == 1;
    case '<': return rest.n < 2 || !memchr("@#:/", rest.p[1], 4);
    case ']': return rest.n < 2 || rest.p[1] != '(' ? 1 : eyes_target(rest);
    default: return 1;
    }
}

/* NULL, or what is wrong with it. */
static const char *discord_problem(struct str s)
{
    struct discord_eyes eyes = { false, false, false };
    if (!utf8_valid(s)) return "invalid UTF-8";
    if (utf8_utf16_units(s) > DISCORD_TEXT_MAX) return "too long";
    if (str_find(s, STR("@everyone")) != SIZE_MAX || str_find(s, STR("@here")) != SIZE_MAX)
        return "everybody is called";
    for (size_t at = 0, n; at < s.n; at += n) {
        struct str rest = str_skip(s, at);
        if (rest.p[0] == '\\')
            n = rest.n > 1 && rest.p[1] != '\n' ? 2 : 1;
        else if (rest.p[0] == '`')
            n = eyes_code(rest);
        else if (!(n = eyes_url(rest)))
            n = eyes_mark(&eyes, s, at);
        if (!n) return "a mark that should not be there";
    }
    return eyes.bold || eyes.italic || eyes.strike ? "a style that does not end" : NULL;
}
