/*
 * wire_sse - messages by "HTTP with SSE", the way of 2024-11-05: a GET opens a stream whose first
 * event says where to POST; the answers come on the stream. Servers that are not kept up still
 * speak it. https://modelcontextprotocol.io/specification/2024-11-05/basic/transports
 */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/sse.h"
#include "core/tool/admit.h"
#include "core/tool/pending.h"

#define HEADERS_MAX 24
#define POSTS_MAX   128
#define OPEN_MS     10000
#define STREAM_MS   86400000 /* then it is opened anew, when it is needed */
#define SIDE_MS     5000
#define URL_MAX     4096

struct wire_sse {
    struct wire base;
    struct http_client *http;
    const struct wire_http_conf *conf;
    struct arena arena; /* of the stream's headers */
    struct op stream;
    struct http_request rq;
    struct http_reply reply;
    struct sse sse;
    struct buf post_url; /* empty: the server has not said it yet */
    struct pendings pendings;
    struct list posts;
    size_t n_posts;
    bool ended;
    struct err why; /* it did */
};

/* A message on its way. */
struct post {
    struct list link;
    struct wire_sse *w;
    struct op *op; /* of a notification: it ends with the POST */
    int64_t id;
    struct op http_op;
    struct http_request rq;
    struct http_reply reply;
    struct arena arena;
    bool begun;
};

static const struct http_header *headers(struct wire_sse *w, struct arena *arena,
                                         const struct wire_ask *ask, size_t *ret_n)
{
    struct http_header *h = arena_new_array(arena, struct http_header, HEADERS_MAX);
    size_t n = 0;
    for (size_t i = 0; i < w->conf->n_headers && n < HEADERS_MAX - 2; i++)
        h[n++] = w->conf->headers[i];
    h[n++] = ask ? (struct http_header){ STR("Content-Type"), STR("application/json") }
                 : (struct http_header){ STR("Accept"), STR("text/event-stream") };
    if (ask && ask->version)
        h[n++] = (struct http_header){ STR("MCP-Protocol-Version"), str_of(ask->version) };
    *ret_n = n;
    return h;
}

/* ---- posts ---- */

static void post_free(struct post *p)
{
    op_cancel(&p->http_op);
    list_drop(&p->link);
    p->w->n_posts--;
    http_reply_done(&p->reply);
    arena_done(&p->arena);
    free(p);
}

/* why NULL: it was taken. */
static void post_end(struct post *p, const struct err *why)
{
    if (p->op && why)
        op_fail(p->op, why);
    else if (p->op)
        op_finish(p->op);
    else if (why)
        pendings_fail(&p->w->pendings, p->id, why);
    post_free(p);
}

static void on_posted(struct op *op)
{
    struct post *p = container_of(op, struct post, http_op);
    struct err why = op->err;
    if (why.kind == ERR_NONE && p->reply.status / 100 != 2)
        err_set(&why, p->reply.status == 401 || p->reply.status == 403 ? ERR_AUTH : ERR_REFUSED,
                "it answers with status %d", p->reply.status);
    post_end(p, why.kind == ERR_NONE ? NULL : &why);
}

static void post_begin(struct post *p)
{
    p->begun = true;
    p->rq.url = p->w->post_url.p;
    http_request(p->w->http, &p->http_op, &p->rq, &p->reply);
}

static void post_drop(struct op *op)
{
    post_free(op->impl);
}

static const struct op_kind post_kind = { "mcp.post", post_drop };

static struct post *post_new(struct wire_sse *w, struct op *op, const struct wire_ask *ask)
{
    struct post *p = mem_new(struct post);
    *p = (struct post){ .w = w, .op = op, .id = ask->id };
    arena_init(&p->arena);
    op_init(&p->http_op, w->base.loop, on_posted);
    p->rq = (struct http_request){ .method = "POST",
                                   .body = arena_dup(&p->arena, ask->body),
                                   .total_ms = ask->timeout_ms,
                                   .guard = w->conf->guard };
    p->rq.headers = headers(w, &p->arena, ask, &p->rq.n_headers);
    list_push(&w->posts, &p->link);
    w->n_posts++;
    if (w->post_url.n) post_begin(p);
    return p;
}

static void side_post(struct wire_sse *w, struct str body)
{
    const struct wire_ask ask = { .body = body, .timeout_ms = SIDE_MS };
    if (w->n_posts < POSTS_MAX && !w->ended) post_new(w, NULL, &ask);
}

static void on_cancel(void *ctx, struct str body)
{
    side_post(ctx, body);
}

/* ---- the stream ---- */

static enum err_kind take_endpoint(struct wire_sse *w, struct str given, struct err *why)
{
    if (w->post_url.n) return ERR_NONE;
    enum err_kind kind = admit_same_origin(str_of(w->conf->url), given, &w->post_url, why);
    if (kind != ERR_NONE) return kind;
    list_each (it, next, &w->posts) post_begin(container_of(it, struct post, link));
    return ERR_NONE;
}

