/*
 * format - walks the reply's Markdown and writes HTML.
 */
#include "channels/telegram/format.h"

#include "channels/telegram/html.h"

#define RAW_DEPTH_MAX 4

/* An HTML tag that was written in the Markdown and stands for a style. */
struct raw_tag {
    enum html_style style;
    unsigned level;
};

struct format {
    struct walk walk;
    struct html html;
    size_t link_from; /* html.units where the link began, or bytes of the cell */
    struct raw_tag raw[RAW_DEPTH_MAX];
    size_t n_raw;
};

/* --- inlines --- */

static void text(struct walk *w, struct str s)
{
    if (!walk_cell(w, s)) html_text(&((struct format *)w)->html, s);
}

static void line(struct walk *w)
{
    html_line(&((struct format *)w)->html);
}

static void code(struct walk *w, struct str s)
{
    html_code(&((struct format *)w)->html, s);
}

static void style(struct walk *w, enum walk_style which, bool enter)
{
    static const enum html_style styles[WALK_STYLES] = { HTML_BOLD, HTML_ITALIC, HTML_STRIKE };
    struct format *f = (struct format *)w;
    if (enter)
        html_open(&f->html, styles[which], STR_NONE);
    else
        html_close(&f->html, styles[which]);
}

static bool url_allowed(struct str url)
{
    static const char *const schemes[] = { "http://", "https://", "tg://", "mailto:" };
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (str_starts_nocase(url, str_of(schemes[i]))) return true;
    return false;
}

/* Where a tag cannot lead there, the address itself is shown. */
static void show_url(struct walk *w, struct str url)
{
    if (!url.n) return;
    text(w, STR(" ("));
    text(w, url);
    text(w, STR(")"));
}

static size_t written(const struct format *f)
{
    return f->walk.in_cell ? f->walk.cell.n : f->html.units;
}

/* In a table: is the link's text its address? */
static bool is_bare(const struct format *f, struct str url)
{
    return f->walk.in_cell && str_ends(url, str_skip(buf_str(&f->walk.cell), f->link_from));
}

static void link_step(struct walk *w, const struct md_event *e)
{
    struct format *f = (struct format *)w;
    bool tagged = !w->in_cell && url_allowed(e->url);
    if (e->enter) {
        if (tagged) html_open(&f->html, HTML_LINK, e->url);
        if (f->html.depth[HTML_LINK] <= 1) f->link_from = written(f);
        return;
    }
    if (written(f) == f->link_from)
        text(w, e->url); /* a link without a text */
    else if (!tagged && !is_bare(f, e->url))
        show_url(w, e->url);
    if (tagged) html_close(&f->html, HTML_LINK);
}

static bool raw_style(struct str name, enum html_style *ret)
{
    static const struct {
        const char *name;
        enum html_style style;
    } styles[] = {
        { "b", HTML_BOLD },    { "strong", HTML_BOLD }, { "i", HTML_ITALIC },
        { "em", HTML_ITALIC }, { "u", HTML_UNDERLINE }, { "ins", HTML_UNDERLINE },
        { "s", HTML_STRIKE },  { "del", HTML_STRIKE },  { "strike", HTML_STRIKE },
    };
    for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++) {
        if (!str_eq_nocase(name, str_of(styles[i].name))) continue;
        *ret = styles[i].style;
        return true;
    }
    return false;
}

static void raw_close(struct format *f)
{
    html_close(&f->html, f->raw[--f->n_raw].style);
}

/* A tag that we know becomes a style, which ends with what is around it at the latest. */
static void raw_tag(struct walk *w, struct str tag)
{
    struct format *f = (struct format *)w;
    enum html_style which;
    bool end = str_starts(tag, STR("</"));
    size_t skip = end ? 2 : 1;
    struct str name = tag.n > skip + 1 ? str_from(tag.p + skip, tag.n - skip - 1) : STR_NONE;
    if (!raw_style(name, &which)) {
        text(w, tag);
    } else if (!end && f->n_raw < RAW_DEPTH_MAX && !w->in_cell) {
        f->raw[f->n_raw++] = (struct raw_tag){ which, w->level };
        html_open(&f->html, which, STR_NONE);
    } else if (end && f->n_raw) {
        const struct raw_tag *top = &f->raw[f->n_raw - 1];
        if (top->style == which && top->level == w->level) raw_close(f);
    }
}

static void leave(struct walk *w)
{
    struct format *f = (struct format *)w;
    while (f->n_raw && f->raw[f->n_raw - 1].level == w->level) raw_close(f);
}

/* --- blocks --- */

static void quote(struct walk *w, bool enter)
{
    struct format *f = (struct format *)w;
    if (enter)
        html_open(&f->html, HTML_QUOTE, STR_NONE);
    else
        html_close(&f->html, HTML_QUOTE);
}

static void pre(struct walk *w, struct str source, struct str language)
{
    html_pre(&((struct format *)w)->html, source, language);
}

static bool full(const struct walk *w)
{
    const struct html *h = &((const struct format *)w)->html;
    return h->to->full || h->units > TELEGRAM_TEXT_MAX;
}

static const struct walk_hooks hooks = {
    .marks = { "• ", "◦ ", "▪ " },
    .bytes_max = TELEGRAM_HTML_MAX,
    .text = text,
    .line = line,
    .code = code,
    .style = style,
    .link = link_step,
    .tag = raw_tag,
    .quote = quote,
    .mark = text,
    .pre = pre,
    .leave = leave,
    .full = full,
};

/* --- the whole --- */

static bool format(struct str markdown, bool aligned, struct buf *to)
{
    struct format f = { .walk = { .hooks = &hooks, .lines = &f.html.lines, .aligned = aligned },
                        .html = { .to = to, .lines.fresh = true } };
    size_t before = to->n;
    if (walk_markdown(&f.walk, markdown) && f.html.seen && to->n - before <= TELEGRAM_HTML_MAX)
        return true;
    buf_cut(to, before);
    to->full = false;
    return false;
}

bool telegram_format(struct str markdown, struct buf *to)
{
    /* Padding is the one thing that can make a text much longer than it was. */
    return format(markdown, true, to) || format(markdown, false, to);
}
