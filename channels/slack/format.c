/*
 * format - walks the reply's Markdown and writes mrkdwn.
 */
#include "channels/slack/format.h"

#include "channels/slack/mrkdwn.h"
#include "core/base/utf8.h"
#include "core/chat/table.h"

#include <stdio.h>

#define LIST_DEPTH_MAX 8 /* deeper lists are not indented any further */
#define WORK_MAX       65536

struct format {
    struct mrkdwn out;
    unsigned lists;                   /* lists around us */
    unsigned indents[LIST_DEPTH_MAX]; /* of each list's marks */
    unsigned styles[128];             /* how often each mark is open; only the outermost counts */
    unsigned links;                   /* links and pictures around us */
    struct str url;                   /* of the outermost one */
    struct buf label;                 /* its text */
    struct arena arena;               /* of tables */
    struct table table;
    struct buf cell;
    bool in_cell;
    enum md_align align;
};

/* --- inlines --- */

static void text(struct format *f, struct str s)
{
    if (f->links)
        buf_add(&f->label, s);
    else if (f->in_cell)
        buf_add(&f->cell, s);
    else
        mrkdwn_text(&f->out, s);
}

static void line_end(struct format *f)
{
    if (f->links || f->in_cell)
        text(f, STR(" "));
    else
        mrkdwn_line(&f->out);
}

/* Slack reads no marks inside a link's text, nor in a table, which is code. */
static void style(struct format *f, char sign, bool enter)
{
    if (f->links || f->in_cell) return;
    unsigned *depth = &f->styles[(unsigned char)sign];
    if (enter ? (*depth)++ == 0 : --*depth == 0) mrkdwn_mark(&f->out, sign, enter);
}

static void code(struct format *f, struct str s)
{
    if (f->links || f->in_cell)
        text(f, s);
    else
        mrkdwn_code(&f->out, s);
}

static bool url_allowed(struct str url)
{
    static const char *const schemes[] = { "http://", "https://", "mailto:", "tel:" };
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (str_starts_nocase(url, str_of(schemes[i]))) return true;
    return false;
}

/* "example.org/path" or "https://...": something that a person reads as an address. */
static bool is_address(struct str s)
{
    size_t dot = str_find_char(s, '.');
    if (str_find_char(s, ' ') != SIZE_MAX) return false;
    return str_find(s, STR("://")) != SIZE_MAX || (dot != SIZE_MAX && dot > 0 && dot + 2 < s.n);
}

bool slack_is_fake(struct str label, struct str url)
{
    struct str s = str_trim(label);
    return is_address(s) && str_find(url, s) == SIZE_MAX;
}

static void link_end(struct format *f)
{
    struct str label = buf_str(&f->label), url = f->url;
    bool shown = !label.n || str_ends(url, label);
    if (f->in_cell || !url_allowed(url)) {
        text(f, label.n ? label : url);
        if (shown || !url.n) return;
        text(f, STR(" ("));
        text(f, url);
        text(f, STR(")"));
    } else if (slack_is_fake(label, url)) {
        text(f, label);
        text(f, STR(" ("));
        mrkdwn_link(&f->out, url, STR_NONE);
        text(f, STR(")"));
    } else {
        mrkdwn_link(&f->out, url, label);
    }
}

static void link_step(struct format *f, const struct md_event *e)
{
    if (e->enter) {
        if (f->links++ == 0) {
            f->url = arena_dup(&f->arena, e->url);
            buf_clear(&f->label);
        }
    } else if (--f->links == 0) {
        link_end(f);
    }
}

/* --- blocks --- */

static void block(struct format *f, bool tight)
{
    mrkdwn_block(&f->out, f->lists && tight ? 1 : 2);
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
    static const char *const marks[] = { "• ", "◦ ", "▪ " };
    if (!e->enter) return;
    char number[32];
    snprintf(number, sizeof(number), "%lld. ", (long long)e->number);
    f->out.indent = *list_indent(f);
    block(f, e->tight);
    mrkdwn_text(&f->out, str_of(e->ordered ? number : marks[f->lists < 3 ? f->lists - 1 : 2]));
    f->out.fresh = true;
    f->out.indent += 4;
}

static void quote(struct format *f, bool enter)
{
    block(f, true);
    f->out.fresh = false;
    f->out.quotes += enter ? 1 : -1u;
}

static void code_block(struct format *f, struct str s)
{
    while (s.n && s.p[s.n - 1] == '\n') s.n--;
    block(f, true);
    mrkdwn_pre(&f->out, s);
}

static void html_source(struct format *f, struct str s)
{
    block(f, false);
    while (s.n) {
        text(f, str_cut(&s, '\n'));
        if (s.n) line_end(f);
    }
}

static void table(struct format *f, const struct md_event *e)
{
    if (e->enter) {
        table_init(&f->table, &f->arena, e->columns > 0 ? (size_t)e->columns : 1);
        return;
    }
    _cleanup_(buf_done) struct buf lines = BUF_INIT(WORK_MAX);
    table_format(&f->table, true, &lines);
    f->out.to->full |= lines.full;
    code_block(f, buf_str(&lines));
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

static void heading(struct format *f, bool enter)
{
    if (enter) block(f, false);
    style(f, '*', enter);
}

/* --- the walk --- */

static void step(struct format *f, const struct md_event *e)
{
    switch (e->type) {
    case MD_TEXT:
    case MD_HTML: text(f, e->text); break;
    case MD_SOFT_BREAK: /* in a chat, a line end is meant */
    case MD_HARD_BREAK: line_end(f); break;
    case MD_CODE: code(f, e->text); break;
    case MD_CODE_BLOCK: code_block(f, e->text); break;
    case MD_HTML_BLOCK: html_source(f, e->text); break;
    case MD_RULE:
        block(f, false);
        text(f, STR("———"));
        break;
    case MD_QUOTE: quote(f, e->enter); break;
    case MD_LIST: list(f, e); break;
    case MD_ITEM: item(f, e); break;
    case MD_PARAGRAPH:
        if (e->enter) block(f, e->tight);
        break;
    case MD_HEADING: heading(f, e->enter); break;
    case MD_TABLE: table(f, e); break;
    case MD_CELL: cell(f, e); break;
    case MD_EMPH: style(f, '_', e->enter); break;
    case MD_STRONG: style(f, '*', e->enter); break;
    case MD_STRIKE: style(f, '~', e->enter); break;
    case MD_LINK:
    case MD_IMAGE: link_step(f, e); break;
    default: break;
    }
}

bool slack_format(struct str markdown, struct buf *to)
{
    _cleanup_(markdown_free_p) struct markdown *m = NULL;
    if (markdown_parse(markdown, &m, NULL) != ERR_NONE) return false;

    _cleanup_(buf_done) struct buf made = BUF_INIT(WORK_MAX);
    struct format f = { .out = { .to = &made, .fresh = true } };
    struct md_event e;
    buf_init(&f.cell, WORK_MAX);
    buf_init(&f.label, WORK_MAX);
    arena_init(&f.arena);
    while (!made.full && markdown_next(m, &e)) step(&f, &e);
    bool ok = !made.full && !f.cell.full && !f.label.full && f.out.seen &&
              utf8_length(buf_str(&made), TEXT_UTF16) <= SLACK_TEXT_MAX &&
              made.n <= to->max - to->n;
    if (ok) buf_add(to, buf_str(&made));
    arena_done(&f.arena);
    buf_done(&f.cell);
    buf_done(&f.label);
    return ok;
}
