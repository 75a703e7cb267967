/*
 * wire_http - messages by "streamable HTTP": each is a POST; the answer is a JSON document, or a
 * stream of events, in which notes and requests of the server may come before it. In the legacy
 * era a stream that broke off is gone on with by a GET, if its events have ids.
 *
 * Redirects are refused: the address was chosen by who configured it, and nobody else.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/sse.h"
#include "core/tool/wire.h"

#define HEADERS_MAX    48
#define EXCHANGES_MAX  128
#define LINGER_MS      1000 /* for the end of a stream, once its answer is there */
#define SIDE_MS        5000 /* replies, cancellations */
#define END_MS         1000
#define DEADLINE_SLACK 500  /* HTTP's own deadline is first: it knows what was waited for */
#define RESUMES_MAX    100  /* of one answer; its time ends before, mostly */
#define RESUME_MS      1000 /* before each, if the server does not say */
#define RESUME_MIN_MS  50   /* however short it says */

struct wire_http {
    struct wire base;
    struct http_client *http;
    const struct wire_http_conf *conf;
    struct list exchanges;
    size_t n_exchanges;
};

/* One request of HTTP, which may outlive the op that wanted it. */
struct exchange {
    struct list link;
    struct wire_http *w;
    struct op *op; /* NULL: nobody waits (any more) */
    struct wire_answer *answer;
    int64_t id;
    const char *method, *version; /* of the ask; static texts */
    bool modern, answered;
    struct op http_op;
    struct http_request rq;
    struct http_reply reply;
    struct timer linger, again;
    uint64_t until_ms;  /* it has to be answered */
    struct str last_id; /* of its stream: what comes behind it is asked for; "" = from the start */
    unsigned n_resumed;
    int status; /* that the request itself was answered with */
    struct arena arena;
    struct buf body;
    struct sse sse;
    bool is_stream, began;
};

static void side_post(struct wire_http *w, const struct wire_ask *ask);
static void on_again(struct timer *t);

/* ---- an exchange and its end ---- */

static void exchange_free(struct exchange *x)
{
    op_cancel(&x->http_op);
    timer_clear(x->w->base.loop, &x->linger);
    timer_clear(x->w->base.loop, &x->again);
    list_drop(&x->link);
    x->w->n_exchanges--;
    http_reply_done(&x->reply);
    buf_done(&x->body);
    sse_done(&x->sse);
    arena_done(&x->arena);
    free(x);
}

static void on_linger(struct timer *t)
{
    exchange_free(container_of(t, struct exchange, linger));
}

/* An answer of ours: whoever waits has it now, though the stream may go on for a while. */
static void exchange_answer(struct exchange *x, struct rpc_message *m)
{
    struct op *op = x->op;
    x->answered = true;
    if (!op) {
        rpc_message_done(m);
        return;
    }
    struct str session = http_reply_header(&x->reply, "mcp-session-id");
    if (strcmp(x->method, "initialize") == 0 && session.n < WIRE_SESSION_MAX) {
        memcpy(x->w->base.session, session.p, session.n);
        x->w->base.session[session.n] = '\0';
    }
    x->answer->status = x->n_resumed ? x->status : x->reply.status;
    x->answer->message = *m;
    x->op = NULL;
    op_finish(op);
}

static void exchange_fail(struct exchange *x, const struct err *why)
{
    struct op *op = x->op;
    if (!op) return;
    x->answer->status = x->n_resumed ? x->status : x->reply.status;
    x->op = NULL;
    op_fail(op, why);
}

/* A request of the server's: it must not wait for ever. */
static void reply_to(struct wire_http *w, const struct exchange *x, const struct rpc_message *m)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(4096);
    rpc_put_reply(&body, m->raw_id, m->method);
    const struct wire_ask ask = {
        .method = "", .body = buf_str(&body), .version = x->version, .modern = x->modern
    };
    if (!body.full) side_post(w, &ask);
}

static void take_message(struct exchange *x, struct rpc_message *m)
{
    bool answers = m->what == RPC_RESULT || m->what == RPC_ERROR;
    if (answers && m->id == x->id && !x->answered) {
        exchange_answer(x, m);
        return;
    }
    if (m->what == RPC_NOTE) x->w->base.user.on_note(x->w->base.user.ctx, m->method);
    if (m->what == RPC_REQUEST) reply_to(x->w, x, m);
    rpc_message_done(m);
}

/* ---- what HTTP brings ---- */

