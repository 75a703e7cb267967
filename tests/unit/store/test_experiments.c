/* The SQL of experiments, against a real PostgreSQL: who gets what, the statistics, the stop rule.
 */
#include "core/store/experiment.h"
#include "tests/unit/store/store_case.h"
#include <math.h>
#include <stdio.h>

/* What the tests say in one line. */
static const char helpers[] =
    "INSERT INTO flag_registry (name, type, help, min, max, reach, program) VALUES"
    " ('model', 'text', '', 1, 100, 'anybody', '1'), ('streaming', 'boolean', '', NULL, NULL, 'anybody', '1'),"
    " ('system_prompt', 'text', '', 1, 100, 'anybody', '1'), ('votes', 'boolean', '', NULL, NULL, 'place', '1'),"
    " ('rate_per_minute', 'number', '', 0, 100, 'anybody', '1') ON CONFLICT (name) DO NOTHING;"
    /* How an operation of the admin API ends. */
    "CREATE FUNCTION tried(a_what text, a_args jsonb) RETURNS text LANGUAGE plpgsql AS $$"
    " DECLARE field text; BEGIN"
    "  EXECUTE format('SELECT admin_experiments_%s($1, $2)', a_what) USING '{\"name\": \"anna\"}'::jsonb, a_args;"
    "  RETURN 'ok';"
    " EXCEPTION WHEN OTHERS THEN GET STACKED DIAGNOSTICS field = COLUMN_NAME;"
    "  RETURN SQLSTATE || ' ' || field || ': ' || SQLERRM; END $$;"
    /* The n-th conversation's answer number m. */
    "CREATE FUNCTION nth(a_kind integer, n bigint, m bigint) RETURNS uuid LANGUAGE sql AS $$"
    " SELECT (lpad(to_hex(1750000000000 + n), 12, '0') || '7' || lpad(to_hex(a_kind), 3, '0') || '8000'"
    "         || lpad(to_hex(m), 12, '0'))::uuid $$;"
    "CREATE FUNCTION answered(a_experiment text, a_variant text, n bigint, m bigint, a_failed boolean,"
    " a_latency bigint, a_cost numeric) RETURNS void LANGUAGE sql AS $$"
    " INSERT INTO users (id) VALUES (nth(1, n, 0)) ON CONFLICT DO NOTHING;"
    " INSERT INTO conversations (id, user_id, channel_type, channel, place_channel)"
    " VALUES (nth(2, n, 0), nth(1, n, 0), 'web', 'web', n::text) ON CONFLICT DO NOTHING;"
    " INSERT INTO requests (id, conversation_id, user_id, channel, event_id, message_id, query, status, reply_id, completed_at)"
    " VALUES (nth(3, n, m), nth(2, n, 0), nth(1, n, 0), 'web', n || '.' || m, nth(4, n, m), 'q', 'answered', nth(5, n, m), now());"
    " INSERT INTO experiment_exposures (request_id, experiment, variant, unit_id, failed, stopped, cost, latency_ms)"
    " VALUES (nth(3, n, m), a_experiment, a_variant, nth(2, n, 0), a_failed, false, a_cost, a_latency) $$;"
    "CREATE FUNCTION vote(n bigint, m bigint, a_vote integer) RETURNS void LANGUAGE sql AS $$"
    " INSERT INTO feedback (request_id, channel_type, channel_user_id, vote)"
    " VALUES (nth(3, n, m), 'web', a_vote::text, a_vote) $$;"
    /* One number of the results. */
    "CREATE FUNCTION told(a_arm integer, a_metric text, a_what text) RETURNS numeric LANGUAGE sql AS $$"
    " SELECT round((experiment_results('x') -> a_arm -> 'metrics' -> a_metric ->> a_what)::numeric, 4) $$;";

static void setup(void)
{
    case_open();
    SQL(helpers);
}

TestSuite(experiments, .init = setup, .fini = case_close, .timeout = 60);

