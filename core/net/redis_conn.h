/*
 * redis_conn - one connection to Redis that comes back by itself: resolve, dial, log in, up; after
 * a loss wait and begin again. Knows nothing of commands.
 */
#pragma once
#include "core/base/err.h"
#include "core/loop/loop.h"
#include "core/net/redis_tls.h"
#include "core/net/redis_url.h"

struct redisAsyncContext;
struct redis_conn_poll;

#define REDIS_ADDRS_MAX 8
#define REDIS_ADDR_TEXT 46

enum redis_conn_state {
    REDIS_CONN_CLOSED,
    REDIS_CONN_WAITING,
    REDIS_CONN_RESOLVING,
    REDIS_CONN_DIALING,
    REDIS_CONN_HELLO,
    REDIS_CONN_UP,
    REDIS_CONN_DROPPING, /* given up inside a callback of hiredis, which frees it when it is out */
};

struct redis_conn {
    /* The owner's, set before redis_conn_open and alive until on_closed. */
    struct loop *loop;
    const struct redis_target *target;
    const struct redis_tls *tls; /* NULL = none */
    uint64_t connect_timeout_ms; /* from dialing to the answer of the last greeting */
    void *owner;
    void (*on_up)(struct redis_conn *c);
    void (*on_down)(struct redis_conn *c);   /* lost, or a try failed: `why` says; replies are in */
    void (*on_closed)(struct redis_conn *c); /* after redis_conn_close: the memory may go */

    enum redis_conn_state state;
    struct redisAsyncContext *ac; /* NULL: no context */
    struct redis_conn_poll *poll; /* lives on after its context, until libuv has let go of it */
    struct timer timer;           /* the wait, or the deadline of dialing */
    struct loop_hook flush;
    bool unsent;  /* commands wait for the flush of this turn */
    bool writing; /* inside the flush: what hiredis could not write waits for the socket */
    bool closing;
    unsigned refs; /* poll handles, a resolver under way, and being open */
    unsigned attempt;
    uint64_t up_at_ms; /* monotonic */
    struct err why;    /* of the last loss, or of the last failed try */
    uv_getaddrinfo_t resolver;
    char addrs[REDIS_ADDRS_MAX][REDIS_ADDR_TEXT];
    size_t n_addrs, next_addr;
};

void redis_conn_open(struct redis_conn *c);
/* Give the context up: every pending reply callback gets NULL; then connect again. From anywhere
 * but on_down. No-op without a context. */
void redis_conn_drop(struct redis_conn *c, const struct err *why);
/* For good; also before redis_conn_open, then on_closed is not called. */
void redis_conn_close(struct redis_conn *c);

static inline bool redis_conn_is_up(const struct redis_conn *c)
{
    return c->state == REDIS_CONN_UP;
}
