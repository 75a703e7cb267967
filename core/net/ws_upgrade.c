/*
 * A request becomes a WebSocket: the upgrade is checked here, the route asked, and the socket
 * handed to libwebsockets. It never sees the client's head but one of ours with nothing of the
 * client's in it but the key: its HTTP side drops large heads, and is not where we want a
 * stranger's bytes.
 */
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/net/http_server_impl.h"
#include "core/net/ws.h"
#include "core/net/ws_impl.h"
#include <errno.h>
#include <fcntl.h>

#define KEY_CHARS 24 /* base64 of 16 bytes */

static struct metric refused = METRIC(METRIC_COUNTER, "parley_ws_refused_total", "",
                                      "WebSocket upgrades refused, by us or by the route.");

static bool has_token(struct str list, struct str token)
{
    while (list.n)
        if (str_eq_nocase(str_trim(str_cut(&list, ',')), token)) return true;
    return false;
}

static bool is_key(struct str s)
{
    if (s.n != KEY_CHARS || !str_ends(s, STR("=="))) return false;
    for (size_t i = 0; i < s.n - 2; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (c < '0' || c > '9') && c != '+' && c != '/') return false;
    }
    return true;
}

static void on_ws_gone(void *server)
{
    http_server_release(server);
}

/* 0, or the status to refuse the upgrade with. */
static int check(struct http_server *s, struct http_rq *rq, struct ws_route *route,
                 const char **ret_why)
{
    *ret_why = "bad WebSocket handshake";
    if (rq->http10 || rq->has_body) return 400;
    if (!is_key(http_in_header(&rq->in, "Sec-WebSocket-Key"))) return 400;
    *ret_why = "WebSocket version 13, please";
    if (!str_eq(http_in_header(&rq->in, "Sec-WebSocket-Version"), STR("13"))) return 426;
    *ret_why = "too many connections";
    if (s->draining || route->n_open >= ws_connections_max(route)) return 503;
    *ret_why = "no WebSockets here";
    return ws_server_works(s->ws) ? 0 : 503;
}

static void refuse(struct http_rq *rq, int status, const char *why)
{
    static const struct http_header version[] = {
        { STR("Sec-WebSocket-Version"), STR("13") },
        { STR("Content-Type"), STR("text/plain") },
    };
    struct http_conn *c = rq->conn;

    metric_add(&refused, 1);
    if (status != 426) {
        http_answer_refuse(rq, status, why);
        return;
    }
    c->close_after = c->linger = true;
    http_answer_with(&rq->in, 426, version, 2, str_of(why));
}

/* A duplicate for libwebsockets, when the socket is plain; else one end of a relay. */
static int socket_for_lws(struct http_conn *c)
{
    uv_os_fd_t fd;

    if (c->tls) return ws_relay_open(c);
    if (uv_fileno((uv_handle_t *)&c->tcp, &fd)) return -1;
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Our handshake, and what the client sent behind its own. */
static void format_handshake(struct buf *b, struct str key, struct str rest)
{
    buf_addf(b,
             "GET / HTTP/1.1\r\nHost: parley\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %.*s\r\n\r\n",
             STR_ARG(key));
    buf_add(b, rest);
}

bool ws_wanted(const struct http_in *in)
{
    return has_token(http_in_header(in, "Upgrade"), STR("websocket")) &&
           has_token(http_in_header(in, "Connection"), STR("upgrade"));
}

void ws_upgrade(struct http_conn *conn, struct http_rq *rq, struct ws_route *route)
{
    _cleanup_(buf_done) struct buf handshake = BUF_INIT(4 * HTTP_READ_BYTES);
    struct http_server *s = conn->server;
    const char *why;
    void *user = NULL;
    int status = check(s, rq, route, &why);

    if (!status) {
        status = route->handler->accept(&route->http, &rq->in, &user);
        why = http_status_text(status);
    }
    if (status) {
        refuse(rq, status, why);
        return;
    }
    struct ws_conn *c = ws_conn_new(s->ws, route, user);
    int fd = socket_for_lws(conn);
    if (fd < 0) {
        log_warn("ws", "no file descriptor for a WebSocket, refusing it", "errno=%d", errno);
        ws_conn_drop(c);
        refuse(rq, 503, "too many connections");
        return;
    }
    /* Under TLS the relay will carry the rest. */
    format_handshake(&handshake, http_in_header(&rq->in, "Sec-WebSocket-Key"),
                     conn->relay ? STR_NONE : conn->rest);
    conn->rq = NULL;
    http_server_rq_back(s, rq);
    if (!conn->relay) http_conn_close(conn);
    ws_conn_adopt(c, fd, buf_str(&handshake));
}

void ws_route_add(struct http_server *s, struct ws_route *route)
{
    list_init(&route->conns);
    route->n_open = 0;
    /* Now, not with the first upgrade: libwebsockets loads its plugin, which keeps the loop for
     * some 10 ms. */
    if (!s->ws) {
        s->ws = ws_server_open(s->loop, on_ws_gone, s);
        http_server_hold(s);
    }
    http_route_add(s, &route->http);
}
