/*
 * budget - a count a minute, the last ten.
 */
#include "channels/discord/budget.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metric.h"

#include <string.h>

#define SPEND_MAX 2000 /* of 10,000: other processes may share the address */
#define MINUTES   10
#define MINUTE_MS 60000

static struct metric m_refused =
    METRIC(METRIC_COUNTER, "parley_discord_refused_total", "",
           "Answers of Discord that count against the address: 401, 403 and 429");

static struct {
    uint64_t minute[MINUTES];
    unsigned spent[MINUTES];
    uint64_t banned_until_ms;
    bool told;
} budget;

static unsigned recent(uint64_t now)
{
    unsigned sum = 0;
    for (int i = 0; i < MINUTES; i++)
        if (budget.minute[i] + MINUTES > now) sum += budget.spent[i];
    return sum;
}

void discord_budget_spend(void)
{
    uint64_t now = clock_ms() / MINUTE_MS + MINUTES; /* never 0, the mark of an empty slot */
    size_t i = now % MINUTES;
    if (budget.minute[i] != now) budget.spent[i] = 0;
    budget.minute[i] = now;
    budget.spent[i]++;
    metric_add(&m_refused, 1);
}

void discord_budget_ban(uint32_t ms)
{
    log_warn("discord", "Cloudflare refuses this address, waiting", "ms=%u", ms);
    budget.banned_until_ms = clock_ms() + ms;
}

uint32_t discord_budget_wait_ms(void)
{
    uint64_t now_ms = clock_ms();
    if (budget.banned_until_ms > now_ms) return (uint32_t)(budget.banned_until_ms - now_ms);
    bool spent = recent(now_ms / MINUTE_MS + MINUTES) >= SPEND_MAX;
    if (spent && !budget.told)
        log_error("discord", "too many refused requests, waiting before the address is banned",
                  "refused=%d minutes=%d", SPEND_MAX, MINUTES);
    budget.told = spent;
    return spent ? MINUTE_MS - (uint32_t)(now_ms % MINUTE_MS) : 0;
}

void discord_budget_reset(void)
{
    memset(&budget, 0, sizeof(budget));
}
