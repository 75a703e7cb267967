/*
 * cache - what the files of this floor share: one script or command under one key, as an op.
 *
 * Redis is disposable. A function of this floor either fails its op (ERR_NOT_FOUND: not cached;
 * any other kind: Redis is away or refuses) and the caller goes to PostgreSQL, or answers by
 * itself; each says which. A key of a foreign type is deleted, logged and counts as not there.
 */
#pragma once
#include "core/base/buf.h"
#include "core/loop/op.h"
#include "core/net/redis.h"
#include <stdio.h>

#define CACHE_KEY_MAX 1024

/* A request under way: our op at the driver between the waiter's op and the reply. */
struct cache_call {
    struct op op;
    struct op *outer; /* NULL: nobody waits (fire and forget) */
    struct redis *redis;
    struct buf key;
    struct redis_reply reply;
    void (*finish)(
        struct cache_call *c); /* op.err and reply are there: end outer; NULL = nothing */
};

/*
 * size     of the struct whose first member is struct cache_call; zeroed
 * outer    NULL = fire and forget
 * finish   called once, unless outer was cancelled; must end outer. The call is freed behind it.
 */
void *cache_call_new(struct redis *r, struct op *outer, const struct op_kind *kind, size_t size,
                     void (*finish)(struct cache_call *c));
/* Set the key, parts joined by ':'. A longer one than CACHE_KEY_MAX fails the call. */
void cache_call_key(struct cache_call *c, const struct str *parts, size_t n);
/* Off it goes: the script with the call's key, or the command, whose key stands in `args`. */
void cache_call_eval(struct cache_call *c, struct redis_script *script, const struct str *args,
                     size_t n_args);
void cache_call_cmd(struct cache_call *c, const struct str *args, size_t n);
/* The drop function for every op_kind of this floor. */
void cache_call_drop(struct op *outer);

/* For finish: pass the driver's error on, if there is one. True: outer has ended. */
bool cache_call_failed(struct cache_call *c);
/* For finish: what is under the key makes no sense. Deletes it; outer fails as ERR_NOT_FOUND. */
void cache_call_junk(struct cache_call *c);

/* A number as text for a script's argument. */
struct cache_int {
    char text[24];
};
static inline struct str cache_int(struct cache_int *to, int64_t value)
{
    return str_from(to->text,
                    (size_t)snprintf(to->text, sizeof(to->text), "%lld", (long long)value));
}
