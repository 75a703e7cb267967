/*
 * sse - see sse.h. Bytes are cut into lines first, so nothing here depends on how they arrived: a
 * line that lies whole in the input is read in place, only a cut one is gathered in s->line.
 */
#include "core/net/sse.h"

/* Room for the field name in front of a data line of event_max bytes. */
#define FIELD_NAME_MAX 16

static enum err_kind too_large(const struct sse *s, struct err *why)
{
    return err_set(why, ERR_PROTO, "an event of more than %zu bytes", s->data.max);
}

static enum err_kind event_end(struct sse *s, struct err *why)
{
    enum err_kind kind = ERR_NONE;
    if (s->has_data) kind = s->on_event(s->ctx, buf_str(&s->event), buf_str(&s->data), why);
    s->has_data = false;
    buf_done(&s->data); /* the next one may be long in coming, and this one was perhaps large */
    buf_clear(&s->event);
    return kind;
}

static void take_id(struct sse *s, struct str value)
{
    for (size_t i = 0; i < value.n; i++)
        if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7f) return;
    buf_clear(&s->given_id);
    buf_add(&s->given_id, value);
}

static void take_retry(struct sse *s, struct str value)
{
    int64_t ms;
    if (str_i64(value, &ms) && ms >= 0) s->retry_ms = ms;
}

/* The blank line behind an event. At the end of a stream, where it is missing, who goes on gets the
 * event once more. */
static enum err_kind event_whole(struct sse *s, struct err *why)
{
    if (s->given_id.n || s->id.n) {
        buf_clear(&s->id);
        buf_add(&s->id, buf_str(&s->given_id));
    }
    return event_end(s, why);
}

static enum err_kind line_take(struct sse *s, struct str line, struct err *why)
{
    if (!s->started && str_starts(line, STR("\xef\xbb\xbf"))) line = str_skip(line, 3);
    s->started = true;
    if (!line.n) return event_whole(s, why);

    struct str value = line, name = str_cut(&value, ':');
    if (value.n && value.p[0] == ' ') value = str_skip(value, 1);
    if (str_eq(name, STR("data"))) {
        bool fits = (!s->has_data || buf_add_char(&s->data, '\n')) && buf_add(&s->data, value);
        s->has_data = true;
        return fits ? ERR_NONE : too_large(s, why);
    }
    if (str_eq(name, STR("event"))) {
        buf_clear(&s->event);
        return buf_add(&s->event, value) ? ERR_NONE : too_large(s, why);
    }
    if (str_eq(name, STR("id"))) take_id(s, value);
    if (str_eq(name, STR("retry"))) take_retry(s, value);
    return ERR_NONE; /* a comment (empty name), or what nobody knows */
}

/* A line is complete: `rest` is its end, the beginning may wait in s->line. */
static enum err_kind line_end(struct sse *s, struct str rest, struct err *why)
{
    if (!s->line.n) return line_take(s, rest, why);
    if (!buf_add(&s->line, rest)) return too_large(s, why);
    enum err_kind kind = line_take(s, buf_str(&s->line), why);
    buf_clear(&s->line);
    return kind;
}

void sse_init(struct sse *s, size_t event_max,
              enum err_kind (*on_event)(void *, struct str, struct str, struct err *), void *ctx)
{
    *s = (struct sse){ .on_event = on_event, .ctx = ctx, .retry_ms = -1 };
    buf_init(&s->line, event_max + FIELD_NAME_MAX);
    buf_init(&s->data, event_max);
    buf_init(&s->event, event_max);
    buf_init(&s->id, SSE_ID_MAX);
    buf_init(&s->given_id, SSE_ID_MAX);
}

void sse_done(struct sse *s)
{
    buf_done(&s->line);
    buf_done(&s->data);
    buf_done(&s->event);
    buf_done(&s->id);
    buf_done(&s->given_id);
}

enum err_kind sse_feed(struct sse *s, struct str bytes, struct err *why)
{
    size_t lf = str_find_char(bytes, '\n'), at = 0;
    while (at < bytes.n) {
        if (s->after_cr && bytes.p[at] == '\n') at++;
        s->after_cr = false;
        /* Looked up again only when passed: a flood of lone CRs must not cost a scan each. */
        if (lf != SIZE_MAX && lf < at) {
            size_t next = str_find_char(str_skip(bytes, at), '\n');
            lf = next == SIZE_MAX ? SIZE_MAX : at + next;
        }
        size_t limit = lf == SIZE_MAX ? bytes.n : lf;
        size_t cr = str_find_char(str_from(bytes.p + at, limit - at), '\r');
        size_t end = cr == SIZE_MAX ? limit : at + cr;
        struct str line = str_from(bytes.p + at, end - at);
        if (end == bytes.n) return buf_add(&s->line, line) ? ERR_NONE : too_large(s, why);

        s->after_cr = bytes.p[end] == '\r';
        at = end + 1;
        enum err_kind kind = line_end(s, line, why);
        if (kind != ERR_NONE) return kind;
    }
    return ERR_NONE;
}

enum err_kind sse_end(struct sse *s, struct err *why)
{
    enum err_kind kind = s->line.n ? line_end(s, STR_NONE, why) : ERR_NONE;
    return kind == ERR_NONE ? event_end(s, why) : kind;
}
