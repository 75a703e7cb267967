/*
 * Outgoing WebSockets, once they are there (how that comes about: ws_dial.c). As on the server's
 * side libwebsockets does the framing; deadlines, queues and the words at the end are ours.
 */
#include "core/net/ws_client.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/utf8.h"
#include "core/net/tls_client.h"
#include "core/net/ws_client_impl.h"
#include <inttypes.h>
#include <sys/socket.h>

#define CLOSE_WAIT_MS   5000
#define PONG_TIMEOUT_MS 15000
#define SEND_QUEUE_MAX  (1 << 20)
#define ANSWER_HEAD_MAX 16384
#define NO_CODE         1005 /* a close frame without one, RFC 6455 7.4.1 */

static struct metric open_now = METRIC(METRIC_GAUGE, "parley_ws_client_connections", "",
                                       "Open outgoing WebSocket connections.");

/*
 * The socket is shut rather than closed: libwebsockets notices, fails whatever it still wants to
 * do, and finds nobody home.
 */
void ws_client_let_go(struct ws_client *c, bool cut)
{
    struct lws *wsi = c->wsi;

    if (!wsi) return;
    c->wsi = NULL;
    lws_set_opaque_user_data(wsi, NULL);
    if (cut) shutdown(lws_get_socket_fd(wsi), SHUT_RDWR);
}

static void client_free(struct ws_client *c)
{
    ws_client_let_go(c, true);
    if (c->open)
        metric_add(&open_now, -1);
    else
        ws_dial_stop(c);
    timer_clear(c->clients->loop, &c->timer);
    list_drop(&c->link);
    ws_queue_done(&c->queue);
    free(c);
}

void ws_client_end(struct ws_client *c, const struct err *why)
{
    const struct ws_client_handler *handler = c->handler;
    void *user = c->user;
    int code = c->peer_code;
    struct err last = *why;

    client_free(c);
    handler->closed(user, code, &last);
}

/* ---- deadlines ---- */

static void heard(struct ws_client *c)
{
    c->heard_at = clock_ms();
    c->pinged_at = 0;
}

static void keep_alive(struct ws_client *c)
{
    uint64_t now = clock_ms(), silent = now - c->heard_at;
    struct err why;

    if (c->pinged_at && now - c->pinged_at >= c->pong_timeout_ms) {
        err_set(&why, ERR_TIMEOUT, "%s: no pong within %" PRIu64 " ms", c->url.authority,
                c->pong_timeout_ms);
        ws_client_end(c, &why);
    } else if (silent < c->ping_ms) {
        timer_set(c->clients->loop, &c->timer, c->ping_ms - silent);
    } else {
        c->pinged_at = now;
        c->want_ping = true;
        lws_callback_on_writable(c->wsi);
        timer_set(c->clients->loop, &c->timer, c->pong_timeout_ms);
    }
}

/* From outside of libwebsockets' callbacks, as in ws.c. */
static void goodbye(struct ws_client *c)
{
    c->bye = WS_BYE_SAID;
    timer_set(c->clients->loop, &c->timer, CLOSE_WAIT_MS);
    lws_close_reason(c->wsi, (enum lws_close_status)c->close_code, (unsigned char *)c->close_reason,
                     strlen(c->close_reason));
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC); /* may end `c` */
}

static void on_timer(struct timer *t)
{
    struct ws_client *c = container_of(t, struct ws_client, timer);

    if (!c->open)
        ws_dial_step(c);
    else if (c->bye == WS_BYE_SOON)
        goodbye(c);
    else if (c->close_code)
        ws_client_end(c, &c->why);
    else
        keep_alive(c);
}

/* ---- what libwebsockets calls ---- */

static int on_established(struct ws_client *c)
{
    c->open = true;
    ws_dial_done(c);
    metric_add(&open_now, 1);
    heard(c);
    if (c->ping_ms) timer_set(c->clients->loop, &c->timer, c->ping_ms);
    c->handler->open(c, c->user);
    return 0;
}

