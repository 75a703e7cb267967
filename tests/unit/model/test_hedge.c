/*
 * The arithmetic of hedging: when it is late, and how often a second one may be asked.
 */
#include "core/model/hedge.h"
#include <criterion/criterion.h>

static struct hedge_times times_of(size_t n, uint32_t (*ms)(size_t i))
{
    struct hedge_times t = { .n = 0 };
    for (size_t i = 0; i < n; i++) hedge_times_add(&t, ms(i));
    return t;
}

static uint32_t rising(size_t i)
{
    return (uint32_t)i + 1;
}

static uint32_t falling(size_t i)
{
    return 1000 - (uint32_t)i;
}

static uint32_t same(size_t i)
{
    (void)i;
    return 70;
}

Test(hedge, a_percentile_of_the_latest_times)
{
    static const struct {
        size_t n;
        uint32_t (*ms)(size_t i);
        int64_t percentile;
        uint32_t want;
    } rows[] = {
        { 20, rising, 95, 19 },
        { 20, rising, 50, 10 },
        { 20, rising, 99, 20 },
        { 21, rising, 95, 20 },
        { 100, rising, 95, 95 },
        { 100, rising, 96, 96 },
        { 20, falling, 95, 999 },
        { 50, same, 95, 70 },
        /* 128 are kept: 73 to 200, the 122nd of them */
        { 200, rising, 95, 194 },
        { 256, rising, 50, 192 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct hedge_times t = times_of(rows[i].n, rows[i].ms);
        uint32_t ms = 0;
        cr_expect(hedge_times_at(&t, rows[i].percentile, &ms), "%zu", i);
        cr_expect_eq(ms, rows[i].want, "%zu: %u", i, ms);
    }
}

Test(hedge, few_times_say_nothing)
{
    for (size_t n = 0; n < HEDGE_TIMES_MIN; n++) {
        const struct hedge_times t = times_of(n, rising);
        uint32_t ms = 7;
        cr_expect_not(hedge_times_at(&t, 95, &ms), "%zu", n);
        cr_expect_eq(ms, 7);
    }
}

/* How many of n questions are asked twice, when each of them wants to be. */
static int n_hedges(int n, int64_t percent, struct hedge_budget *b)
{
    int n_spent = 0;
    for (int i = 0; i < n; i++) {
        hedge_budget_earn(b, percent);
        cr_expect_eq(hedge_budget_has(b), b->hundredths >= 100);
        n_spent += hedge_budget_spend(b);
    }
    return n_spent;
}

Test(hedge, so_many_percent_and_no_more)
{
    struct hedge_budget b = { 0 };
    cr_expect_eq(n_hedges(1000, 5, &b), 50);
    cr_expect_eq(n_hedges(19, 5, &b), 0);
    cr_expect_eq(n_hedges(1, 5, &b), 1);
    cr_expect_eq(n_hedges(100, 100, &b), 100);
    cr_expect_not(hedge_budget_spend(&b));
}

Test(hedge, a_quiet_day_saves_up_ten)
{
    struct hedge_budget b = { 0 };
    for (int i = 0; i < 10000; i++) hedge_budget_earn(&b, 5);
    cr_expect_eq(n_hedges(20, 1, &b), 10);
}
