/*
 * walk - one function for each kind of step.
 */
#include "core/chat/walk.h"

#include <stdio.h>

void walk_break(struct walk_lines *l, unsigned n)
{
    if (l->breaks < n) l->breaks = n;
    l->fresh = true;
}

void walk_block(struct walk_lines *l, unsigned n)
{
    if (!l->fresh) walk_break(l, n);
}

bool walk_cell(struct walk *w, struct str s)
{
    if (w->in_cell) buf_add(&w->cell, s);
    return w->in_cell;
}

void walk_begin(struct walk *w, bool tight)
{
    walk_block(w->lines, w->lists && tight ? 1 : 2);
}

/* --- inlines --- */

/* "[ ] " and "[x] " behind a list mark; the parser leaves them to us. */
static void text(struct walk *w, struct str s)
{
    bool open = str_starts(s, STR("[ ] ")), done = str_starts_nocase(s, STR("[x] "));
    if (w->hooks->boxes && w->item_starts && (open || done)) {
        w->hooks->text(w, open ? STR("☐ ") : STR("☑ "));
        s = str_skip(s, 4);
    }
    w->hooks->text(w, s);
}

static void line_end(struct walk *w)
{
    if (w->in_cell)
        w->hooks->text(w, STR(" "));
    else
        w->hooks->line(w);
}

static void code(struct walk *w, struct str s)
{
    if (w->in_cell)
        w->hooks->text(w, s);
    else
        w->hooks->code(w, s);
}

static void style(struct walk *w, enum walk_style which, bool enter)
{
    if (!w->in_cell) w->hooks->style(w, which, enter);
}

static bool is_br(struct str tag)
{
    return str_eq_nocase(tag, STR("<br>")) || str_eq_nocase(tag, STR("<br/>")) ||
           str_eq_nocase(tag, STR("<br />"));
}

/* HTML is shown as it is, but for the one tag that has nothing to show. */
static void tag(struct walk *w, struct str s)
{
    if (is_br(s))
        line_end(w);
    else if (w->hooks->tag)
        w->hooks->tag(w, s);
    else
        w->hooks->text(w, s);
}

/* --- blocks --- */

/* A block that cannot stand behind a list's mark. */
static void begin_alone(struct walk *w)
{
    walk_begin(w, true);
    if (!w->lines->breaks) walk_break(w->lines, 1);
}

static unsigned *list_indent(struct walk *w)
{
    return &w->indents[w->lists <= WALK_LISTS_MAX ? w->lists - 1 : WALK_LISTS_MAX - 1];
}

static void list(struct walk *w, const struct md_event *e)
{
    if (e->enter) {
        walk_begin(w, e->tight);
        w->lists++;
        if (w->lists <= WALK_LISTS_MAX) *list_indent(w) = w->lines->indent;
    } else {
        w->lines->indent = *list_indent(w);
        w->lists--;
    }
}

static void item(struct walk *w, const struct md_event *e)
{
    w->item_starts = e->enter;
    if (!e->enter) return;
    char number[32];
    snprintf(number, sizeof(number), "%lld. ", (long long)e->number);
    w->lines->indent = *list_indent(w);
    walk_begin(w, e->tight);
    w->hooks->mark(w,
                   str_of(e->ordered ? number : w->hooks->marks[w->lists < 3 ? w->lists - 1 : 2]));
    w->lines->fresh = true;
    w->lines->indent += e->ordered ? 3 : 2;
}

static void quote(struct walk *w, bool enter)
{
    if (enter)
        begin_alone(w);
    else
        w->quotes--;
    w->hooks->quote(w, enter);
    if (enter) w->quotes++;
}

static void heading(struct walk *w, const struct md_event *e)
{
    if (e->enter) walk_begin(w, false);
    if (w->hooks->heading)
        w->hooks->heading(w, e);
    else
        style(w, WALK_BOLD, e->enter);
}

static void code_block(struct walk *w, const struct md_event *e)
{
    struct str source = e->text, info = e->info;
    if (source.n && source.p[source.n - 1] == '\n') source.n--;
    begin_alone(w);
    w->hooks->pre(w, source, str_cut(&info, ' '));
}

static void html_block(struct walk *w, struct str source)
{
    while (source.n && source.p[source.n - 1] == '\n') source.n--;
    walk_begin(w, false);
    if (!is_br(source)) w->hooks->text(w, source);
}

static void rule(struct walk *w)
{
    walk_begin(w, false);
    w->hooks->text(w, STR("———"));
}

static void table(struct walk *w, const struct md_event *e)
{
    if (e->enter) {
        table_init(&w->table, &w->arena, e->columns > 0 ? (size_t)e->columns : 1);
        return;
    }
    _cleanup_(buf_done) struct buf rows = BUF_INIT(w->hooks->bytes_max);
    table_format(&w->table, w->aligned, &rows);
    w->failed |= rows.full;
    begin_alone(w);
    w->hooks->pre(w, buf_str(&rows), STR_NONE);
}

static void cell(struct walk *w, const struct md_event *e)
{
    w->in_cell = e->enter;
    if (e->enter) {
        w->align = e->align;
        buf_clear(&w->cell);
    } else {
        w->failed |= w->cell.full;
        table_add(&w->table, str_trim(buf_str(&w->cell)), w->align);
    }
}

/* --- the walk --- */

static void container(struct walk *w, const struct md_event *e)
{
    switch (e->type) {
    case MD_QUOTE: quote(w, e->enter); break;
    case MD_LIST: list(w, e); break;
    case MD_ITEM: item(w, e); break;
    case MD_PARAGRAPH:
        if (e->enter) walk_begin(w, e->tight);
        break;
    case MD_HEADING: heading(w, e); break;
    case MD_TABLE: table(w, e); break;
    case MD_CELL: cell(w, e); break;
    case MD_EMPH: style(w, WALK_ITALIC, e->enter); break;
    case MD_STRONG: style(w, WALK_BOLD, e->enter); break;
    case MD_STRIKE: style(w, WALK_STRIKE, e->enter); break;
    case MD_LINK:
    case MD_IMAGE: w->hooks->link(w, e); break;
    default: break;
    }
}

static void enter_or_leave(struct walk *w, const struct md_event *e)
{
    if (!e->enter && w->hooks->leave) w->hooks->leave(w);
    container(w, e);
    w->level = e->enter ? w->level + 1 : w->level - 1;
}

static void step(struct walk *w, const struct md_event *e)
{
    switch (e->type) {
    case MD_TEXT: text(w, e->text); break;
    case MD_SOFT_BREAK: /* fall through: in a chat, a line end is meant */
    case MD_HARD_BREAK: line_end(w); break;
    case MD_CODE: code(w, e->text); break;
    case MD_HTML: tag(w, e->text); break;
    case MD_CODE_BLOCK: code_block(w, e); break;
    case MD_HTML_BLOCK: html_block(w, e->text); break;
    case MD_RULE: rule(w); break;
    default: enter_or_leave(w, e); break;
    }
    if (e->type != MD_ITEM && e->type != MD_PARAGRAPH) w->item_starts = false;
}

bool walk_markdown(struct walk *w, struct str markdown)
{
    _cleanup_(markdown_free_p) struct markdown *m = NULL;
    if (markdown_parse(markdown, &m, NULL) != ERR_NONE) return false;

    struct md_event e;
    buf_init(&w->cell, w->hooks->bytes_max);
    arena_init(&w->arena);
    while (!w->failed && !w->hooks->full(w) && markdown_next(m, &e)) step(w, &e);
    arena_done(&w->arena);
    buf_done(&w->cell);
    return !w->failed && !w->hooks->full(w);
}
