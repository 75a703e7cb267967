/*
 * telegram_html - a strict reading of Telegram's rules for HTML: what passes here is never refused
 * there.
 */
#pragma once
#include "channels/telegram/format.h"
#include "core/base/utf8.h"

struct html_check {
    struct str rest;
    const char *open[16];
    size_t n_open, units;
    bool seen;
};

static bool html_is_open(const struct html_check *c, const char *tag)
{
    for (size_t i = 0; i < c->n_open; i++)
        if (!strcmp(c->open[i], tag)) return true;
    return false;
}

static bool html_take(struct html_check *c, const char *what)
{
    if (!str_starts(c->rest, str_of(what))) return false;
    c->rest = str_skip(c->rest, strlen(what));
    return true;
}

/* Text up to the next tag, or up to the quote in an attribute. */
static const char *html_text_problem(struct html_check *c, bool attribute)
{
    while (c->rest.n && c->rest.p[0] != '<' && !(attribute && c->rest.p[0] == '"')) {
        if (c->rest.p[0] == '>') return "bare >";
        if (c->rest.p[0] == '&') {
            if (!html_take(c, "&lt;") && !html_take(c, "&gt;") && !html_take(c, "&amp;") &&
                !html_take(c, "&quot;"))
                return "bare &";
            c->units += !attribute;
            c->seen = c->seen || !attribute;
            continue;
        }
        size_t n = utf8_prefix(c->rest, 1, TEXT_POINTS);
        if (!attribute) {
            c->units += utf8_utf16_units(str_head(c->rest, n));
            if (!strchr(" \t\r\n", c->rest.p[0])) c->seen = true;
        }
        c->rest = str_skip(c->rest, n);
    }
    return NULL;
}

static const char *html_open_problem(struct html_check *c)
{
    static const char *const plain[] = { "b", "i", "u", "s", "code", "pre", "blockquote" };
    if (html_is_open(c, "code")) return "a tag in code";
    if (html_is_open(c, "pre")) {
        if (c->open[c->n_open - 1][0] != 'p' || !html_take(c, "code class=\"language-"))
            return "a tag in pre";
        const char *problem = html_text_problem(c, true);
        c->open[c->n_open++] = "code";
        return problem ? problem : html_take(c, "\">") ? NULL : "class does not end";
    }
    if (html_take(c, "a href=\"")) {
        if (html_is_open(c, "a")) return "a link in a link";
        if (!str_starts_nocase(c->rest, STR("http://")) &&
            !str_starts_nocase(c->rest, STR("https://")) &&
            !str_starts_nocase(c->rest, STR("tg://")) &&
            !str_starts_nocase(c->rest, STR("mailto:")))
            return "scheme";
        const char *problem = html_text_problem(c, true);
        c->open[c->n_open++] = "a";
        return problem ? problem : html_take(c, "\">") ? NULL : "href does not end";
    }
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        size_t n = strlen(plain[i]);
        if (!str_starts(c->rest, str_of(plain[i])) || c->rest.n <= n || c->rest.p[n] != '>')
            continue;
        if (html_is_open(c, plain[i])) return "the same tag in itself";
        if (c->n_open == 16) return "too deep";
        c->rest = str_skip(c->rest, n + 1);
        c->open[c->n_open++] = plain[i];
        return NULL;
    }
    return "unsupported start tag";
}

/* NULL: Telegram takes it. */
static const char *html_problem(struct str html)
{
    struct html_check c = { .rest = html };
    if (html.n > TELEGRAM_HTML_MAX) return "text is too long";
    if (!utf8_valid(html)) return "not UTF-8";
    while (c.rest.n) {
        const char *problem = NULL;
        if (html_take(&c, "</")) {
            if (!c.n_open || !html_take(&c, c.open[c.n_open - 1]) || !html_take(&c, ">"))
                return "unexpected end tag";
            c.n_open--;
        } else if (html_take(&c, "<")) {
            problem = html_open_problem(&c);
        } else {
            problem = html_text_problem(&c, false);
        }
        if (problem) return problem;
    }
    if (c.n_open) return "a tag does not end";
    if (!c.seen) return "message text is empty";
    return c.units > TELEGRAM_TEXT_MAX ? "message is too long" : NULL;
}
