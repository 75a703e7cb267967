/*
 * ab_test - which experiments run, for other programs to read: the hash ab_test:{name} with status,
 * unit, salt, variants (JSON) and version. One that is over says "stopped" for a day.
 *
 * Redis away: they are written again when it is back. Nobody in this program reads them.
 */
#pragma once
#include "core/net/redis.h"

struct ab_test {
    struct str name;
    bool running;
    struct str unit, salt, variants;
    int64_t version;
};

/* Put it there, unless a newer version is. t: copied */
void cache_ab_test_put(struct redis *r, const struct ab_test *t);
