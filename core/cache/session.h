/*
 * session - what is known of a person on a channel, so that a message need not ask PostgreSQL:
 * session:{channel}:{user}, a hash, living CACHE_SESSION_LIFE_MS from its last use.
 *
 * Degraded: not cached, or Redis away: read PostgreSQL (the op fails), then put it.
 */
#pragma once
#include "core/base/uuid.h"
#include "core/loop/op.h"

struct redis;
struct redis_reply;

#define CACHE_SESSION_LIFE_MS   (60 * 60 * 1000)
#define CACHE_SESSION_MODEL_MAX 128

struct cache_session {
    struct uuid user, conversation;
    char model[CACHE_SESSION_MODEL_MAX]; /* "" = none chosen */
    int64_t last_activity_ms;            /* wall clock */
};

/*
 * Read it; its life begins anew.
 * channel, user    the account's name and the platform's id of the person
 * op               ERR_NOT_FOUND: not cached. ERR_IO, ERR_TIMEOUT, ERR_UNKNOWN, ERR_REFUSED,
 *                  ERR_LIMIT: Redis is away or refuses.
 */
void cache_session_get(struct redis *r, struct op *op, struct str channel, struct str user,
                       struct cache_session *ret);
/* Write it, with last_activity = now; fire and forget. A model name that is too long is left out.
 */
void cache_session_put(struct redis *r, struct str channel, struct str user,
                       const struct cache_session *session);
void cache_session_drop(struct redis *r, struct str channel, struct str user); /* fire and forget */

/*
 * Sessions there are, some at a time, in no order.
 * cursor   "0" = from the beginning; else what the reply before gave
 * ret      the next cursor ("0" = these were the last), then for each session: channel:user,
 *          user_id, conversation_id, model, last_activity. redis_reply_done is the caller's.
 * op       as cache_session_get
 */
void cache_session_scan(struct redis *r, struct op *op, struct str cursor, int64_t limit,
                        struct redis_reply *ret);
