/*
 * Rate limits: exact over all processes with Redis, still there without it, told once.
 */
#include "core/base/clock.h"
#include "core/cache/rate.h"
#include "tests/support/redis_fixture.h"
#include <criterion/criterion.h>

static struct redis_fixture fx;
static struct cache_rate *rate;

static void setup(void)
{
    fixture_open(&fx);
    rate = cache_rate_new(fx.redis);
}

static void teardown(void)
{
    cache_rate_free(rate);
    fixture_close(&fx);
}

TestSuite(rate, .init = setup, .fini = teardown, .timeout = 30);

static struct rate_answer take_at(struct cache_rate *at, enum rate_scope scope, const char *id,
                                  int64_t max, int64_t window_ms)
{
    const struct rate_ask ask = { scope, str_of(id), "chat", max, window_ms };
    struct rate_answer answer = { .remaining = -1 };
    struct waiter w;

    waiter_init(&w, &fx.loop);
    cache_rate_take(at, &w.op, &ask, &answer);
    cr_assert_eq(waiter_run(&w, 30000), ERR_NONE, "%s", w.op.err.msg);
    return answer;
}

static struct rate_answer take(const char *id, int64_t max, int64_t window_ms)
{
    return take_at(rate, RATE_USER, id, max, window_ms);
}

Test(rate, window_is_exact_and_slides)
{
    for (int64_t i = 0; i < 5; i++) {
        struct rate_answer a = take("u", 5, 600);
        cr_expect(a.allowed && !a.degraded && !a.first_refusal);
        cr_expect_eq(a.remaining, 4 - i);
        if (i == 0) loop_run_for(&fx.loop, 200);
    }
    struct rate_answer a = take("u", 5, 600);
    cr_expect_not(a.allowed);
    cr_expect(a.first_refusal);
    cr_expect(a.retry_after_ms > 0 && a.retry_after_ms <= 400, "%u", a.retry_after_ms);
    a = take("u", 5, 600);
    cr_expect(!a.allowed && !a.first_refusal);
    loop_run_for(&fx.loop, a.retry_after_ms + 2);
    cr_expect(take("u", 5, 600).allowed, "the first has left the window");
    a = take("u", 5, 600);
    cr_expect(!a.allowed && !a.first_refusal, "the others have not, and it was told");
    loop_run_for(&fx.loop, 650);
    cr_expect_eq(take("u", 5, 600).remaining, 4);
}

Test(rate, told_again_after_a_window)
{
    take("u", 1, 300);
    cr_expect(take("u", 1, 300).first_refusal);
    loop_run_for(&fx.loop, 310);
    cr_expect(take("u", 1, 300).allowed);
    cr_expect(take("u", 1, 300).first_refusal);
}

Test(rate, people_addresses_and_processes)
{
    struct cache_rate *other = cache_rate_new(fx.redis);

    cr_expect(take("u", 2, 60000).allowed);
    cr_expect(take_at(other, RATE_USER, "u", 2, 60000).allowed);
    cr_expect_not(take("u", 2, 60000).allowed, "counted in both processes");
    cr_expect(take("v", 2, 60000).allowed);
    cr_expect(take_at(rate, RATE_IP, "u", 2, 60000).allowed);
    cr_expect(take_at(rate, RATE_IP, "2001:db8::1", 2, 60000).allowed);
    cr_expect_str_eq(redis_server_cli(&fx.server, "exists rate:ip:2001:db8::1:chat"), "1");
    cr_expect_gt(atoi(redis_server_cli(&fx.server, "pttl rate:user:u:chat")), 50000);
    cache_rate_free(other);
}

Test(rate, lowered_limit)
{
    for (int i = 0; i < 6; i++) take("u", 6, 60000);
    loop_run_for(&fx.loop, 100);
    struct rate_answer a = take("u", 2, 60000);
    cr_expect(!a.allowed && a.first_refusal);
    cr_expect_leq(a.retry_after_ms, 60000);
    a = take("u", 2, 60000);
    cr_expect_gt(a.retry_after_ms, 59000, "the fifth must leave: %u", a.retry_after_ms);
}

