/*
 * Definitions of tools in a real PostgreSQL and a real Redis: what one process has seen another one
 * compares with, also after both have ended.
 */
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/store/tool_pin.h"
#include "core/tool/pins.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/store_fixture.h"
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#define POLLED_MS 20000 /* at most; it is asked every five seconds */

static struct store_fixture fx;
static struct redis_fixture r;
static struct pins *one, *two; /* of two processes */
static struct catalog catalog;

static struct pins *process(void)
{
    struct pins *p = pins_open(&r.loop, &fx.store, r.redis);
    struct waiter w;
    waiter_init(&w, &r.loop);
    pins_start(p, &w.op);
    cr_assert_eq(waiter_run(&w, 30000), ERR_NONE, "%s", w.op.err.msg);
    return p;
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_ERROR, LOG_TEXT);
    fixture_open(&r);
    store_fixture_open(&fx, &r.loop);
    one = process();
    two = process();
}

static void teardown(void)
{
    pins_close(one);
    pins_close(two);
    catalog_done(&catalog);
    store_fixture_close(&fx);
    fixture_close(&r);
}

TestSuite(pins, .init = setup, .fini = teardown, .timeout = 60);

#define SQL(text) pg_server_sql(&fx.server, text)

/* The server "srv" has the tools "a", described so, and "b". */
static enum err_kind see(struct pins *p, const char *description)
{
    static const struct catalog_limits limits = { 1, 8, 100, 1000 };
    struct json *doc = NULL;
    struct str cursor;
    struct waiter w;
    char text[512];
    snprintf(text, sizeof(text),
             "{\"tools\":[{\"name\":\"a\",\"description\":\"%s\",\"inputSchema\":{}},"
             "{\"name\":\"b\",\"inputSchema\":{}}]}",
             description);
    catalog_done(&catalog);
    catalog_init(&catalog, "srv", &limits);
    cr_assert_eq(json_parse(str_of(text), &doc, NULL), ERR_NONE);
    cr_assert_eq(catalog_page(&catalog, doc, &cursor, NULL), ERR_NONE);
    json_free(doc);
    waiter_init(&w, &r.loop);
    pins_see(p, &w.op, "srv", &catalog);
    return waiter_run(&w, 30000);
}

static enum pin pin_of_a(const struct pins *p)
{
    return pins_ask(p, "srv", &catalog.tools[0]);
}

static bool becomes(const struct pins *p, enum pin pin)
{
    uint64_t give_up = uv_hrtime() / 1000000 + POLLED_MS;
    while (pin_of_a(p) != pin && uv_hrtime() / 1000000 < give_up) loop_run_for(&r.loop, 2);
    return pin_of_a(p) == pin;
}

static void admin_accepts(const char *args)
{
    char sql[256];
    snprintf(sql, sizeof(sql), "SELECT admin_tools_accept('{\"name\": \"ann\"}', '%s')", args);
    SQL(sql);
    redis_publish(r.redis, PINS_CHANNEL, STR("x"));
}

Test(pins, what_was_seen_first_is_in_force_everywhere)
{
    cr_expect_eq(see(one, "d"), ERR_NONE);
    cr_expect_eq(pin_of_a(one), PIN_SAME);
    cr_expect_eq(see(two, "d"), ERR_NONE);
    cr_expect_eq(pin_of_a(two), PIN_SAME);
    cr_expect_eq(see(two, "another"), ERR_NONE);
    cr_expect_eq(pin_of_a(two), PIN_CHANGED);
    cr_expect_eq(pins_ask(two, "srv", &catalog.tools[1]), PIN_SAME);
    cr_expect_eq(pins_ask(two, "other", &catalog.tools[1]), PIN_NEW);
    pins_close(one);
    pins_close(two);
    one = process();
    two = process();
    cr_expect_eq(pin_of_a(one), PIN_CHANGED, "after a restart, before anything is listed");
    cr_expect_eq(see(one, "another"), ERR_NONE);
    cr_expect_eq(pin_of_a(one), PIN_CHANGED);
    cr_expect_str_eq(SQL("SELECT tool, definition ->> 'description', offered ->> 'description',"
                         " version FROM tool_pins WHERE tool = 'a'"),
                     "a|d|another|2");
}

