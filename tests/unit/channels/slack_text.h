/*
 * slack_text - a strict reading of mrkdwn: what passes here wakes nobody and leads nowhere unseen.
 */
#pragma once
#include "channels/slack/format.h"
#include "core/base/utf8.h"

static bool slack_eyes_entity(struct str s)
{
    return str_starts(s, STR("&amp;")) || str_starts(s, STR("&lt;")) || str_starts(s, STR("&gt;"));
}

/* What stands there, without escapes and the ones of signs that an address cannot hold. */
static void slack_eyes_decode(struct str s, struct buf *to)
{
    static const char *const pairs[][2] = { { "&amp;", "&" }, { "&lt;", "<" }, { "&gt;", ">" },
                                            { "%3C", "<" },   { "%3E", ">" },  { "%7C", "|" },
                                            { "%20", " " },   { "%0A", " " } };
    while (s.n) {
        size_t i = 0, n = sizeof(pairs) / sizeof(*pairs);
        while (i < n && !str_starts(s, str_of(pairs[i][0]))) i++;
        buf_add_char(to, i < n ? pairs[i][1][0] : s.p[0]);
        s = str_skip(s, i < n ? strlen(pairs[i][0]) : 1);
    }
}

static bool slack_eyes_fake(struct str label, struct str url)
{
    _cleanup_(buf_done) struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
    slack_eyes_decode(label, &a);
    slack_eyes_decode(url, &b);
    return slack_is_fake(buf_str(&a), buf_str(&b));
}

/* "<https://...|label>": its length; 0 = something else that Slack would read. */
static size_t slack_eyes_link(struct str s)
{
    static const char *const schemes[] = { "<http://", "<https://", "<mailto:", "<tel:" };
    size_t close = str_find_char(s, '>'), bar = str_find_char(s, '|');
    if (close == SIZE_MAX) return 0;
    struct str inner = str_from(s.p + 1, close - 1);
    bool ok = false;
    for (size_t i = 0; i < 4; i++) ok = ok || str_starts_nocase(s, str_of(schemes[i]));
    if (!ok || str_find_char(inner, '<') != SIZE_MAX || str_find_char(inner, '\n') != SIZE_MAX)
        return 0;
    if (bar != SIZE_MAX && bar < close &&
        slack_eyes_fake(str_from(s.p + bar + 1, close - bar - 1), str_from(s.p + 1, bar - 1)))
        return 0;
    return close + 1;
}

/* NULL, or what is wrong with it. */
static const char *slack_problem(struct str s)
{
    bool line = true;
    unsigned fences = 0;
    if (!utf8_valid(s)) return "no UTF-8";
    if (utf8_utf16_units(s) > SLACK_TEXT_MAX) return "too long";
    for (size_t i = 0; i < s.n;) {
        struct str rest = str_skip(s, i);
        char c = s.p[i];
        size_t step = 1;
        if (c == '&' && !slack_eyes_entity(rest)) return "a bare &";
        if (c == '>' && !line) return "a bare > inside a line";
        if (c == '<' && !(step = slack_eyes_link(rest))) return "a bare <";
        if (str_starts(rest, STR("```"))) {
            fences++;
            step = 3;
            if (i && s.p[i - 1] != '\n' && s.p[i - 1] != ' ') return "a fence inside a line";
        }
        line = c == '\n' || (line && (c == '>' || c == ' '));
        i += step;
    }
    return fences % 2 ? "a block of code without an end" : NULL;
}

/* The same for what goes into a markdown block: NULL, or what Slack would read in it. */
static const char *slack_markdown_problem(struct str s)
{
    if (!utf8_valid(s)) return "no UTF-8";
    if (utf8_utf16_units(s) > SLACK_MARKDOWN_MAX) return "too long";
    for (size_t i = 0; i + 1 < s.n; i++)
        if (s.p[i] == '<' && (s.p[i + 1] == '!' || s.p[i + 1] == '@' || s.p[i + 1] == '#'))
            return "a mention";
    return NULL;
}