#define TWO(weight_a, weight_b)                                                             \
    "[{\"name\": \"a\", \"weight\": " weight_a "}, {\"name\": \"b\", \"weight\": " weight_b \
    ", \"model\": \"other\"}]"
#define CREATE(name, more) \
    "SELECT tried('create', '{\"name\": \"" name "\", \"variants\": " TWO("1", "1") more "}')"
#define START(name) "SELECT tried('start', '{\"name\": \"" name "\"}')"

static void run_one(const char *create)
{
    cr_assert_str_eq(SQL(create), "ok");
    cr_assert_str_eq(SQL(START("x")), "ok");
}

/* ---- statistics, against what was published ---- */

struct vector {
    const char *sql, *wanted;
};

static void expect_all(const struct vector *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        cr_expect_str_eq(SQL(v[i].sql), v[i].wanted, "%s: %s", v[i].sql, SQL(v[i].sql));
}
#define EXPECT_ALL(v) expect_all(v, sizeof(v) / sizeof(*(v)))

Test(experiments, intervals_are_those_of_the_books)
{
#define SHARE(k, n)                                                                          \
    "SELECT round(low::numeric, 4), round(high::numeric, 4) FROM stat_wilson(" #k ".0 / " #n \
    ", " #n ")"
#define SHARES(k, n, l, m)                                                                   \
    "SELECT round(low::numeric, 4), round(high::numeric, 4) FROM stat_wilson_difference(" #k \
    ".0 / " #n ", " #n ", " #l ".0 / " #m ", " #m ")"
    static const struct vector v[] = {
        /* R. G. Newcombe, Statistics in Medicine 17 (1998) 857, table I, method 3 */
        { SHARE(81, 263), "0.2553|0.3662" },
        { SHARE(15, 148), "0.0624|0.1605" },
        { SHARE(0, 20), "0.0000|0.1611" },
        { SHARE(1, 29), "0.0061|0.1718" },
        /* the same, 873, table II, method 10 */
        { SHARES(56, 70, 48, 80), "0.0524|0.3339" },
        { SHARES(9, 10, 3, 10), "0.1705|0.8090" },
        { SHARES(6, 7, 2, 7), "0.0582|0.8062" },
        { SHARES(5, 56, 0, 29), "-0.0381|0.1926" },
        { SHARES(0, 10, 0, 20), "-0.1611|0.2775" },
        { SHARES(10, 10, 0, 20), "0.6791|1.0000" },
        /* Student's t, as every table has it */
        { "SELECT round(stat_t975(5)::numeric, 2), round(stat_t975(10)::numeric, 3), round(stat_t975(30)::numeric, 3)",
          "2.57|2.228|2.042" },
        /* Student's sleep data by Welch, as R's t.test(extra ~ group, data = sleep) prints it */
        { "SELECT round(low::numeric, 3), round(high::numeric, 3)"
          " FROM stat_welch(0.75, 3.200556 / 10, 10, 2.33, 4.009 / 10, 10)",
          "-3.365|0.205" },
    };
    EXPECT_ALL(v);
}

/* 300 experiments without any difference, looked at after every ten answers a side: the rule may
 * stop one in twenty of them; who looks at a plain 95 % interval each time stops far more. */
#define RUNS(rate_a, rate_b)                                                                                            \
    "WITH draw AS (SELECT r, i, ('x' || left(md5(r || '/' || i), 8))::bit(32)::bigint / 4294967296.0 < " rate_a         \
    " AS a, ('x' || right(md5(r || '/' || i), 8))::bit(32)::bigint / 4294967296.0 < " rate_b                            \
    " AS b FROM generate_series(1, 300) r, generate_series(1, 600) i),"                                                 \
    " sums AS (SELECT r, i, avg(a::int) OVER w AS a, avg(b::int) OVER w AS b FROM draw"                                 \
    "  WINDOW w AS (PARTITION BY r ORDER BY i)),"                                                                       \
    " looks AS (SELECT r, (b - a)::float8 AS d, greatest((a * (1 - a) + b * (1 - b)) / i, 1e-9)::float8 AS v FROM sums" \
    "  WHERE i % 10 = 0 AND i >= 30) "
