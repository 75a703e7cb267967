/*
 * Locks. The fence number is the larger of the last one plus one and Redis' time in microseconds:
 * a server that lost its data still gives out greater numbers than before.
 */
#include "core/cache/lock.h"
#include "core/base/clock.h"
#include "core/base/rand.h"
#include "core/cache/cache.h"

/* The fence's key is made from the lock's: one server, not a cluster. */
static struct redis_script acquire_script = {
    .name = "lock.acquire",
    .lua = "local holder = redis.call('GET', KEYS[1])\n"
           "if holder and holder ~= ARGV[1] then\n"
           "  return {0, redis.call('PTTL', KEYS[1])}\n"
           "end\n"
           "local t = redis.call('TIME')\n"
           "local now = t[1] * 1000000 + t[2]\n"
           "local last = redis.pcall('GET', KEYS[1] .. ':fence')\n"
           "last = type(last) == 'string' and tonumber(last) or 0\n"
           "local fence = string.format('%.0f', math.max(last + 1, now))\n"
           "redis.call('SET', KEYS[1] .. ':fence', fence)\n"
           "redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])\n"
           "return {1, fence}",
};

static struct redis_script renew_script = {
    .name = "lock.renew",
    .lua = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
           "return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
};

static struct redis_script release_script = {
    .name = "lock.release",
    .lua = "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n"
           "return redis.call('DEL', KEYS[1])",
};

struct lock_call {
    struct cache_call call;
    struct cache_lock *ret;
    uint64_t until_ms;
};

static void set_key(struct cache_call *c, const char *name)
{
    cache_call_key(c, (const struct str[]){ STR("lock"), str_of(name) }, 2);
}

static const struct op_kind op_acquire = { .name = "cache.lock", .drop = cache_call_drop };
static const struct op_kind op_renew = { .name = "cache.lock.renew", .drop = cache_call_drop };

static void acquire_finish(struct cache_call *c)
{
    struct lock_call *l = container_of(c, struct lock_call, call);
    int64_t value = redis_reply_int(&c->reply, 1, 0);
    struct err held = ERR_INIT;

    if (cache_call_failed(c)) return;
    if (redis_reply_int(&c->reply, 0, 0) == 1) {
        l->ret->fence = value;
        l->ret->until_ms = l->until_ms;
        op_finish(c->outer);
        return;
    }
    err_set(&held, ERR_LIMIT, "cache: lock %s is held by another process", l->ret->name);
    held.retry_after_ms = value > 0 && value < UINT32_MAX ? (uint32_t)value : 0;
    op_fail(c->outer, &held);
}

void cache_lock_acquire(struct redis *r, struct op *op, const char *name, uint32_t lease_ms,
                        struct cache_lock *ret)
{
    struct lock_call *l = cache_call_new(r, op, &op_acquire, sizeof(*l), acquire_finish);
    struct cache_int lease;

    *ret = (struct cache_lock){ .fence = 0 };
    snprintf(ret->name, sizeof(ret->name), "%s", name);
    rand_hex(ret->token, sizeof(ret->token) / 2);
    l->ret = ret;
    l->until_ms = clock_ms() + lease_ms;
    set_key(&l->call, name);
    const struct str args[] = { str_of(ret->token), cache_int(&lease, lease_ms) };
    cache_call_eval(&l->call, &acquire_script, args, 2);
}

static void renew_finish(struct cache_call *c)
{
    struct lock_call *l = container_of(c, struct lock_call, call);

    if (cache_call_failed(c)) return;
    if (c->reply.i != 1) {
        op_failf(c->outer, ERR_NOT_FOUND, "cache: lock %s is not ours any more", l->ret->name);
        return;
    }
    l->ret->until_ms = l->until_ms;
    op_finish(c->outer);
}

void cache_lock_renew(struct redis *r, struct op *op, struct cache_lock *lock, uint32_t lease_ms)
{
    struct lock_call *l = cache_call_new(r, op, &op_renew, sizeof(*l), renew_finish);
    struct cache_int lease;

    l->ret = lock;
    l->until_ms = clock_ms() + lease_ms;
    set_key(&l->call, lock->name);
    const struct str args[] = { str_of(lock->token), cache_int(&lease, lease_ms) };
    cache_call_eval(&l->call, &renew_script, args, 2);
}

void cache_lock_release(struct redis *r, struct cache_lock *lock)
{
    if (!*lock->token) return;
    struct cache_call *c = cache_call_new(r, NULL, NULL, sizeof(*c), NULL);

    set_key(c, lock->name);
    cache_call_eval(c, &release_script, (const struct str[]){ str_of(lock->token) }, 1);
    *lock->token = '\0';
    lock->until_ms = 0;
}
