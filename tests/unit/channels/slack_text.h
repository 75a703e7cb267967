/*
 * slack_text - a strict reading of Slack's rules for mrkdwn: what a person sees of it, and what
 * must hold for every text that slack_format makes.
 */
#pragma once
#include "channels/slack/format.h"
#include "core/base/utf8.h"

#define SLACK_ENDS_WORD "\xE2\x80\x8B"
#define SLACK_IN_WORD   "\xE2\x81\xA0"

struct slack_eyes {
    struct buf *shown; /* the text without marks, entities read, nothing invisible */
    size_t styles, codes, links, blocks, quotes;
    const char *problem;
};

static void eyes_read(struct slack_eyes *eyes, struct str s);

/* One character as it is shown; its length in `s`. */
static size_t eyes_char(struct slack_eyes *eyes, struct str s)
{
    static const char *const entities[] = { "&amp;", "&lt;", "&gt;" };
    for (size_t i = 0; i < 3; i++) {
        if (!str_starts(s, str_of(entities[i]))) continue;
        buf_add_char(eyes->shown, "&<>"[i]);
        return strlen(entities[i]);
    }
    if (s.p[0] == '&') eyes->problem = "a bare &";
    if (s.p[0] == '<' || s.p[0] == '>') eyes->problem = "a bare < or >";
    if (str_starts(s, STR(SLACK_ENDS_WORD)) || str_starts(s, STR(SLACK_IN_WORD))) return 3;
    buf_add_char(eyes->shown, s.p[0]);
    return 1;
}

static void eyes_plain(struct slack_eyes *eyes, struct str s)
{
    while (s.n) s = str_skip(s, eyes_char(eyes, s));
}

static bool eyes_is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Does a word end before `at`, or begin there? What is not known may count as either. */
static bool eyes_word_before(struct str s, size_t at)
{
    if (!at) return false;
    if (str_ends(str_head(s, at), STR(SLACK_IN_WORD))) return true;
    char c = s.p[at - 1];
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool eyes_word_at(struct str s, size_t at)
{
    if (at >= s.n) return false;
    if (str_starts(str_skip(s, at), STR(SLACK_IN_WORD))) return true;
    char c = s.p[at];
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool eyes_opens(struct str s, size_t at)
{
    if (s.p[at] == '`') return !eyes_word_before(s, at) && at + 1 < s.n;
    return !eyes_word_before(s, at) && at + 1 < s.n && !eyes_is_blank(s.p[at + 1]);
}

static bool eyes_closes(struct str s, size_t at)
{
    if (s.p[at] == '`') return !eyes_word_at(s, at + 1);
    return at && !eyes_is_blank(s.p[at - 1]) && !eyes_word_at(s, at + 1);
}

/* "<address>" or "<address|label>" */
static size_t eyes_link(struct slack_eyes *eyes, struct str s)
{
    static const char *const schemes[] = { "http://", "https://", "mailto:", "tel:" };
    size_t end = str_find_char(s, '>');
    bool leads = false;
    if (end == SIZE_MAX) {
        eyes->problem = "a link that does not end";
        return s.n;
    }
    struct str label = str_from(s.p + 1, end - 1), url = str_cut(&label, '|');
    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(schemes[i]);
        leads |= str_starts_nocase(url, str_of(schemes[i])) && url.n > n;
    }
    if (!leads) eyes->problem = "a link that leads nowhere";
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || url.p[i] == '<') eyes->problem = "a bad address";
    eyes->links++;
    eyes_plain(eyes, label.n ? label : url);
    return end + 1;
}

/* The last byte of the address that a "<" at `at` begins: signs in a label count. */
static size_t eyes_skip_address(struct str s, size_t at)
{
    while (at + 1 < s.n && s.p[at] != '>' && s.p[at] != '|') at++;
    return at;
}

/* Where the sign at `at` ends what it begins; 0 = nowhere, it is text. */
static size_t eyes_end(struct str s, size_t at)
{
    bool in_code = false, code = s.p[at] == '`';
    if (!eyes_opens(s, at)) return 0;
    for (size_t i = at + 1; i < s.n; i++) {
        if (!code && s.p[i] == '<') i = eyes_skip_address(s, i);
        if (!code && s.p[i] == '`') in_code = !in_code;
        if (!in_code && s.p[i] == s.p[at] && i > at + 1 && eyes_closes(s, i)) return i;
    }
    return 0;
}

