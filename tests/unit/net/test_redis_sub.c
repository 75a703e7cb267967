/*
 * Pub/sub: messages, the word that some may have been missed, and callbacks that change what they
 * are called from.
 */
#include "core/net/redis_impl.h"
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

TestSuite(redis_sub, .init = setup, .fini = teardown, .timeout = 30);

/* Static in every test: a subscription lives as long as the driver, beyond the test's own frame. */
struct listener {
    struct redis_sub sub;
    unsigned n_empty, n_messages;
    char last[64];
    void (*then)(struct listener *l);
};

static void on_message(struct redis_sub *sub, struct str payload)
{
    struct listener *l = container_of(sub, struct listener, sub);

    if (!payload.n) {
        l->n_empty++;
    } else {
        l->n_messages++;
        snprintf(l->last, sizeof(l->last), "%.*s", STR_ARG(payload));
    }
    if (l->then) l->then(l);
}

static void listen_on(struct listener *l, const char *channel)
{
    *l = (struct listener){ .sub = { .channel = channel, .on_message = on_message } };
    redis_subscribe(fx.redis, &l->sub);
}

static bool reaches(const unsigned *n, unsigned wanted)
{
    for (int i = 0; i < 500 && *n < wanted; i++) loop_run_for(&fx.loop, 20);
    return *n == wanted;
}

Test(redis_sub, messages_reach_their_listeners)
{
    static struct listener a, a2, b;

    listen_on(&a, "chan:a");
    listen_on(&b, "chan:b");
    cr_assert(reaches(&a.n_empty, 1) && reaches(&b.n_empty, 1));
    redis_publish(fx.redis, "chan:a", STR("one"));
    cr_assert(reaches(&a.n_messages, 1));
    cr_expect_str_eq(a.last, "one");
    cr_expect_eq(b.n_messages, 0);
    /* A second listener on a channel: the first must not be told again that it may have missed. */
    listen_on(&a2, "chan:a");
    cr_assert(reaches(&a2.n_empty, 1));
    cr_expect_eq(a.n_empty, 1);
    redis_publish(fx.redis, "chan:a", STR("two"));
    cr_assert(reaches(&a2.n_messages, 1) && reaches(&a.n_messages, 2));
    redis_unsubscribe(fx.redis, &a.sub);
    redis_unsubscribe(fx.redis, &a.sub);
    redis_publish(fx.redis, "chan:a", STR("three"));
    cr_assert(reaches(&a2.n_messages, 2));
    cr_expect_eq(a.n_messages, 2);
    redis_unsubscribe(fx.redis, &a2.sub);
    redis_unsubscribe(fx.redis, &b.sub);
    loop_run_for(&fx.loop, 50);
    cr_expect_str_eq(redis_server_cli(&fx.server, "pubsub channels"), "");
    listen_on(&a, "chan:a");
    cr_assert(reaches(&a.n_empty, 1));
    redis_publish(fx.redis, "chan:a", STR("four"));
    cr_assert(reaches(&a.n_messages, 1));
}

Test(redis_sub, unsubscribed_and_subscribed_again_at_once)
{
    static struct listener a;

    listen_on(&a, "chan:a");
    cr_assert(reaches(&a.n_empty, 1));
    for (int i = 0; i < 10; i++) {
        redis_unsubscribe(fx.redis, &a.sub);
        redis_subscribe(fx.redis, &a.sub);
    }
    loop_run_for(&fx.loop, 50);
    redis_publish(fx.redis, "chan:a", STR("still"));
    cr_assert(reaches(&a.n_messages, 1));
}

Test(redis_sub, a_restart_is_told_by_an_empty_payload)
{
    static struct listener a;

    listen_on(&a, "chan:a");
    cr_assert(reaches(&a.n_empty, 1));
    redis_server_kill(&fx.server);
    redis_server_start(&fx.server);
    cr_assert(reaches(&a.n_empty, 2));
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    redis_publish(fx.redis, "chan:a", STR("after"));
    cr_expect(reaches(&a.n_messages, 1));
}

Test(redis_sub, subscribed_before_the_server_is_there)
{
    static struct listener a;

    redis_server_kill(&fx.server);
    listen_on(&a, "chan:a");
    loop_run_for(&fx.loop, 100);
    redis_server_start(&fx.server);
    cr_expect(reaches(&a.n_empty, 1));
}

Test(redis_sub, silent_death_is_noticed)
{
    static struct listener a;

    fx.redis->beat_ms = 300;
    listen_on(&a, "chan:a");
    cr_assert(reaches(&a.n_empty, 1));
    loop_run_for(&fx.loop, 1000);
    cr_expect_eq(a.n_empty, 1, "a live connection stays");
    redis_server_freeze(&fx.server);
    loop_run_for(&fx.loop, 1000);
    redis_server_thaw(&fx.server);
    cr_expect(reaches(&a.n_empty, 2));
}

static struct listener other;

static void drop_both(struct listener *l)
{
    redis_unsubscribe(fx.redis, &l->sub);
    redis_unsubscribe(fx.redis, &other.sub);
}

static void subscribe_other(struct listener *l)
{
    l->then = NULL;
    listen_on(&other, "chan:a");
}

static void close_all(struct listener *l)
{
    l->then = NULL;
    redis_close(fx.redis);
    fx.redis = NULL;
}

Test(redis_sub, callback_unsubscribes_itself_and_the_next)
{
    static struct listener a, last;

    listen_on(&a, "chan:a");
    listen_on(&other, "chan:a");
    listen_on(&last, "chan:a");
    cr_assert(reaches(&last.n_empty, 1) && reaches(&other.n_empty, 1));
    a.then = drop_both;
    redis_publish(fx.redis, "chan:a", STR("one"));
    cr_assert(reaches(&last.n_messages, 1));
    cr_expect_eq(a.n_messages, 1);
    cr_expect_eq(other.n_messages, 0);
}

Test(redis_sub, callback_subscribes)
{
    static struct listener a;

    listen_on(&a, "chan:a");
    a.then = subscribe_other;
    cr_assert(reaches(&a.n_empty, 1) && reaches(&other.n_empty, 1));
    redis_publish(fx.redis, "chan:a", STR("one"));
    cr_expect(reaches(&a.n_messages, 1) && reaches(&other.n_messages, 1));
}

Test(redis_sub, callback_closes)
{
    static struct listener a;

    listen_on(&other, "chan:a");
    listen_on(&a, "chan:a");
    cr_assert(reaches(&a.n_empty, 1));
    other.then = close_all;
    redis_publish(fx.redis, "chan:a", STR("one"));
    cr_assert(reaches(&other.n_messages, 1));
    loop_run_for(&fx.loop, 50);
    cr_expect_eq(a.n_messages, 0);
}

Test(redis_sub, close_at_any_time)
{
    struct redis_conf conf = fixture_conf(fx.server.tcp_url);

    for (uint64_t ms = 0; ms < 10; ms++) {
        static struct listener a;
        redis_close(fx.redis);
        cr_assert_eq(fixture_dial(&fx, &conf), ERR_NONE);
        listen_on(&a, "chan:a");
        loop_run_for(&fx.loop, ms);
    }
    redis_close(fx.redis);
    fx.redis = NULL;
}
