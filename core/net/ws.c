/*
 * Open WebSockets. libwebsockets does the framing on sockets it adopts (ws_upgrade.c); deadlines,
 * limits, queues and the choice of words at the end are ours.
 */
#include "core/net/ws.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/utf8.h"
#include "core/net/ws_impl.h"
#include "core/net/ws_lws.h"
#include <inttypes.h>
#include <sys/socket.h>

#define CLOSE_WAIT_MS 5000
#define RX_BYTES      512   /* of a frame at a time; each connection keeps as many */
#define TX_BYTES      65536 /* to the socket at a time; else libwebsockets takes RX_BYTES */
#define KEEP_BODY     4096

struct ws_server {
    struct loop *loop;
    void (*gone)(void *owner);
    void *owner;
    struct ws_lws lws;
    struct ws_conn *adopting; /* inside lws_adopt_...: whose socket it is */
    struct list conns;
    struct list unsent; /* struct ws_conn: has something to send before the loop sleeps */
    struct loop_hook before_sleep;
};

struct ws_conn {
    struct list link; /* in route->conns */
    struct list all;  /* in the server's */
    struct list unsent;
    struct ws_route *route;
    struct ws_server *server;
    struct lws *wsi;
    void *user;
    struct timer timer;
    uint64_t heard_at, pinged_at; /* pinged_at 0: no ping is out */
    struct buf in;                /* fragments so far */
    struct ws_queue queue;
    int close_code; /* 0 = not closing */
    char close_reason[124];
    bool want_ping, killed;
    enum { BYE_NOT, BYE_SOON, BYE_SAID } bye; /* the close frame */
};

static struct metric open_now =
    METRIC(METRIC_GAUGE, "parley_ws_connections", "", "Open WebSocket connections.");
static struct metric overrun = METRIC(METRIC_COUNTER, "parley_ws_overrun_total", "",
                                      "WebSockets closed because the peer did not read.");

static int64_t or_default(int64_t v, int64_t def)
{
    return v ? v : def;
}

static size_t message_max(const struct ws_conn *c)
{
    return (size_t)or_default(c->route->conf.message_max, 64 << 10);
}
static size_t send_queue_max(const struct ws_conn *c)
{
    return (size_t)or_default(c->route->conf.send_queue_max, 1 << 20);
}
static uint64_t ping_ms(const struct ws_conn *c)
{
    return (uint64_t)or_default(c->route->conf.ping_ms, 30000);
}
static uint64_t pong_timeout_ms(const struct ws_conn *c)
{
    return (uint64_t)or_default(c->route->conf.pong_timeout_ms, 15000);
}

/* Ours ends here; libwebsockets' part may take a moment longer and finds nobody home. */
static void conn_end(struct ws_conn *c)
{
    if (c->wsi) lws_set_opaque_user_data(c->wsi, NULL);
    if (c->server->adopting == c) c->server->adopting = NULL;
    timer_clear(c->server->loop, &c->timer);
    list_drop(&c->link);
    list_drop(&c->all);
    list_drop(&c->unsent);
    c->route->n_open--;
    metric_add(&open_now, -1);
    ws_queue_done(&c->queue);
    buf_done(&c->in);
    c->route->handler->closed(c->user);
    free(c);
}

/*
 * Without the closing handshake. The socket is shut rather than closed: libwebsockets would first
 * try to flush what the peer does not read, and now fails at once.
 */
static void conn_cut(struct ws_conn *c)
{
    struct lws *wsi = c->wsi;

    conn_end(c);
    if (wsi) shutdown(lws_get_socket_fd(wsi), SHUT_RDWR);
}

/* Not from inside a callback of the same connection: on the next turn. */
static void conn_kill(struct ws_conn *c)
{
    c->killed = true;
    timer_set(c->server->loop, &c->timer, 0);
}

/*
 * The closing handshake. Not with -1 from the writable callback: libwebsockets 4.1 then hangs up
 * without the frame, though it sends it when told so from outside.
 */
static void goodbye(struct ws_conn *c)
{
    size_t n = strlen(c->close_reason);

    c->bye = BYE_SAID;
    timer_set(c->server->loop, &c->timer, CLOSE_WAIT_MS);
    lws_close_reason(c->wsi, (enum lws_close_status)c->close_code, (unsigned char *)c->close_reason,
                     n);
    lws_set_timeout(c->wsi, PENDING_TIMEOUT_USER_REASON_BASE, LWS_TO_KILL_SYNC); /* may end `c` */
}

