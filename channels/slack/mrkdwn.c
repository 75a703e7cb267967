/*
 * mrkdwn - Slack documents its signs but not when they count. What is known of it: a sign opens
 * when a word does not end before it and no blank follows, and closes when no blank is before it
 * and no word begins behind it; both on one line. U+200B ends a word; U+2060 does not, it counts
 * as a part of one. There is no escape but for & < >, and a line that begins with > is a quote even
 * when that is written as &gt;.
 */
#include "channels/slack/mrkdwn.h"

#define ENDS_WORD "\xE2\x80\x8B"
#define IN_WORD   "\xE2\x81\xA0"

enum kind { KIND_BLANK, KIND_WORD, KIND_PUNCT, KIND_SIGN, KIND_OTHER, KIND_OPEN, KIND_CLOSE };

static const char signs[] = "*_~`"; /* in the order of BOLD, ITALIC, STRIKE, CODE */
#define N_SIGNS 4

struct line {
    struct str s;
    struct buf *to;
    bool start;           /* nothing but blanks yet */
    bool danger[N_SIGNS]; /* this sign of the text's could mean something */
};

static bool is_open(char c)
{
    return c >= MRKDWN_BOLD && c <= MRKDWN_CODE;
}

static bool is_close(char c)
{
    return c >= MRKDWN_BOLD + MRKDWN_ENDS && c <= MRKDWN_CODE + MRKDWN_ENDS;
}

/* Which of the signs stands at `c`, in the text (0..3); -1 = none. */
static int sign_of(char c)
{
    const char *at = c ? strchr(signs, c) : NULL;
    return at ? (int)(at - signs) : -1;
}

static enum kind kind_of(char c)
{
    if (c == ' ' || (c >= '\t' && c <= '\r') || c == MRKDWN_QUOTE) return KIND_BLANK;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return KIND_WORD;
    if (sign_of(c) >= 0) return KIND_SIGN;
    if (is_open(c)) return KIND_OPEN;
    if (is_close(c)) return KIND_CLOSE;
    if (c == MRKDWN_LINK || c == MRKDWN_LABEL || c == MRKDWN_LINK_END) return KIND_PUNCT;
    return (unsigned char)c < 0x80 ? KIND_PUNCT : KIND_OTHER;
}

static enum kind before(struct str s, size_t i)
{
    return i ? kind_of(s.p[i - 1]) : KIND_BLANK;
}

static enum kind behind(struct str s, size_t i)
{
    return i + 1 < s.n ? kind_of(s.p[i + 1]) : KIND_BLANK;
}

/* Can the sign at `i` be taken for a beginning or an end? When in doubt, yes. */
static bool may_open(struct str s, size_t i)
{
    return s.p[i] == '`' || (before(s, i) != KIND_WORD && behind(s, i) != KIND_BLANK);
}

static bool may_close(struct str s, size_t i)
{
    return s.p[i] == '`' || (before(s, i) != KIND_BLANK && behind(s, i) != KIND_WORD);
}

/* What stands behind the mark at `i` and holds no signs: code, a link's address. */
static struct str inert(struct str s, size_t i)
{
    size_t n = i + 1;
    if (s.p[i] != MRKDWN_CODE && s.p[i] != MRKDWN_LINK) return STR_NONE;
    while (n < s.n && !is_close(s.p[n]) && s.p[n] != MRKDWN_LABEL && s.p[n] != MRKDWN_LINK_END) n++;
    return str_from(s.p + i + 1, n - i - 1);
}

/* --- escaping --- */

static void add_escaped(struct buf *to, char c)
{
    switch (c) {
    case '&': buf_add_cstr(to, "&amp;"); break;
    case '<': buf_add_cstr(to, "&lt;"); break;
    case '>': buf_add_cstr(to, "&gt;"); break;
    default: buf_add_char(to, c);
    }
}

bool mrkdwn_escape(struct str text, struct buf *to)
{
    for (size_t i = 0; i < text.n; i++) add_escaped(to, text.p[i]);
    return !to->full;
}

static void add_once(struct buf *to, const char *what)
{
    if (!str_ends(buf_str(to), str_of(what))) buf_add_cstr(to, what);
}

/* Three backticks would end the block, one or two the code. */
static void add_pre(struct buf *to, struct str code)
{
    size_t run = 0;
    for (size_t i = 0; i < code.n; i++) {
        run = code.p[i] == '`' ? run + 1 : 0;
        if (run == 3) {
            buf_add_cstr(to, ENDS_WORD);
            run = 1;
        }
        add_escaped(to, code.p[i]);
    }
}

