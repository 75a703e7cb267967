/* Who gets which variant: the choice itself, and a process that hears of experiments from a real
 * PostgreSQL and a real Redis. */
#include "core/base/log.h"
#include "core/flag/experiments.h"
#include "core/flag/flags.h"
#include "tests/support/redis_fixture.h"
#include "tests/support/store_fixture.h"
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>

#define UNITS     10000
#define POLLED_MS 20000 /* at most; it is asked every five seconds */

/* ---- the choice ---- */

static struct arena arena;

static void pure_setup(void)
{
    sign_setup();
    arena_init(&arena);
}

static void pure_teardown(void)
{
    arena_done(&arena);
}

TestSuite(experiment, .init = pure_setup, .fini = pure_teardown);

static struct experiment experiment(const char *salt, const char *variants)
{
    struct experiment e;
    struct err why = ERR_INIT;
    cr_assert_eq(experiment_read(&arena, STR("x"), str_of(salt), false, str_of(variants), &e, &why),
                 ERR_NONE, "%s: %s", variants, why.msg);
    return e;
}

static struct uuid unit(unsigned i)
{
    struct uuid u = { .b = { 0x01, 0x96, 0, 0, 0, 0, 0x70, 0, 0x80 } };
    u.b[14] = (uint8_t)(i >> 8);
    u.b[15] = (uint8_t)i;
    return u;
}

#define VARIANT(name, weight) "{\"name\": \"" name "\", \"weight\": " weight ", \"flags\": {}}"

Test(experiment, shares_are_those_of_the_weights)
{
    static const struct {
        const char *variants;
        double shares[3];
    } cases[] = {
        { "[" VARIANT("a", "1") ", " VARIANT("b", "1") "]", { 0.5, 0.5 } },
        { "[" VARIANT("a", "9") ", " VARIANT("b", "1") "]", { 0.9, 0.1 } },
        { "[" VARIANT("a", "7000") ", " VARIANT("b", "3000") "]", { 0.7, 0.3 } },
        { "[" VARIANT("a", "1") ", " VARIANT("b", "1") ", " VARIANT("c", "2") "]",
          { 0.25, 0.25, 0.5 } },
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        struct experiment e = experiment("c0ffee", cases[c].variants);
        unsigned n[3] = { 0 };
        for (unsigned i = 0; i < UNITS; i++) {
            struct uuid u = unit(i);
            n[experiment_choose(&e, &u)]++;
        }
        for (size_t v = 0; v < e.n; v++)
            cr_expect_lt(fabs((double)n[v] / UNITS - cases[c].shares[v]), 0.03, "%zu of %s: %u", v,
                         cases[c].variants, n[v]);
    }
}

Test(experiment, two_experiments_divide_people_differently)
{
    const char *variants = "[" VARIANT("a", "1") ", " VARIANT("b", "1") "]";
    struct experiment e = experiment("c0ffee", variants), f = experiment("beef", variants);
    unsigned both = 0;
    for (unsigned i = 0; i < UNITS; i++) {
        struct uuid u = unit(i);
        both += experiment_choose(&e, &u) && experiment_choose(&f, &u);
    }
    cr_expect_lt(fabs((double)both / UNITS - 0.25), 0.03, "%u", both);
}

/* Others compute the same from ab_test:{name}; a change would move everybody. */
Test(experiment, the_choice_is_the_documented_one)
{
    struct experiment e = experiment(
        "c0ffee", "[" VARIANT("a", "1000") ", " VARIANT("b", "2000") ", " VARIANT("c", "7000") "]");
    /* python3: int.from_bytes(sha256(b"c0ffee:" + str(u).encode()).digest()[:8], "big") % 10000 */
    static const unsigned points[] = { 4743, 4667, 1268, 2184, 3,    1310,
                                       3944, 9077, 3517, 569,  2398, 3802 };
    for (unsigned i = 0; i < sizeof points / sizeof *points; i++) {
        struct uuid u = unit(i);
        size_t wanted = points[i] < 1000 ? 0 : points[i] < 3000 ? 1 : 2;
        cr_expect_eq(experiment_choose(&e, &u), wanted, "unit %u", i);
    }
}

