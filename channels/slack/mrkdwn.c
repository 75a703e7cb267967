/*
 * mrkdwn - the writer. A mark counts for Slack only where a word begins or ends; U+200B makes such
 * a place, or takes the effect from a sign that is meant as itself.
 */
#include "channels/slack/mrkdwn.h"

#define GAP "\xE2\x80\x8B"

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80;
}

static char last(const struct mrkdwn *m)
{
    return m->to->n ? m->to->p[m->to->n - 1] : '\n';
}

static bool behind_gap(const struct mrkdwn *m)
{
    return str_ends(buf_str(m->to), STR(GAP));
}

static void begin_line(struct mrkdwn *m)
{
    if (m->quotes) buf_add_cstr(m->to, "> ");
    for (unsigned i = 0; i < m->indent; i++) buf_add_char(m->to, ' ');
}

/* What is due before anything is written. */
static void settle(struct mrkdwn *m)
{
    bool first = !m->seen && !m->breaks;
    for (unsigned i = 1; i < m->breaks; i++) {
        buf_add_char(m->to, '\n');
        if (m->quotes) buf_add_char(m->to, '>'); /* an empty line would end the quote */
    }
    if (m->breaks) buf_add_char(m->to, '\n');
    if (m->breaks || (first && last(m) == '\n')) begin_line(m);
    m->breaks = 0;
    m->fresh = false;
    m->seen = true;
}

void mrkdwn_block(struct mrkdwn *m, unsigned breaks)
{
    if (m->fresh || !m->seen) return;
    if (m->breaks < breaks) m->breaks = breaks;
    m->closed = false;
}

void mrkdwn_line(struct mrkdwn *m)
{
    if (!m->seen) return;
    m->breaks++;
    m->closed = false;
}

static void add_escaped(struct buf *to, char c)
{
    if (c == '&')
        buf_add_cstr(to, "&amp;");
    else if (c == '<')
        buf_add_cstr(to, "&lt;");
    else if (c == '>')
        buf_add_cstr(to, "&gt;");
    else
        buf_add_char(to, c);
}

/* Would Slack take the sign for the beginning of a mark? */
static bool opens(const struct mrkdwn *m, struct str rest)
{
    bool space = rest.n > 1 && (rest.p[1] == ' ' || rest.p[1] == '\n');
    return !space && (!is_word(last(m)) || behind_gap(m));
}

void mrkdwn_text(struct mrkdwn *m, struct str text)
{
    if (!text.n) return;
    settle(m);
    if (m->closed && is_word(text.p[0])) buf_add_cstr(m->to, GAP);
    m->closed = false;
    for (; text.n; text = str_skip(text, 1)) {
        char c = text.p[0];
        bool mark = (c == '*' || c == '_' || c == '~' || c == '`') && opens(m, text);
        if (c == '>' && last(m) == '\n') buf_add_cstr(m->to, GAP); /* no quote */
        add_escaped(m->to, c);
        if (mark) buf_add_cstr(m->to, GAP);
    }
}

void mrkdwn_mark(struct mrkdwn *m, char sign, bool enter)
{
    if (enter) {
        settle(m);
        if (is_word(last(m)) && !behind_gap(m)) buf_add_cstr(m->to, GAP);
    }
    buf_add_char(m->to, sign);
    m->closed = !enter;
}

void mrkdwn_code(struct mrkdwn *m, struct str text)
{
    settle(m);
    if (is_word(last(m)) && !behind_gap(m)) buf_add_cstr(m->to, GAP);
    buf_add_char(m->to, '`');
    for (; text.n; text = str_skip(text, 1)) {
        if (text.p[0] == '`')
            buf_add_cstr(m->to, "\xCB\x8B"); /* U+02CB: the mark would end here */
        else
            add_escaped(m->to, text.p[0] == '\n' ? ' ' : text.p[0]);
    }
    buf_add_char(m->to, '`');
    m->closed = true;
}

void mrkdwn_pre(struct mrkdwn *m, struct str text)
{
    unsigned indent = m->indent, quotes = m->quotes;
    m->indent = m->quotes = 0; /* they would become a part of the code */
    if (m->seen && m->breaks == 0) m->breaks = 1;
    settle(m);
    buf_add_cstr(m->to, "```\n");
    for (unsigned ticks = 0; text.n; text = str_skip(text, 1)) {
        ticks = text.p[0] == '`' ? ticks + 1 : 0;
        if (ticks == 3) {
            buf_add_cstr(m->to, GAP);
            ticks = 1;
        }
        add_escaped(m->to, text.p[0]);
    }
    buf_add_cstr(m->to, "\n```");
    m->indent = indent;
    m->quotes = quotes;
    m->closed = false;
}

void mrkdwn_link(struct mrkdwn *m, struct str url, struct str label)
{
    settle(m);
    buf_add_char(m->to, '<');
    for (; url.n; url = str_skip(url, 1)) {
        char c = url.p[0];
        if (c == '|' || c == '>' || c == '<' || c == ' ' || c == '\n')
            buf_addf(m->to, "%%%02X", (unsigned)(unsigned char)c);
        else
            add_escaped(m->to, c);
    }
    if (label.n) buf_add_char(m->to, '|');
    for (; label.n; label = str_skip(label, 1))
        add_escaped(m->to, label.p[0] == '\n' ? ' ' : label.p[0]);
    buf_add_char(m->to, '>');
    m->closed = false;
}