static void goodbye_soon(struct ws_conn *c)
{
    c->bye = BYE_SOON;
    timer_set(c->server->loop, &c->timer, 0);
}

static void on_timer(struct timer *t)
{
    struct ws_conn *c = container_of(t, struct ws_conn, timer);
    uint64_t now = clock_ms(), silent = now - c->heard_at;

    if (c->bye == BYE_SOON && !c->killed) {
        goodbye(c);
    } else if (c->killed || c->close_code) {
        conn_cut(c);
    } else if (c->pinged_at && now - c->pinged_at >= pong_timeout_ms(c)) {
        log_debug("ws", "no pong, closing", "path=%s silent_ms=%" PRIu64, c->route->http.path,
                  silent);
        conn_cut(c);
    } else if (silent < ping_ms(c)) {
        timer_set(c->server->loop, t, ping_ms(c) - silent);
    } else {
        c->pinged_at = now;
        c->want_ping = true;
        lws_callback_on_writable(c->wsi);
        timer_set(c->server->loop, t, pong_timeout_ms(c));
    }
}

static void heard(struct ws_conn *c)
{
    c->heard_at = clock_ms();
    c->pinged_at = 0;
}

static int on_opened(struct ws_conn *c)
{
    heard(c);
    timer_set(c->server->loop, &c->timer, ping_ms(c));
    c->route->handler->open(c, c->user);
    return 0;
}

/* The peer broke a rule: it hears which; what else it sends is dropped until it has closed. */
static int refuse(struct ws_conn *c, int code, const char *reason)
{
    buf_done(&c->in);
    ws_close(c, code, reason);
    return 0;
}

static int on_received(struct ws_conn *c, const char *bytes, size_t n)
{
    struct lws *wsi = c->wsi;
    struct str text = str_from(bytes, n);

    heard(c);
    if (c->killed || c->close_code) return 0;
    if (lws_frame_is_binary(wsi)) return refuse(c, 1003, "text messages only");
    if (c->in.n + n + lws_remaining_packet_payload(wsi) > c->in.max)
        return refuse(c, 1009, "message too large");
    bool whole = lws_is_final_fragment(wsi);
    if (!whole || c->in.n) {
        buf_add(&c->in, text);
        text = buf_str(&c->in);
    }
    if (!whole) return 0;
    if (!utf8_valid(text)) return refuse(c, 1007, "not UTF-8");
    c->route->handler->message(c, c->user, text);
    if (c->in.cap > KEEP_BODY) buf_done(&c->in);
    buf_clear(&c->in);
    return 0;
}

static int on_writable(struct ws_conn *c)
{
    bool ping = c->want_ping;

    c->want_ping = false;
    switch (ws_queue_write(&c->queue, c->wsi, ping)) {
    case WS_WRITTEN_BROKEN: return -1;
    case WS_WRITTEN_SOME: return 0;
    default: break;
    }
    if (c->close_code && !c->bye) goodbye_soon(c);
    return 0;
}

/*
 * What was sent in this turn goes out before the loop sleeps. To be told by libwebsockets that the
 * socket can be written, as it mostly can, would take two system calls and a turn more for each
 * piece of an answer. What does not fit is libwebsockets', which then tells on_writable.
 */
static void on_before_sleep(struct loop_hook *h)
{
    struct ws_server *w = container_of(h, struct ws_server, before_sleep);
    list_each (it, next, &w->unsent) {
        struct ws_conn *c = container_of(it, struct ws_conn, unsent);
        list_drop(it);
        if (c->killed || lws_partial_buffered(c->wsi)) continue;
        if (ws_queue_write(&c->queue, c->wsi, false) == WS_WRITTEN_BROKEN) conn_kill(c);
    }
}

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                  size_t len)
{
    (void)user;
    if (reason == LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED) {
        struct ws_server *w = lws_context_user(lws_get_context(wsi));
        w->adopting->wsi = wsi;
        lws_set_opaque_user_data(wsi, w->adopting);
        return 0;
    }
    struct ws_conn *c = NULL;
    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED:
    case LWS_CALLBACK_RECEIVE:
    case LWS_CALLBACK_RECEIVE_PONG:
    case LWS_CALLBACK_SERVER_WRITEABLE:
    case LWS_CALLBACK_CLOSED:
    case LWS_CALLBACK_CLOSED_HTTP:
    case LWS_CALLBACK_WSI_DESTROY: c = lws_get_opaque_user_data(wsi); break;
    default: return 0;
    }
    if (!c) return -1; /* ended on our side before */

    switch (reason) {
    case LWS_CALLBACK_ESTABLISHED: return on_opened(c);
    case LWS_CALLBACK_RECEIVE: return on_received(c, in, len);
    case LWS_CALLBACK_RECEIVE_PONG: heard(c); return 0;
    case LWS_CALLBACK_SERVER_WRITEABLE: return on_writable(c);
    default: conn_end(c); return 0;
    }
}

