/*
 * ws_client - outgoing WebSockets (RFC 6455, ws:// and wss://), by libwebsockets on our loop.
 *
 * Names are resolved off the loop, all of a name's addresses are tried. The certificate is checked
 * against the system's authorities and the URL's host; there is no way around it. Redirects are not
 * followed, the environment's proxy is not asked, nothing is compressed. Pings of the peer are
 * answered.
 */
#pragma once
#include "core/base/err.h"
#include "core/base/str.h"
#include "core/net/http_client.h"

struct ws_client_conf {
    const char *ca_file; /* PEM, trusted besides the system's authorities; "" = only those */
};

struct ws_clients; /* all of a process, over one libwebsockets context made with the first dial */
/*
 * The process ignores SIGPIPE: OpenSSL writes without MSG_NOSIGNAL.
 * conf     borrowed for the call. ERR_CONF: ca_file cannot be read
 */
enum err_kind ws_clients_open(struct loop *loop, const struct ws_client_conf *conf,
                              struct ws_clients **ret, struct err *why);
/*
 * Every connection is cut, silently: nobody is called back any more. Safe inside every callback.
 * Then run the loop until it drains.
 */
void ws_clients_close(struct ws_clients *w);

#define WS_CLIENT_PIECE_MAX 65536

struct ws_client;
/* All from the loop. Inside each, everything below may be called, for this connection too. */
struct ws_client_handler {
    void (*open)(struct ws_client *c, void *user);
    /*
     * A piece of a message, at most WS_CLIENT_PIECE_MAX bytes (0 is possible, also for the last
     * one), alive only inside the call. Text is NOT checked for UTF-8.
     */
    void (*data)(struct ws_client *c, void *user, struct str piece, bool binary, bool first,
                 bool last);
    /*
     * Exactly once, unless ws_client_drop was called before; the connection is gone.
     * code     the peer's close code, 0 = none (libwebsockets 4.1 makes 1002 of what it does not
     *          know: 1012 to 2999)
     * why      for a log, never with the URL's path or query:
     *            ERR_CANCELLED  ws_client_close; `code` may still be set, if the peer was faster
     *            ERR_IO         not connected (a name that does not resolve, too), refused with an
     *                           HTTP status of 5xx, lost, or closed by the peer
     *            ERR_TIMEOUT    not open within connect_ms, or no pong
     *            ERR_AUTH       the certificate was refused, or an HTTP status 401 or 403
     *            ERR_LIMIT      HTTP status 429
     *            ERR_PROTO      any other HTTP status but 101, or a broken answer
     *            ERR_CONF       the URL or a header cannot be sent
     *            ERR_BUG        libwebsockets does not work here
     */
    void (*closed)(void *user, int code, const struct err *why);
};

/* Each number 0 = the default in brackets. */
struct ws_dial {
    const char *url; /* never logged: it may hold a ticket */
    const struct http_header *headers;
    size_t n_headers;
    int64_t send_queue_max;            /* bytes waiting for a peer that does not read [1 MiB] */
    uint32_t connect_ms;               /* name, TCP, TLS and upgrade together [30 s] */
    uint32_t ping_ms, pong_timeout_ms; /* silence before a ping, [no pings]; its answer [15 s] */
};
/*
 * Connect. Calls nobody back inside; whatever fails arrives as `closed`.
 * dial     borrowed for the call, with all it points to
 * handler  alive as long as the connection
 */
struct ws_client *ws_client_dial(struct ws_clients *w, const struct ws_dial *dial,
                                 const struct ws_client_handler *handler, void *user);

/* text: valid UTF-8, copied. False: not open (yet, or any more), or the queue is over its maximum.
 */
bool ws_client_send(struct ws_client *c, struct str text);
size_t ws_client_queued_bytes(const struct ws_client *c);
/*
 * Send what is queued, then the close frame; `closed` follows when the peer has answered, 5 s later
 * at the latest (at once when the connection was not open yet). No data arrives any more.
 * code     1000 or 3000..4999
 * reason   at most 123 bytes of UTF-8
 */
void ws_client_close(struct ws_client *c, int code, const char *reason);
/* At once, without a close frame and without `closed`; `c` is gone. */
void ws_client_drop(struct ws_client *c);
