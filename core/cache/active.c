/*
 * Presence. Times are Redis' own, so that processes with different clocks agree.
 */
#include "core/cache/active.h"
#include "core/cache/cache.h"

/* ARGV: user, life in ms, members at most */
static struct redis_script touch_script = {
    .name = "active.touch",
    .lua = "local t = redis.call('TIME')\n"
           "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
           "redis.call('ZADD', KEYS[1], now, ARGV[1])\n"
           "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])\n"
           "redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -1 - ARGV[3])\n"
           "return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
};

static struct redis_script count_script = {
    .name = "active.count",
    .lua = "local t = redis.call('TIME')\n"
           "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
           "return redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%.0f', now - ARGV[1]),"
           " '+inf')",
};

static const struct op_kind op_count = { .name = "cache.active", .drop = cache_call_drop };

struct count_call {
    struct cache_call call;
    int64_t *ret;
};

static void set_key(struct cache_call *c, struct str channel)
{
    cache_call_key(c, (const struct str[]){ STR("active"), channel }, 2);
}

void cache_active_touch(struct redis *r, struct str channel, struct str user)
{
    struct cache_call *c = cache_call_new(r, NULL, NULL, sizeof(*c), NULL);
    struct cache_int life, max;

    set_key(c, channel);
    const struct str args[] = { user, cache_int(&life, CACHE_ACTIVE_MS),
                                cache_int(&max, CACHE_ACTIVE_MAX) };
    cache_call_eval(c, &touch_script, args, 3);
}

static void count_finish(struct cache_call *c)
{
    struct count_call *n = container_of(c, struct count_call, call);

    if (cache_call_failed(c)) return;
    *n->ret = c->reply.i;
    op_finish(c->outer);
}

void cache_active_count(struct redis *r, struct op *op, struct str channel, int64_t *ret)
{
    struct count_call *n = cache_call_new(r, op, &op_count, sizeof(*n), count_finish);
    struct cache_int life;

    n->ret = ret;
    set_key(&n->call, channel);
    cache_call_eval(&n->call, &count_script,
                    (const struct str[]){ cache_int(&life, CACHE_ACTIVE_MS) }, 1);
}