static int on_received(struct ws_client *c, const char *bytes, size_t n)
{
    bool first = !c->inside, last = lws_is_final_fragment(c->wsi);

    heard(c);
    c->inside = !last;
    if (c->close_code) return 0;
    c->handler->data(c, c->user, str_from(bytes, n), lws_frame_is_binary(c->wsi), first, last);
    return 0;
}

static int on_writable(struct ws_client *c)
{
    bool ping = c->want_ping;

    c->want_ping = false;
    switch (ws_queue_write(&c->queue, c->wsi, ping)) {
    case WS_WRITTEN_BROKEN: return -1;
    case WS_WRITTEN_SOME: return 0;
    default: break;
    }
    if (c->close_code && !c->peer_code && !c->bye) {
        c->bye = WS_BYE_SOON;
        timer_set(c->clients->loop, &c->timer, 0);
    }
    return 0;
}

/* The peer says goodbye; libwebsockets answers it and hangs up. */
static int on_peer_closes(struct ws_client *c, const unsigned char *bytes, size_t n)
{
    struct str reason = n > 2 ? str_from((const char *)bytes + 2, n - 2) : STR_NONE;

    if (n >= 2) c->peer_code = bytes[0] << 8 | bytes[1];
    if (!c->close_code) {
        c->close_code = c->peer_code ? c->peer_code : NO_CODE;
        if (!utf8_valid(reason)) reason = STR_NONE;
        err_set(&c->why, ERR_IO, "%s: closed by the peer: %d%s%.*s", c->url.authority,
                c->close_code, reason.n ? " " : "", STR_ARG(reason));
    }
    c->bye = WS_BYE_SAID;
    timer_set(c->clients->loop, &c->timer, CLOSE_WAIT_MS);
    return 0;
}

static int on_lost(struct ws_client *c)
{
    if (c->why.kind == ERR_NONE)
        err_set(&c->why, ERR_IO, "%s: the connection broke", c->url.authority);
    ws_client_let_go(c, false);
    ws_client_end(c, &c->why);
    return 0;
}

/* Also on the ways that give no reason, before `open` and after it. */
static int on_destroyed(struct ws_client *c, const struct lws *wsi)
{
    if (wsi != c->wsi) return 0; /* inside the call that made it: that returns NULL */
    if (c->open) return on_lost(c);
    ws_dial_failed(c, STR("the connection broke"), 0);
    return 0;
}

static int on_client(struct ws_client *c, struct lws *wsi, enum lws_callback_reasons reason,
                     void *in, size_t n)
{
    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER: return ws_dial_headers(c, in, n) ? 0 : -1;
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
        ws_dial_failed(c, str_from(in, in ? n : 0), lws_http_client_http_response(wsi));
        return 0;
    case LWS_CALLBACK_CLIENT_ESTABLISHED: return on_established(c);
    case LWS_CALLBACK_CLIENT_RECEIVE: return on_received(c, in, n);
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG: heard(c); return 0;
    case LWS_CALLBACK_CLIENT_WRITEABLE: return c->open ? on_writable(c) : 0;
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE: return on_peer_closes(c, in, n);
    case LWS_CALLBACK_CLIENT_CLOSED: return on_lost(c);
    default: return on_destroyed(c, wsi);
    }
}

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t n)
{
    struct ws_client *c;

    switch (reason) {
    case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
    case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
    case LWS_CALLBACK_CLIENT_ESTABLISHED:
    case LWS_CALLBACK_CLIENT_RECEIVE:
    case LWS_CALLBACK_CLIENT_RECEIVE_PONG:
    case LWS_CALLBACK_CLIENT_WRITEABLE:
    case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
    case LWS_CALLBACK_CLIENT_CLOSED:
        c = lws_get_opaque_user_data(wsi);
        return c ? on_client(c, wsi, reason, in, n) : -1; /* ended on our side before */
    case LWS_CALLBACK_WSI_DESTROY:
        ws_lws_sweep(lws_context_user(lws_get_context(wsi)), wsi);
        c = lws_get_opaque_user_data(wsi);
        return c ? on_client(c, wsi, reason, in, n) : 0;
    case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
        c = lws_get_opaque_user_data(wsi);
        /* `n` is OpenSSL's verdict, which stands. */
        if (c && !n) ws_dial_refused(c, tls_client_refusal(user));
        return 0;
    default: return 0;
    }
}

