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
    /* The owner sets these three. look begins w->op; seen runs when that went well. When it failed,
     * that is logged once, under the name, and what is known stays in force. */
    const char *name;
    void (*look)(struct watch *w);
    void (*seen)(struct watch *w);
    struct op op;
    struct op *loader; /* the caller's, of watch_load; NULL = nobody waits */
    struct redis *redis;
    struct redis_sub pushes;
    struct timer timer;
    uint64_t every_ms;
    bool again;   /* it may have changed since the look under way began */
    bool pushed;  /* somebody said so */
    bool told;    /* this look is because somebody said so */
    bool failing; /* the last look failed */
};

/*
 * Look from now on; the first look is that of the first push or of the timer. No-op when it was
 * started already.
 * channel    of Redis, any message on it is a push; borrowed, as is redis, until watch_stop
 * every_ms   WATCH_EVERY_MS, but for tests
 */
void watch_start(struct watch *w, struct redis *redis, const char *channel, uint64_t every_ms);
/* Look now, or once more when the look under way is through. */
void watch_look(struct watch *w);
/*
 * The same for somebody who needs it, and may try again when it failed. It must be started.
 * op     ends as the look does, after seen
 * Cancel: nobody waits any more; the look goes on.
 */
void watch_load(struct watch *w, struct op *op);
void watch_stop(struct watch *w); /* no-op when it was not started */
