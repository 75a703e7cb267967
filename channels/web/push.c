/*
 * push: what goes to the pages of a person.
 *
 * A message is pushed to every socket of its person, here and, by Redis, in the other processes. A
 * push may be lost: the rows are the truth, and a page fetches what it missed. So sending always
 * succeeds.
 */
#include "channels/web/web_impl.h"
#include "core/base/clock.h"
#include "core/base/mem.h"

#define DELTA_QUEUE_MAX   (128 * 1024) /* a reader this far behind gets no more pieces ... */
#define PARTIAL_QUEUE_MAX 4096         /* ... until it has caught up: then all at once */
#define STREAM_IDLE_MS    60000        /* an answer that stood still so long may lose its place */
#define FRAME_KEEP        (1 << 20)
#define SEND_MS           10000

static const struct op_kind send_kind = { "web.send", NULL };

/* ---- frames ---- */

struct json_out web_frame(struct web *w, const char *type)
{
    if (w->frame.cap > FRAME_KEEP) buf_done(&w->frame);
    buf_clear(&w->frame);
    struct json_out o = JSON_OUT(&w->frame);
    json_open(&o, '{');
    json_field_str(&o, "type", str_of(type));
    return o;
}

void web_put_uuid(struct json_out *o, const char *key, struct uuid id)
{
    char text[UUID_TEXT_MAX];
    if (uuid_is_nil(&id)) return;
    uuid_text(&id, text);
    json_field_str(o, key, str_of(text));
}

static void send_to(struct web_socket *s, struct str frame)
{
    if (s->conn) ws_send(s->conn, frame);
}

void web_frame_send(struct web_socket *s, struct json_out *o)
{
    json_close(o, '}');
    if (!o->to->full) send_to(s, buf_str(o->to));
}

static void push_here(struct web *w, struct str identity, const struct web_socket *except,
                      struct str frame)
{
    struct web_person *p = web_person_find(w, identity);
    if (!p) return;
    list_each (it, next, &p->sockets) {
        struct web_socket *s = container_of(it, struct web_socket, link);
        if (s != except) send_to(s, frame);
    }
}

/* "owner identity\nframe": whoever published it has shown it to its own sockets. */
void web_frame_push(struct web *w, struct str identity, const struct web_socket *except,
                    struct json_out *o)
{
    json_close(o, '}');
    push_here(w, identity, except, buf_str(o->to));
    _cleanup_(buf_done) struct buf b = BUF_INIT(o->to->n + 256);
    buf_addf(&b, "%s %.*s\n", w->channel.host->owner, STR_ARG(identity));
    buf_add(&b, buf_str(o->to));
    if (!b.full) redis_publish(w->channel.host->redis, w->pushes.channel, buf_str(&b));
}

/* Redis was away, and with it the pushes of others: every page looks for what it missed. */
static void resync_node(struct map_node *node, void *ctx)
{
    const struct web_person *p = container_of(node, struct web_person, node);
    struct web *w = ctx;
    struct json_out o = web_frame(w, "resync");
    json_close(&o, '}');
    push_here(w, str_of(p->id), NULL, buf_str(&w->frame));
}

void web_push_heard(struct redis_sub *sub, struct str payload)
{
    struct web *w = container_of(sub, struct web, pushes);
    if (payload.n == 0) {
        map_walk(&w->people, resync_node, w);
        return;
    }
    struct str head = str_cut(&payload, '\n');
    struct str owner = str_cut(&head, ' ');
    if (str_eq(owner, str_of(w->channel.host->owner)) || !utf8_valid(payload)) return;
    push_here(w, head, NULL, payload);
}

/* ---- a growing answer ---- */

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
    }
    if (free_one) *free_one = (struct web_stream){ .request = request, .at_ms = now };
    return free_one;
}

static void stream_end(struct web_socket *s, struct uuid request)
{
    for (size_t i = 0; i < s->n_streams; i++)
        if (uuid_eq(&s->streams[i].request, &request)) s->streams[i] = (struct web_stream){ 0 };
}

/* An answer that grows. */
struct growing {
    const struct place *where;
    struct uuid request;
    struct str so_far, grown;
};

static void put_piece(struct web *w, const char *type, const struct growing *g, size_t from,
                      struct str text)
{
    struct json_out o = web_frame(w, type);
    json_field_str(&o, "thread", g->where->thread);
    web_put_uuid(&o, "request", g->request);
    json_field_i64(&o, "from", (int64_t)from); /* bytes before it */
    json_field_str(&o, "text", text);
    json_close(&o, '}');
}

/*
 * The next piece for who has all before it; everything so far for who comes late or fell behind.
 * Who does not read gets nothing: there is always a later piece, or the whole message.
 */
static void show(struct web_socket *s, const struct growing *g)
{
    struct web_stream *st = s->conn ? stream_of(s, g->request) : NULL;
    if (!st) return;
    size_t before = g->so_far.n - g->grown.n, queued = ws_queued_bytes(s->conn);
    bool next = before == 0 || st->sent == before;
    if (queued > (next ? DELTA_QUEUE_MAX : PARTIAL_QUEUE_MAX)) return;
    put_piece(s->web, next ? "delta" : "partial", g, next ? before : 0,
              next ? g->grown : g->so_far);
    send_to(s, buf_str(&s->web->frame));
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

/* ---- messages ---- */

/* The page shows no previews: what is edited is a question that was decided. */
static void push_decided(struct web *w, const struct outbound *out)
{
    struct json_out o = web_frame(w, "decided");
    json_field_str(&o, "thread", out->where.thread);
    web_put_uuid(&o, "request", out->request);
    web_frame_push(w, out->where.channel, NULL, &o);
}

static void push_message(struct web *w, const struct outbound *out)
{
    struct web_person *p = web_person_find(w, out->where.channel);
    struct json_out o = web_frame(w, "message");
    json_field_str(&o, "thread", out->where.thread);
    web_put_uuid(&o, "id", out->message);
    web_put_uuid(&o, "request", out->request);
    json_field_str(&o, "role", STR("assistant"));
    json_field_bool(&o, "notice", out->notice);
    json_field_bool(&o, "asks", out->asks);
    json_field_i64(&o, "part", out->part);
    json_field_i64(&o, "n_parts", out->n_parts);
    json_field_i64(&o, "at", clock_wall_ms());
    json_field_str(&o, "text", out->text);
    web_frame_push(w, out->where.channel, NULL, &o);
    if (p && out->part + 1 == out->n_parts)
        list_each (it, next, &p->sockets)
            stream_end(container_of(it, struct web_socket, link), out->request);
}

void web_send(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret)
{
    struct web *w = container_of(ch, struct web, channel);
    if (out->edits.n)
        push_decided(w, out);
    else
        push_message(w, out);
    /* Votes name it. */
    _Static_assert(sizeof(ret->message_id) >= UUID_TEXT_MAX, "an id of ours fits");
    ret->message_id[0] = '\0';
    if (!uuid_is_nil(&out->message)) uuid_text(&out->message, ret->message_id);
    op_begin(op, &send_kind, NULL, SEND_MS);
    op_finish(op);
}

void web_typing(struct channel *ch, const struct place *where)
{
    struct web *w = container_of(ch, struct web, channel);
    struct json_out o = web_frame(w, "typing");
    json_field_str(&o, "thread", where->thread);
    web_frame_push(w, where->channel, NULL, &o);
}
