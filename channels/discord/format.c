/*
 * format - walks the reply's Markdown and writes Discord's.
 */
#include "channels/discord/format.h"

#include "channels/discord/markup.h"
#include "core/base/utf8.h"
#include "core/chat/table.h"

#include <stdio.h>

#define LIST_DEPTH_MAX 8                      /* deeper lists are not indented any further */
#define WORK_MAX       (8 * DISCORD_TEXT_MAX) /* bytes; a link may become shorter at its end */

struct format {
    struct markup out;
    bool aligned;                     /* pad tables */
    unsigned quotes, lists;           /* around us */
    unsigned quote_indent;            /* of what is around the outermost quote */
    unsigned indents[LIST_DEPTH_MAX]; /* of each list's marks */
    bool item_starts;                 /* nothing behind the list mark yet */
    unsigned images;                  /* around us */
    bool hidden;                      /* in a picture whose address is shown instead */
    bool in_link, masked;             /* masked: the address is not shown */
    struct markup before_link;
    size_t before_n;    /* bytes of output then */
    struct buf label;   /* the link's text without markup */
    struct arena arena; /* of tables */
    struct table table;
    struct buf cell; /* a cell's text: there is no markup in a table */
    bool in_cell;
    enum md_align align;
};

/* --- inlines --- */

static void text(struct format *f, struct str s)
{
    if (f->hidden) return;
    if (f->in_link) buf_add(&f->label, s);
    if (f->in_cell)
        buf_add(&f->cell, s);
    else
        markup_text(&f->out, s);
}

/* "[ ] " and "[x] " behind a list mark; the parser leaves them to us. */
static void leaf_text(struct format *f, struct str s)
{
    bool open = str_starts(s, STR("[ ] ")), done = str_starts_nocase(s, STR("[x] "));
    if (f->item_starts && (open || done)) {
        text(f, open ? STR("☐ ") : STR("☑ "));
        s = str_skip(s, 4);
    }
    text(f, s);
}

static void code(struct format *f, struct str s)
{
    if (f->hidden || f->in_cell) {
        text(f, s);
        return;
    }
    if (f->in_link) buf_add(&f->label, s);
    markup_code(&f->out, s);
}

static void line_end(struct format *f)
{
    if (f->hidden) return;
    if (f->in_link) buf_add_char(&f->label, ' ');
    if (f->in_cell)
        buf_add_char(&f->cell, ' ');
    else
        markup_line(&f->out);
}

static void style(struct format *f, enum markup_style which, bool enter)
{
    if (f->in_cell || f->hidden) return;
    if (enter)
        markup_open(&f->out, which);
    else
        markup_close(&f->out, which);
}

/* Is it one that Discord makes a link? */
static bool url_allowed(struct str url)
{
    return (str_starts_nocase(url, STR("http://")) && url.n > 7) ||
           (str_starts_nocase(url, STR("https://")) && url.n > 8);
}

static void show_url(struct format *f, struct str url)
{
    if (f->in_cell)
        buf_add(&f->cell, url);
    else if (url_allowed(url))
        markup_url(&f->out, url);
    else
        markup_text(&f->out, url);
}

static void show_url_behind(struct format *f, struct str url)
{
    if (!url.n) return;
    text(f, STR(" ("));
    show_url(f, url);
    text(f, STR(")"));
}

/* Is `label` the address itself, perhaps without its scheme? */
static bool is_address(struct str label, struct str url)
{
    if (!str_ends(url, label)) return false;
    struct str scheme = str_head(url, url.n - label.n);
    return !scheme.n || str_eq(scheme, STR("http://")) || str_eq(scheme, STR("https://")) ||
           str_eq(scheme, STR("mailto:"));
}

static void link_enter(struct format *f, struct str url)
{
    buf_clear(&f->label);
    f->masked = !f->in_cell && url_allowed(url);
    f->in_link = true;
    if (f->masked) markup_label(&f->out, &f->before_link, &f->before_n);
}