static const struct lws_protocols protocols[] = {
    { .name = "parley",
      .callback = on_lws,
      .rx_buffer_size = RX_BYTES,
      .tx_packet_size = TX_BYTES },
    { .name = NULL },
};

static void on_gone(struct ws_lws *l)
{
    struct ws_server *w = container_of(l, struct ws_server, lws);

    w->gone(w->owner);
    free(w);
}

struct ws_server *ws_server_open(struct loop *loop, void (*gone)(void *owner), void *owner)
{
    struct ws_server *w = mem_new(struct ws_server);
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .user = w,
    };

    w->loop = loop;
    w->gone = gone;
    w->owner = owner;
    list_init(&w->conns);
    list_init(&w->unsent);
    w->before_sleep.run = on_before_sleep;
    loop_hook_add(loop, &w->before_sleep);
    ws_lws_init(&w->lws, loop);
    ws_lws_start(&w->lws, &info);
    return w;
}

void ws_server_close(struct ws_server *w)
{
    while (!list_empty(&w->conns)) conn_end(list_first(&w->conns, struct ws_conn, all));
    loop_hook_drop(&w->before_sleep);
    ws_lws_close(&w->lws, on_gone);
}

bool ws_server_works(const struct ws_server *w)
{
    return w->lws.vhost != NULL;
}

size_t ws_connections_max(const struct ws_route *route)
{
    return (size_t)or_default(route->conf.connections_max, 10000);
}

struct ws_conn *ws_conn_new(struct ws_server *w, struct ws_route *route, void *user)
{
    struct ws_conn *c = mem_new(struct ws_conn);

    c->server = w;
    c->route = route;
    c->user = user;
    c->timer.fire = on_timer;
    ws_queue_init(&c->queue);
    buf_init(&c->in, message_max(c));
    list_push(&route->conns, &c->link);
    list_push(&w->conns, &c->all);
    list_init(&c->unsent);
    route->n_open++;
    metric_add(&open_now, 1);
    return c;
}

void ws_conn_drop(struct ws_conn *c)
{
    conn_end(c);
}

void ws_conn_adopt(struct ws_conn *c, int fd, struct str handshake)
{
    struct ws_server *w = c->server;

    w->adopting = c;
    lws_adopt_socket_vhost_readbuf(w->lws.vhost, fd, handshake.p, handshake.n);
    if (w->adopting && !w->adopting->wsi) conn_end(w->adopting);
    w->adopting = NULL;
}

void ws_route_drop(struct ws_route *route)
{
    http_route_drop(&route->http);
    if (!route->conns.next) return;
    while (!list_empty(&route->conns)) conn_cut(list_first(&route->conns, struct ws_conn, link));
}

bool ws_send(struct ws_conn *c, struct str text)
{
    if (c->killed || c->close_code) return false;
    if (text.n > send_queue_max(c) - c->queue.n) {
        metric_add(&overrun, 1);
        conn_kill(c);
        return false;
    }
    ws_queue_push(&c->queue, text);
    if (list_empty(&c->unsent)) list_push(&c->server->unsent, &c->unsent);
    return true;
}

size_t ws_queued_bytes(const struct ws_conn *c)
{
    return c->queue.n;
}

void ws_close(struct ws_conn *c, int code, const char *reason)
{
    if (c->killed || c->close_code) return;
    c->close_code = code;
    size_t n = utf8_prefix(str_of(reason), sizeof c->close_reason - 1, TEXT_BYTES);
    memcpy(c->close_reason, reason, n);
    timer_set(c->server->loop, &c->timer, CLOSE_WAIT_MS);
    lws_callback_on_writable(c->wsi);
}
