/*
 * retry - back-off arithmetic: exponential with full jitter, and the server's own word first.
 */
#pragma once
#include <stdint.h>

struct retry {
    uint32_t base_ms, max_ms;
};

/*
 * Milliseconds to wait before try number `attempt` (1 = the first repeat): uniform in
 * [d/2, d], d = min(base * 2^(attempt-1), max). A hint from the server (> 0) is obeyed as a
 * minimum.
 */
uint32_t retry_delay_ms(const struct retry *r, unsigned attempt, uint32_t hint_ms);