Test(pins, accepted_by_an_admin)
{
    see(one, "d");
    see(two, "d");
    see(one, "another");
    cr_expect_eq(pin_of_a(one), PIN_CHANGED);
    admin_accepts("{\"server\": \"srv\", \"tool\": \"a\", \"if_match\": \"2\"}");
    cr_expect(becomes(one, PIN_SAME));
    cr_expect(becomes(two, PIN_SAME));
    cr_expect_str_eq(SQL("SELECT event_type, resource_id, actor, new_values ->> 'description'"
                         " FROM audit_logs"),
                     "tool.accepted|srv/a|ann|another");
    see(two, "d");
    cr_expect_eq(pin_of_a(two), PIN_CHANGED, "the old one is no longer in force");
}

/* As it is in the database now. */
static void catches_up(const struct pins *p)
{
    uint64_t give_up = uv_hrtime() / 1000000 + POLLED_MS;
    int64_t revision = strtoll(SQL("SELECT revision FROM tool_pins_state"), NULL, 10);
    while (pins_revision(p) != revision && uv_hrtime() / 1000000 < give_up)
        loop_run_for(&r.loop, 2);
    cr_assert_eq(pins_revision(p), revision);
}

/* By who knows that something else was offered; with an older copy, at the next listing. */
Test(pins, what_is_as_before_is_no_longer_offered)
{
    see(one, "d");
    see(one, "another");
    catches_up(two);
    see(two, "d");
    cr_expect_eq(pin_of_a(two), PIN_SAME);
    cr_expect_str_eq(SQL("SELECT count(offered_hash), max(version) FROM tool_pins"), "0|3");
}

Test(pins, what_is_known_is_not_asked_for)
{
    see(one, "d");
    see(one, "another");
    SQL("UPDATE tool_pins_state SET revision = 7");
    see(one, "another");
    loop_run_for(&r.loop, 50);
    cr_expect_str_eq(SQL("SELECT revision FROM tool_pins_state"), "7");
}

Test(pins, without_postgres_only_what_is_known_is_in_force)
{
    see(one, "d");
    pg_server_shut(&fx.server, SIGQUIT);
    cr_expect_eq(see(one, "d"), ERR_NONE, "there is nothing to ask");
    cr_expect_eq(pin_of_a(one), PIN_SAME);
    cr_expect_neq(see(two, "d"), ERR_NONE);
    cr_expect_eq(pin_of_a(two), PIN_NEW);
    pg_server_start(&fx.server);
    enum err_kind kind = ERR_IO;
    for (int i = 0; i < 10 && kind != ERR_NONE; i++) kind = see(two, "d");
    cr_expect_eq(kind, ERR_NONE);
    cr_expect_eq(pin_of_a(two), PIN_SAME);
}

Test(pins, a_server_that_invents_names_for_ever)
{
    SQL("INSERT INTO tool_pins (server, tool, definition_hash, definition)"
        " SELECT 'srv', 'old' || n, 'x', '{}' FROM generate_series(1, 1023) n");
    cr_expect_eq(see(one, "d"), ERR_NONE);
    cr_expect_eq(pin_of_a(one), PIN_SAME);
    cr_expect_eq(pins_ask(one, "srv", &catalog.tools[1]), PIN_NEW);
}

Test(pins, only_looking)
{
    see(one, "d");
    struct pins *looks = pins_open(&r.loop, NULL, NULL);
    struct pg_rows rows = { .n = 0 };
    struct waiter w;
    waiter_init(&w, &r.loop);
    store_tool_pins(&fx.store, &w.op, 0, &rows);
    cr_assert_eq(waiter_run(&w, 30000), ERR_NONE);
    pins_take(looks, &rows);
    pg_rows_done(&rows);
    cr_expect_eq(see(looks, "another"), ERR_NONE);
    cr_expect_eq(pin_of_a(looks), PIN_CHANGED);
    pins_close(looks);
    cr_expect_str_eq(SQL("SELECT count(*), count(offered_hash) FROM tool_pins"), "2|0");
}

Test(pins, cancelled_while_it_asks)
{
    struct waiter w;
    see(one, "d");
    waiter_init(&w, &r.loop);
    pins_see(two, &w.op, "srv", &catalog);
    op_cancel(&w.op);
    loop_run_for(&r.loop, 50);
    cr_expect_eq(w.n_done, 0u);
}
