/* Budgets, cost records and the price list, against a real PostgreSQL. */
#include "core/store/budget.h"
#include "core/store/people.h"
#include "core/store/person.h"
#include "core/store/price.h"
#include "tests/unit/store/store_case.h"
#include <stdio.h>

#define CENT    INT64_C(10000000) /* nano */
#define AT_ONCE 20

TestSuite(money, .init = case_open, .fini = case_close, .timeout = 60);

/* A dollar a day for me, three for all. */
static const struct budget_rows mine = { { "{\"person:me\",all}", 17 },
                                         { "{day,day}", 9 },
                                         { "{1000000000,3000000000}", 23 } };
static const struct budget_rows yours = { { "{all,\"person:you\"}", 18 },
                                          { "{day,day}", 9 },
                                          { "{3000000000,1000000000}", 23 } };

/* Whether there was money for it. */
static bool reserve(struct uuid id, const struct budget_rows *b, int64_t amount, int64_t lease_ms)
{
    store_budget_reserve(&fx.store, &op, id, b, amount, lease_ms, &rows);
    wait_for(&op);
    return rows.n == 0;
}

/* How many budgets passed a share of their limit. */
static int settle(struct uuid id, const struct budget_rows *b, int64_t cost)
{
    store_budget_settle(&fx.store, &op, id, b, cost, &rows);
    wait_for(&op);
    return rows.n;
}

static void expect_budget(const char *scope, const char *spent_and_reserved)
{
    char sql[256];
    snprintf(sql, sizeof(sql),
             "SELECT spent::float8, reserved::float8 FROM budgets WHERE scope = '%s'", scope);
    cr_expect_str_eq(SQL(sql), spent_and_reserved, "%s: %s", scope, SQL(sql));
}

Test(money, what_does_not_fit_takes_nothing_and_says_where)
{
    cr_assert(reserve(uuid_v7(), &mine, 60 * CENT, 60000));
    cr_assert_not(reserve(uuid_v7(), &mine, 41 * CENT, 60000));
    cr_expect(str_eq(pg_rows_str(&rows, 0, 0), STR("person:me")));
    cr_expect(str_eq(pg_rows_str(&rows, 0, 1), STR("day")));
    cr_expect_eq(pg_rows_i64(&rows, 0, 2), 0, "nothing is spent yet");
    cr_expect_eq(pg_rows_i64(&rows, 0, 3), 100 * CENT);
    cr_expect(pg_rows_i64(&rows, 0, 4) > 0 && pg_rows_i64(&rows, 0, 4) <= 86400000);
    expect_budget("all", "0|0.6");
    expect_budget("person:me", "0|0.6");
    cr_expect(reserve(uuid_v7(), &mine, 40 * CENT, 60000), "to the last cent");
    cr_expect(reserve(uuid_v7(), &yours, 100 * CENT, 60000), "others have their own");
}

Test(money, repeating_a_statement_counts_once)
{
    struct uuid id = uuid_v7();
    for (int i = 0; i < 2; i++) cr_assert(reserve(id, &mine, 60 * CENT, 60000));
    expect_budget("person:me", "0|0.6");
    for (int i = 0; i < 2; i++) cr_assert_eq(settle(id, &mine, 10 * CENT), 0);
    expect_budget("person:me", "0.1|0");
    expect_budget("all", "0.1|0");
}

Test(money, a_question_that_is_asked_anew_adds_to_what_it_has)
{
    struct uuid id = uuid_v7();
    cr_assert(reserve(id, &mine, 60 * CENT, 60000));
    cr_assert(reserve(id, &mine, 90 * CENT, 60000));
    expect_budget("person:me", "0|0.9");
    cr_assert_not(reserve(id, &mine, 101 * CENT, 60000));
    expect_budget("person:me", "0|0.9");
    expect_budget("all", "0|0.9");
    settle(id, &mine, 60 * CENT);
    cr_assert(reserve(id, &mine, 95 * CENT, 60000), "it is through: nothing more is set aside");
    expect_budget("all", "0.6|0");
}

Test(money, a_fraction_of_what_is_kept_is_rounded_up)
{
    struct uuid id = uuid_v7();
    cr_assert(reserve(id, &mine, 1, 60000));
    cr_expect_str_eq(SQL("SELECT reserved FROM budgets WHERE scope = 'all'"), "0.00000001");
    settle(id, &mine, 11);
    cr_expect_str_eq(SQL("SELECT spent, reserved FROM budgets WHERE scope = 'all'"),
                     "0.00000002|0.00000000");
}

