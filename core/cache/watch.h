/*
 * watch - something in PostgreSQL that changes at run time, for those who keep a copy of it: looked
 * at when a push says that it changed, when Redis has come back, and every few seconds all the
 * same.
 *
 * Redis away: a change is seen by the next look of the timer.
 */
#pragma once
#include "core/net/redis.h"

#define WATCH_EVERY_MS 5000

struct watch {
    /* The owner sets these two. look begins w->op; seen runs when it is through, well or not: then
     * w->op.err tells. */
    void (*look)(struct watch *w);
    void (*seen)(struct watch *w);
    struct op op;
    struct redis *redis;
    struct redis_sub pushes;
    struct timer timer;
    uint64_t every_ms;
    bool again; /* it may have changed since the look under way began */
};

/*
 * Look from now on; the first look is that of the first push or of the timer.
 * channel    of Redis, any message on it is a push; borrowed, as is redis, until watch_stop
 * every_ms   WATCH_EVERY_MS, but for tests
 */
void watch_start(struct watch *w, struct redis *redis, const char *channel, uint64_t every_ms);
/* Look now, or once more when the look under way is through. */
void watch_look(struct watch *w);
void watch_stop(struct watch *w); /* no-op when it was not started */
