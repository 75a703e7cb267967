/*
 * growing: answers that grow before a person's eyes, piece by piece.
 *
 * A piece goes to every socket of its person at once. A frame costs the same whatever is in it, so
 * when the gateway has a lot to do a socket gets ten a second: thousands who read at once get
 * fewer, longer pieces instead of late ones. The first piece of an answer never waits, nor does
 * what is held when the whole message comes.
 */
#include "channels/web/web_impl.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include <stdio.h>

#define DELTA_QUEUE_MAX   (128 * 1024) /* a reader this far behind gets no more pieces ... */
#define PARTIAL_QUEUE_MAX 4096         /* ... until it has caught up: then all at once */
#define STREAM_IDLE_MS    60000        /* an answer that stood still so long may lose its place */
#define PACE_MS           100          /* from piece to piece, while the gateway is busy */

static struct metric held_pieces =
    METRIC(METRIC_COUNTER, "parley_web_held_pieces_total", "",
           "Pieces of answers that waited for the next one, because the gateway was busy.");

struct growing {
    const struct place *where;
    struct uuid request;
    struct str so_far, grown;
};

static void stream_clear(struct web_stream *st)
{
    buf_done(&st->held);
    *st = (struct web_stream){ .held = BUF_INIT(DELTA_QUEUE_MAX) };
}

/* The place of a request among what a socket watches; NULL: it watches too many already. */
static struct web_stream *stream_of(struct web_socket *s, struct uuid request)
{
    struct web_stream *free_one = NULL;
    uint64_t now = clock_ms();
    for (size_t i = 0; i < s->n_streams; i++) {
        struct web_stream *st = &s->streams[i];
        if (uuid_eq(&st->request, &request)) return st;
        if (uuid_is_nil(&st->request) || now - st->at_ms > STREAM_IDLE_MS) free_one = st;
    }
    if (!free_one && s->n_streams < WEB_STREAMS_MAX) {
        s->streams = mem_grow(s->streams, (s->n_streams + 1) * sizeof(*s->streams));
        free_one = &s->streams[s->n_streams++];
        *free_one = (struct web_stream){ .sent = 0 };
    }
    if (!free_one) return NULL;
    stream_clear(free_one);
    free_one->request = request;
    free_one->at_ms = now;
    return free_one;
}

/* from: bytes before it */
static void send_piece(struct web_socket *s, const char *type, struct str thread,
                       struct uuid request, size_t from, struct str text)
{
    s->piece_ms = clock_ms();
    struct json_out o = web_frame(s->web, type);
    json_field_str(&o, "thread", thread);
    web_put_uuid(&o, "request", request);
    json_field_i64(&o, "from", (int64_t)from);
    json_field_str(&o, "text", text);
    web_frame_send(s, &o);
}

/* ---- pieces that wait ---- */

static struct loop *loop_of(const struct web_socket *s)
{
    return s->web->channel.host->loop;
}

static uint64_t wait_ms(const struct web_socket *s)
{
    uint64_t passed = clock_ms() - s->piece_ms;
    return passed < PACE_MS && loop_is_busy(loop_of(s)) ? PACE_MS - passed : 0;
}

/* Who does not read gets nothing: there is always a later piece, or the whole message. */
static void flush(struct web_socket *s)
{
    timer_clear(loop_of(s), &s->flush);
    for (size_t i = 0; s->conn && i < s->n_streams; i++) {
        struct web_stream *st = &s->streams[i];
        struct str text = buf_str(&st->held);
        if (text.n && ws_queued_bytes(s->conn) <= DELTA_QUEUE_MAX) {
            send_piece(s, "delta", str_of(st->thread), st->request, st->sent, text);
            st->sent += text.n;
        }
        buf_done(&st->held);
    }
}

void web_growing_due(struct timer *t)
{
    flush(container_of(t, struct web_socket, flush));
}

static void hold(struct web_socket *s, struct web_stream *st, const struct growing *g, uint64_t ms)
{
    st->at_ms = clock_ms();
    if (!st->held.n) snprintf(st->thread, sizeof st->thread, "%.*s", STR_ARG(g->where->thread));
    buf_add(&st->held, g->grown); /* no room: the next one is a "partial" with everything */
    metric_add(&held_pieces, 1);
    if (!timer_armed(&s->flush)) timer_set(loop_of(s), &s->flush, ms);
}

/* ---- pieces as they come, and the end ---- */

/* The next piece for who has all before it; everything so far for who comes late or fell behind. */
static void show(struct web_socket *s, const struct growing *g)
{
    struct web_stream *st = s->conn ? stream_of(s, g->request) : NULL;
    if (!st) return;
    size_t before = g->so_far.n - g->grown.n, queued = ws_queued_bytes(s->conn);
    bool next = before == 0 || st->sent + st->held.n == before;
    uint64_t wait = next && before > 0 ? wait_ms(s) : 0;
    if (wait || (next && st->held.n)) {
        hold(s, st, g, wait);
        return;
    }
    buf_done(&st->held);
    if (queued > (next ? DELTA_QUEUE_MAX : PARTIAL_QUEUE_MAX)) return;
    send_piece(s, next ? "delta" : "partial", g->where->thread, g->request, next ? before : 0,
               next ? g->grown : g->so_far);
    st->sent = g->so_far.n;
    st->at_ms = clock_ms();
}

void web_progress(struct channel *ch, const struct place *where, struct uuid request,
                  struct str so_far, struct str grown)
{
    struct web *w = container_of(ch, struct web, channel);
    struct web_person *p = web_person_find(w, where->channel);
    const struct growing g = { where, request, so_far, grown };
    if (!p) return;
    list_each (it, next, &p->sockets) show(container_of(it, struct web_socket, link), &g);
}

void web_growing_flush(struct web_person *p)
{
    list_each (it, next, &p->sockets) flush(container_of(it, struct web_socket, link));
}

void web_growing_end(struct web_person *p, struct uuid request)
{
    list_each (it, next, &p->sockets) {
        struct web_socket *s = container_of(it, struct web_socket, link);
        for (size_t i = 0; i < s->n_streams; i++)
            if (uuid_eq(&s->streams[i].request, &request)) stream_clear(&s->streams[i]);
    }
}

void web_growing_left(struct web_socket *s)
{
    timer_clear(loop_of(s), &s->flush);
    for (size_t i = 0; i < s->n_streams; i++) buf_done(&s->streams[i].held);
    free(s->streams);
}
