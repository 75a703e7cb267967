/* ab_test: see ab_test.h. */
#include "core/cache/ab_test.h"
#include "core/cache/cache.h"

#define STOPPED_S 86400

/* ARGV: version, status, unit, salt, variants, life in seconds (0 = for ever) */
static struct redis_script put_script = {
    .name = "ab_test.put",
    .lua = "local have = tonumber(redis.call('HGET', KEYS[1], 'version')) or 0\n"
           "if have >= tonumber(ARGV[1]) then return 0 end\n"
           "redis.call('DEL', KEYS[1])\n"
           "redis.call('HSET', KEYS[1], 'version', ARGV[1], 'status', ARGV[2], 'unit', ARGV[3],"
           " 'salt', ARGV[4], 'variants', ARGV[5])\n"
           "if ARGV[6] ~= '0' then redis.call('EXPIRE', KEYS[1], ARGV[6]) end\n"
           "return 1",
};

void cache_ab_test_put(struct redis *r, const struct ab_test *t)
{
    struct cache_call *c = cache_call_new(r, NULL, NULL, sizeof(*c), NULL);
    struct cache_int n[2];

    cache_call_key(c, (const struct str[]){ STR("ab_test"), t->name }, 2);
    const struct str args[] = { cache_int(&n[0], t->version),
                                t->running ? STR("running") : STR("stopped"),
                                t->unit,
                                t->salt,
                                t->variants,
                                cache_int(&n[1], t->running ? 0 : STOPPED_S) };
    cache_call_eval(c, &put_script, args, 6);
}
