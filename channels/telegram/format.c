/*
 * format - walks the reply's Markdown and writes HTML.
 */
#include "channels/telegram/format.h"

#include "channels/telegram/html.h"
#include "core/chat/table.h"

#include <stdio.h>

#define LIST_DEPTH_MAX 8 /* deeper lists are not indented any further */
#define RAW_DEPTH_MAX  4

/* An HTML tag that was written in the Markdown and stands for a style. */
struct raw_tag {
    enum html_style style;
    unsigned level;
};

struct format {
    struct html html;
    bool aligned;                     /* pad tables */
    unsigned level;                   /* containers around us */
    unsigned lists;                   /* lists around us */
    unsigned indents[LIST_DEPTH_MAX]; /* of each list's marks */
    size_t link_from;                 /* html.units where the link began */
    struct raw_tag raw[RAW_DEPTH_MAX];
    size_t n_raw;
    struct arena arena; /* of tables */
    struct table table;
    struct buf cell; /* a cell's text: there are no tags in a table */
    bool in_cell;
    enum md_align align;
};

/* --- inlines --- */

static void text(struct format *f, struct str s)
{
    if (f->in_cell)
        buf_add(&f->cell, s);
    else
        html_text(&f->html, s);
}

static void line_end(struct format *f)
{
    if (f->in_cell)
        buf_add_char(&f->cell, ' ');
    else
        html_line(&f->html);
}

static void style(struct format *f, enum html_style which, bool enter)
{
    if (f->in_cell) return;
    if (enter)
        html_open(&f->html, which, STR_NONE);
    else
        html_close(&f->html, which);
}

static bool url_allowed(struct str url)
{
    static const char *const schemes[] = { "http://", "https://", "tg://", "mailto:" };
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (str_starts_nocase(url, str_of(schemes[i]))) return true;
    return false;
}

/* Where a tag cannot lead there, the address itself is shown. */
static void show_url(struct format *f, struct str url)
{
    if (!url.n) return;
    text(f, STR(" ("));
    text(f, url);
    text(f, STR(")"));
}

/* In a table: is the link's text its address? */
static bool is_bare(const struct format *f, struct str url)
{
    return f->in_cell && str_ends(url, str_skip(buf_str(&f->cell), f->link_from));
}