Test(money, alerts_come_once_a_level)
{
    static const struct {
        int cents, n, level;
    } steps[] = { { 79, 0, 0 }, { 1, 1, 80 }, { 19, 0, 0 }, { 1, 1, 100 } };
    for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
        struct uuid id = uuid_v7();
        cr_assert(reserve(id, &mine, steps[i].cents * CENT, 60000));
        cr_assert_eq(settle(id, &mine, steps[i].cents * CENT), steps[i].n, "step %zu", i);
        if (steps[i].n) cr_expect_eq(pg_rows_i64(&rows, 0, 4), steps[i].level);
    }
    cr_expect_not(reserve(uuid_v7(), &mine, 1, 60000));
}

Test(money, who_died_gives_back_and_who_only_slept_pays_all_the_same)
{
    struct uuid died = uuid_v7(), slept = uuid_v7();
    cr_assert(reserve(died, &mine, 50 * CENT, -1000));
    cr_assert(reserve(slept, &mine, 50 * CENT, -1000));
    for (int i = 0; i < 2; i++) {
        store_forget_next(&fx.store, &op, &rows);
        wait_for(&op);
        expect_budget("person:me", "0|0");
    }
    struct uuid meanwhile = uuid_v7();
    cr_assert(reserve(meanwhile, &mine, 30 * CENT, 60000));
    settle(slept, &mine, 20 * CENT);
    expect_budget("person:me", "0.2|0.3");
    settle(slept, &mine, 20 * CENT);
    expect_budget("person:me", "0.2|0.3");
}

Test(money, many_at_once_never_set_aside_more_than_there_is)
{
    static struct op ops[AT_ONCE];
    static struct pg_rows answers[AT_ONCE];
    int n = 0;
    for (int i = 0; i < AT_ONCE; i++) {
        op_init(&ops[i], &loop, store_fixture_done);
        store_budget_reserve(&fx.store, &ops[i], uuid_v7(), i % 2 ? &mine : &yours, 30 * CENT,
                             60000, &answers[i]);
    }
    for (int i = 0; i < AT_ONCE; i++) wait_for(&ops[i]);
    for (int i = 0; i < AT_ONCE; i++) {
        n += answers[i].n == 0;
        pg_rows_done(&answers[i]);
    }
    cr_expect_eq(n, 6, "three each, had %d", n);
    expect_budget("all", "0|1.8");
}

/* Two channels, two people: whoever releases many must not hold one budget and wait for another
 * that is taken in the other order. */
Test(money, releasing_many_holds_up_nobody_for_ever)
{
    static struct op ops[AT_ONCE];
    static struct pg_rows answers[AT_ONCE];
    static struct op releasing;
    static struct pg_rows released;
    static const struct budget_rows crossed[] = {
        { { "{\"channel:x\",\"person:z\"}", 24 },
          { "{day,day}", 9 },
          { "{900000000000,900000000000}", 27 } },
        { { "{\"channel:y\",\"person:a\"}", 24 },
          { "{day,day}", 9 },
          { "{900000000000,900000000000}", 27 } },
        { { "{\"channel:y\",\"person:z\"}", 24 },
          { "{day,day}", 9 },
          { "{900000000000,900000000000}", 27 } },
        { { "{\"channel:x\",\"person:a\"}", 24 },
          { "{day,day}", 9 },
          { "{900000000000,900000000000}", 27 } },
    };
    op_init(&releasing, &loop, store_fixture_done);
    for (int i = 0; i < AT_ONCE; i++) op_init(&ops[i], &loop, store_fixture_done);
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < AT_ONCE; i++)
            store_budget_reserve(&fx.store, &ops[i], uuid_v7(), &crossed[i % 4], CENT, -1000,
                                 &answers[i]);
        for (int i = 0; i < AT_ONCE; i++) wait_for(&ops[i]);
        store_forget_next(&fx.store, &releasing, &released);
        for (int i = 0; i < AT_ONCE; i++)
            store_budget_reserve(&fx.store, &ops[i], uuid_v7(), &crossed[i % 4], CENT, 60000,
                                 &answers[i]);
        for (int i = 0; i < AT_ONCE; i++) wait_for(&ops[i]);
        wait_for(&releasing);
    }
    for (int i = 0; i < AT_ONCE; i++) pg_rows_done(&answers[i]);
    pg_rows_done(&released);
    cr_expect_str_eq(SQL("SELECT count(*) FROM budget_reservations WHERE released_at IS NOT NULL"),
                     "400");
    cr_expect_str_eq(SQL("SELECT sum(reserved)::float8 FROM budgets"), "8",
                     "400 cents, in two budgets each");
}