Test(experiments, looking_often_stops_no_more_than_promised)
{
    cr_expect_str_eq(SQL(RUNS("0.2", "0.2") "SELECT count(DISTINCT r) <= 15 FROM looks"
                                            " WHERE stat_evidence(d, v, 0.1) > ln(1 / 0.05)"),
                     "t");
    cr_expect_str_eq(SQL(RUNS("0.2", "0.2") "SELECT count(DISTINCT r) > 60 FROM looks"
                                            " WHERE abs(d) > 1.96 * sqrt(v)"),
                     "t", "the test sees a rule that does not mind how often one looks");
    cr_expect_str_eq(SQL(RUNS("0.2", "0.4") "SELECT count(DISTINCT r) FROM looks"
                                            " WHERE stat_evidence(d, v, 0.1) > ln(1 / 0.05)"),
                     "300", "what is there is found");
}

/* ---- outcomes ---- */

Test(experiments, results_have_intervals_and_differences)
{
    run_one(CREATE("x", ""));
    SQL("SELECT answered('x', 'a', n, 0, false, 100 + x, 0.5)"
        " FROM unnest(ARRAY[7, -16, -2, -12, -1, 34, 37, 8, 0, 20]) WITH ORDINALITY AS t (x, n);"
        "SELECT answered('x', 'b', 100 + n, 0, false, 100 + x, NULL)"
        " FROM unnest(ARRAY[19, 8, 11, 1, -1, 44, 55, 16, 46, 34]) WITH ORDINALITY AS t (x, n);"
        "SELECT vote(n, 0, -1) FROM generate_series(1, 3) n; SELECT vote(n, 0, -1) FROM generate_series(101, 109) n");
    static const struct vector v[] = {
        { "SELECT told(0, 'latency_ms', 'value'), told(1, 'latency_ms', 'value')",
          "107.5000|123.3000" },
        { "SELECT round(told(1, 'latency_ms', 'difference_low'), 1), round(told(1, 'latency_ms', 'difference_high'), 1)",
          "-2.1|33.7" },
        { "SELECT told(1, 'votes_down', 'difference'), told(1, 'votes_down', 'difference_low'), told(1, 'votes_down', 'difference_high')",
          "0.6000|0.1705|0.8090" },
        { "SELECT told(0, 'cost', 'value'), told(0, 'cost', 'low'), told(1, 'cost', 'n')",
          "0.5000|0.5000|" },
        { "SELECT told(0, 'votes_down', 'difference')", "" },
        { "SELECT e ->> 'variant', e ->> 'control', e ->> 'answers', e ->> 'units' FROM jsonb_array_elements(experiment_results('x')) e",
          "a|true|10|10\nb|false|10|10" },
    };
    EXPECT_ALL(v);
}

/* Ten times the same answer in a conversation says as much as one. */
Test(experiments, answers_of_one_conversation_are_not_independent)
{
    run_one(CREATE("x", ""));
    SQL("SELECT answered('x', v, n + o, m, false, 100 + n * 3, 0.5)"
        " FROM generate_series(1, 12) n, (VALUES ('a', 0, 1), ('b', 100, 10)) AS t (v, o, k), generate_series(1, k) m;"
        "SELECT vote(n + o, m, -1)"
        " FROM generate_series(1, 4) n, (VALUES (0, 1), (100, 10)) AS t (o, k), generate_series(1, k) m");
    cr_expect_str_eq(SQL("SELECT told(0, 'latency_ms', 'low') = told(1, 'latency_ms', 'low'),"
                         " told(0, 'latency_ms', 'n'), told(1, 'latency_ms', 'n')"),
                     "t|12.0000|120.0000");
    cr_expect_str_eq(
        SQL("SELECT abs(told(0, 'votes_down', 'low') - told(1, 'votes_down', 'low')) < 0.02"), "t");
}

