/*
 * redis_impl - what redis.c (commands) and redis_sub.c (pub/sub) share.
 */
#pragma once
#include "core/net/redis.h"
#include "core/net/redis_conn.h"

struct redis {
    struct loop *loop;
    struct redis_target target;
    struct redis_tls *tls;
    uint64_t command_timeout_ms;
    unsigned n_conns; /* connections not closed yet */
    void (*on_change)(void *ctx, const struct err *why);
    void *ctx;

    struct redis_conn cmd;
    uint64_t connection;   /* a number for each one that came up, unique in the process */
    struct list in_flight; /* struct call, oldest first */
    int64_t n_in_flight, queue_max;
    size_t in_flight_bytes;
    struct timer oldest; /* not later than the deadline of the first in flight */

    struct redis_conn sub; /* opened by the first subscription */
    struct list subs;
    struct list *next_sub; /* where a walk that calls on_message goes on */
    struct timer beat;
    uint64_t beat_ms;
    bool heard; /* the subscriber connection spoke since the last beat */
};

void redis_sub_init(struct redis *r);
void redis_sub_close(struct redis *r);