/* A piece of one line. */
static void eyes_read(struct slack_eyes *eyes, struct str s)
{
    for (size_t at = 0, end; at < s.n;) {
        struct str rest = str_skip(s, at);
        if (rest.p[0] == '<') {
            at += eyes_link(eyes, rest);
        } else if (strchr("*_~`", rest.p[0]) && (end = eyes_end(s, at)) != 0) {
            struct str inside = str_from(s.p + at + 1, end - at - 1);
            eyes->codes += rest.p[0] == '`';
            eyes->styles += rest.p[0] != '`';
            if (rest.p[0] == '`')
                eyes_plain(eyes, inside);
            else
                eyes_read(eyes, inside);
            at = end + 1;
        } else {
            at += eyes_char(eyes, rest);
        }
    }
}

static void eyes_line(struct slack_eyes *eyes, struct str line)
{
    if (str_starts(line, STR("> "))) {
        eyes->quotes++;
        line = str_skip(line, 2);
    }
    struct str text = line;
    while (text.n && eyes_is_blank(text.p[0])) text = str_skip(text, 1);
    if (str_starts(text, STR("&gt;"))) eyes->problem = "a quote of the text's";
    eyes_read(eyes, line);
}

/* Read all of `s`. The first problem found; NULL = none. */
static const char *slack_read(struct str s, struct slack_eyes *eyes)
{
    if (!utf8_valid(s)) return "invalid UTF-8";
    if (!str_trim(s).n) return "blank";
    while (s.n && !eyes->problem) {
        if (str_starts(s, STR("```"))) {
            size_t end = str_find(str_skip(s, 3), STR("\n```"));
            if (end == SIZE_MAX || s.p[3] != '\n') return "a block that does not end";
            struct str code = str_from(s.p + 4, end ? end - 1 : 0);
            if (str_find(code, STR("```")) != SIZE_MAX) return "a block in a block";
            eyes->blocks++;
            eyes_plain(eyes, code);
            s = str_skip(s, end + 7);
            if (s.n && s.p[0] != '\n') return "something behind a block";
            continue;
        }
        struct str line = str_head(s, str_find_char(s, '\n'));
        if (str_find(line, STR("```")) != SIZE_MAX) return "a block that begins in a line";
        eyes_line(eyes, line);
        if (line.n < s.n) buf_add_char(eyes->shown, '\n');
        s = str_skip(s, line.n + 1);
    }
    return eyes->problem;
}

/* NULL, or what is wrong with it. */
static const char *slack_problem(struct str s)
{
    _cleanup_(buf_done) struct buf shown = BUF_INIT(1 << 20);
    struct slack_eyes eyes = { .shown = &shown };
    if (utf8_utf16_units(s) > SLACK_TEXT_MAX) return "too long";
    return slack_read(s, &eyes);
}

/*
 * Is there something in `s`, Markdown that slack_markdown made, that Slack would act on? `text`:
 * it stands outside of code.
 */
static const char *slack_markdown_problem(struct str s)
{
    static const char *const calls[] = { "<!channel", "<!here",     "<!everyone",
                                         "<!group",   "<!subteam^", "<!date^" };
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (str_find(s, str_of(calls[i])) != SIZE_MAX) return calls[i];
    for (size_t at; (at = str_find_char(s, '<')) != SIZE_MAX;) {
        s = str_skip(s, at + 1);
        struct str line = str_head(s, str_find_char(s, '\n'));
        struct str inside = str_head(line, str_find_char(line, '>'));
        if (s.n > 1 && (s.p[0] == '@' || s.p[0] == '#') && s.p[1] >= 'A' && s.p[1] <= 'Z')
            return "somebody is called";
        if ((str_starts_nocase(inside, STR("http")) || str_starts_nocase(inside, STR("mailto:"))) &&
            str_find(inside, STR("://")) != SIZE_MAX && str_find_char(inside, '|') != SIZE_MAX)
            return "a link of Slack's";
    }
    return NULL;
}