static enum err_kind on_event(void *ctx, struct str event, struct str data, struct err *why)
{
    struct exchange *x = ctx;
    struct rpc_message m;
    struct err bad;
    (void)event, (void)why;
    if (!data.n) return ERR_NONE; /* an event that only has an id, to resume from */
    if (rpc_parse(data, &m, &bad) == ERR_NONE)
        take_message(x, &m);
    else
        log_debug("mcp", "an event is no message, skipping it", "why=%s",
                  log_quote(str_of(bad.msg)));
    return ERR_NONE;
}

static enum err_kind on_data(void *ctx, struct str piece, struct err *why)
{
    struct exchange *x = ctx;
    if (!x->began)
        x->is_stream = str_starts_nocase(str_of(x->reply.content_type), STR("text/event-stream"));
    x->began = true;
    if (!x->is_stream) {
        if (buf_add(&x->body, piece)) return ERR_NONE;
        return err_set(why, ERR_LIMIT, "the answer is larger than %zu bytes", WIRE_MESSAGE_MAX);
    }
    enum err_kind kind = sse_feed(&x->sse, piece, why);
    if (kind == ERR_NONE && x->answered && !timer_armed(&x->linger))
        timer_set(x->w->base.loop, &x->linger, LINGER_MS);
    return kind;
}

/* What a status without a message of the protocol means. */
static enum err_kind refuse_status(const struct exchange *x, struct err *why)
{
    int status = x->reply.status;
    if (status / 100 == 3)
        return err_set(why, ERR_REFUSED, "%d: it sends us elsewhere, where we do not go", status);
    if (status == 401 || status == 403)
        return err_set(why, ERR_AUTH, "%d: it wants other credentials", status);
    if (status == 404) return err_set(why, ERR_NOT_FOUND, "404: nothing is at that address");
    if (status == 429) {
        err_set(why, ERR_LIMIT, "429: too many requests");
        why->retry_after_ms = http_retry_hint_ms(&x->reply);
        return ERR_LIMIT;
    }
    if (status == 502 || status == 503 || status == 504)
        return err_set(why, ERR_IO, "%d: it is not available", status);
    return err_set(why, ERR_REFUSED, "it answers with status %d", status);
}

/* The whole of a reply that was no stream. */
static void take_document(struct exchange *x)
{
    bool good = x->reply.status / 100 == 2;
    struct str text = buf_str(good ? &x->body : &x->reply.body);
    struct rpc_message m = { .what = RPC_NOTE };
    struct err why = ERR_INIT;
    enum err_kind kind = text.n ? rpc_parse(text, &m, &why) : ERR_PROTO;
    bool ours = kind == ERR_NONE && ((m.what == RPC_RESULT && m.id == x->id && good) ||
                                     (m.what == RPC_ERROR && (m.id == x->id || m.id == 0)));
    if (ours && x->id) {
        exchange_answer(x, &m);
        return;
    }
    if (kind == ERR_NONE) rpc_message_done(&m);
    if (good && !text.n)
        err_set(&why, ERR_PROTO, "it accepts the request, and answers nothing");
    else if (good && kind == ERR_NONE)
        err_set(&why, ERR_PROTO, "its answer is to another request");
    else if (!good)
        refuse_status(x, &why);
    exchange_fail(x, &why);
}

/* A notification: all that matters is whether it was taken. */
static void take_receipt(struct exchange *x)
{
    struct err why = ERR_INIT;
    if (x->reply.status / 100 != 2) refuse_status(x, &why);
    struct op *op = x->op;
    if (why.kind != ERR_NONE) {
        exchange_fail(x, &why);
    } else if (op) {
        x->answer->status = x->reply.status;
        x->op = NULL;
        op_finish(op);
    }
}

/* Closing the connection says it in the modern era only. */
static void tell_cancelled(struct wire_http *w, const struct exchange *x)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(1024);
    const char *method = "notifications/cancelled";
    bool is_handshake = strcmp(x->method, "initialize") == 0;
    if (x->modern || !x->id || x->answered || is_handshake) return;
    rpc_put_cancelled(&body, x->id, "the answer is not wanted any longer");
    const struct wire_ask ask = { .method = method, .body = buf_str(&body), .version = x->version };
    side_post(w, &ask);
}

/* The legacy era's servers may know the rest of a stream that broke off behind an event with an id;
 * one that refuses to say it is not asked again.
 * https://modelcontextprotocol.io/specification/2025-11-25/basic/transports */