Test(rate, wrong_type_is_healed)
{
    redis_server_cli(&fx.server, "set rate:user:u:chat x");
    struct rate_answer a = take("u", 2, 60000);
    cr_expect(a.allowed && a.degraded);
    a = take("u", 2, 60000);
    cr_expect(a.allowed && !a.degraded);
}

static void expect_local_limit(const char *id)
{
    struct rate_answer a = take(id, 2, 60000);

    cr_expect(a.allowed && a.degraded);
    cr_expect_eq(a.remaining, 1);
    cr_expect(take(id, 2, 60000).allowed);
    a = take(id, 2, 60000);
    cr_expect(!a.allowed && a.first_refusal && a.degraded);
    cr_expect(a.retry_after_ms > 25000 && a.retry_after_ms <= 30001, "%u", a.retry_after_ms);
    a = take(id, 2, 60000);
    cr_expect(!a.allowed && !a.first_refusal);
}

Test(rate, redis_gone_and_back)
{
    redis_server_kill(&fx.server);
    loop_run_for(&fx.loop, 20);
    expect_local_limit("u");
    expect_local_limit("v");
    redis_server_start(&fx.server);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    struct rate_answer a = take("u", 2, 60000);
    cr_expect(a.allowed && !a.degraded);
    cr_expect_eq(a.remaining, 1);
}

Test(rate, redis_wedged_and_back)
{
    redis_server_freeze(&fx.server);
    uint64_t began = clock_ms();
    expect_local_limit("u");
    cr_expect_lt(clock_ms() - began, 3 * REDIS_FIXTURE_TIMEOUT_MS, "only the first one waits");
    redis_server_thaw(&fx.server);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    cr_expect_not(take("v", 2, 60000).degraded);
}

Test(rate, local_bucket_refills)
{
    redis_server_kill(&fx.server);
    loop_run_for(&fx.loop, 20);
    take("u", 2, 4000);
    take("u", 2, 4000);
    struct rate_answer a = take("u", 2, 4000);
    cr_expect(!a.allowed && a.first_refusal);
    cr_expect(a.retry_after_ms > 1000 && a.retry_after_ms <= 2001, "%u", a.retry_after_ms);
    loop_run_for(&fx.loop, a.retry_after_ms);
    cr_expect(take("u", 2, 4000).allowed);
    a = take("u", 2, 4000);
    cr_expect(!a.allowed && !a.first_refusal);
}

Test(rate, local_buckets_are_bounded)
{
    char id[32];

    redis_server_kill(&fx.server);
    loop_run_for(&fx.loop, 20);
    take("first", 1, 60000);
    for (int i = 0; i < CACHE_RATE_BUCKETS_MAX + 10; i++) {
        snprintf(id, sizeof(id), "u%d", i);
        take(id, 1, 60000);
    }
    cr_expect(take("first", 1, 60000).allowed, "forgotten");
    cr_expect_not(take(id, 1, 60000).allowed);
}

Test(rate, absurd_id)
{
    static char id[4096];

    memset(id, 'x', sizeof(id) - 1);
    cr_expect(take(id, 1, 60000).degraded);
}

Test(rate, cancelled_at_any_turn)
{
    const struct rate_ask ask = { RATE_USER, STR("u"), "chat", 5, 1000 };

    for (int turns = 0; turns < 6; turns++) {
        struct rate_answer answer;
        struct waiter w;
        waiter_init(&w, &fx.loop);
        cache_rate_take(rate, &w.op, &ask, &answer);
        for (int i = 0; i < turns && op_busy(&w.op); i++) uv_run(&fx.loop.uv, UV_RUN_ONCE);
        op_cancel(&w.op);
        loop_run_for(&fx.loop, 5);
    }
}