/* Discord takes no masked link whose text looks like an address. */
static void link_exit(struct format *f, struct str url)
{
    struct str label = str_trim(buf_str(&f->label));
    bool bare = !label.n || is_address(label, url);
    bool undo = f->masked && (bare || str_find(label, STR("://")) != SIZE_MAX);
    f->in_link = false;
    if (undo) {
        markup_label_undo(&f->out, &f->before_link, f->before_n);
        if (!bare) text(f, label);
    } else if (f->masked) {
        markup_label_end(&f->out, url);
        return;
    }
    if (!label.n || (bare && undo))
        show_url(f, url);
    else if (!bare)
        show_url_behind(f, url);
}

static void link_step(struct format *f, const struct md_event *e)
{
    if (f->images) return;
    if (e->enter)
        link_enter(f, e->url);
    else
        link_exit(f, e->url);
}

/* Discord shows a picture for its address; in a link there is only room for the text. */
static void image(struct format *f, const struct md_event *e)
{
    if (e->enter) {
        if (!f->images++) f->hidden = !f->in_link && url_allowed(e->url);
        return;
    }
    if (--f->images || f->in_link) return;
    if (f->hidden) {
        f->hidden = false;
        show_url(f, e->url);
    } else {
        show_url_behind(f, e->url);
    }
}

/* HTML is shown as it is, but for the one tag that has nothing to show. */
static bool is_br(struct str tag)
{
    return str_eq_nocase(tag, STR("<br>")) || str_eq_nocase(tag, STR("<br/>")) ||
           str_eq_nocase(tag, STR("<br />"));
}

static void html(struct format *f, struct str tag)
{
    if (is_br(tag))
        line_end(f);
    else
        text(f, tag);
}

/* --- blocks --- */

/* Blocks in a tight list stand close. */
static void block(struct format *f, bool tight)
{
    markup_block(&f->out, f->lists && tight ? 1 : 2);
}

/* A block that cannot stand behind a list's mark. */
static void block_alone(struct format *f)
{
    block(f, true);
    if (!f->out.breaks) markup_break(&f->out, 1);
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
        if (f->lists <= LIST_DEPTH_MAX) *list_indent(f) = f->out.indent;
    } else {
        f->out.indent = *list_indent(f);
        f->lists--;
    }
}

static void item(struct format *f, const struct md_event *e)
{
    f->item_starts = e->enter;
    if (!e->enter) return;
    char mark[32] = "- ";
    if (e->ordered) snprintf(mark, sizeof(mark), "%lld. ", (long long)e->number);
    f->out.indent = *list_indent(f);
    block(f, e->tight);
    markup_list_mark(&f->out, str_of(mark));
    f->out.indent += e->ordered ? 3 : 2;
}

/* Discord's quotes begin at the start of a line and hold no others: those inside are a part. */
static void quote(struct format *f, bool enter)
{
    if (!enter) {
        if (--f->quotes) return;
        f->out.quoted = false;
        f->out.indent = f->quote_indent;
        return;
    }
    block_alone(f);
    if (f->quotes++) return;
    f->out.quoted = true;
    f->quote_indent = f->out.indent;
    f->out.indent = 0;
}

/* Discord has three levels. */
static void heading(struct format *f, const struct md_event *e)
{
    static const char *const leads[] = { "# ", "## ", "### " };
    bool bold = e->level > 3 || f->lists;
    if (e->enter) block(f, false);
    if (bold)
        style(f, MARKUP_BOLD, e->enter);
    else
        f->out.lead = e->enter ? leads[e->level - 1] : NULL;
    f->out.one_line = e->enter;
}

static void code_block(struct format *f, const struct md_event *e)
{
    struct str source = e->text, info = e->info;
    if (source.n && source.p[source.n - 1] == '\n') source.n--;
    block_alone(f);
    markup_pre(&f->out, source, str_cut(&info, ' '));
}

static void html_source(struct format *f, struct str source)
{
    while (source.n && source.p[source.n - 1] == '\n') source.n--;
    block(f, false);
    if (!is_br(source)) markup_text(&f->out, source);
}