static bool may_resume(const struct exchange *x, enum err_kind ended)
{
    bool broke = ended == ERR_NONE || ended == ERR_IO || ended == ERR_UNKNOWN;
    bool refused = x->n_resumed && !x->is_stream && ended == ERR_NONE;
    return broke && !refused && x->op && !x->answered && !x->modern && x->last_id.n &&
           strcmp(x->method, "initialize") != 0 && x->n_resumed < RESUMES_MAX;
}

static bool resume(struct exchange *x, enum err_kind ended)
{
    int64_t said = x->sse.retry_ms;
    uint64_t wait_ms = said < 0 ? RESUME_MS : said < RESUME_MIN_MS ? RESUME_MIN_MS : (uint64_t)said;
    if (x->sse.id.n) x->last_id = arena_dup(&x->arena, buf_str(&x->sse.id));
    if (!may_resume(x, ended) || clock_ms() + wait_ms >= x->until_ms) return false;
    if (!x->n_resumed++) x->status = x->reply.status;
    timer_set(x->w->base.loop, &x->again, wait_ms);
    return true;
}

static void on_http_done(struct op *op)
{
    struct exchange *x = container_of(op, struct exchange, http_op);
    if (op->err.kind == ERR_TIMEOUT) tell_cancelled(x->w, x);
    struct err why = op->err;
    if (why.kind == ERR_NONE && x->is_stream) sse_end(&x->sse, &why);
    if (resume(x, why.kind)) return;
    if (why.kind == ERR_NONE && (x->is_stream || x->n_resumed) && !x->answered && x->id)
        err_set(&why, ERR_UNKNOWN, "its stream ended before the answer came");
    else if (why.kind == ERR_IO && x->n_resumed) /* not the call, but the rest of its answer */
        why.kind = ERR_UNKNOWN;
    if (why.kind != ERR_NONE)
        exchange_fail(x, &why);
    else if (!x->id)
        take_receipt(x);
    else if (!x->answered)
        take_document(x);
    exchange_free(x);
}

/* ---- sending ---- */

static void put(struct exchange *x, struct http_header *h, const char *name, struct str value)
{
    if (!value.n || x->rq.n_headers == HEADERS_MAX) return;
    h[x->rq.n_headers++] = (struct http_header){ str_of(name), arena_dup(&x->arena, value) };
}

static void put_headers(struct exchange *x, const struct wire_ask *ask)
{
    const struct wire_http_conf *conf = x->w->conf;
    struct http_header *h = arena_new_array(&x->arena, struct http_header, HEADERS_MAX);
    x->rq.headers = h;
    for (size_t i = 0; i < conf->n_headers; i++)
        put(x, h, arena_cstr(&x->arena, conf->headers[i].name), conf->headers[i].value);
    put(x, h, "Accept", STR("application/json, text/event-stream"));
    put(x, h, "Content-Type", STR("application/json"));
    put(x, h, "MCP-Protocol-Version", str_of(ask->version));
    if (ask->modern) {
        put(x, h, "Mcp-Method", str_of(ask->method));
        put(x, h, "Mcp-Name", rpc_header_value(&x->arena, ask->name));
        for (size_t i = 0; i < ask->n_headers; i++)
            put(x, h, arena_cstr(&x->arena, ask->headers[i].name), ask->headers[i].value);
    } else {
        put(x, h, "MCP-Session-Id", str_of(x->w->base.session));
        put(x, h, "Last-Event-ID", x->last_id);
    }
}

static struct exchange *exchange_new(struct wire_http *w, struct op *op, const struct wire_ask *ask,
                                     struct wire_answer *ret)
{
    struct exchange *x = mem_new(struct exchange);
    *x = (struct exchange){ .w = w,
                            .op = op,
                            .answer = ret,
                            .id = ask->id,
                            .method = ask->method,
                            .version = ask->version,
                            .modern = ask->modern,
                            .linger.fire = on_linger,
                            .again.fire = on_again,
                            .last_id = STR_NONE };
    arena_init(&x->arena);
    buf_init(&x->body, WIRE_MESSAGE_MAX);
    sse_init(&x->sse, WIRE_MESSAGE_MAX, on_event, x);
    op_init(&x->http_op, w->base.loop, on_http_done);
    list_push(&w->exchanges, &x->link);
    w->n_exchanges++;
    return x;
}