Test(experiments, what_followed_an_answer_counts)
{
    run_one(CREATE("x", ""));
    /* 1: nothing followed. 2: a message did. 3: asked again. 4: a vote. 5: it stands there for a
     * minute only. 6: stopped. 7: it failed, and they tried again. */
    SQL("SELECT answered('x', 'a', n, 0, n = 7, 100, 0.5) FROM generate_series(1, 7) n;"
        "UPDATE requests SET completed_at = now() - interval '2 hours' WHERE event_id <> '5.0';"
        "UPDATE experiment_exposures SET stopped = true WHERE request_id = nth(3, 6, 0);"
        "INSERT INTO messages (id, conversation_id, user_id, role, content)"
        " SELECT nth(6, n, 0), nth(2, n, 0), nth(1, n, 0), 'user', said"
        " FROM (VALUES (2, 'Well.'), (3, '/Regenerate@parley_bot'), (7, '/again')) AS t (n, said);"
        "SELECT vote(4, 0, 1)");
    static const struct vector v[] = {
        { "SELECT told(0, 'abandoned', 'n'), told(0, 'abandoned', 'value')", "5.0000|0.4000" },
        { "SELECT told(0, 're_asked', 'n'), told(0, 're_asked', 'value')", "6.0000|0.1667" },
        { "SELECT told(0, 'failures', 'n'), told(0, 'failures', 'value')", "7.0000|0.1429" },
        { "SELECT told(0, 'votes_up', 'n'), told(0, 'votes_up', 'value')", "7.0000|0.1429" },
    };
    EXPECT_ALL(v);
}

/* ---- the stop rule ---- */

/* Looks like a process does: what it ended. */
static const char *guard(void)
{
    static char text[512];
    size_t n = 0;
    text[0] = 0;
    store_experiments_guard(&fx.store, &op, &rows);
    wait_for(&op);
    for (int i = 0; i < rows.n; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%.*s/%.*s: %.*s\n",
                              STR_ARG(pg_rows_str(&rows, i, 0)), STR_ARG(pg_rows_str(&rows, i, 1)),
                              STR_ARG(pg_rows_str(&rows, i, 2)));
    return text;
}

#define FORGET_LOOKS SQL("UPDATE experiments SET looked_at = NULL")

Test(experiments, a_variant_that_fails_is_ended_and_recorded)
{
    run_one(CREATE("x", ", \"stop_rule\": {\"min_units\": 10}"));
    SQL("SELECT answered('x', v, n + o, 0, v = 'b', 100, 0.5)"
        " FROM generate_series(1, 9) n, (VALUES ('a', 0), ('b', 100)) AS t (v, o)");
    cr_expect_str_eq(guard(), "", "too few");
    SQL("SELECT answered('x', v, n + o, 0, v = 'b', 100, 0.5)"
        " FROM generate_series(10, 12) n, (VALUES ('a', 0), ('b', 100)) AS t (v, o)");
    FORGET_LOOKS;
    cr_expect_str_eq(
        guard(),
        "x/b: failures: 1.0000 of b against 0.0000 of the control, after 12 and 12 units\n");
    cr_expect_str_eq(
        SQL("SELECT status, winner, ended_at IS NOT NULL, outcome -> 1 ->> 'units', version FROM experiments"),
        "stopped|a|t|12|3");
    cr_expect_str_eq(
        SQL("SELECT actor, event_type, resource_id, old_values ->> 'status', new_values ->> 'status'"
            " FROM audit_logs ORDER BY seq"),
        "anna|experiment.created|x||draft\nanna|experiment.started|x|draft|running\n"
        "parley|experiment.stopped|x|running|stopped");
    cr_expect_str_eq(guard(), "", "it is over");
}

