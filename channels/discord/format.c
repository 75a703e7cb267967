/*
 * format - walks the reply's Markdown and writes Discord's.
 */
#include "channels/discord/format.h"

#include "channels/discord/markup.h"
#include "core/base/utf8.h"

#define WORK_MAX (8 * DISCORD_TEXT_MAX) /* bytes; a link may become shorter at its end */

struct format {
    struct walk walk;
    struct markup out;
    unsigned quote_indent; /* of what is around the outermost quote */
    unsigned images;       /* around us */
    bool hidden;           /* in a picture whose address is shown instead */
    bool in_link, masked;  /* masked: the address is not shown */
    struct markup before_link;
    size_t before_n;  /* bytes of output then */
    struct buf label; /* the link's text without markup */
};

/* --- inlines --- */

static void text(struct walk *w, struct str s)
{
    struct format *f = (struct format *)w;
    if (f->hidden) return;
    if (f->in_link) buf_add(&f->label, s);
    if (!walk_cell(w, s)) markup_text(&f->out, s);
}

static void code(struct walk *w, struct str s)
{
    struct format *f = (struct format *)w;
    if (f->hidden) return;
    if (f->in_link) buf_add(&f->label, s);
    markup_code(&f->out, s);
}

static void line(struct walk *w)
{
    struct format *f = (struct format *)w;
    if (f->hidden) return;
    if (f->in_link) buf_add_char(&f->label, ' ');
    markup_line(&f->out);
}

static void style(struct walk *w, enum walk_style which, bool enter)
{
    struct format *f = (struct format *)w;
    if (f->hidden) return;
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
    if (walk_cell(&f->walk, url)) return;
    if (url_allowed(url))
        markup_url(&f->out, url);
    else
        markup_text(&f->out, url);
}

static void show_url_behind(struct format *f, struct str url)
{
    if (!url.n) return;
    text(&f->walk, STR(" ("));
    show_url(f, url);
    text(&f->walk, STR(")"));
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
    f->masked = !f->walk.in_cell && url_allowed(url);
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
        if (!bare) text(&f->walk, label);
    } else if (f->masked) {
        markup_label_end(&f->out, url);
        return;
    }
    if (!label.n || (bare && undo))
        show_url(f, url);
    else if (!bare)
        show_url_behind(f, url);
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

static void link_step(struct walk *w, const struct md_event *e)
{
    struct format *f = (struct format *)w;
    if (e->type == MD_IMAGE)
        image(f, e);
    else if (f->images)
        return;
    else if (e->enter)
        link_enter(f, e->url);
    else
        link_exit(f, e->url);
}

/* --- blocks --- */

static void mark(struct walk *w, struct str s)
{
    markup_list_mark(&((struct format *)w)->out, s);
}

/* Discord's quotes begin at the start of a line and hold no others: those inside are a part. */
static void quote(struct walk *w, bool enter)
{
    struct format *f = (struct format *)w;
    if (w->quotes) return;
    if (enter) f->quote_indent = f->out.lines.indent;
    f->out.lines.indent = enter ? 0 : f->quote_indent;
    f->out.quoted = enter;
}

/* Discord has three levels. */
static void heading(struct walk *w, const struct md_event *e)
{
    static const char *const leads[] = { "# ", "## ", "### " };
    struct format *f = (struct format *)w;
    if (e->level > 3 || w->lists)
        style(w, WALK_BOLD, e->enter);
    else
        f->out.lead = e->enter ? leads[e->level - 1] : NULL;
    f->out.one_line = e->enter;
}

static void pre(struct walk *w, struct str source, struct str language)
{
    markup_pre(&((struct format *)w)->out, source, language);
}

static bool full(const struct walk *w)
{
    const struct format *f = (const struct format *)w;
    return f->out.to->full || f->label.full;
}

static const struct walk_hooks hooks = {
    .marks = { "- ", "- ", "- " },
    .boxes = true,
    .bytes_max = WORK_MAX,
    .text = text,
    .line = line,
    .code = code,
    .style = style,
    .link = link_step,
    .heading = heading,
    .quote = quote,
    .mark = mark,
    .pre = pre,
    .full = full,
};

/* --- the whole --- */

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
    _cleanup_(buf_done) struct buf work = BUF_INIT(WORK_MAX);
    struct format f = { .walk = { .hooks = &hooks, .lines = &f.out.lines, .aligned = aligned } };
    markup_init(&f.out, &work);
    buf_init(&f.label, WORK_MAX);
    bool ok = walk_markdown(&f.walk, markdown) && append(buf_str(&work), to);
    buf_done(&f.label);
    return ok;
}

bool discord_format(struct str markdown, struct buf *to)
{
    /* Padding is the one thing that can make a text much longer than it was. */
    return format(markdown, true, to) || format(markdown, false, to);
}
