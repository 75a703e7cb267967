/*
 * lock - one process at a time does a job: lock:{name} holds a random token for the length of a
 * lease; only who knows the token can prolong or release it. For jobs that are wasteful to do
 * twice; what would be wrong to do twice is guarded by PostgreSQL.
 *
 * Degraded: Redis away: the op fails, do not run the job.
 */
#pragma once
#include "core/base/str.h"
#include "core/loop/op.h"

struct redis;

#define CACHE_LOCK_NAME_MAX 64
#define CACHE_LOCK_TOKEN    33

struct cache_lock {
    char name[CACHE_LOCK_NAME_MAX];
    char token[CACHE_LOCK_TOKEN];
    /* Greater than that of every earlier holder, also after Redis lost its data (as long as its
     * clock goes forward): whoever writes on behalf of the job can refuse a lower one. */
    int64_t fence;
    uint64_t until_ms; /* clock_ms: ours surely until then; counted from before we asked */
};

/*
 * name     [a-z0-9_.-]+, shorter than CACHE_LOCK_NAME_MAX: a constant of ours
 * ret      alive until the op ends; until_ms is 0 unless it is ours
 * op       ERR_LIMIT: somebody else has it, retry_after_ms until his lease ends. ERR_IO,
 *          ERR_TIMEOUT, ERR_UNKNOWN, ERR_REFUSED: Redis is away or refuses; not ours.
 * Cancel: it may be granted all the same: release it, else nobody has it until the lease ends.
 */
void cache_lock_acquire(struct redis *r, struct op *op, const char *name, uint32_t lease_ms,
                        struct cache_lock *ret);
/* Prolong. op: ERR_NOT_FOUND: not ours any more; others as above: ours until until_ms. */
void cache_lock_renew(struct redis *r, struct op *op, struct cache_lock *lock, uint32_t lease_ms);
/* Fire and forget; when it is lost the lease ends by itself. Harmless for a lock that is not ours.
 */
void cache_lock_release(struct redis *r, struct cache_lock *lock);