/* ---- records ---- */

static struct request_ids take_in(const char *event, const char *from, const char *metadata)
{
    struct request_ids ids = { .fresh = false };
    const struct request_new rq = { .request = uuid_v7(),
                                    .message = uuid_v7(),
                                    .user = uuid_v7(),
                                    .conversation = uuid_v7(),
                                    .channel_type = STR("telegram"),
                                    .channel = STR("bot"),
                                    .event = str_of(event),
                                    .place = STR("7"),
                                    .from = str_of(from),
                                    .platform_message = str_of(event),
                                    .query = STR("What is it?"),
                                    .metadata = str_of(metadata) };
    store_accept(&fx.store, &op, &rq, &rows);
    wait_for(&op);
    cr_assert(store_accepted(&rows, &ids));
    return ids;
}

#define LINE(id, cost)                                           \
    "{\"id\":\"0192f000-0000-7000-8000-00000000000" id           \
    "\",\"provider\":\"openai\",\"model\":\"m\","                \
    "\"prompt\":10,\"completion\":2,\"cached\":1,\"written\":3," \
    "\"reasoning\":0,\"estimated\":false" cost "}"

static void answer(const struct request_ids *ids, const char *costs)
{
    static const struct uuid nil;
    struct claimed c;
    store_claim(&fx.store, &op, ids->conversation, nil, STR("a"), 60000, &rows);
    wait_for(&op);
    cr_assert(store_claimed(&rows, &c));
    const struct reply_row row = { .request = c.request,
                                   .reply = uuid_v7(),
                                   .conversation = c.conversation,
                                   .attempt = c.attempt,
                                   .query = STR("What is it?"),
                                   .answers = STR("{}"),
                                   .content = STR("It."),
                                   .outcome = STR("answered"),
                                   .model = STR("m"),
                                   .parts = STR("[]"),
                                   .costs = str_of(costs) };
    for (int i = 0; i < 2; i++) { /* its outcome got lost */
        store_keep(&fx.store, &op, &row, &rows);
        wait_for(&op);
        cr_assert_eq(rows.n, 1 - i);
    }
}

Test(money, a_reply_leaves_its_costs_once)
{
    struct request_ids ids = take_in("e1", "p1", "{}");
    answer(&ids, "[" LINE("1", ",\"cost\":0.000000015,\"version\":\"v1\"") "," LINE("2", "") "]");
    cr_expect_str_eq(
        SQL("SELECT cost, pricing_version, channel, cached_tokens, written_tokens, failed"
            " FROM cost_records ORDER BY id"),
        "0.00000002|v1|bot|1|3|\n||bot|1|3|");
    cr_expect_str_eq(SQL("SELECT total_cost FROM requests"), "0.00000002", "of what is known");
}

Test(money, a_reply_without_any_price_costs_unknown)
{
    struct request_ids ids = take_in("e1", "p1", "{}");
    answer(&ids, "[" LINE("1", "") "]");
    cr_expect_str_eq(SQL("SELECT count(*) FROM cost_records WHERE cost IS NULL"), "1");
    cr_expect_str_eq(SQL("SELECT count(*) FROM requests WHERE total_cost IS NULL"), "1");
}

/* Who answered has no price, so that nothing is known although who failed before took nothing. */
Test(money, what_failed_is_kept_and_counts_for_nothing)
{
    struct request_ids ids = take_in("e1", "p1", "{}");
    answer(&ids, "[" LINE("1", ",\"cost\":0,\"failed\":\"io\"") "," LINE("2", "") "]");
    cr_expect_str_eq(SQL("SELECT cost, failed FROM cost_records ORDER BY id"), "0.00000000|io\n|");
    cr_expect_str_eq(SQL("SELECT count(*) FROM requests WHERE total_cost IS NULL"), "1");
}

/* In a group, where the conversation outlives the person. */
Test(money, of_a_forgotten_person_only_the_sum_stays)
{
    struct request_ids anna = take_in("e1", "p1", "{\"direct\": false}");
    answer(&anna, "[" LINE("1", ",\"cost\":0.5") "]");
    struct request_ids bert = take_in("e2", "p2", "{\"direct\": false}");
    answer(&bert, "[" LINE("2", ",\"cost\":0.25") "]");
    cr_assert_str_eq(SQL("SELECT count(*) FROM cost_records WHERE user_id IS NOT NULL"), "2");

    SQL("SELECT forget_person(user_id) FROM identities WHERE channel_user_id = 'p1'");
    cr_expect_str_eq(
        SQL("SELECT cost::float8, num_nulls(request_id, conversation_id, user_id) FROM cost_records"
            " ORDER BY id"),
        "0.5|3\n0.25|0");
}

