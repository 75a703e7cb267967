/*
 * ws_client_impl - between ws_dial.c, which gets a connection, and ws_client.c, which has it.
 */
#pragma once
#include "core/base/buf.h"
#include "core/net/ws_client.h"
#include "core/net/ws_lws.h"
#include "core/net/ws_url.h"

#define WS_CLIENT_PROTOCOL "parley" /* what libwebsockets calls our callback; no peer sees it */
#define WS_ADDRS_MAX       8        /* of one name */

struct ws_lookup;

struct ws_clients {
    struct ws_lws lws;
    struct loop *loop;
    struct ssl_ctx_st *tls;
    struct list conns;
};

struct ws_client {
    struct list link;
    struct ws_clients *clients;
    const struct ws_client_handler *handler;
    void *user;
    struct lws *wsi; /* NULL: none (yet, or any more) */
    struct timer timer;
    struct err why;

    /* dialling */
    struct ws_url url;
    struct buf headers; /* as they are sent */
    struct ws_lookup *lookup;
    char addrs[WS_ADDRS_MAX][46];
    size_t n_addrs, next_addr;
    uint32_t connect_ms;
    uint64_t give_up_at;
    bool upgrading; /* the request is on its way: the peer is the right one */
    bool hopeless;  /* `why` is final: no further address is tried */

    /* open */
    bool open, want_ping, inside; /* inside: of a message */
    struct ws_queue queue;
    size_t send_queue_max;
    uint64_t ping_ms, pong_timeout_ms;
    uint64_t heard_at, pinged_at; /* pinged_at 0: no ping is out */
    int close_code, peer_code;    /* close_code 0 = not closing */
    char close_reason[124];
    enum { WS_BYE_NOT, WS_BYE_SOON, WS_BYE_SAID } bye; /* the close frame */
};

/* Made with the first call; NULL: libwebsockets does not start. */
struct lws_vhost *ws_clients_vhost(struct ws_clients *w);
/* Only libwebsockets has the connection from here on. cut: hang up, without a close frame. */
void ws_client_let_go(struct ws_client *c, bool cut);
/* The end of `c`, with `closed`. why: may be its own */
void ws_client_end(struct ws_client *c, const struct err *why);

void ws_dial_begin(struct ws_client *c, const struct ws_dial *dial);
void ws_dial_step(struct ws_client *c); /* the timer has fired: go on; may end `c` */
/* The request is about to leave: put our headers in. False: no room. */
bool ws_dial_headers(struct ws_client *c, char **at, size_t room);
void ws_dial_refused(struct ws_client *c, const char *reason); /* the certificate */
/* A try has failed. text: libwebsockets' words for it; status: HTTP's, 0 = none came. */
void ws_dial_failed(struct ws_client *c, struct str text, unsigned status);
void ws_dial_done(struct ws_client *c); /* well: it is open */
void ws_dial_stop(struct ws_client *c);
