/*
 * html - Telegram's few tags. Inside <code> and <pre> no other tag may stand, and neither links nor
 * quotes in themselves: the depth of each style sees to that.
 */
#include "channels/telegram/html.h"

#include "core/base/utf8.h"

static const char *const tags[HTML_N] = {
    [HTML_BOLD] = "b",   [HTML_ITALIC] = "i", [HTML_UNDERLINE] = "u",
    [HTML_STRIKE] = "s", [HTML_LINK] = "a",   [HTML_QUOTE] = "blockquote",
};

static void escape(struct buf *to, struct str text, bool attribute)
{
    size_t from = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char *as = NULL;
        switch (text.p[i]) {
        case '&': as = "&amp;"; break;
        case '<': as = "&lt;"; break;
        case '>': as = "&gt;"; break;
        case '"': as = attribute ? "&quot;" : NULL; break;
        default: break;
        }
        if (!as) continue;
        buf_add(to, str_from(text.p + from, i - from));
        buf_add_cstr(to, as);
        from = i + 1;
    }
    buf_add(to, str_skip(text, from));
}

/* Write the line ends that wait, and the indentation behind them. */
static void flush_to(struct html *h, unsigned indent)
{
    if (h->lines.breaks && h->seen) {
        for (unsigned i = 0; i < h->lines.breaks; i++) buf_add_char(h->to, '\n');
        buf_addf(h->to, "%*s", (int)indent, "");
        h->units += h->lines.breaks + indent;
    }
    h->lines.breaks = 0;
}

static void flush(struct html *h)
{
    flush_to(h, h->lines.indent);
}

static void raw(struct html *h, struct str text)
{
    escape(h->to, text, false);
    h->units += utf8_utf16_units(text);
    h->seen = h->seen || str_trim(text).n;
    h->lines.fresh = false;
}

void html_line(struct html *h)
{
    flush(h); /* several in a row count, other than between blocks */
    h->lines.breaks = 1;
}

void html_text(struct html *h, struct str text)
{
    if (!text.n) return;
    flush(h);
    raw(h, text);
}

void html_code(struct html *h, struct str text)
{
    bool tagged = !h->depth[HTML_LINK] && str_trim(text).n;
    flush(h);
    if (tagged) buf_add_cstr(h->to, "<code>");
    raw(h, text);
    if (tagged) buf_add_cstr(h->to, "</code>");
}

static bool is_language(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    memchr("+#.-_", c, 5);
        if (!fine) return false;
    }
    return s.n && s.n <= 32;
}

void html_pre(struct html *h, struct str text, struct str language)
{
    if (!str_trim(text).n) return;
    bool known = is_language(language);
    flush_to(h, 0);
    buf_add_cstr(h->to, "<pre>");
    if (known) buf_addf(h->to, "<code class=\"language-%.*s\">", STR_ARG(language));
    raw(h, text);
    if (known) buf_add_cstr(h->to, "</code>");
    buf_add_cstr(h->to, "</pre>");
}

void html_open(struct html *h, enum html_style style, struct str url)
{
    if (h->depth[style]++) return;
    flush_to(h, style == HTML_QUOTE ? 0 : h->lines.indent);
    buf_addf(h->to, "<%s", tags[style]);
    if (style == HTML_LINK) {
        buf_add_cstr(h->to, " href=\"");
        escape(h->to, url, true);
        buf_add_char(h->to, '"');
    }
    buf_add_char(h->to, '>');
}

void html_close(struct html *h, enum html_style style)
{
    if (--h->depth[style]) return;
    buf_addf(h->to, "</%s>", tags[style]);
}
