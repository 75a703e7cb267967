/*
 * frame - a walk over the top level of a JSON object that needs no more than the bytes which are
 * there, and keeps none.
 */
#include "channels/discord/frame.h"

#include <string.h>

#define TEXT_KEPT ((size_t)64 * 1024) /* memory that one connection may hold on to */

/* A walk over the members of an object. */
struct walk {
    struct str rest;  /* behind the value in hand */
    struct str key;   /* without its quotes, escapes as they are */
    struct str value; /* as it stands there; may end with `rest` when `whole` is false */
    bool whole;       /* the value's end is there */
    bool begun;
};

static size_t blanks(struct str s)
{
    size_t n = 0;
    while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\n' || s.p[n] == '\r' || s.p[n] == '\t')) n++;
    return n;
}

/* Bytes of the string at the start of `s`, with its quotes; 0 = its end is not there. */
static size_t string_length(struct str s)
{
    size_t i = 1;
    while (i < s.n) {
        const char *quote = memchr(s.p + i, '"', s.n - i);
        if (!quote) return 0;
        size_t at = (size_t)(quote - s.p), slashes = 0;
        while (at - slashes > 1 && s.p[at - 1 - slashes] == '\\') slashes++;
        i = at + 1;
        if (slashes % 2 == 0) return i;
    }
    return 0;
}

/* The same of an object or array. */
static size_t nested_length(struct str s)
{
    size_t depth = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"') {
            size_t n = string_length(str_skip(s, i));
            if (!n) return 0;
            i += n - 1;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

static size_t value_length(struct str s)
{
    if (!s.n) return 0;
    if (s.p[0] == '"') return string_length(s);
    if (s.p[0] == '{' || s.p[0] == '[') return nested_length(s);
    size_t n = 0;
    while (n < s.n && s.p[n] != ',' && s.p[n] != '}' && s.p[n] > ' ') n++;
    return n < s.n ? n : 0;
}

/* The next key, with the rest of the text as its value. False: there is none yet, or no more. */
static bool walk_key(struct walk *w)
{
    struct str s = str_skip(w->rest, blanks(w->rest));
    if (!s.n || s.p[0] != (w->begun ? ',' : '{')) return false;
    s = str_skip(s, 1);
    s = str_skip(s, blanks(s));
    size_t n = s.n && s.p[0] == '"' ? string_length(s) : 0;
    if (!n) return false;
    w->key = str_from(s.p + 1, n - 2);
    s = str_skip(s, n);
    s = str_skip(s, blanks(s));
    if (!s.n || s.p[0] != ':') return false;
    s = str_skip(s, 1);
    w->value = str_skip(s, blanks(s));
    w->begun = true;
    return true;
}

/* Behind the value of that key. False: its end is not there. */
static bool walk_value(struct walk *w)
{
    size_t n = value_length(w->value);
    w->whole = n > 0;
    w->rest = str_skip(w->value, n);
    w->value = str_head(w->value, n);
    return w->whole;
}

bool discord_has_key(struct str text, const char *key)
{
    struct walk w = { .rest = text };
    while (walk_key(&w)) {
        if (str_eq(w.key, str_of(key))) return true;
        if (!walk_value(&w)) return false;
    }
    return false;
}

struct str discord_frame_data(struct str text)
{
    struct walk w = { .rest = text };
    while (walk_key(&w) && walk_value(&w))
        if (str_eq(w.key, STR("d"))) return w.value;
    return STR_NONE;
}

static void note(struct discord_frame *f, struct str key, struct str value)
{
    if (str_eq(key, STR("op"))) {
        if (!str_i64(value, &f->op) || f->op < 0) f->op = -1;
    } else if (str_eq(key, STR("s"))) {
        if (!str_i64(value, &f->seq) || f->seq < 0) f->seq = 0;
    } else if (str_eq(key, STR("t")) && value.n > 2 && value.p[0] == '"' &&
               value.n - 2 < sizeof(f->type)) {
        memcpy(f->type, value.p + 1, value.n - 2);
        f->type[value.n - 2] = '\0';
    }
}

static void skip(struct discord_frames *f)
{
    f->now.skipped = true;
    buf_done(&f->text);
}

/* As far as the head is there. What stands behind "d" is seen when all of it is. */
static void read_head(struct discord_frames *f)
{
    struct walk w = { .rest = buf_str(&f->text) };
    f->now = (struct discord_frame){ .op = -1 };
    while (walk_key(&w)) {
        if (str_eq(w.key, STR("d"))) {
            f->decided = true;
            if (f->now.op == 0 && f->now.type[0] && f->now.seq && !f->wanted(str_of(f->now.type)))
                skip(f);
            return;
        }
        if (!walk_value(&w)) return;
        note(&f->now, w.key, w.value);
    }
}

static enum err_kind read_whole(struct discord_frames *f, struct err *why)
{
    struct walk w = { .rest = buf_str(&f->text) };
    f->now = (struct discord_frame){ .op = -1 };
    while (walk_key(&w) && walk_value(&w)) note(&f->now, w.key, w.value);
    if (f->now.op < 0) return err_set(why, ERR_PROTO, "a payload without an opcode");
    return ERR_NONE;
}

void discord_frames_init(struct discord_frames *f, bool (*wanted)(struct str type))
{
    *f = (struct discord_frames){ .now = { .op = -1 }, .wanted = wanted };
    buf_init(&f->text, DISCORD_FRAME_MAX);
}

void discord_frames_done(struct discord_frames *f)
{
    buf_done(&f->text);
}

void discord_frames_feed(struct discord_frames *f, struct str piece)
{
    if (f->ended) {
        buf_clear(&f->text);
        if (f->text.cap > TEXT_KEPT) buf_done(&f->text);
        f->ended = false;
    }
    if (f->now.skipped) return;
    if (!buf_add(&f->text, piece)) {
        if (!f->decided) read_head(f); /* in one piece, perhaps */
        skip(f);
        return;
    }
    if (!f->decided) read_head(f);
}

enum err_kind discord_frames_end(struct discord_frames *f, struct discord_frame *ret,
                                 struct err *why)
{
    enum err_kind kind = f->now.skipped ? ERR_NONE : read_whole(f, why);
    if (f->now.skipped && f->now.op < 0)
        kind = err_set(why, ERR_PROTO, "a payload of more than %zu bytes", DISCORD_FRAME_MAX);
    *ret = f->now;
    ret->text = f->now.skipped ? STR_NONE : buf_str(&f->text);
    f->now = (struct discord_frame){ .op = -1 };
    f->decided = false;
    f->ended = true;
    return kind;
}
