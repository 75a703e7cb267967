/*
 * http_client - HTTPS out: one libcurl multi on the loop. Streams, reuses connections, knows four
 * deadlines.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/conf.h"
#include "core/base/err.h"
#include "core/loop/op.h"
#include <sys/socket.h>

struct http_header {
    struct str name, value;
};

struct http_client_conf {
    const char *ca_file; /* PEM, trusted besides the system's authorities; "" = only those */
    const char *client_cert, *client_key;
    const char *proxy; /* "" = none; the environment is not asked */
    const char *user_agent;
    int64_t connections_max; /* all hosts together, the idle ones included */
};
extern const struct conf_field http_client_conf_fields[];

struct http_client;
/*
 * The process ignores SIGPIPE: OpenSSL writes without MSG_NOSIGNAL.
 * conf     borrowed for the call. ERR_CONF: a file of it cannot be read
 */
enum err_kind http_client_open(struct loop *loop, const struct http_client_conf *conf,
                               struct http_client **ret, struct err *why);
/*
 * What is under way fails with ERR_CANCELLED. Then run the loop until it drains. Not from on_data.
 */
void http_client_close(struct http_client *c);

struct http_request {
    const char *method; /* "GET", "POST" ... */
    const char *url;    /* http:// or https://; never logged: it may hold a token */
    const struct http_header *headers;
    size_t n_headers;
    struct str body;
    uint32_t connect_ms, first_byte_ms, idle_ms, total_ms; /* 0 = 10 s, 60 s, 60 s, 600 s */
    /* Bytes of body, unpacked if it came compressed; 0 = 1 MiB. More ends the transfer with
     * ERR_LIMIT. */
    size_t reply_max;
    /*
     * Streaming: called from the loop with each piece of a 2xx body as it comes; nothing is kept in
     * reply->body then. Returning anything but ERR_NONE ends the transfer with *why. It may cancel
     * this op or any other and begin new ones. Never called after op_cancel. Other statuses are
     * always kept in reply->body (at most 64 KiB).
     */
    enum err_kind (*on_data)(void *ctx, struct str piece, struct err *why);
    void *ctx;
    /*
     * While the loop is busy (loop_is_busy), on_data may get what came within 100 ms at once: that
     * costs no more than the first of it. May change while the request is under way. HTTP/1 only.
     */
    bool gathers;
    bool keep_head; /* fill reply->head */
    /*
     * Asked for each address before it is connected to, after the name was resolved, and for the
     * one of a connection that is used again: false refuses it. NULL: any will do. Where a proxy is
     * configured, all guarded requests go through it, and it is the proxy that must refuse.
     */
    bool (*guard)(const struct sockaddr *to);
};

struct http_reply {
    int status; /* 0: none came */
    bool sent;  /* some of the request may have reached the peer */
    struct buf body;
    struct buf head; /* the header lines, when they were asked for: http_reply_header */
    char content_type[64];
    char retry_after[48];                     /* the header as it came, "" = none */
    char retry_after_ms[24], should_retry[8]; /* retry-after-ms, x-should-retry */
    uint32_t first_byte_ms, total_ms;         /* measured */
};
void http_reply_done(struct http_reply *r);
/* A header of a reply whose head was kept, any case; "" = it has none. Lives in r->head. */
struct str http_reply_header(const struct http_reply *r, const char *name);

/*
 * Send a request. Redirects are not followed: they are a status like any other.
 * rq       borrowed until the op ends, with all it points to
 * ret      zero-initialised by the caller, alive until the op ends; filled as far as it got even on
 *          failure; free with http_reply_done
 * op       succeeds with any HTTP status. Fails with
 *            ERR_IO       not connected, or lost before anything was sent: safe to repeat
 *            ERR_UNKNOWN  lost after sending. A POST or PATCH that was lost on a reused connection
 *                         ends so, too; other methods are repeated once by themselves
 *            ERR_TIMEOUT  ret->sent tells whether the request went out
 *            ERR_LIMIT    the body is larger than reply_max
 *            ERR_PROTO    not HTTP, or compressed in a way that was not asked for
 *            ERR_AUTH     a certificate was refused, theirs or ours
 *            ERR_CONF     the URL or a header cannot be sent
 *            ERR_REFUSED  rq->guard wants none of the host's addresses
 *            or with what on_data returned
 * Cancel closes the connection (HTTP/1.1) or resets the stream (HTTP/2), without blocking.
 */
void http_request(struct http_client *c, struct op *op, const struct http_request *rq,
                  struct http_reply *ret);

/* The wait a reply asks for, in ms: retry-after-ms, then Retry-After (seconds or HTTP date). 0 =
 * none, or nonsense. */
uint32_t http_retry_hint_ms(const struct http_reply *r);
