/*
 * format - walks the reply's Markdown and writes Slack's mrkdwn.
 */
#include "channels/slack/format.h"

#include "channels/slack/address.h"
#include "channels/slack/marks.h"
#include "channels/slack/mrkdwn.h"
#include "core/base/utf8.h"

#define WORK_MAX (8 * SLACK_TEXT_MAX) /* bytes; marks may become shorter at the end */

struct format {
    struct walk walk;
    struct marks out;
    unsigned links;   /* links and pictures around us; the outermost counts */
    struct buf label; /* its text */
};

/* --- inlines --- */

static void text(struct walk *w, struct str s)
{
    struct format *f = (struct format *)w;
    if (f->links)
        buf_add(&f->label, s);
    else if (!walk_cell(w, s))
        marks_text(&f->out, s);
}

static void code(struct walk *w, struct str s)
{
    struct format *f = (struct format *)w;
    if (f->links)
        text(w, s);
    else
        marks_code(&f->out, s);
}

static void line(struct walk *w)
{
    struct format *f = (struct format *)w;
    if (f->links)
        text(w, STR(" "));
    else
        marks_line(&f->out);
}

/* A link's text has no styles. */
static void style(struct walk *w, enum walk_style which, bool enter)
{
    struct format *f = (struct format *)w;
    if (f->links) return;
    if (enter)
        marks_open(&f->out, which);
    else
        marks_close(&f->out, which);
}

static void show_url_behind(struct format *f, struct str url, bool linked)
{
    text(&f->walk, STR(" ("));
    if (linked)
        marks_link(&f->out, url, STR_NONE);
    else
        text(&f->walk, url);
    text(&f->walk, STR(")"));
}

static void link_end(struct format *f, struct str url)
{
    struct str label = str_trim(buf_str(&f->label));
    bool same = !label.n || address_is(url, label);
    bool linked = !f->walk.in_cell && address_leads(url);
    if (linked && (same || !address_in(label, url))) {
        marks_link(&f->out, url, str_eq(label, url) ? STR_NONE : label);
        return;
    }
    text(&f->walk, label.n ? label : url);
    if (!same && url.n) show_url_behind(f, url, linked);
}

/* Pictures are links, too: Slack shows none inside a text. */
static void link_step(struct walk *w, const struct md_event *e)
{
    struct format *f = (struct format *)w;
    if (e->enter && !f->links++) buf_clear(&f->label);
    if (!e->enter && !--f->links) link_end(f, e->url);
}

/* --- blocks --- */

static void mark(struct walk *w, struct str s)
{
    marks_list_mark(&((struct format *)w)->out, s);
}

/* Slack's quotes begin at the start of a line and hold no others: those inside are a part. */
static void quote(struct walk *w, bool enter)
{
    ((struct format *)w)->out.quoted = enter || w->quotes;
}

static void pre(struct walk *w, struct str source, struct str language)
{
    (void)language; /* there is no place for it */
    marks_pre(&((struct format *)w)->out, source);
}

static bool full(const struct walk *w)
{
    const struct format *f = (const struct format *)w;
    return f->out.to->full || f->label.full;
}

static const struct walk_hooks hooks = {
    .marks = { "• ", "◦ ", "▪ " },
    .boxes = true,
    .bytes_max = WORK_MAX,
    .text = text,
    .line = line,
    .code = code,
    .style = style,
    .link = link_step,
    .quote = quote,
    .mark = mark,
    .pre = pre,
    .full = full,
};

/* --- the whole --- */

static bool append(struct str work, struct buf *to)
{
    _cleanup_(buf_done) struct buf written = BUF_INIT(2 * WORK_MAX);
    work = str_trim(work);
    while (work.n && work.p[work.n - 1] == MRKDWN_QUOTE) /* a quote of nothing but blanks */
        work = str_trim(str_head(work, work.n - 1));
    if (!mrkdwn_write(work, &written)) return false;
    struct str all = str_trim(buf_str(&written));
    if (!all.n || utf8_utf16_units(all) > SLACK_TEXT_MAX) return false;
    bool was_full = to->full;
    if (buf_add(to, all)) return true;
    to->full = was_full;
    return false;
}

static bool format(struct str markdown, bool aligned, struct buf *to)
{
    _cleanup_(buf_done) struct buf work = BUF_INIT(WORK_MAX);
    struct format f = { .walk = { .hooks = &hooks, .lines = &f.out.lines, .aligned = aligned } };
    marks_init(&f.out, &work);
    buf_init(&f.label, WORK_MAX);
    bool ok = walk_markdown(&f.walk, markdown) && append(buf_str(&work), to);
    buf_done(&f.label);
    return ok;
}

bool slack_format(struct str markdown, struct buf *to)
{
    /* Padding is the one thing that can make a text much longer than it was. */
    return format(markdown, true, to) || format(markdown, false, to);
}

bool slack_escape(struct str text, struct buf *to)
{
    size_t before = to->n;
    bool was_full = to->full;
    if (mrkdwn_escape(text, to)) return true;
    buf_cut(to, before);
    to->full = was_full;
    return false;
}
