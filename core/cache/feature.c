/* feature: see feature.h. One script, so that nobody reads half of it. */
#include "core/cache/feature.h"
#include "core/cache/cache.h"

/* ARGV: revision, since, json */
static struct redis_script put_script = {
    .name = "feature.put",
    .lua =
        "local have = redis.call('HMGET', KEYS[1], '_revision', '_since', '_channels')\n"
        "local r, s = tonumber(have[1]) or 0, tonumber(have[2]) or 0\n"
        "local nr, ns = tonumber(ARGV[1]), tonumber(ARGV[2])\n"
        "if r > nr or (r == nr and s >= ns) then return 0 end\n"
        "for t in string.gmatch(have[3] or '', '[^\\n]+') do\n"
        "  redis.call('DEL', 'features:channel:' .. t)\n"
        "end\n"
        "local all, types = cjson.decode(ARGV[3]), {}\n"
        "redis.call('DEL', KEYS[1])\n"
        "for name, v in pairs(all.global) do redis.call('HSET', KEYS[1], name, v) end\n"
        "for t, flags in pairs(all.channel) do\n"
        "  table.insert(types, t)\n"
        "  redis.call('DEL', 'features:channel:' .. t)\n"
        "  for name, v in pairs(flags) do redis.call('HSET', 'features:channel:' .. t, name, v) "
        "end\n"
        "end\n"
        "return redis.call('HSET', KEYS[1], '_revision', ARGV[1], '_since', ARGV[2], '_channels',"
        " table.concat(types, '\\n'))",
};

void cache_features_put(struct redis *r, int64_t revision, int64_t since, struct str json)
{
    struct cache_call *c = cache_call_new(r, NULL, NULL, sizeof(*c), NULL);
    struct cache_int n[2];

    cache_call_key(c, (const struct str[]){ STR("features"), STR("global") }, 2);
    const struct str args[] = { cache_int(&n[0], revision), cache_int(&n[1], since), json };
    cache_call_eval(c, &put_script, args, 3);
}