static void table(struct format *f, const struct md_event *e)
{
    if (e->enter) {
        table_init(&f->table, &f->arena, e->columns > 0 ? (size_t)e->columns : 1);
        return;
    }
    _cleanup_(buf_done) struct buf lines = BUF_INIT(WORK_MAX);
    table_format(&f->table, f->aligned, &lines);
    f->out.to->full |= lines.full;
    block_alone(f);
    markup_pre(&f->out, buf_str(&lines), STR_NONE);
}

static void cell(struct format *f, const struct md_event *e)
{
    f->in_cell = e->enter;
    if (e->enter) {
        f->align = e->align;
        buf_clear(&f->cell);
    } else {
        f->out.to->full |= f->cell.full;
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
    case MD_HEADING: heading(f, e); break;
    case MD_TABLE: table(f, e); break;
    case MD_CELL: cell(f, e); break;
    case MD_EMPH: style(f, MARKUP_ITALIC, e->enter); break;
    case MD_STRONG: style(f, MARKUP_BOLD, e->enter); break;
    case MD_STRIKE: style(f, MARKUP_STRIKE, e->enter); break;
    case MD_LINK: link_step(f, e); break;
    case MD_IMAGE: image(f, e); break;
    default: break;
    }
}

static void step(struct format *f, const struct md_event *e)
{
    switch (e->type) {
    case MD_TEXT: leaf_text(f, e->text); break;
    case MD_SOFT_BREAK: /* fall through: in a chat, a line end is meant */
    case MD_HARD_BREAK: line_end(f); break;
    case MD_CODE: code(f, e->text); break;
    case MD_HTML: html(f, e->text); break;
    case MD_CODE_BLOCK: code_block(f, e); break;
    case MD_HTML_BLOCK: html_source(f, e->text); break;
    case MD_RULE:
        block(f, false);
        markup_text(&f->out, STR("———"));
        break;
    default: container(f, e); break;
    }
    if (e->type != MD_ITEM && e->type != MD_PARAGRAPH) f->item_starts = false;
}

/* Whatever they stand in, these two words would look as if everybody had been called. */
static void add_silenced(struct buf *to, struct str s)
{
    for (size_t at; (at = str_find_char(s, '@')) != SIZE_MAX;) {
        buf_add(to, str_head(s, at + 1));
        s = str_skip(s, at + 1);
        if (str_starts_nocase(s, STR("everyone")) || str_starts_nocase(s, STR("here")))
            buf_add_cstr(to, "\xE2\x80\x8B");
    }
    buf_add(to, s);
}

static bool append(struct str work, struct buf *to)
{
    _cleanup_(buf_done) struct buf silenced = BUF_INIT(2 * WORK_MAX);
    add_silenced(&silenced, work);
    struct str all = str_trim(buf_str(&silenced));
    if (!all.n || silenced.full || utf8_utf16_units(all) > DISCORD_TEXT_MAX) return false;
    bool was_full = to->full;
    if (buf_add(to, all)) return true;
    to->full = was_full;
    return false;
}

static bool format(struct str markdown, bool aligned, struct buf *to)
{
    _cleanup_(markdown_free_p) struct markdown *m = NULL;
    if (markdown_parse(markdown, &m, NULL) != ERR_NONE) return false;

    _cleanup_(buf_done) struct buf work = BUF_INIT(WORK_MAX);
    struct format f = { .aligned = aligned };
    markup_init(&f.out, &work);
    buf_init(&f.cell, WORK_MAX);
    buf_init(&f.label, WORK_MAX);
    arena_init(&f.arena);
    struct md_event e;
    while (!work.full && !f.label.full && markdown_next(m, &e)) step(&f, &e);
    bool ok = !work.full && !f.label.full && append(buf_str(&work), to);
    arena_done(&f.arena);
    buf_done(&f.label);
    buf_done(&f.cell);
    return ok;
}

bool discord_format(struct str markdown, struct buf *to)
{
    /* Padding is the one thing that can make a text much longer than it was. */
    return format(markdown, true, to) || format(markdown, false, to);
}