static void take_message(struct wire_sse *w, struct str data)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(4096);
    struct rpc_message m;
    struct err bad;
    if (rpc_parse(data, &m, &bad) != ERR_NONE) {
        log_debug("mcp", "an event is no message, skipping it", "why=%s",
                  log_quote(str_of(bad.msg)));
        return;
    }
    if (m.what == RPC_RESULT || m.what == RPC_ERROR) {
        pendings_answer(&w->pendings, &m);
        return;
    }
    if (m.what == RPC_NOTE) w->base.user.on_note(w->base.user.ctx, m.method);
    if (m.what == RPC_REQUEST) {
        rpc_put_reply(&body, m.raw_id, m.method);
        if (!body.full) side_post(w, buf_str(&body));
    }
    rpc_message_done(&m);
}

static enum err_kind on_event(void *ctx, struct str event, struct str data, struct err *why)
{
    if (str_eq(event, STR("endpoint"))) return take_endpoint(ctx, data, why);
    take_message(ctx, data);
    return ERR_NONE;
}

static enum err_kind on_data(void *ctx, struct str piece, struct err *why)
{
    struct wire_sse *w = ctx;
    if (!str_starts_nocase(str_of(w->reply.content_type), STR("text/event-stream")))
        return err_set(why, ERR_PROTO, "no server of the protocol is at that address");
    return sse_feed(&w->sse, piece, why);
}

/* The end of the stream is the end of the wire. */
static void on_stream_end(struct op *op)
{
    struct wire_sse *w = container_of(op, struct wire_sse, stream);
    w->why = op->err;
    if (w->why.kind == ERR_NONE && w->reply.status / 100 != 2)
        err_set(&w->why, w->reply.status == 404 ? ERR_NOT_FOUND : ERR_REFUSED,
                "it answers with status %d", w->reply.status);
    else if (w->why.kind == ERR_NONE)
        err_set(&w->why, ERR_UNKNOWN, "its stream ended");
    w->ended = true;
    pendings_fail_all(&w->pendings, &w->why);
    while (!list_empty(&w->posts)) post_end(list_first(&w->posts, struct post, link), &w->why);
    w->base.user.on_gone(w->base.user.ctx);
}

/* ---- the wire ---- */

static const struct op_kind refused_kind = { "mcp.sse", NULL };

static void sse_ask(struct wire *base, struct op *op, const struct wire_ask *ask,
                    struct wire_answer *ret)
{
    struct wire_sse *w = container_of(base, struct wire_sse, base);
    if (w->n_posts >= POSTS_MAX || pendings_full(&w->pendings)) {
        op_begin(op, &refused_kind, NULL, 1);
        op_failf(op, ERR_LIMIT, "too many requests at once");
        return;
    }
    if (ask->id) {
        pendings_add(&w->pendings, op, ask, ret);
        post_new(w, NULL, ask);
    } else {
        op_begin(op, &post_kind, post_new(w, op, ask), ask->timeout_ms);
    }
}

static void sse_end_session(struct wire *base, struct op *op)
{
    (void)base; /* closing the stream says it */
    op_sleep(op, 0);
}

static void sse_close(struct wire *base)
{
    struct wire_sse *w = container_of(base, struct wire_sse, base);
    const struct err why = { .kind = ERR_UNKNOWN, .msg = "the connection was given up" };
    pendings_fail_all(&w->pendings, &why);
    while (!list_empty(&w->posts)) post_end(list_first(&w->posts, struct post, link), &why);
    op_cancel(&w->stream);
    http_reply_done(&w->reply);
    sse_done(&w->sse);
    buf_done(&w->post_url);
    arena_done(&w->arena);
    free(w);
}

static const struct wire_type sse_type = { sse_ask, sse_end_session, sse_close };

struct wire *wire_sse_open(struct loop *loop, struct http_client *http,
                           const struct wire_http_conf *conf, const struct wire_user *user)
{
    struct wire_sse *w = mem_new(struct wire_sse);
    *w = (struct wire_sse){ .base = { .type = &sse_type, .loop = loop, .user = *user },
                            .http = http,
                            .conf = conf };
    arena_init(&w->arena);
    buf_init(&w->post_url, URL_MAX);
    sse_init(&w->sse, WIRE_MESSAGE_MAX, on_event, w);
    pendings_init(&w->pendings, on_cancel, w);
    list_init(&w->posts);
    op_init(&w->stream, loop, on_stream_end);
    w->rq = (struct http_request){ .method = "GET",
                                   .url = conf->url,
                                   .first_byte_ms = OPEN_MS,
                                   .idle_ms = STREAM_MS,
                                   .total_ms = STREAM_MS,
                                   .reply_max = SIZE_MAX / 2, /* each event is bounded */
                                   .on_data = on_data,
                                   .ctx = w,
                                   .guard = conf->guard };
    w->rq.headers = headers(w, &w->arena, NULL, &w->rq.n_headers);
    http_request(http, &w->stream, &w->rq, &w->reply);
    return &w->base;
}
