/*
 * active - who was there in the last five minutes: active:{channel}, a sorted set of users by last
 * seen.
 *
 * Degraded: unknown. A touch is lost, a count fails; five minutes after Redis is back it is right
 * again.
 */
#pragma once
#include "core/base/str.h"
#include "core/loop/op.h"

struct redis;

#define CACHE_ACTIVE_MS  (5 * 60 * 1000)
#define CACHE_ACTIVE_MAX 100000 /* members of a set; those seen longest ago fall out */

void cache_active_touch(struct redis *r, struct str channel, struct str user); /* fire and forget */

/* op: ERR_IO, ERR_TIMEOUT, ERR_UNKNOWN, ERR_REFUSED, ERR_LIMIT: unknown. */
void cache_active_count(struct redis *r, struct op *op, struct str channel, int64_t *ret);