/* ---- all of them ---- */

static const struct lws_protocols protocols[] = {
    { .name = WS_CLIENT_PROTOCOL, .callback = on_lws, .rx_buffer_size = WS_CLIENT_PIECE_MAX },
    { .name = NULL },
};

/* Not before it is needed: libwebsockets loads its plugin, which keeps the loop for some 10 ms. */
struct lws_vhost *ws_clients_vhost(struct ws_clients *w)
{
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .provided_client_ssl_ctx = w->tls,
        .pt_serv_buf_size = WS_CLIENT_PIECE_MAX,
        .max_http_header_data = ANSWER_HEAD_MAX,
        .http_proxy_address = "", /* else the environment is asked */
        .user = &w->lws,
    };

#ifdef LWS_SERVER_OPTION_DISABLE_TLS_SESSION_CACHE
    info.options |= LWS_SERVER_OPTION_DISABLE_TLS_SESSION_CACHE;
#endif
    if (!w->lws.ctx) ws_lws_start(&w->lws, &info);
    return w->lws.vhost;
}

enum err_kind ws_clients_open(struct loop *loop, const struct ws_client_conf *conf,
                              struct ws_clients **ret, struct err *why)
{
    struct ssl_ctx_st *tls;
    enum err_kind kind = tls_client_open(conf->ca_file, &tls, why);

    if (kind != ERR_NONE) return kind;
    struct ws_clients *w = mem_new(struct ws_clients);
    w->loop = loop;
    w->tls = tls;
    list_init(&w->conns);
    ws_lws_init(&w->lws, loop);
    *ret = w;
    return ERR_NONE;
}

static void on_gone(struct ws_lws *l)
{
    struct ws_clients *w = container_of(l, struct ws_clients, lws);

    tls_client_close(w->tls);
    free(w);
}

void ws_clients_close(struct ws_clients *w)
{
    while (!list_empty(&w->conns)) client_free(list_first(&w->conns, struct ws_client, link));
    ws_lws_close(&w->lws, on_gone);
}

struct ws_client *ws_client_dial(struct ws_clients *w, const struct ws_dial *dial,
                                 const struct ws_client_handler *handler, void *user)
{
    struct ws_client *c = mem_new(struct ws_client);

    c->clients = w;
    c->handler = handler;
    c->user = user;
    c->timer.fire = on_timer;
    c->send_queue_max = dial->send_queue_max ? (size_t)dial->send_queue_max : SEND_QUEUE_MAX;
    c->ping_ms = dial->ping_ms;
    c->pong_timeout_ms = dial->pong_timeout_ms ? dial->pong_timeout_ms : PONG_TIMEOUT_MS;
    ws_queue_init(&c->queue);
    list_push(&w->conns, &c->link);
    ws_dial_begin(c, dial);
    return c;
}

bool ws_client_send(struct ws_client *c, struct str text)
{
    if (!c->open || c->close_code || text.n > c->send_queue_max - c->queue.n) return false;
    ws_queue_push(&c->queue, text);
    lws_callback_on_writable(c->wsi);
    return true;
}

size_t ws_client_queued_bytes(const struct ws_client *c)
{
    return c->queue.n;
}

void ws_client_close(struct ws_client *c, int code, const char *reason)
{
    if (c->close_code) return;
    c->close_code = code;
    size_t n = utf8_prefix(str_of(reason), sizeof c->close_reason - 1, TEXT_BYTES);
    memcpy(c->close_reason, reason, n);
    err_set(&c->why, ERR_CANCELLED, "%s: closed by us: %d", c->url.authority, code);
    c->hopeless = true;
    timer_set(c->clients->loop, &c->timer, c->open ? CLOSE_WAIT_MS : 0);
    if (c->open) lws_callback_on_writable(c->wsi);
}

void ws_client_drop(struct ws_client *c)
{
    client_free(c);
}