static void exchange_begin(struct exchange *x, const char *http_method, const struct wire_ask *ask)
{
    x->rq = (struct http_request){
        .method = http_method,
        .url = x->w->conf->url,
        .body = arena_dup(&x->arena, ask->body),
        .first_byte_ms = ask->timeout_ms,
        .idle_ms = ask->timeout_ms,
        .total_ms = ask->timeout_ms,
        .reply_max = 8 * WIRE_MESSAGE_MAX, /* notes may come before the answer */
        .on_data = on_data,
        .ctx = x,
        .keep_head = true,
        .guard = x->w->conf->guard,
    };
    put_headers(x, ask);
    http_request(x->w->http, &x->http_op, &x->rq, &x->reply);
}

/* What comes behind the last event of its stream. */
static void on_again(struct timer *t)
{
    struct exchange *x = container_of(t, struct exchange, again);
    uint64_t now = clock_ms(), left_ms = x->until_ms > now ? x->until_ms - now : 1;
    int64_t retry_ms = x->sse.retry_ms;
    const struct wire_ask ask = { .method = x->method,
                                  .version = x->version,
                                  .timeout_ms = (uint32_t)left_ms };
    log_debug("mcp", "the stream of an answer broke off, going on behind it", "method=%s nth=%u",
              x->method, x->n_resumed);
    http_reply_done(&x->reply);
    x->reply = (struct http_reply){ 0 };
    sse_done(&x->sse);
    sse_init(&x->sse, WIRE_MESSAGE_MAX, on_event, x);
    x->sse.retry_ms = retry_ms;
    x->is_stream = x->began = false;
    exchange_begin(x, "GET", &ask);
}

/* Nobody waits for it. */
static void side_post(struct wire_http *w, const struct wire_ask *ask)
{
    struct wire_ask side = *ask;
    if (w->n_exchanges >= EXCHANGES_MAX) return;
    side.id = 0;
    side.timeout_ms = SIDE_MS;
    exchange_begin(exchange_new(w, NULL, &side, NULL), "POST", &side);
}

static void ask_drop(struct op *op)
{
    struct exchange *x = op->impl;
    x->op = NULL;
    tell_cancelled(x->w, x);
    exchange_free(x);
}

static const struct op_kind ask_kind = { "mcp.http", ask_drop };

static void http_ask(struct wire *base, struct op *op, const struct wire_ask *ask,
                     struct wire_answer *ret)
{
    struct wire_http *w = container_of(base, struct wire_http, base);
    if (w->n_exchanges >= EXCHANGES_MAX) {
        op_begin(op, &ask_kind, NULL, 1);
        op_failf(op, ERR_LIMIT, "too many requests at once");
        return;
    }
    struct exchange *x = exchange_new(w, op, ask, ret);
    x->until_ms = clock_ms() + ask->timeout_ms;
    op_begin(op, &ask_kind, x, ask->timeout_ms + DEADLINE_SLACK);
    exchange_begin(x, "POST", ask);
}

/* ---- the end ---- */

static void end_drop(struct op *op)
{
    exchange_free(op->impl);
}

static const struct op_kind end_kind = { "mcp.end", end_drop };

static void http_end(struct wire *base, struct op *op)
{
    static struct wire_answer unused;
    struct wire_http *w = container_of(base, struct wire_http, base);
    const struct wire_ask ask = { .method = "", .timeout_ms = END_MS };
    if (!*base->session) {
        op_sleep(op, 0);
        return;
    }
    struct exchange *x = exchange_new(w, op, &ask, &unused);
    op_begin(op, &end_kind, x, END_MS + DEADLINE_SLACK);
    exchange_begin(x, "DELETE", &ask);
    base->session[0] = '\0';
}

static void http_close(struct wire *base)
{
    struct wire_http *w = container_of(base, struct wire_http, base);
    const struct err why = { .kind = ERR_UNKNOWN, .msg = "the connection was given up" };
    list_each (it, next, &w->exchanges) {
        struct exchange *x = container_of(it, struct exchange, link);
        exchange_fail(x, &why);
        exchange_free(x);
    }
    free(w);
}

static const struct wire_type http_type = { http_ask, http_end, http_close };

struct wire *wire_http_open(struct loop *loop, struct http_client *http,
                            const struct wire_http_conf *conf, const struct wire_user *user)
{
    struct wire_http *w = mem_new(struct wire_http);
    *w = (struct wire_http){ .base = { .type = &http_type, .loop = loop, .user = *user },
                             .http = http,
                             .conf = conf };
    list_init(&w->exchanges);
    return &w->base;
}
