/*
 * Sessions in Redis: kept, sliding, dropped, healed, and absent when Redis is.
 */
#include "core/base/clock.h"
#include "core/base/uuid.h"
#include "core/cache/session.h"
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

TestSuite(session, .init = setup, .fini = teardown, .timeout = 30);

static enum err_kind get(struct cache_session *ret)
{
    struct waiter w;

    waiter_init(&w, &fx.loop);
    cache_session_get(fx.redis, &w.op, STR("support"), STR("u:1"), ret);
    return waiter_run(&w, 30000);
}

static struct cache_session put(const char *model)
{
    struct cache_session s = { .user = uuid_v7(), .conversation = uuid_v7() };

    snprintf(s.model, sizeof(s.model), "%s", model);
    cache_session_put(fx.redis, STR("support"), STR("u:1"), &s);
    return s;
}

Test(session, kept_and_read)
{
    struct cache_session s, ret;

    cr_assert_eq(get(&ret), ERR_NOT_FOUND);
    s = put("gpt-x");
    cr_assert_eq(get(&ret), ERR_NONE);
    cr_expect(uuid_eq(&ret.user, &s.user));
    cr_expect(uuid_eq(&ret.conversation, &s.conversation));
    cr_expect_str_eq(ret.model, "gpt-x");
    cr_expect_leq(clock_wall_ms() - ret.last_activity_ms, 5000);
    put("");
    cr_assert_eq(get(&ret), ERR_NONE);
    cr_expect_str_eq(ret.model, "");
    cr_expect_str_eq(redis_server_cli(&fx.server, "type session:support:u:1"), "hash");
    cache_session_drop(fx.redis, STR("support"), STR("u:1"));
    cr_expect_eq(get(&ret), ERR_NOT_FOUND);
}

Test(session, life_slides)
{
    struct cache_session ret;

    put("m");
    cr_assert_eq(get(&ret), ERR_NONE);
    redis_server_cli(&fx.server, "pexpire session:support:u:1 5000");
    cr_assert_eq(get(&ret), ERR_NONE);
    cr_expect_gt(atoi(redis_server_cli(&fx.server, "ttl session:support:u:1")), 3500);
}

Test(session, wrong_type_and_junk_are_healed)
{
    static const char *const bad[] = {
        "set session:support:u:1 x",
        "hset session:support:u:1 user_id not-a-uuid conversation_id x model m last_activity 1",
        "hset session:support:u:1 user_id 01890000-0000-7000-8000-000000000000",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cache_session ret;
        redis_server_cli(&fx.server, bad[i]);
        cr_expect_eq(get(&ret), ERR_NOT_FOUND, "%s", bad[i]);
        cr_expect_str_eq(redis_server_cli(&fx.server, "exists session:support:u:1"), "0");
        put("m");
        cr_expect_eq(get(&ret), ERR_NONE, "%s", bad[i]);
        cache_session_drop(fx.redis, STR("support"), STR("u:1"));
    }
}

Test(session, write_over_a_wrong_type_heals_it)
{
    struct cache_session ret;

    redis_server_cli(&fx.server, "set session:support:u:1 x");
    put("m");
    cr_expect_eq(get(&ret), ERR_NOT_FOUND, "the healing goes out behind this one");
    put("m");
    cr_expect_eq(get(&ret), ERR_NONE);
}

Test(session, redis_gone_and_back)
{
    struct cache_session ret;

    redis_server_kill(&fx.server);
    loop_run_for(&fx.loop, 20);
    put("m");
    cr_expect_eq(get(&ret), ERR_IO);
    redis_server_start(&fx.server);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    cr_expect_eq(get(&ret), ERR_NOT_FOUND);
    put("m");
    cr_expect_eq(get(&ret), ERR_NONE);
}

Test(session, redis_wedged)
{
    struct cache_session ret;

    redis_server_freeze(&fx.server);
    cr_expect_eq(get(&ret), ERR_TIMEOUT);
    redis_server_thaw(&fx.server);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    cr_expect_eq(get(&ret), ERR_NOT_FOUND);
}

Test(session, absurd_names)
{
    static char name[4096];
    struct cache_session ret, s = { .user = uuid_v7() };
    struct str user = str_from(name, sizeof(name));
    struct waiter w;

    memset(name, 'x', sizeof(name));
    cache_session_put(fx.redis, STR("c"), user, &s);
    waiter_init(&w, &fx.loop);
    cache_session_get(fx.redis, &w.op, STR("c"), user, &ret);
    cr_expect_eq(waiter_run(&w, 30000), ERR_LIMIT);
}

Test(session, cancel_and_close_at_any_time)
{
    for (int turns = 0; turns < 6; turns++) {
        static struct cache_session ret;
        struct waiter w;
        put("m");
        waiter_init(&w, &fx.loop);
        cache_session_get(fx.redis, &w.op, STR("support"), STR("u:1"), &ret);
        for (int i = 0; i < turns && op_busy(&w.op); i++) uv_run(&fx.loop.uv, UV_RUN_ONCE);
        op_cancel(&w.op);
        loop_run_for(&fx.loop, 5);
        cr_expect_leq(w.n_done, 1);
    }
    static struct cache_session ret;
    struct waiter w;
    waiter_init(&w, &fx.loop);
    put("m");
    cache_session_get(fx.redis, &w.op, STR("support"), STR("u:1"), &ret);
    redis_close(fx.redis);
    fx.redis = NULL;
    cr_expect_eq(waiter_run(&w, 30000), ERR_UNKNOWN);
}
