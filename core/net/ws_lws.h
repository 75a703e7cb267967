/*
 * ws_lws - what both sides of WebSockets share about libwebsockets: the life of a context on our
 * loop, and the messages that wait for a connection to take them.
 */
#pragma once
#include "core/base/list.h"
#include "core/base/str.h"
#include "core/loop/loop.h"
#include <libwebsockets.h>

struct ws_lws {
    struct loop *loop;
    struct lws_context *ctx; /* libwebsockets clears it when it is gone */
    struct lws_vhost *vhost;
    void (*gone)(struct ws_lws *l);
    uv_idle_t reaper;
    bool destroyed;
};
void ws_lws_init(struct ws_lws *l, struct loop *loop);
/*
 * Make the context and its one vhost. info: what both have in common, in options, loop, limits and
 * time-outs (every deadline is ours), is filled in. False: libwebsockets does not start, logged.
 */
bool ws_lws_start(struct ws_lws *l, struct lws_context_creation_info *info);
/* Also from inside a callback of libwebsockets. gone: the last callback, some turns later. */
void ws_lws_close(struct ws_lws *l, void (*gone)(struct ws_lws *l));

/*
 * To be called in LWS_CALLBACK_WSI_DESTROY of a client: closes what libwebsockets has left in the
 * loop of a socket that could not connect.
 */
void ws_lws_sweep(struct ws_lws *l, struct lws *wsi);

struct ws_queue {
    struct list messages;
    size_t n, n_in_lws; /* bytes; n_in_lws: of these, what libwebsockets holds */
};
void ws_queue_init(struct ws_queue *q);
void ws_queue_done(struct ws_queue *q);
void ws_queue_push(struct ws_queue *q, struct str text); /* copied */

enum ws_written { WS_WRITTEN_ALL, WS_WRITTEN_SOME, WS_WRITTEN_BROKEN };
/*
 * In the writable callback: a ping if wanted, then messages. SOME: the callback will come again.
 * BROKEN: so is the connection.
 */
enum ws_written ws_queue_write(struct ws_queue *q, struct lws *wsi, bool ping);
