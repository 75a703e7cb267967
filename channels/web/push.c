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

#define FRAME_KEEP (1 << 20)
#define SEND_MS    10000

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

void web_frame_send(struct web_socket *s, struct json_out *o)
{
    json_close(o, '}');
    if (!o->to->full && s->conn) ws_send(s->conn, buf_str(o->to));
}

static void push_here(struct web *w, struct str identity, const struct web_socket *except,
                      struct str frame)
{
    struct web_person *p = web_person_find(w, identity);
    if (!p) return;
    list_each (it, next, &p->sockets) {
        struct web_socket *s = container_of(it, struct web_socket, link);
        if (s != except && s->conn) ws_send(s->conn, frame);
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
    if (p) web_growing_flush(p);
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
    if (p && out->part + 1 == out->n_parts) web_growing_end(p, out->request);
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