Test(experiment, what_another_program_wrote_is_left_to_it)
{
    static const char *const bad[] = {
        "[]",
        "{}",
        "null",
        "[" VARIANT("a", "1") "]",
        "[" VARIANT("a", "0") ", " VARIANT("b", "1") "]",
        "[" VARIANT("a", "-1") ", " VARIANT("b", "1") "]",
        "[" VARIANT("a", "1e9") ", " VARIANT("b", "1") "]",
        "[" VARIANT("", "1") ", " VARIANT("b", "1") "]",
        "[" VARIANT("a", "1") ", 7]",
        "[" VARIANT("a", "1") ", {\"name\": \"b\", \"weight\": 1, \"flags\": {\"later\": 1}}]",
        "[" VARIANT("a", "1") ", {\"name\": \"b\", \"weight\": 1, \"flags\": {\"streaming\": 1}}]",
        "[",
    };
    struct experiment e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err why = ERR_INIT;
        cr_expect_eq(experiment_read(&arena, STR("x"), STR("s"), false, str_of(bad[i]), &e, &why),
                     ERR_PROTO, "%s", bad[i]);
    }
}

/* ---- a process ---- */

static struct store_fixture fx;
static struct redis_fixture r;
static struct flags *flags;
static struct experiments *x;

#define SQL(text) pg_server_sql(&fx.server, text)

static void start(void (*begin)(struct op *op))
{
    struct waiter w;
    waiter_init(&w, &r.loop);
    begin(&w.op);
    cr_assert_eq(waiter_run(&w, 30000), ERR_NONE, "%s", w.op.err.msg);
}

static void start_flags(struct op *op)
{
    flags_start(flags, op);
}

static void start_experiments(struct op *op)
{
    experiments_start(x, op);
}

static void setup(void)
{
    log_setup(LOG_ERROR, LOG_TEXT);
    pure_setup();
    fixture_open(&r);
    store_fixture_open(&fx, &r.loop);
    flags = flags_open(&r.loop, &fx.store, r.redis);
    start(start_flags);
    SQL("CREATE FUNCTION experiment(f text, args jsonb) RETURNS void LANGUAGE plpgsql AS $$ BEGIN"
        " EXECUTE format('SELECT admin_experiments_%s($1, $2)', f) USING '{}'::jsonb, args; END $$;"
        "SELECT experiment('create', '{\"name\": \"x\", \"variants\": [{\"name\": \"a\", \"weight\": 1},"
        " {\"name\": \"b\", \"weight\": 1, \"model\": \"other\", \"flags\": {\"streaming\": false}}]}');"
        "SELECT experiment('start', '{\"name\": \"x\"}')");
    x = experiments_open(&r.loop, &fx.store, r.redis);
    start(start_experiments);
}

static void teardown(void)
{
    experiments_close(x);
    flags_close(flags);
    store_fixture_close(&fx);
    fixture_close(&r);
    pure_teardown();
}

TestSuite(process, .init = setup, .fini = teardown, .timeout = 60);

static struct experiment_uses pick(unsigned i, const char *kept, bool own_model)
{
    const struct experiment_who who = { .conversation = unit(i),
                                        .person = unit(UNITS + i),
                                        .kept = str_of(kept),
                                        .own_model = own_model };
    struct experiment_uses uses;
    experiment_pick(experiments_set(x), flags, &who, &arena, &uses);
    return uses;
}

/* Run the loop until so many experiments apply. */
static bool becomes(size_t n)
{
    uint64_t give_up = uv_hrtime() / 1000000 + POLLED_MS;
    while (pick(0, "", false).n != n && uv_hrtime() / 1000000 < give_up) loop_run_for(&r.loop, 2);
    return pick(0, "", false).n == n;
}

/* The first conversation that gets this variant. */
static unsigned one_with(const char *variant)
{
    unsigned i = 0;
    while (strcmp(pick(i, "", false).v[0].variant, variant) != 0) i++;
    return i;
}

Test(process, a_variant_is_a_layer_over_the_flags)
{
    unsigned a = one_with("a"), b = one_with("b");
    struct experiment_uses uses = pick(a, "", false);
    struct flag_who who = { .person = unit(1), .layer = &uses.layer };
    flag_who_ready(&who);
    cr_expect(uses.v[0].fresh && !uses.v[0].person);
    cr_expect(flag_bool(flags, FLAG_STREAMING, &who));
    cr_expect_eq(flag_text(flags, FLAG_MODEL, &who), NULL);
    uses = pick(b, "", false);
    cr_expect_not(flag_bool(flags, FLAG_STREAMING, &who));
    cr_expect_str_eq(flag_text(flags, FLAG_MODEL, &who), "other");
}