static void add_code(struct buf *to, struct str code)
{
    for (size_t i = 0; i < code.n; i++) {
        bool tick = code.p[i] == '`';
        if (tick) add_once(to, IN_WORD);
        add_escaped(to, code.p[i]);
        if (tick) buf_add_cstr(to, IN_WORD);
    }
}

/* --- a line --- */

/* A sign means something when another one of its kind can end what it begins, or is a mark. */
static void find_dangers(struct line *l)
{
    bool opened[N_SIGNS] = { false }, marked[N_SIGNS] = { false }, any[N_SIGNS] = { false };
    for (size_t i = 0; i < l->s.n; i++) {
        char c = l->s.p[i];
        int k = sign_of(c);
        if (is_open(c)) marked[c - MRKDWN_BOLD] = true;
        if (k < 0) {
            i += inert(l->s, i).n;
            continue;
        }
        bool open = may_open(l->s, i), close = may_close(l->s, i);
        l->danger[k] |= close && opened[k];
        opened[k] |= open;
        any[k] |= open || close;
    }
    for (int k = 0; k < N_SIGNS; k++) l->danger[k] |= marked[k] && any[k];
}

static bool ends_word(enum kind kind)
{
    return kind == KIND_BLANK || kind == KIND_PUNCT;
}

/* A mark of ours must not touch a word, nor what could be read together with it. */
static void add_open(struct line *l, size_t i)
{
    enum kind kind = before(l->s, i);
    if (!ends_word(kind) && kind != KIND_OPEN) add_once(l->to, ENDS_WORD);
    buf_add_char(l->to, signs[l->s.p[i] - MRKDWN_BOLD]);
    if (l->s.p[i] == MRKDWN_CODE) add_code(l->to, inert(l->s, i));
}

static void add_close(struct line *l, size_t i)
{
    enum kind kind = behind(l->s, i);
    buf_add_char(l->to, signs[l->s.p[i] - MRKDWN_BOLD - MRKDWN_ENDS]);
    if (!ends_word(kind) && kind != KIND_CLOSE) buf_add_cstr(l->to, ENDS_WORD);
}

static void add_text(struct line *l, size_t i)
{
    char c = l->s.p[i];
    int k = sign_of(c);
    bool quote = l->start && c == '>';
    bool guard = k >= 0 && l->danger[k] && (may_open(l->s, i) || may_close(l->s, i));
    if (guard || quote) add_once(l->to, IN_WORD);
    add_escaped(l->to, c);
    if (guard) buf_add_cstr(l->to, IN_WORD);
}

static void add_at(struct line *l, size_t i)
{
    char c = l->s.p[i];
    switch (c) {
    case MRKDWN_QUOTE: buf_add_cstr(l->to, "> "); break;
    case MRKDWN_LINK:
        buf_add_char(l->to, '<');
        mrkdwn_escape(inert(l->s, i), l->to);
        break;
    case MRKDWN_LABEL: buf_add_char(l->to, '|'); break;
    case MRKDWN_LINK_END: buf_add_char(l->to, '>'); break;
    default:
        if (is_open(c))
            add_open(l, i);
        else if (is_close(c))
            add_close(l, i);
        else
            add_text(l, i);
    }
}

static void add_line(struct buf *to, struct str s)
{
    struct line l = { .s = s, .to = to, .start = true };
    find_dangers(&l);
    for (size_t i = 0; i < s.n; i += 1 + inert(s, i).n) {
        add_at(&l, i);
        l.start = l.start && kind_of(s.p[i]) == KIND_BLANK;
    }
}

bool mrkdwn_write(struct str marked, struct buf *to)
{
    while (marked.n) {
        if (marked.p[0] == MRKDWN_PRE) {
            marked = str_skip(marked, 1);
            buf_add_cstr(to, "```\n");
            add_pre(to, str_cut(&marked, MRKDWN_PRE));
            buf_add_cstr(to, "\n```");
            continue;
        }
        size_t n = str_find_char(marked, '\n');
        struct str line = str_head(marked, n);
        add_line(to, line);
        marked = str_skip(marked, line.n);
        if (marked.n) buf_add_char(to, '\n');
        marked = str_skip(marked, 1);
    }
    return !to->full;
}
