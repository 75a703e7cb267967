/*
 * rate - how often somebody may do something: an exact sliding window in Redis, shared by all
 * processes. rate:user:{id}:{endpoint}, rate:ip:{ip}:..., rate:bot:{id}:... and rate:key:{id}:...,
 * sorted sets of the allowed requests of the last window; refused ones are not counted.
 *
 * Degraded: Redis away, or a key of a foreign type: a token bucket of this process answers (so
 * with N processes up to N times as much passes), until Redis is back. The op never fails.
 */
#pragma once
#include "core/base/str.h"
#include "core/loop/op.h"

struct redis;

#define CACHE_RATE_MAX         10000 /* requests in a window: what a key may hold */
#define CACHE_RATE_BUCKETS_MAX 10000 /* of this process; the least used is forgotten */

struct cache_rate;
struct cache_rate *cache_rate_new(struct redis *r); /* r: borrowed until cache_rate_free */
void cache_rate_free(struct cache_rate *rate);      /* no op may be waiting; NULL is fine */

enum rate_scope {
    RATE_USER,
    RATE_IP,
    RATE_BOT, /* what a platform allows an account of ours */
    RATE_KEY, /* an API key, by its prefix */
};

struct rate_ask {
    enum rate_scope scope;
    struct str id;        /* a user's id, an address, or a name for an account */
    const char *endpoint; /* "chat": a constant of ours */
    int64_t max;          /* 1..CACHE_RATE_MAX */
    int64_t window_ms;    /* > 0 */
};

struct rate_answer {
    bool allowed;
    bool first_refusal; /* refused, and not told so in the last window: tell them now */
    bool degraded;      /* this process's own count */
    int64_t remaining;
    uint32_t retry_after_ms; /* refused: when the next one will be allowed; else 0 */
};

/*
 * Count one request, if it is allowed.
 * ask      borrowed for the call
 * ret      set when the op succeeds, which it always does
 * Cancel: it may have been counted.
 */
void cache_rate_take(struct cache_rate *rate, struct op *op, const struct rate_ask *ask,
                     struct rate_answer *ret);
