/* Who keeps a copy: told by a push, and by the clock when nobody pushes. */
#include "core/cache/watch.h"
#include "tests/support/redis_fixture.h"
#include <criterion/criterion.h>

#define NEVER_MS 3600000

static struct redis_fixture fx;
static struct watch watch;
static unsigned n_looks, n_seen;
static bool held; /* a look takes until it is let go */

static void look(struct watch *w)
{
    n_looks++;
    op_sleep(&w->op, held ? NEVER_MS : 0);
}

static void seen(struct watch *w)
{
    (void)w;
    n_seen++;
}

static void setup(void)
{
    fixture_open(&fx);
    n_looks = n_seen = 0;
    held = false;
    watch = (struct watch){ .name = "test", .look = look, .seen = seen };
}

static void teardown(void)
{
    watch_stop(&watch);
    fixture_close(&fx);
}

TestSuite(watch, .init = setup, .fini = teardown, .timeout = 60);

static bool until(const unsigned *counter, unsigned n)
{
    for (int i = 0; i < 5000 && *counter < n; i++) loop_run_for(&fx.loop, 2);
    return *counter >= n;
}

Test(watch, looks_when_redis_is_there_and_at_a_push)
{
    watch_start(&watch, fx.redis, "parley:test", NEVER_MS);
    cr_assert(until(&n_seen, 1), "something may have been missed before the subscription");
    redis_publish(fx.redis, "parley:test", STR("models"));
    cr_assert(until(&n_seen, 2));
    cr_expect_eq(n_looks, 2);
    cr_expect(watch.told);
    watch_look(&watch);
    cr_assert(until(&n_seen, 3));
    cr_expect_not(watch.told);
}

Test(watch, looks_by_the_clock_without_redis)
{
    redis_server_stop(&fx.server);
    watch_start(&watch, fx.redis, "parley:test", 20);
    cr_assert(until(&n_seen, 3));
}

Test(watch, a_push_during_a_look_is_another_look)
{
    watch_start(&watch, fx.redis, "parley:test", NEVER_MS);
    cr_assert(until(&n_seen, 1));
    held = true;
    watch_look(&watch);
    watch_look(&watch);
    watch_look(&watch);
    cr_expect_eq(n_looks, 2);
    held = false;
    op_finish(&watch.op);
    cr_assert(until(&n_seen, 3));
    loop_run_for(&fx.loop, 20);
    cr_expect_eq(n_looks, 3, "one for all that came meanwhile");
}

Test(watch, nothing_comes_after_stop)
{
    watch_start(&watch, fx.redis, "parley:test", 1);
    held = true;
    watch_look(&watch);
    watch_stop(&watch);
    watch_stop(&watch);
    unsigned n = n_looks;
    redis_publish(fx.redis, "parley:test", STR("x"));
    loop_run_for(&fx.loop, 30);
    cr_expect_eq(n_looks, n);
    cr_expect_eq(n_seen, 0);
}

Test(watch, who_waits_hears_how_the_look_went)
{
    struct waiter w;
    const struct err away = { .kind = ERR_IO, .msg = "away" };
    watch_start(&watch, fx.redis, "parley:test", NEVER_MS);
    cr_assert(until(&n_seen, 1));
    held = true;
    waiter_init(&w, &fx.loop);
    watch_load(&watch, &w.op);
    op_fail(&watch.op, &away);
    cr_expect_eq(waiter_run(&w, 5000), ERR_IO);
    cr_expect_eq(n_seen, 1);
    watch_load(&watch, &w.op);
    op_finish(&watch.op);
    cr_expect_eq(waiter_run(&w, 5000), ERR_NONE);
    cr_expect_eq(n_seen, 2);
    watch_load(&watch, &w.op);
    watch_stop(&watch);
    cr_expect_not(op_busy(&w.op));
}
