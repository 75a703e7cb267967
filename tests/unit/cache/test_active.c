/*
 * Presence: counted by channel, forgotten one by one, unknown without Redis.
 */
#include "core/cache/active.h"
#include "tests/support/redis_fixture.h"
#include <criterion/criterion.h>

static struct redis_fixture fx;

static void setup(void)
{
    fixture_open(&fx);
}
static void teardown(void)
{
    fixture_close(&fx);
}

TestSuite(active, .init = setup, .fini = teardown, .timeout = 30);

static enum err_kind count(const char *channel, int64_t *ret)
{
    struct waiter w;

    waiter_init(&w, &fx.loop);
    cache_active_count(fx.redis, &w.op, str_of(channel), ret);
    return waiter_run(&w, 30000);
}

Test(active, counts_each_once)
{
    int64_t n = -1;

    cr_assert_eq(count("web", &n), ERR_NONE);
    cr_expect_eq(n, 0);
    cache_active_touch(fx.redis, STR("web"), STR("a"));
    cache_active_touch(fx.redis, STR("web"), STR("b"));
    cache_active_touch(fx.redis, STR("web"), STR("a"));
    cache_active_touch(fx.redis, STR("telegram"), STR("c"));
    cr_assert_eq(count("web", &n), ERR_NONE);
    cr_expect_eq(n, 2);
    cr_assert_eq(count("telegram", &n), ERR_NONE);
    cr_expect_eq(n, 1);
    cr_expect_gt(atoi(redis_server_cli(&fx.server, "ttl active:web")), 290);
}

Test(active, who_left_is_forgotten)
{
    int64_t n = -1;

    redis_server_cli(&fx.server, "zadd active:web 1000 old");
    cache_active_touch(fx.redis, STR("web"), STR("a"));
    cr_assert_eq(count("web", &n), ERR_NONE);
    cr_expect_eq(n, 1);
    cr_expect_str_eq(redis_server_cli(&fx.server, "zcard active:web"), "1");
    redis_server_cli(&fx.server, "zadd active:web 1000 a");
    cr_assert_eq(count("web", &n), ERR_NONE);
    cr_expect_eq(n, 0, "also before anybody else comes");
}

Test(active, wrong_type_is_healed)
{
    int64_t n = -1;

    redis_server_cli(&fx.server, "set active:web x");
    cr_expect_eq(count("web", &n), ERR_NOT_FOUND);
    cr_assert_eq(count("web", &n), ERR_NONE);
    cr_expect_eq(n, 0);
    redis_server_cli(&fx.server, "set active:web x");
    cache_active_touch(fx.redis, STR("web"), STR("a"));
    loop_run_for(&fx.loop, 50);
    cache_active_touch(fx.redis, STR("web"), STR("a"));
    cr_assert_eq(count("web", &n), ERR_NONE);
    cr_expect_eq(n, 1);
}

Test(active, unknown_without_redis)
{
    int64_t n = -1;

    redis_server_kill(&fx.server);
    loop_run_for(&fx.loop, 20);
    cache_active_touch(fx.redis, STR("web"), STR("a"));
    cr_expect_eq(count("web", &n), ERR_IO);
    cr_expect_eq(n, -1, "left alone");
    redis_server_start(&fx.server);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    cr_expect_eq(count("web", &n), ERR_NONE);
    redis_server_freeze(&fx.server);
    cr_expect_eq(count("web", &n), ERR_TIMEOUT);
    redis_server_thaw(&fx.server);
}
