/*
 * retry - how long to wait before the next try.
 */
#include "core/base/retry.h"

#include "core/base/rand.h"

uint32_t retry_delay_ms(const struct retry *r, unsigned attempt, uint32_t hint_ms)
{
    uint64_t d = r->base_ms;
    for (unsigned i = 1; i < attempt && d < r->max_ms && d > 0; i++) d *= 2;
    if (d > r->max_ms) d = r->max_ms;
    uint32_t delay = (uint32_t)(d - rand_below(d - d / 2 + (d % 2 == 0)));
    return delay > hint_ms ? delay : hint_ms;
}
