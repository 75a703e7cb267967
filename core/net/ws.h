/*
 * ws - WebSocket connections of clients, by libwebsockets on our loop, on the same port as HTTP,
 * with and without TLS.
 *
 * Every deadline is ours: a peer that is silent for ping_ms gets a ping, one that says nothing for
 * another pong_timeout_ms is dropped. Text messages only (binary: closed with 1003).
 */
#pragma once
#include "core/base/list.h"
#include "core/base/str.h"
#include "core/net/http_server.h"

/* Each 0 = the default in brackets. */
struct ws_server_conf {
    int64_t message_max;    /* bytes of one message; more closes with 1009 [64 KiB] */
    int64_t send_queue_max; /* bytes waiting for a peer that does not read; more closes the
                               connection [1 MiB] */
    int64_t ping_ms, pong_timeout_ms; /* [30 s, 15 s] */
    int64_t connections_max;          /* more are refused with 503 [10,000] */
};

struct ws_conn;
/* What a route does with its connections. All from the loop. */
struct ws_handler {
    /*
     * May this upgrade pass? `in` lives only inside the call (method GET, headers, path, query,
     * peer). Return 0 to let it pass, setting *ret_user, or an HTTP status to refuse with.
     */
    int (*accept)(struct http_route *route, const struct http_in *in, void **ret_user);
    void (*open)(struct ws_conn *conn, void *user);
    /* Whole; valid UTF-8 without U+0000 (else closed, 1007); lives only inside the call. */
    void (*message)(struct ws_conn *conn, void *user, struct str text);
    /* Exactly once after accept said yes, even when open was never called; `conn` is gone. */
    void (*closed)(void *user);
};

struct ws_route {
    struct http_route http; /* method "WS" */
    const struct ws_handler *handler;
    struct ws_server_conf conf;
    size_t n_open;
    struct list conns;
};
void ws_route_add(struct http_server *s, struct ws_route *route);
/*
 * No new connections; each open one hears `closed` inside the call and is cut without a close frame
 * (ws_close them before, to be polite). Like http_server_close not inside a callback of a handler.
 */
void ws_route_drop(struct ws_route *route);

/* The next three: inside every callback but `closed`, too; the callbacks they cause come later. */

/* text: valid UTF-8, copied. False: the queue is over its maximum, or it was being closed already.
 */
bool ws_send(struct ws_conn *conn, struct str text);
size_t ws_queued_bytes(const struct ws_conn *conn);
/*
 * Send what is queued, then the close frame; `closed` follows when the peer has answered, 5 s later
 * at the latest. No message arrives any more. code: 1000..4999; reason: at most 123 bytes of UTF-8.
 */
void ws_close(struct ws_conn *conn, int code, const char *reason);