Test(money, what_was_set_aside_for_a_forgotten_person_is_the_others_again)
{
    take_in("e1", "p1", "{}");
    struct budget_rows b = mine;
    char scopes[80];
    snprintf(scopes, sizeof(scopes), "{\"person:%s\",all}", SQL("SELECT user_id FROM identities"));
    b.scopes = str_of(scopes);
    cr_assert(reserve(uuid_v7(), &b, 60 * CENT, 60000));
    SQL("SELECT forget_person(user_id) FROM identities");
    expect_budget("all", "0|0");
    cr_expect_str_eq(
        SQL("SELECT (SELECT count(*) FROM budgets), (SELECT count(*) FROM budget_reservations)"),
        "1|0");
}

static void asked(struct uuid id, struct uuid request)
{
    store_budget_asked(&fx.store, &op, id, request, STR("openai"), STR("m"));
    wait_for(&op);
}

static void release(void)
{
    store_forget_next(&fx.store, &op, &rows);
    wait_for(&op);
}

#define ASSUMED \
    "SELECT cost::float8, provider, model, channel, estimated, pricing_version FROM cost_records"

Test(money, who_died_after_asking_has_spent_what_was_set_aside)
{
    struct request_ids ids = take_in("e1", "p1", "{}");
    struct uuid died = uuid_v7(), unasked = uuid_v7();
    cr_assert(reserve(died, &mine, 50 * CENT, -1000));
    cr_assert(reserve(unasked, &mine, 20 * CENT, -1000));
    asked(died, ids.request);
    asked(died, ids.request);
    for (int i = 0; i < 2; i++) {
        release();
        expect_budget("person:me", "0.5|0");
        expect_budget("all", "0.5|0");
        cr_expect_str_eq(SQL(ASSUMED), "0.5|openai|m|bot|t|assumed");
    }
    cr_expect_str_eq(
        SQL("SELECT count(*) FROM cost_records k JOIN requests q ON q.id = k.request_id "
            "AND q.user_id = k.user_id AND q.conversation_id = k.conversation_id"),
        "1");
}

Test(money, what_does_not_fit_into_a_nearly_spent_budget_uses_it_up)
{
    struct uuid id = uuid_v7();
    cr_assert_not(reserve(uuid_v7(), &mine, 150 * CENT, 60000));
    cr_expect_str_eq(SQL("SELECT sum(alerted) FROM budgets"), "0",
                     "a dear question alone uses nothing up");
    cr_assert(reserve(id, &mine, 90 * CENT, 60000));
    settle(id, &mine, 85 * CENT);
    cr_expect_str_eq(SQL("SELECT alerted FROM budgets WHERE scope = 'person:me'"), "80");
    cr_assert_not(reserve(uuid_v7(), &mine, 20 * CENT, 60000));
    cr_expect_str_eq(SQL("SELECT alerted FROM budgets WHERE scope = 'person:me'"), "100");
    cr_assert_not(reserve(uuid_v7(), &mine, 20 * CENT, 60000));
    cr_assert(reserve(uuid_v7(), &mine, 10 * CENT, 60000), "what fits is asked all the same");
}

Test(money, what_was_spent_before_the_last_month_is_dropped)
{
    SQL("INSERT INTO budgets (scope, period, starts, spent)"
        " SELECT 'person:' || n, p, (period_start('month') - n * interval '1 month')::date, n + 1"
        " FROM generate_series(0, 14) n, unnest(ARRAY['day', 'month']) p");
    release();
    cr_expect_str_eq(
        SQL("SELECT string_agg(period || ' ' || spent::int, ', ' ORDER BY spent, period) FROM budgets"),
        "day 1, month 1, day 2, month 2");
}

Test(money, who_was_only_slow_says_what_it_was)
{
    struct uuid slow = uuid_v7(), again = uuid_v7();
    struct request_ids ids = take_in("e1", "p1", "{}");
    cr_assert(reserve(slow, &mine, 50 * CENT, -1000));
    cr_assert(reserve(again, &mine, 30 * CENT, -1000));
    asked(slow, ids.request);
    asked(again, ids.request);
    release();
    expect_budget("person:me", "0.8|0");
    settle(slow, &mine, 10 * CENT);
    expect_budget("person:me", "0.4|0");
    settle(slow, &mine, 10 * CENT);
    expect_budget("person:me", "0.4|0");
    cr_assert(reserve(again, &mine, 35 * CENT, 60000), "another question of the same answer");
    expect_budget("person:me", "0.1|0.35");
    cr_expect_str_eq(SQL("SELECT count(*) FROM cost_records"), "0");
    settle(again, &mine, 20 * CENT);
    expect_budget("all", "0.3|0");
}

