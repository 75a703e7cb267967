/*
 * Context windows: never partial, never with a gap, bounded, healed.
 */
#include "core/cache/context.h"
#include "tests/support/redis_fixture.h"
#include <criterion/criterion.h>

static struct redis_fixture fx;
static struct arena arena;
static struct uuid conversation;
static char key[64];

static void setup(void)
{
    char id[UUID_TEXT_MAX];

    fixture_open(&fx);
    arena_init(&arena);
    conversation = uuid_v7();
    uuid_text(&conversation, id);
    snprintf(key, sizeof(key), "context:conv:%s", id);
}

static void teardown(void)
{
    arena_done(&arena);
    fixture_close(&fx);
}

TestSuite(context, .init = setup, .fini = teardown, .timeout = 30);

static enum err_kind get(size_t n_max, struct context_read *ret)
{
    struct waiter w;

    waiter_init(&w, &fx.loop);
    cache_context_get(fx.redis, &w.op, &conversation, n_max, &arena, ret);
    return waiter_run(&w, 30000);
}

/* An exchange, numbered n and n + 1. */
static void push(int64_t n, bool create, size_t keep_max)
{
    const struct context_entry entries[] = {
        { n, CONTEXT_USER, arena_printf(&arena, "question %d \"\n\x01 \xc3\xa4", (int)n) },
        { n + 1, CONTEXT_ASSISTANT, arena_printf(&arena, "answer %d", (int)n) },
    };

    cache_context_push(fx.redis, &conversation, entries, 2, create, keep_max);
}

static const char *cli(const char *verb, const char *rest)
{
    char command[256];

    snprintf(command, sizeof(command), "%s %s %s", verb, key, rest);
    return redis_server_cli(&fx.server, command);
}

Test(context, grows_by_pushes)
{
    struct context_read c;

    cr_expect_eq(get(20, &c), ERR_NOT_FOUND);
    push(1, true, 20);
    push(3, false, 20);
    cr_assert_eq(get(20, &c), ERR_NONE);
    cr_assert_eq(c.n, 4);
    cr_expect_eq(c.newest, 4);
    cr_expect_eq(c.entries[0].ordinal, 1);
    cr_expect_eq(c.entries[0].role, CONTEXT_USER);
    cr_expect(str_eq(c.entries[0].text, STR("question 1 \"\n\x01 \xc3\xa4")));
    cr_expect_eq(c.entries[3].role, CONTEXT_ASSISTANT);
    cr_expect(str_eq(c.entries[3].text, STR("answer 3")));
    cr_assert_eq(get(2, &c), ERR_NONE);
    cr_expect_eq(c.n, 2);
    cr_expect_eq(c.entries[0].ordinal, 3);
    cr_expect_gt(atoi(cli("ttl", "")), 7100);
}

Test(context, an_absent_list_is_not_begun_in_the_middle)
{
    struct context_read c;

    push(3, false, 20);
    cr_expect_eq(get(20, &c), ERR_NOT_FOUND);
    cr_expect_str_eq(cli("exists", ""), "0");
}

Test(context, a_gap_deletes_the_list)
{
    struct context_read c;

    push(1, true, 20);
    push(5, false, 20);
    cr_expect_eq(get(20, &c), ERR_NOT_FOUND);
    cr_expect_str_eq(cli("exists", ""), "0");
}

Test(context, a_repeated_push_changes_nothing)
{
    struct context_read c;

    push(1, true, 20);
    push(3, false, 20);
    push(3, false, 20);
    push(1, true, 20);
    cr_assert_eq(get(20, &c), ERR_NONE);
    cr_expect_eq(c.n, 4);
}

Test(context, keeps_the_newest)
{
    struct context_read c;

    for (int64_t n = 1; n < 40; n += 2) push(n, n == 1, 6);
    cr_assert_eq(get(20, &c), ERR_NONE);
    cr_expect_eq(c.n, 6);
    cr_expect_eq(c.newest, 40);
}

static struct context_read filled(size_t n, int64_t newest)
{
    struct context_read c = { .n = n, .newest = newest };

    c.entries = arena_new_array(&arena, struct context_entry, n);
    for (size_t i = 0; i < n; i++)
        c.entries[i] =
            (struct context_entry){ newest - (int64_t)(n - 1 - i), CONTEXT_USER, STR("filled") };
    return c;
}

