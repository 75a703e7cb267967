/*
 * http_server_impl - what the files of the HTTP server share, and nobody else.
 *
 *   http_server.c  listens, accepts, drains, closes
 *   http_conn.c    one connection: reads, phases and their deadlines, writes, TLS
 *   http_parse.c   bytes -> request, by llhttp (pure)
 *   http_route.c   target, route, dispatch
 *   http_answer.c  answer -> bytes, and what handlers ask of a request
 *   http_peer.c    X-Forwarded-For of trusted proxies (pure)
 *   tls.c          TLS over memory (pure)
 *   ws_upgrade.c   an upgrade leaves HTTP for ws.c
 *   ws_relay.c     a WebSocket under TLS
 */
#pragma once
#include "core/base/list.h"
#include "core/net/http_server.h"
#include "core/net/tls.h"
#include <llhttp.h>
#include <netinet/in.h>

#define HTTP_HEADERS_MAX 100
#define HTTP_READ_BYTES  65536 /* one read of a socket */
#define HTTP_TAIL_STOP   32768 /* pipelined bytes waiting: reading stops here */
#define HTTP_OUT_MAX     65536 /* the head of an answer */
#define HTTP_LINGER_MS   2000
#define HTTP_REFUSE_MAX  64 /* connections over the maximum that still hear "503" */

/* A request record: one allocation, reused. The head's bytes stay in `raw`, all views go there. */
struct http_rq {
    struct http_in in;
    struct http_conn *conn; /* NULL: the peer is gone, the handler has not answered yet */
    struct list link;       /* in the server's spare ones */
    struct http_header headers[HTTP_HEADERS_MAX];
    struct str target;
    struct buf body;
    char peer[INET6_ADDRSTRLEN];
    bool is_head, keep_alive, http10, expects, has_body, chunked;
    uint64_t content_length;
    size_t n_raw, raw_max;
    char raw[];
};
struct http_rq *http_rq_new(size_t head_max);
void http_rq_free(struct http_rq *rq);
void http_rq_reset(struct http_rq *rq); /* for the next request */

enum http_parse_event {
    HTTP_PARSE_MORE,
    HTTP_PARSE_HEAD, /* look at the head, set rq->body.max, go on (also with no bytes left) */
    HTTP_PARSE_DONE, /* the request is whole */
    HTTP_PARSE_BAD,  /* answer p->status with p->why, then close */
};
struct http_parse {
    llhttp_t ll;
    struct http_rq *rq;
    enum { HTTP_AT_START, HTTP_AT_HEAD, HTTP_AT_BODY } at;
    bool head_done, done, in_name;
    size_t n_trailer; /* bytes behind a chunked body */
    int status;
    const char *why;
};
void http_parse_begin(struct http_parse *p, struct http_rq *rq);
/* Takes what it used off the front of *in. */
enum http_parse_event http_parse_feed(struct http_parse *p, struct str *in);
/* Percent-decode in place, and plus as a space in queries; false: bad escape or not valid UTF-8. */
bool http_decode(char *p, size_t *n, bool query);

enum http_phase {
    CONN_IDLE,   /* between requests */
    CONN_HEAD,   /* part of a head is here */
    CONN_BODY,   /* the head is whole, the body is not */
    CONN_ANSWER, /* the handler has the request */
    CONN_FLUSH,  /* answered; bytes wait for the peer to read them */
    CONN_LINGER, /* closing: what still comes is dropped, so that the peer sees the answer and no
                    reset */
    CONN_RELAY,  /* TLS under a WebSocket: bytes go to ws_relay.c */
    CONN_CLOSED,
};

struct http_conn {
    uv_tcp_t tcp;
    struct http_server *server;
    struct list link;  /* in server->conns */
    struct list ready; /* in server->ready: its tail wants parsing */
    enum http_phase phase;
    struct timer timer; /* may be armed earlier than `deadline`: then it arms itself again */
    uint64_t deadline, armed_for;
    struct http_parse parse;
    struct http_rq *rq;
    struct buf tail;   /* pipelined behind the request in hand */
    size_t n_unsent;   /* bytes given to libuv and not written yet */
    size_t flush_left; /* of these, at the last look: is the peer reading? */
    struct str rest;   /* while parsing: the bytes behind the head in hand */
    bool reading, parsing, close_after, linger, said_goodbye;
    struct tls_conn *tls;
    struct ws_relay *relay;
    char peer[INET6_ADDRSTRLEN];
};

void http_conn_open(struct http_server *s);   /* accepts one */
void http_conn_close(struct http_conn *c);    /* at once; harmless twice */
void http_conn_run_tail(struct http_conn *c); /* parse on in what is pipelined */
void http_conn_send(struct http_conn *c, const uv_buf_t *bufs, unsigned n);
void http_conn_answered(struct http_conn *c);        /* the answer was handed to http_conn_send */
void http_conn_end(struct http_conn *c);             /* close when all is written */
void http_conn_hold(struct http_conn *c, bool hold); /* stop or go on reading */

struct ip_range;
struct http_server {
    struct loop *loop;
    struct http_server_conf conf;
    uv_tcp_t listener;
    struct list conns, routes, spare;
    struct list ready; /* connections whose tail is parsed before the loop sleeps */
    struct loop_hook hook;
    size_t n_conns, n_relays, n_spare;
    struct ip_range *trusted;
    struct tls *tls;
    struct ws_server *ws;
    bool draining, closing;
    unsigned n_open; /* what must close before the server is freed */
    int64_t date_s;
    char date[40];  /* "Date: ...\r\n" of that second */
    struct buf out; /* the head of the answer being written */
    char read[HTTP_READ_BYTES];
    char plain[HTTP_READ_BYTES];
};
void http_server_hold(struct http_server *s);    /* one more to wait for */
void http_server_release(struct http_server *s); /* one less; frees a closed server */
struct http_rq *http_server_rq(struct http_server *s);
void http_server_rq_back(struct http_server *s, struct http_rq *rq); /* s NULL: just free it */

/* Looks at a head: sets body.max and returns true, or has answered (an error) and returns false. */
bool http_route_head(struct http_conn *c, struct http_rq *rq);
void http_route_dispatch(struct http_conn *c, struct http_rq *rq); /* a whole request */

/* Answer `rq` with an error and close: whatever else the peer sends is not worth parsing. */
void http_answer_refuse(struct http_rq *rq, int status, const char *why);
extern const char http_busy_answer[]; /* a whole 503 */
const char *http_status_text(int status);

enum err_kind ip_ranges_parse(const struct conf_list *list, struct ip_range **ret, struct err *why);
/* The client behind trusted proxies, or the peer itself. ret: INET6_ADDRSTRLEN bytes. */
void http_peer_resolve(const struct ip_range *trusted, const char *peer, const struct http_in *in,
                       char *ret);

/* ws_upgrade.c: the head of an upgrade is whole. Answers (refuses) it or takes the connection over.
 */
struct ws_route;
void ws_upgrade(struct http_conn *c, struct http_rq *rq, struct ws_route *route);
bool ws_wanted(const struct http_in *in); /* the headers ask for a WebSocket */

/* ws_relay.c */
int ws_relay_open(struct http_conn *c); /* the fd for libwebsockets, -1: none to be had */
void ws_relay_feed(struct http_conn *c, struct str plain);
void ws_relay_drained(struct http_conn *c);
void ws_relay_close(struct http_conn *c);

void http_metric_answer(int status);
void http_metric_connections(int by);
void http_metric_refused(void);
void http_metric_received(size_t bytes);
void http_metric_sent(size_t bytes);