Test(money, what_was_assumed_outlives_its_request)
{
    struct uuid died = uuid_v7();
    cr_assert(reserve(died, &mine, 50 * CENT, -1000));
    asked(died, uuid_v7());
    release();
    expect_budget("all", "0.5|0");
    cr_expect_str_eq(SQL(ASSUMED), "0.5|openai|m||t|assumed");
}

Test(money, an_export_has_what_answers_cost)
{
    struct request_ids ids = take_in("e1", "p1", "{}");
    answer(&ids, "[" LINE("1", ",\"cost\":0.5,\"version\":\"v1\"") "]");
    cr_expect_str_eq(
        SQL("SELECT d -> 'costs' -> 0 ->> 'model', d -> 'costs' -> 0 ->> 'cost' FROM (SELECT export_person("
            "user_id, 'ffffffff-ffff-ffff-ffff-ffffffffffff', 10)::jsonb AS d FROM identities) t"),
        "m|0.50000000");
}

static struct uuid user_of(const char *face)
{
    char sql[96];
    struct uuid user;
    snprintf(sql, sizeof(sql), "SELECT user_id FROM identities WHERE channel_user_id = '%s'", face);
    cr_assert(uuid_parse(str_of(SQL(sql)), &user));
    return user;
}

/* One dollar a day, of which so many cents are spent. */
static bool has_left(struct uuid user, int cents)
{
    char scopes[80], id[UUID_TEXT_MAX];
    uuid_text(&user, id);
    snprintf(scopes, sizeof(scopes), "{\"person:%s\"}", id);
    const struct budget_rows b = { str_of(scopes), STR("{day}"), STR("{1000000000}") };
    struct uuid reservation = uuid_v7();
    if (!reserve(reservation, &b, cents * CENT, 60000)) return false;
    settle(reservation, &b, cents * CENT);
    return true;
}

Test(money, linking_and_unlinking_makes_no_money)
{
    take_in("e1", "p1", "{}");
    take_in("e2", "p2", "{}");
    struct uuid one = user_of("p1"), two = user_of("p2"), fresh = uuid_v7();
    cr_assert(has_left(one, 90));
    cr_assert(has_left(two, 10));
    store_link_offer(&fx.store, &op, two, STR("code"), 60000);
    wait_for(&op);
    store_link_take(&fx.store, &op, one, STR("code"), 5, 60000, &rows);
    wait_for(&op);
    cr_assert(str_eq(pg_rows_str(&rows, 0, 0), STR("linked")));
    cr_expect_not(has_left(two, 11), "what the other one spent counts");
    cr_expect(has_left(two, 10));
    const struct claimed c = { .user = two, .channel_type = STR("telegram"), .from = STR("p1") };
    store_unlink(&fx.store, &op, &c, fresh, &rows);
    wait_for(&op);
    cr_assert(pg_rows_bool(&rows, 0, 0));
    cr_expect_not(has_left(fresh, 1), "nobody gets a new budget that way");
}

/* ---- the list ---- */

Test(money, a_list_takes_the_place_of_the_old_one)
{
    store_prices_replace(
        &fx.store, &op,
        STR("{\"a\": {\"litellm_provider\": \"openai\", \"input_cost_per_token\": 2.5e-06},"
            " \"b%\": {\"input_cost_per_token\": 1e-06}}"),
        STR("v1"), &rows);
    wait_for(&op);
    cr_expect_eq(pg_rows_i64(&rows, 0, 0), 0);
    cr_expect_eq(pg_rows_i64(&rows, 0, 1), 2);
    store_prices_like(&fx.store, &op, STR("%"), 10, &rows);
    wait_for(&op);
    cr_expect_eq(rows.n, 1, "a pattern is no SQL");
    store_prices_replace(&fx.store, &op, STR("{\"a\": {\"input_cost_per_token\": 3e-06}}"),
                         STR("v2"), &rows);
    wait_for(&op);
    cr_expect_eq(pg_rows_i64(&rows, 0, 0), 2);
    store_prices(&fx.store, &op, STR("{a,\"b%\"}"), &rows);
    wait_for(&op);
    cr_assert_eq(rows.n, 1);
    cr_expect(str_eq(pg_rows_str(&rows, 0, 2), STR("v2")));
    cr_expect_neq(str_find(pg_rows_str(&rows, 0, 1), STR("0.000003")), SIZE_MAX);
}