Test(context, fill_replaces_an_older_list_only)
{
    struct context_read from = filled(6, 10), c;

    cache_context_fill(fx.redis, &conversation, &from);
    cr_assert_eq(get(20, &c), ERR_NONE);
    cr_expect(c.n == 6 && c.newest == 10);
    push(11, false, 20);
    from = filled(4, 10);
    cache_context_fill(fx.redis, &conversation, &from);
    cr_assert_eq(get(20, &c), ERR_NONE);
    cr_expect(c.n == 8 && c.newest == 12);
    from = filled(4, 12);
    cache_context_fill(fx.redis, &conversation, &from);
    cr_assert_eq(get(20, &c), ERR_NONE);
    cr_expect(c.n == 4 && c.newest == 12);
    from = filled(0, 0);
    cache_context_fill(fx.redis, &conversation, &from);
    from = filled(CACHE_CONTEXT_MAX + 50, 400);
    cache_context_fill(fx.redis, &conversation, &from);
    cr_assert_eq(get(1000, &c), ERR_NONE);
    cr_expect(c.n == CACHE_CONTEXT_MAX && c.newest == 400);
    cache_context_drop(fx.redis, &conversation);
    cr_expect_eq(get(20, &c), ERR_NOT_FOUND);
}

Test(context, what_is_too_large_is_not_kept)
{
    static char big[CACHE_CONTEXT_BYTES_MAX + 1];
    const struct context_entry entry = { 3, CONTEXT_USER, str_from(big, sizeof(big)) };
    struct context_read c;

    memset(big, 'x', sizeof(big));
    push(1, true, 20);
    cache_context_push(fx.redis, &conversation, &entry, 1, false, 20);
    cr_expect_eq(get(20, &c), ERR_NOT_FOUND);
    c = (struct context_read){ .entries = (struct context_entry *)&entry, .n = 1, .newest = 3 };
    cache_context_fill(fx.redis, &conversation, &c);
    cr_expect_eq(get(20, &c), ERR_NOT_FOUND);
}

Test(context, wrong_type_and_junk_are_healed)
{
    static const char *const bad[][2] = {
        { "set", "x" },
        { "hset", "a b" },
        { "rpush", "junk" },
        { "rpush", "'{\"n\":2,\"r\":\"a\"}'" },
        { "rpush", "'{\"n\":2,\"r\":\"z\",\"t\":\"x\"}'" },
        { "rpush", "'{\"n\":\"2\",\"r\":\"u\",\"t\":\"x\"}'" },
        { "rpush", "'{\"n\":9,\"r\":\"u\",\"t\":\"x\"}' '{\"n\":7,\"r\":\"u\",\"t\":\"x\"}'" },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct context_read c, from = filled(2, 2);
        cli(bad[i][0], bad[i][1]);
        cr_expect_eq(get(20, &c), ERR_NOT_FOUND, "%s", bad[i][1]);
        cr_expect_eq(c.n, 0);
        cache_context_fill(fx.redis, &conversation, &from);
        cr_expect_eq(get(20, &c), ERR_NONE, "%s", bad[i][1]);
        cache_context_drop(fx.redis, &conversation);
        loop_run_for(&fx.loop, 5);
    }
}

Test(context, push_on_a_wrong_type_heals_it)
{
    struct context_read c;

    cli("set", "x");
    push(1, true, 20);
    for (int i = 0; i < 400 && strcmp(cli("exists", ""), "0"); i++) loop_run_for(&fx.loop, 5);
    cr_expect_str_eq(cli("exists", ""), "0");
    push(1, true, 20);
    cr_expect_eq(get(20, &c), ERR_NONE);
}

Test(context, redis_gone_wedged_and_back)
{
    struct context_read c;

    push(1, true, 20);
    cr_expect_eq(get(20, &c), ERR_NONE);
    redis_server_freeze(&fx.server);
    cr_expect_eq(get(20, &c), ERR_TIMEOUT);
    push(3, false, 20);
    cr_expect_eq(get(20, &c), ERR_IO);
    redis_server_kill(&fx.server);
    loop_run_for(&fx.loop, 20);
    cr_expect_eq(get(20, &c), ERR_IO);
    redis_server_start(&fx.server);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    cr_expect_eq(get(20, &c), ERR_NOT_FOUND);
}

Test(context, cancelled_at_any_turn)
{
    push(1, true, 20);
    for (int turns = 0; turns < 6; turns++) {
        struct context_read c;
        struct waiter w;
        waiter_init(&w, &fx.loop);
        cache_context_get(fx.redis, &w.op, &conversation, 20, &arena, &c);
        for (int i = 0; i < turns && op_busy(&w.op); i++) uv_run(&fx.loop.uv, UV_RUN_ONCE);
        op_cancel(&w.op);
        loop_run_for(&fx.loop, 5);
    }
}