Test(process, who_has_a_variant_keeps_it)
{
    unsigned a = one_with("a");
    struct experiment_uses uses = pick(a, "{\"x\": \"b\"}", false);
    cr_expect_str_eq(uses.v[0].variant, "b");
    cr_expect_not(uses.v[0].fresh);
    SQL("SELECT experiment('change', '{\"name\": \"x\", \"variants\": [{\"name\": \"a\", \"weight\": 1},"
        " {\"name\": \"b\", \"weight\": 10000, \"model\": \"other\", \"flags\": {\"streaming\": false}}]}')");
    redis_publish(r.redis, EXPERIMENTS_CHANNEL, STR("x"));
    uint64_t give_up = uv_hrtime() / 1000000 + POLLED_MS;
    while (strcmp(pick(a, "", false).v[0].variant, "a") == 0 && uv_hrtime() / 1000000 < give_up)
        loop_run_for(&r.loop, 2);
    cr_expect_str_eq(pick(a, "", false).v[0].variant, "b", "who comes now");
    cr_expect_str_eq(pick(a, "{\"x\": \"a\"}", false).v[0].variant, "a", "who was here before");
    cr_expect_str_eq(pick(a, "{\"x\": \"gone\"}", false).v[0].variant, "b");
}

Test(process, who_chose_a_model_is_not_in_a_test_of_models)
{
    cr_expect_eq(pick(1, "", true).n, 0);
    SQL("SELECT experiment('create', '{\"name\": \"y\", \"unit\": \"person\", \"variants\": [{\"name\": \"a\", \"weight\": 1},"
        " {\"name\": \"b\", \"weight\": 1, \"prompt\": \"Be brief.\"}]}'); SELECT experiment('start', '{\"name\": \"y\"}')");
    redis_publish(r.redis, EXPERIMENTS_CHANNEL, STR("y"));
    cr_assert(becomes(2));
    struct experiment_uses uses = pick(1, "", true);
    cr_assert_eq(uses.n, 1);
    cr_expect_str_eq(uses.v[0].experiment, "y");
    cr_expect(uses.v[0].person);
}

Test(process, a_killed_flag_is_not_tried_on_anybody)
{
    SQL("SELECT admin_flags_kill('{}', '{\"name\": \"streaming\"}')");
    redis_publish(r.redis, FLAGS_CHANNEL, STR("x"));
    cr_expect(becomes(0));
}

Test(process, a_lost_message_is_made_up_for)
{
    SQL("SELECT experiment('stop', '{\"name\": \"x\"}')");
    cr_expect(becomes(0), "without a word from Redis");
}

static const char *hash_of(const char *field)
{
    static char text[512];
    struct redis_reply reply = { .n = 0 };
    struct waiter w;
    const struct str args[] = { STR("HGET"), STR("ab_test:x"), str_of(field) };
    waiter_init(&w, &r.loop);
    redis_cmd(r.redis, &w.op, args, 3, &reply);
    cr_assert_eq(waiter_run(&w, 5000), ERR_NONE);
    snprintf(text, sizeof text, "%.*s", STR_ARG(reply.s));
    redis_reply_done(&reply);
    return text;
}

Test(process, other_programs_read_what_runs)
{
    cr_expect_str_eq(hash_of("status"), "running");
    cr_expect_str_eq(hash_of("unit"), "conversation");
    cr_expect_str_eq(hash_of("salt"), SQL("SELECT salt FROM experiments"));
    cr_expect_str_eq(hash_of("variants"),
                     SQL("SELECT experiment_variants(variants) FROM experiments"));
    SQL("SELECT experiment('stop', '{\"name\": \"x\"}')");
    redis_publish(r.redis, EXPERIMENTS_CHANNEL, STR("x"));
    cr_assert(becomes(0));
    cr_expect_str_eq(hash_of("status"), "stopped");
}

Test(process, one_that_is_clearly_worse_ends_by_itself)
{
    SQL("INSERT INTO users (id) VALUES ('01960000-0000-7000-8000-000000000001');"
        "INSERT INTO conversations (id, user_id, channel_type, channel, place_channel)"
        " SELECT gen_random_uuid(), id, 'web', 'web', n::text FROM users, generate_series(1, 80) n;"
        "INSERT INTO requests (id, conversation_id, user_id, channel, event_id, message_id, query, status)"
        " SELECT gen_random_uuid(), id, user_id, 'web', place_channel, gen_random_uuid(), 'q', 'answered' FROM conversations;"
        "INSERT INTO experiment_exposures (request_id, experiment, variant, unit_id, failed, stopped)"
        " SELECT id, 'x', CASE WHEN event_id::int % 2 = 0 THEN 'a' ELSE 'b' END, conversation_id, event_id::int % 2 = 1, false"
        " FROM requests");
    cr_expect(becomes(0));
    cr_expect_str_eq(
        SQL("SELECT status, winner, reason FROM experiments"),
        "stopped|a|failures: 1.0000 of b against 0.0000 of the control, after 40 and 40 units");
}
