/*
 * Locks: one holder, released by him alone, fences that only grow.
 */
#include "core/base/clock.h"
#include "core/cache/lock.h"
#include "tests/support/redis_fixture.h"
#include <criterion/criterion.h>

static struct redis_fixture fx;
static struct err last_why;

static void setup(void)
{
    fixture_open(&fx);
}
static void teardown(void)
{
    fixture_close(&fx);
}

TestSuite(lock, .init = setup, .fini = teardown, .timeout = 30);

static enum err_kind acquire(struct cache_lock *ret, uint32_t lease_ms)
{
    struct waiter w;

    waiter_init(&w, &fx.loop);
    cache_lock_acquire(fx.redis, &w.op, "job", lease_ms, ret);
    enum err_kind kind = waiter_run(&w, 30000);
    last_why = w.op.err;
    return kind;
}

static enum err_kind renew(struct cache_lock *lock, uint32_t lease_ms)
{
    struct waiter w;

    waiter_init(&w, &fx.loop);
    cache_lock_renew(fx.redis, &w.op, lock, lease_ms);
    return waiter_run(&w, 30000);
}

Test(lock, one_holder_at_a_time)
{
    struct cache_lock a = { .fence = 0 }, b = { .fence = 0 };

    cr_assert_eq(acquire(&a, 10000), ERR_NONE);
    cr_expect_gt(a.until_ms, clock_ms() + 5000);
    cr_expect_eq(acquire(&b, 10000), ERR_LIMIT);
    cr_expect(last_why.retry_after_ms > 5000 && last_why.retry_after_ms <= 10000);
    cache_lock_release(fx.redis, &b);
    cr_expect_eq(acquire(&b, 10000), ERR_LIMIT, "nothing was released");
    cache_lock_release(fx.redis, &a);
    cache_lock_release(fx.redis, &a);
    cr_expect_eq(acquire(&b, 10000), ERR_NONE);
    cr_expect_gt(b.fence, a.fence);
}

Test(lock, a_late_holder_harms_nobody)
{
    struct cache_lock a, b, c;

    cr_assert_eq(acquire(&a, 50), ERR_NONE);
    loop_run_for(&fx.loop, 80);
    cr_assert_eq(acquire(&b, 10000), ERR_NONE);
    cr_expect_eq(renew(&a, 10000), ERR_NOT_FOUND);
    cache_lock_release(fx.redis, &a);
    cr_expect_eq(acquire(&c, 10000), ERR_LIMIT);
    uint64_t until = b.until_ms;
    cr_expect_eq(renew(&b, 20000), ERR_NONE);
    cr_expect_gt(b.until_ms, until);
}

Test(lock, fence_grows_when_redis_lost_its_data)
{
    struct cache_lock a, b;

    cr_assert_eq(acquire(&a, 10000), ERR_NONE);
    redis_server_cli(&fx.server, "flushall");
    cr_assert_eq(acquire(&b, 10000), ERR_NONE);
    cr_expect_gt(b.fence, a.fence);
    /* A clock that was set back: the last fence counts. */
    cache_lock_release(fx.redis, &b);
    loop_run_for(&fx.loop, 20);
    redis_server_cli(&fx.server, "set lock:job:fence 5000000000000000");
    cr_assert_eq(acquire(&a, 10000), ERR_NONE);
    cr_expect_eq(a.fence, 5000000000000001);
}

Test(lock, wrong_type_is_healed)
{
    struct cache_lock a;

    redis_server_cli(&fx.server, "rpush lock:job x");
    cr_expect_eq(acquire(&a, 10000), ERR_NOT_FOUND);
    cr_expect_eq(acquire(&a, 10000), ERR_NONE);
    cache_lock_release(fx.redis, &a);
    loop_run_for(&fx.loop, 20);
    redis_server_cli(&fx.server, "del lock:job:fence");
    redis_server_cli(&fx.server, "rpush lock:job:fence x");
    cr_expect_eq(acquire(&a, 10000), ERR_NONE);
    cr_expect_gt(a.fence, 0);
}

Test(lock, release_after_a_cancel_gives_back_what_was_taken)
{
    for (int turns = 0; turns < 6; turns++) {
        static struct cache_lock a;
        struct waiter w;
        waiter_init(&w, &fx.loop);
        cache_lock_acquire(fx.redis, &w.op, "job", 60000, &a);
        for (int i = 0; i < turns && op_busy(&w.op); i++) uv_run(&fx.loop.uv, UV_RUN_ONCE);
        op_cancel(&w.op);
        cache_lock_release(fx.redis, &a);
        cr_assert_eq(fixture_cmd(&fx, "PING", NULL), ERR_NONE);
        cr_expect_str_eq(redis_server_cli(&fx.server, "exists lock:job"), "0", "%d", turns);
    }
}

Test(lock, not_ours_without_redis)
{
    struct cache_lock a = { .fence = 0 };

    redis_server_freeze(&fx.server);
    cr_expect_eq(acquire(&a, 10000), ERR_TIMEOUT);
    cr_expect_eq(acquire(&a, 10000), ERR_IO);
    cr_expect_eq(a.fence, 0);
    redis_server_thaw(&fx.server);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    /* The first one may have been granted; it ends with its lease. */
    redis_server_cli(&fx.server, "del lock:job");
    cr_expect_eq(acquire(&a, 10000), ERR_NONE);
}