Test(experiments, each_guard_ends_what_is_clearly_worse_and_nothing_else)
{
    static const struct {
        const char *what, *rule, *how, *wanted;
    } cases[] = {
        { "down-votes", "{}", "SELECT vote(n + 1000, 0, -1) FROM generate_series(1, 40) n",
          "votes_down" },
        { "down-votes of both", "{}",
          "SELECT vote(n, 0, -1), vote(n + 1000, 0, -1) FROM generate_series(1, 40) n", "" },
        { "down-votes of the control", "{}", "SELECT vote(n, 0, -1) FROM generate_series(1, 40) n",
          "" },
        { "a higher cost", "{}",
          "UPDATE experiment_exposures SET cost = 0.5 + (latency_ms % 7) / 20.0 + CASE variant WHEN 'b' THEN 1.5 ELSE 0 END",
          "cost" },
        { "a higher cost within the margin", "{\"guards\": {\"cost\": 5}}",
          "UPDATE experiment_exposures SET cost = 0.5 + (latency_ms % 7) / 20.0 + CASE variant WHEN 'b' THEN 1.5 ELSE 0 END",
          "" },
        { "a guard that nobody wanted", "{\"guards\": {}}",
          "UPDATE experiment_exposures SET failed = variant = 'b'", "" },
        { "chance", "{}", "UPDATE experiment_exposures SET failed = latency_ms % 7 < 2", "" },
        { "a few failures in one conversation", "{}",
          "SELECT answered('x', 'b', 1001, m, true, 100, 0.5) FROM generate_series(1, 200) m", "" },
        { "unknown costs", "{}", "UPDATE experiment_exposures SET cost = NULL", "" },
        { "no costs", "{}", "UPDATE experiment_exposures SET cost = 0", "" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char create[512];
        SQL("SET client_min_messages = warning; TRUNCATE experiments, requests CASCADE");
        snprintf(create, sizeof(create), CREATE("x", ", \"stop_rule\": %s"), cases[i].rule);
        run_one(create);
        SQL("SELECT answered('x', v, n + o, 0, false, 100 + n, 0.5)"
            " FROM generate_series(1, 100) n, (VALUES ('a', 0), ('b', 1000)) AS t (v, o)");
        SQL(cases[i].how);
        char wanted[64];
        snprintf(wanted, sizeof(wanted), "x/b: %s: ", cases[i].wanted);
        const char *ended = guard();
        cr_expect(*cases[i].wanted ? strncmp(ended, wanted, strlen(wanted)) == 0 : !*ended,
                  "%s: %s", cases[i].what, ended);
    }
}

Test(experiments, one_process_looks_at_a_time_and_not_without_end)
{
    run_one(CREATE("x", ""));
    cr_expect_str_eq(guard(), "");
    SQL("UPDATE experiments SET look_ms = 60000, looked_at = '2020-01-01'");
    guard();
    cr_assert_str_eq(SQL("SELECT look_ms < 60000 FROM experiments"), "t", "its time had come");
    SQL("UPDATE experiments SET look_ms = 60000, looked_at = now() - interval '10 minutes'");
    guard();
    cr_expect_str_eq(SQL("SELECT look_ms FROM experiments"), "60000",
                     "after a minute's look not before 20");
}

/* ---- who gets what ---- */

static struct claimed claim(const char *event, const char *place)
{
    static const struct uuid nil;
    struct request_ids ids;
    struct claimed c;
    const struct request_new rq = message(event, place);
    store_accept(&fx.store, &op, &rq, &rows);
    wait_for(&op);
    cr_assert(store_accepted(&rows, &ids));
    store_claim(&fx.store, &op, ids.conversation, nil, STR("a"), 60000, &rows);
    wait_for(&op);
    cr_assert(store_claimed(&rows, &c));
    return c;
}

static void keep(const struct claimed *c, const char *exposures)
{
    const struct reply_row row = {
        .request = c->request,
        .reply = uuid_v7(),
        .conversation = c->conversation,
        .attempt = c->attempt,
        .query = STR("What is it?"),
        .answers = STR("{}"),
        .content = STR("It."),
        .outcome = STR("answered"),
        .model = STR("m"),
        .latency_ms = 123,
        .parts = STR("[]"),
        .costs = STR("[{\"id\": \"0192f000-0000-7000-8000-000000000001\", \"provider\": \"p\","
                     " \"model\": \"m\", \"prompt\": 1, \"completion\": 1, \"cached\": 0,"
                     " \"written\": 0, \"reasoning\": 0, \"estimated\": false, \"cost\": 0.25}]"),
        .exposures = str_of(exposures)
    };
    struct pg_rows kept = { .n = 0 };
    store_keep(&fx.store, &op, &row, &kept);
    wait_for(&op);
    cr_assert_eq(kept.n, 1);
    pg_rows_done(&kept);
}

#define USED(experiment, variant, person, fresh)                                             \
    "{\"experiment\": \"" experiment "\", \"variant\": \"" variant "\", \"person\": " person \
    ", \"fresh\": " fresh ", \"failed\": false, \"stopped\": false, \"first_token_ms\": 7}"

Test(experiments, the_reply_brings_what_was_used_and_who_has_it_from_now_on)
{
    run_one(CREATE("x", ""));
    cr_assert_str_eq(
        SQL("SELECT tried('create', '{\"name\": \"y\", \"unit\": \"person\", \"variants\": [{\"name\": \"old\", "
            "\"weight\": 1}, {\"name\": \"new\", \"weight\": 1, \"flags\": {\"streaming\": false}}]}')"),
        "ok");
    cr_assert_str_eq(SQL(START("y")), "ok");
    struct claimed c = claim("e1", "7");
    cr_expect(str_eq(c.variants, STR("")));
    keep(&c, "[" USED("x", "b", "false", "true") ", " USED("y", "new", "true", "true") "]");
    cr_expect_str_eq(
        SQL("SELECT experiment, variant, cost, latency_ms, first_token_ms FROM experiment_exposures ORDER BY 1"),
        "x|b|0.25000000|123|7\ny|new|0.25000000|123|7");
    SQL("SELECT tried('change', '{\"name\": \"x\", \"variants\": " TWO("9999", "1") "}')");
    c = claim("e2", "7");
    cr_expect(str_eq(c.variants, STR("{ \"x\" : \"b\", \"y\" : \"new\" }")), "%.*s",
              STR_ARG(c.variants));
    keep(&c, "[" USED("x", "b", "false", "false") "]");
    c = claim("e3", "8");
    cr_expect(str_eq(c.variants, STR("{ \"y\" : \"new\" }")), "another conversation of the person");
    keep(&c, "[]");
    cr_expect_str_eq(SQL("SELECT count(*) FROM experiment_exposures"), "3");
    cr_expect_str_eq(SQL("SELECT tried('stop', '{\"name\": \"x\", \"winner\": \"b\"}')"), "ok");
    c = claim("e4", "7");
    cr_expect(str_eq(c.variants, STR("{ \"y\" : \"new\" }")), "what is over is not looked up");

    SQL("UPDATE requests SET status = 'answered'; SELECT forget_person(user_id) FROM identities");
    cr_expect_str_eq(
        SQL("SELECT (SELECT count(*) FROM experiment_assignments), (SELECT count(*) FROM experiment_exposures)"),
        "0|0");
}

Test(experiments, processes_hear_of_what_runs)
{
    run_one(CREATE("x", ""));
    SQL(CREATE("draft", ""));
    store_experiments(&fx.store, &op, &rows);
    wait_for(&op);
    cr_assert_eq(rows.n, 1);
    cr_expect(pg_rows_bool(&rows, 0, 1));
    cr_expect(
        str_eq(
            pg_rows_str(&rows, 0, 3),
            STR("[{\"name\": \"a\", \"flags\": {}, \"weight\": 1}, {\"name\": \"b\", \"flags\": {\"model\": \"other\"},"
                " \"weight\": 1}]")),
        "%.*s", STR_ARG(pg_rows_str(&rows, 0, 3)));
    SQL("SELECT tried('stop', '{\"name\": \"x\"}')");
    store_experiments(&fx.store, &op, &rows);
    wait_for(&op);
    cr_assert_eq(rows.n, 1);
    cr_expect_not(pg_rows_bool(&rows, 0, 1));
}

/* ---- what admins may do ---- */

Test(experiments, bad_input_is_refused_by_name)
{
#define VARIANTS(v)                                                                               \
    "SELECT tried('create', '{\"name\": \"n\", \"variants\": [{\"name\": \"a\", \"weight\": 1}" v \
    "]}')"
#define SECOND(v) VARIANTS(", {\"name\": \"b\", " v "}")
#define RULE(r)   CREATE("n", ", \"stop_rule\": " r)
    static const struct vector v[] = {
        { VARIANTS(""), "PA422 variants: an experiment has 2 to 10 variants" },
        { "SELECT tried('create', '{\"name\": \"n\", \"variants\": {}}')",
          "PA422 variants: an experiment has 2 to 10 variants" },
        { VARIANTS(", 7"), "PA422 variants: each variant is an object" },
        { VARIANTS(", {\"weight\": 1, \"model\": \"m\"}"),
          "PA422 variants: each variant has a name of up to 60 letters, digits, and _ . - inside" },
        { SECOND("\"weight\": 0, \"model\": \"m\""),
          "PA422 variants: variant b: weight is a whole number from 1 to 10000" },
        { SECOND("\"weight\": -1, \"model\": \"m\""),
          "PA422 variants: variant b: weight is a whole number from 1 to 10000" },
        { SECOND("\"weight\": 1.5, \"model\": \"m\""),
          "PA422 variants: variant b: weight is a whole number from 1 to 10000" },
        { SECOND("\"weight\": \"1\", \"model\": \"m\""),
          "PA422 variants: variant b: weight is a whole number from 1 to 10000" },
        { SECOND("\"model\": \"m\""),
          "PA422 variants: variant b: weight is a whole number from 1 to 10000" },
        { SECOND("\"weight\": 1"),
          "PA422 variants: variant b: it changes neither model nor prompt nor a flag" },
        { SECOND("\"weight\": 1, \"model\": 7"), "PA422 variants: variant b: model is a text" },
        { SECOND("\"weight\": 1, \"flags\": {\"nonsense\": 1}"),
          "PA422 variants: variant b: there is no flag named nonsense" },
        { SECOND("\"weight\": 1, \"flags\": {\"streaming\": 1}"),
          "PA422 variants: variant b: streaming is a boolean" },
        { SECOND("\"weight\": 1, \"flags\": {\"streaming\": null}"),
          "PA422 variants: variant b: streaming is a boolean" },
        { SECOND("\"weight\": 1, \"flags\": {\"rate_per_minute\": 101}"),
          "PA422 variants: variant b: rate_per_minute is a whole number from 0 to 100" },
        { SECOND("\"weight\": 1, \"flags\": {\"votes\": false}"),
          "PA422 variants: variant b: votes is not decided for each person, and cannot be tried on some" },
        { SECOND("\"weight\": 1, \"flags\": []"),
          "PA422 variants: variant b: flags is an object: name and value" },
        { SECOND("\"weight\": 1, \"modle\": \"m\""),
          "PA422 variants: variant b: there is no \"modle\"" },
        { SECOND("\"weight\": 1, \"model\": \"m\", \"flags\": {\"model\": \"n\"}"),
          "PA422 variants: variant b: it says twice what its model or its prompt is" },
        { VARIANTS(", {\"name\": \"a\", \"weight\": 1, \"model\": \"m\"}"),
          "PA422 variants: two variants have the same name" },
        { "SELECT tried('create', '{\"name\": \"n\", \"variants\": [{\"name\": \"a\", \"weight\": 1, \"model\": \"m\"},"
          " {\"name\": \"b\", \"weight\": 1, \"model\": \"o\"}]}')",
          "PA422 variants: variant a: the first one is the control, and changes nothing" },
        { "SELECT tried('create', '{\"name\": \"a b\", \"variants\": " TWO("1", "1") "}')",
          "PA422 name: a name has up to 60 of a-z 0-9, and _ . - inside" },
        { RULE("{\"alpha\": 0.5}"), "PA422 stop_rule: alpha is a number from 0.000001 to 0.2" },
        { RULE("{\"min_units\": 1}"), "PA422 stop_rule: min_units is a number from 5 to 1000000" },
        { RULE("{\"min_units\": 5.5}"), "PA422 stop_rule: min_units is a whole number" },
        { RULE("{\"guards\": {\"latency\": 1}}"),
          "PA422 stop_rule: guards are failures, votes_down and cost, not \"latency\"" },
        { RULE("{\"guards\": {\"cost\": -1}}"), "PA422 stop_rule: cost is a number from 0 to 10" },
        { RULE("{\"guards\": {\"cost\": \"1\"}}"),
          "PA422 stop_rule: cost is a number from 0 to 10" },
        { RULE("{\"guards\": 7}"), "PA422 stop_rule: guards is an object: metric and margin" },
        { RULE("{\"never\": true}"), "PA422 stop_rule: there is no \"never\" in a stop rule" },
        { "SELECT count(*) FROM experiments", "0" },
        { START("nobody"), "PA404 name: there is no such experiment" },
    };
    EXPECT_ALL(v);
}

Test(experiments, an_experiment_begins_once_and_ends_once)
{
    static const struct vector v[] = {
        { CREATE("x", ""), "ok" },
        { CREATE("x", ""), "PA409 name: there is an experiment of this name" },
        { "SELECT tried('stop', '{\"name\": \"x\"}')", "PA409 name: it is draft, not running" },
        { "SELECT tried('change', '{\"name\": \"x\", \"unit\": \"person\"}')", "ok" },
        { START("x"), "ok" },
        { START("x"), "PA409 name: it is running, and starts once" },
        { "SELECT tried('change', '{\"name\": \"x\", \"unit\": \"conversation\"}')",
          "PA409 name: it is running: only weights and description may change" },
        { "SELECT tried('change', '{\"name\": \"x\", \"variants\": [{\"name\": \"a\", \"weight\": 1}, {\"name\": \"b\","
          " \"weight\": 1, \"model\": \"third\"}]}')",
          "PA409 name: it is running: only weights and description may change" },
        { "SELECT tried('change', '{\"name\": \"x\", \"stop_rule\": {\"alpha\": 0.2}}')",
          "PA409 name: it is running: only weights and description may change" },
        { "SELECT tried('change', '{\"name\": \"x\", \"description\": \"d\", \"variants\": " TWO(
              "1", "9") "}')",
          "ok" },
        { CREATE("y", ""), "ok" },
        { START("y"), "PA409 name: x is running and sets model, too" },
        { "SELECT tried('stop', '{\"name\": \"x\", \"winner\": \"c\"}')",
          "PA422 winner: there is no such variant" },
        { "SELECT tried('stop', '{\"name\": \"x\", \"winner\": \"b\"}')", "ok" },
        { "SELECT tried('change', '{\"name\": \"x\", \"description\": \"e\"}')",
          "PA409 name: it is over: make another one" },
        { START("x"), "PA409 name: it is stopped, and starts once" },
        { START("y"), "ok" },
        { "SELECT event_type FROM audit_logs WHERE resource_id = 'x' ORDER BY seq",
          "experiment.created\nexperiment.changed\nexperiment.started\nexperiment.changed\nexperiment.stopped" },
    };
    EXPECT_ALL(v);
}

Test(experiments, two_admins_do_not_undo_each_other)
{
    static const struct vector v[] = {
        { CREATE("x", ""), "ok" },
        { "SELECT tried('change', '{\"name\": \"x\", \"if_match\": \"1\", \"description\": \"anna\"}')",
          "ok" },
        { "SELECT tried('change', '{\"name\": \"x\", \"if_match\": \"1\", \"description\": \"bert\"}')",
          "PA412 if_match: it is at version 2 now: look at it again" },
        { "SELECT tried('start', '{\"name\": \"x\", \"if_match\": \"1\"}')",
          "PA412 if_match: it is at version 2 now: look at it again" },
        { "SELECT description FROM experiments", "anna" },
    };
    EXPECT_ALL(v);
}
