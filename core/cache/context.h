/*
 * context - the last messages of a conversation, ready for the prompt: context:conv:{id}, a list,
 * newest first, living CACHE_CONTEXT_LIFE_MS from its last use.
 *
 * Messages are numbered from 1 in the order of the conversation. A list has no gaps: what would
 * make one deletes the list instead, and get() refuses one that has any. Whether it is current only
 * the caller knows: ret->newest must be the conversation's message_count.
 *
 * Degraded: not cached, stale, or Redis away: read PostgreSQL, then fill.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/uuid.h"
#include "core/loop/op.h"

struct redis;

#define CACHE_CONTEXT_LIFE_MS   (2 * 60 * 60 * 1000)
#define CACHE_CONTEXT_MAX       100       /* messages in a list */
#define CACHE_CONTEXT_BYTES_MAX (1 << 20) /* a push or fill larger than this is not cached */

enum context_role { CONTEXT_USER, CONTEXT_ASSISTANT };

struct context_entry {
    int64_t ordinal;
    enum context_role role;
    struct str text;
};

struct context_read {
    struct context_entry *entries; /* oldest first */
    size_t n;
    int64_t newest; /* the last entry's ordinal; 0 = none */
};

/*
 * Read the newest messages; the list's life begins anew.
 * n_max    0 < n_max; more than CACHE_CONTEXT_MAX are not kept
 * arena    the entries and their texts live there; must outlive the op
 * op       ERR_NOT_FOUND: not cached (ret->n is 0). ERR_IO, ERR_TIMEOUT, ERR_UNKNOWN, ERR_REFUSED,
 *          ERR_LIMIT: Redis is away or refuses.
 */
void cache_context_get(struct redis *r, struct op *op, const struct uuid *conversation,
                       size_t n_max, struct arena *arena, struct context_read *ret);

/*
 * Append to the list, if it is there and ends right before entries[0]; fire and forget.
 * entries  oldest first, ordinals in a row, 0 < n
 * create   begin a list with them: only right when they are the conversation's first
 * keep_max older ones fall out
 */
void cache_context_push(struct redis *r, const struct uuid *conversation,
                        const struct context_entry *entries, size_t n, bool create,
                        size_t keep_max);

/* Make the list anew from what PostgreSQL said, unless a newer one is there; fire and forget. */
void cache_context_fill(struct redis *r, const struct uuid *conversation,
                        const struct context_read *context);
void cache_context_drop(struct redis *r, const struct uuid *conversation); /* fire and forget */
