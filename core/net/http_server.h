/*
 * http_server - HTTP/1.1 in: llhttp on libuv. Answers may come late; requests of one connection are
 * handled and answered one after the other, what is pipelined behind waits.
 *
 * WebSocket upgrades are handed to core/net/ws. TLS when a certificate is configured. Everything
 * runs on the loop's thread.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/conf.h"
#include "core/base/err.h"
#include "core/loop/loop.h"
#include "core/net/http_client.h" /* struct http_header */

/* Borrowed, with all it points to, until the server has closed. */
struct http_server_conf {
    const char *address;    /* IP to bind; "127.0.0.1" */
    int64_t port;           /* 0 = any free one */
    const char *public_url; /* where the world reaches us; "" = only at the address */
    const char *tls_cert, *tls_key;
    int64_t connections_max, head_max, body_max;
    int64_t idle_timeout_ms, head_timeout_ms, body_timeout_ms, answer_timeout_ms;
    struct conf_list trusted_proxies; /* peers whose X-Forwarded-For is believed: IPs, IP/bits */
};
extern const struct conf_field http_server_conf_fields[];

struct http_server;
/* Listens when it returns. ERR_CONF: address, certificate, key or proxy unusable. ERR_IO: in use.
 */
enum err_kind http_server_open(struct loop *loop, const struct http_server_conf *conf,
                               struct http_server **ret, struct err *why);
const char *http_server_address(const struct http_server *s); /* as configured */
int http_server_port(const struct http_server *s);
bool http_server_tls(const struct http_server *s);

/* Read certificate and key again (renewed ones); new connections use them. On failure the old stay.
 */
enum err_kind http_server_reload_tls(struct http_server *s, struct err *why);

/*
 * Stop listening, close idle connections, answer what is in flight with "Connection: close", refuse
 * upgrades. Open WebSockets are their routes' business. Finished when http_server_busy says 0.
 */
void http_server_drain(struct http_server *s);
size_t http_server_busy(const struct http_server *s); /* connections, without WebSockets */

/*
 * At once: every request in flight hears on_gone, every WebSocket `closed`, inside the call. Then
 * run the loop until it drains; `s` frees itself.
 */
void http_server_close(struct http_server *s);

/* One request. Valid until http_answer, or until `on_gone` when the peer left first. */
struct http_in {
    struct str method, path, query; /* path is percent-decoded, valid UTF-8; query is not decoded */
    struct str body;                /* whole; chunked bodies are joined */
    struct str peer;                /* the client's IP as text */
    const struct http_header *headers; /* values are bytes of the peer: maybe no UTF-8 */
    size_t n_headers;
    void *user; /* the handler's */
    /*
     * Set by the handler: nobody waits for the answer any more (the peer left, answer_timeout
     * passed, the server closes); `in` dies after this call. A peer that shuts down its sending
     * side has left. NULL: `in` lives until http_answer, which then answers nobody.
     */
    void (*on_gone)(struct http_in *in);
};
/* The first header of that name in any case, without white space around; "" = absent. */
struct str http_in_header(const struct http_in *in, const char *name);
/*
 * Append the first value of `key` in the query, decoded, to `ret`. False: absent, badly encoded, no
 * UTF-8, or over ret->max; `ret` is as before.
 */
bool http_in_query(const struct http_in *in, const char *key, struct buf *ret);

/*
 * Answer now or later, exactly once; `in` is gone afterwards. body and headers are copied (those of
 * http_answer_with must not hold Content-Length, Connection, Date or Transfer-Encoding; a line
 * break in one, or 64 KB of them, make the answer a 500). Calls no handler of another request
 * inside.
 */
void http_answer(struct http_in *in, int status, const char *content_type, struct str body);
void http_answer_with(struct http_in *in, int status, const struct http_header *headers, size_t n,
                      struct str body);
/* {"error": "..."} with the status; for bad input: say what was wrong and where. */
void http_answer_error(struct http_in *in, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Routes: exact path, or a prefix when `path` ends in '/'+'*' (the longest wins, an exact one
 * first). 404 and 405 are the server's own answers. GET serves HEAD too. A route is borrowed until
 * the server closes or http_route_drop.
 */
struct http_route {
    struct list link;
    const char *method; /* "GET", "POST"; "WS" = a WebSocket upgrade, see ws.h */
    const char *path;
    void (*handle)(struct http_route *route, struct http_in *in);
    size_t body_max; /* 0 = the server's */
};
void http_route_add(struct http_server *s, struct http_route *route);
void http_route_drop(struct http_route *route); /* requests in flight stay; harmless twice */