static void link_step(struct format *f, const struct md_event *e)
{
    bool tagged = !f->in_cell && url_allowed(e->url);
    if (e->enter) {
        if (tagged) html_open(&f->html, HTML_LINK, e->url);
        if (!f->html.depth[HTML_LINK] || f->html.depth[HTML_LINK] == 1)
            f->link_from = f->in_cell ? f->cell.n : f->html.units;
        return;
    }
    if ((f->in_cell ? f->cell.n : f->html.units) == f->link_from)
        text(f, e->url); /* a link without a text */
    else if (!tagged && !is_bare(f, e->url))
        show_url(f, e->url);
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

static bool is_br(struct str tag)
{
    return str_eq_nocase(tag, STR("<br>")) || str_eq_nocase(tag, STR("<br/>")) ||
           str_eq_nocase(tag, STR("<br />"));
}

/* A tag that we know becomes a style, which ends with what is around it at the latest. */
static void raw_tag(struct format *f, struct str tag)
{
    enum html_style which;
    bool end = str_starts(tag, STR("</"));
    size_t skip = end ? 2 : 1;
    struct str name = tag.n > skip + 1 ? str_from(tag.p + skip, tag.n - skip - 1) : STR_NONE;
    if (is_br(tag)) {
        line_end(f);
    } else if (!raw_style(name, &which)) {
        text(f, tag);
    } else if (!end && f->n_raw < RAW_DEPTH_MAX && !f->in_cell) {
        f->raw[f->n_raw++] = (struct raw_tag){ which, f->level };
        html_open(&f->html, which, STR_NONE);
    } else if (end && f->n_raw) {
        const struct raw_tag *top = &f->raw[f->n_raw - 1];
        if (top->style == which && top->level == f->level) raw_close(f);
    }
}

/* --- blocks --- */

/* Blocks in a tight list stand close. */
static void block(struct format *f, bool tight)
{
    html_block(&f->html, f->lists && tight ? 1 : 2);
}

/* A block that cannot stand behind a list's mark. */
static void block_alone(struct format *f)
{
    block(f, true);
    if (!f->html.breaks) html_break(&f->html, 1);
}

static unsigned *list_indent(struct format *f)
{
    return &f->indents[f->lists <= LIST_DEPTH_MAX ? f->lists - 1 : LIST_DEPTH_MAX - 1];
}

static void list(struct format *f, const struct md_event *e)
{
    if (e->enter) {
        block(f, e->tight);
        f->lists++;
        if (f->lists <= LIST_DEPTH_MAX) *list_indent(f) = f->html.indent;
    } else {
        f->html.indent = *list_indent(f);
        f->lists--;
    }
}

static void item(struct format *f, const struct md_event *e)
{
    static const char *const marks[] = { "• ", "◦ ", "▪ " };
    if (!e->enter) return;
    char number[32];
    snprintf(number, sizeof(number), "%lld. ", (long long)e->number);
    f->html.indent = *list_indent(f);
    block(f, e->tight);
    html_text(&f->html, str_of(e->ordered ? number : marks[f->lists < 3 ? f->lists - 1 : 2]));
    f->html.fresh = true;
    f->html.indent += e->ordered ? 3 : 2;
}

static void quote(struct format *f, bool enter)
{
    if (!enter) {
        html_close(&f->html, HTML_QUOTE);
        return;
    }
    block_alone(f);
    html_open(&f->html, HTML_QUOTE, STR_NONE);
    f->html.fresh = true;
}

static void code_block(struct format *f, const struct md_event *e)
{
    struct str code = e->text, info = e->info;
    if (code.n && code.p[code.n - 1] == '\n') code.n--;
    block_alone(f);
    html_pre(&f->html, code, str_cut(&info, ' '));
}

static void html_source(struct format *f, struct str source)
{
    while (source.n && source.p[source.n - 1] == '\n') source.n--;
    block(f, false);
    if (!is_br(source)) html_text(&f->html, source);
}

static void table(struct format *f, const struct md_event *e)
{
    if (e->enter) {
        table_init(&f->table, &f->arena, e->columns > 0 ? (size_t)e->columns : 1);
        return;
    }
    _cleanup_(buf_done) struct buf lines = BUF_INIT(TELEGRAM_HTML_MAX);
    table_format(&f->table, f->aligned, &lines);
    f->html.to->full |= lines.full;
    block_alone(f);
    html_pre(&f->html, buf_str(&lines), STR_NONE);
}

static void cell(struct format *f, const struct md_event *e)
{
    f->in_cell = e->enter;
    if (e->enter) {
        f->align = e->align;
        buf_clear(&f->cell);
    } else {
        table_add(&f->table, str_trim(buf_str(&f->cell)), f->align);
    }
}

/* --- the walk --- */

static void container(struct format *f, const struct md_event *e)
{
    switch (e->type) {
    case MD_QUOTE: quote(f, e->enter); break;
    case MD_LIST: list(f, e); break;
    case MD_ITEM: item(f, e); break;
    case MD_PARAGRAPH:
        if (e->enter) block(f, e->tight);
        break;
    case MD_HEADING:
        if (e->enter) block(f, false);
        style(f, HTML_BOLD, e->enter);
        break;
    case MD_TABLE: table(f, e); break;
    case MD_CELL: cell(f, e); break;
    case MD_EMPH: style(f, HTML_ITALIC, e->enter); break;
    case MD_STRONG: style(f, HTML_BOLD, e->enter); break;
    case MD_STRIKE: style(f, HTML_STRIKE, e->enter); break;
    case MD_LINK:
    case MD_IMAGE: link_step(f, e); break;
    default: break;
    }
}

static void step(struct format *f, const struct md_event *e)
{
    switch (e->type) {
    case MD_TEXT: text(f, e->text); return;
    case MD_SOFT_BREAK: /* fall through: in a chat, a line end is meant */
    case MD_HARD_BREAK: line_end(f); return;
    case MD_CODE:
        if (f->in_cell)
            text(f, e->text);
        else
            html_code(&f->html, e->text);
        return;
    case MD_HTML: raw_tag(f, e->text); return;
    case MD_CODE_BLOCK: code_block(f, e); return;
    case MD_HTML_BLOCK: html_source(f, e->text); return;
    case MD_RULE:
        block(f, false);
        html_text(&f->html, STR("———"));
        return;
    default: break;
    }
    if (e->enter) {
        container(f, e);
        f->level++;
        return;
    }
    while (f->n_raw && f->raw[f->n_raw - 1].level == f->level) raw_close(f);
    container(f, e);
    f->level--;
}

static bool format(struct str markdown, bool aligned, struct buf *to)
{
    _cleanup_(markdown_free_p) struct markdown *m = NULL;
    if (markdown_parse(markdown, &m, NULL) != ERR_NONE) return false;

    struct format f = { .html = { .to = to, .fresh = true }, .aligned = aligned };
    buf_init(&f.cell, TELEGRAM_HTML_MAX);
    arena_init(&f.arena);
    size_t before = to->n;
    struct md_event e;
    while (!to->full && f.html.units <= TELEGRAM_TEXT_MAX && markdown_next(m, &e)) step(&f, &e);
    bool ok = !to->full && !f.cell.full && f.html.seen && f.html.units <= TELEGRAM_TEXT_MAX &&
              to->n - before <= TELEGRAM_HTML_MAX;
    if (!ok) {
        buf_cut(to, before);
        to->full = false;
    }
    arena_done(&f.arena);
    buf_done(&f.cell);
    return ok;
}

bool telegram_format(struct str markdown, struct buf *to)
{
    /* Padding is the one thing that can make a text much longer than it was. */
    return format(markdown, true, to) || format(markdown, false, to);
}
