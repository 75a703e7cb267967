/*
 * marks - marks wait until there is text for them, and leave blanks outside.
 */
#include "channels/slack/marks.h"

#include "channels/slack/mrkdwn.h"

void marks_init(struct marks *m, struct buf *to)
{
    *m = (struct marks){ .to = to, .lines.fresh = true };
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char mark_of(enum walk_style style)
{
    return (char)(MRKDWN_BOLD + (int)style);
}

/* --- lines --- */

/* End the styles that were opened last, down to `keep` of them; before the blanks at the end. */
static void end_styles(struct marks *m, size_t keep)
{
    struct buf *to = m->to;
    size_t at = to->n, end = to->n;
    if (m->n_written <= keep) return;
    while (at && is_blank(to->p[at - 1])) at--;
    while (m->n_written > keep)
        buf_add_char(to, (char)(mark_of(m->open[--m->n_written]) + MRKDWN_ENDS));
    for (size_t n = to->n - end; n; n--) { /* each mark once around the blanks */
        char mark = to->p[to->n - 1];
        memmove(to->p + at + 1, to->p + at, to->n - 1 - at);
        to->p[at] = mark;
    }
}

/* Write the line ends that wait, and what stands at the start of the line behind them. */
static void flush_lines(struct marks *m, unsigned indent, bool quoted)
{
    if (!m->seen) m->lines.breaks = 0;
    if (m->seen && !m->lines.breaks) return;
    if (m->lines.breaks) end_styles(m, 0);
    for (; m->lines.breaks; m->lines.breaks--) {
        buf_add_char(m->to, '\n');
        if (m->lines.breaks > 1 && quoted && m->was_quoted) buf_add_char(m->to, MRKDWN_QUOTE);
    }
    if (quoted) buf_add_char(m->to, MRKDWN_QUOTE);
    if (m->seen) buf_addf(m->to, "%*s", (int)indent, "");
    m->was_quoted = quoted;
    m->seen = true;
}

static void flush(struct marks *m)
{
    flush_lines(m, m->lines.indent, m->quoted);
    m->lines.fresh = false;
    while (m->n_written < m->n_open) buf_add_char(m->to, mark_of(m->open[m->n_written++]));
}

void marks_line(struct marks *m)
{
    m->lines.breaks++; /* several in a row count, other than between blocks */
}

/* --- text --- */

static void add_line(struct marks *m, struct str line)
{
    size_t blanks = 0;
    while (blanks < line.n && is_blank(line.p[blanks])) blanks++;
    if (line.n) flush_lines(m, m->lines.indent, m->quoted);
    buf_add(m->to, str_head(line, blanks));
    if (blanks == line.n) return;
    flush(m);
    buf_add(m->to, str_skip(line, blanks));
}

void marks_text(struct marks *m, struct str text)
{
    while (text.n) {
        bool ends = str_find_char(text, '\n') != SIZE_MAX;
        add_line(m, str_cut(&text, '\n'));
        if (ends) marks_line(m);
    }
}

void marks_code(struct marks *m, struct str text)
{
    if (!str_trim(text).n) {
        marks_text(m, text);
        return;
    }
    flush(m);
    buf_add_char(m->to, MRKDWN_CODE);
    buf_add(m->to, text);
    buf_add_char(m->to, (char)(MRKDWN_CODE + MRKDWN_ENDS));
}

void marks_pre(struct marks *m, struct str text)
{
    if (!str_trim(text).n) return;
    flush_lines(m, 0, false);
    m->lines.fresh = false;
    buf_add_char(m->to, MRKDWN_PRE);
    buf_add(m->to, text);
    buf_add_char(m->to, MRKDWN_PRE);
}

void marks_list_mark(struct marks *m, struct str mark)
{
    flush(m);
    buf_add(m->to, mark);
}

/* What would end the link, or is no part of an address, as a percent code. */
static void add_url(struct buf *to, struct str url)
{
    for (size_t i = 0; i < url.n; i++) {
        char c = url.p[i];
        if ((unsigned char)c <= ' ' || c == 0x7F || memchr("<>|\"`", c, 5))
            buf_addf(to, "%%%02X", (unsigned char)c);
        else
            buf_add_char(to, c);
    }
}

void marks_link(struct marks *m, struct str url, struct str label)
{
    flush(m);
    buf_add_char(m->to, MRKDWN_LINK);
    add_url(m->to, url);
    if (label.n) buf_add_char(m->to, MRKDWN_LABEL);
    for (size_t i = 0; i < label.n; i++) buf_add_char(m->to, label.p[i] == '\n' ? ' ' : label.p[i]);
    buf_add_char(m->to, MRKDWN_LINK_END);
}

/* --- styles --- */

void marks_open(struct marks *m, enum walk_style style)
{
    if (!m->depth[style]++) m->open[m->n_open++] = style;
}

void marks_close(struct marks *m, enum walk_style style)
{
    if (--m->depth[style]) return;
    m->n_open--;
    end_styles(m, m->n_open);
}
