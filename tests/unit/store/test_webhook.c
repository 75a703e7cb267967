/* Events and what is to be sent about them, against a real PostgreSQL. */
#include "core/store/delivery.h"
#include "core/store/webhook.h"
#include "tests/unit/store/store_case.h"
#include <stdio.h>

#define LEASE_MS 60000

TestSuite(webhook, .init = case_open, .fini = case_close, .timeout = 60);

#define expect(sql, ...) expect_sql(sql, __VA_ARGS__, __LINE__)

static void expect_sql(const char *sql, const char *wanted, int line)
{
    const char *got = SQL(sql);
    cr_expect_str_eq(got, wanted, "line %d: %s", line, got);
}

/* members: of the arguments, behind name, url and secret. */
static void subscribe(const char *name, const char *members)
{
    char sql[1024];
    snprintf(sql, sizeof sql,
             "SELECT admin_webhooks_create('{\"name\": \"anna\"}', jsonb_build_object('name', '%s',"
             " 'sealed', 'sealed', 'url', 'https://example.org/') || '{%s}')",
             name, members);
    SQL(sql);
}

static struct claimed take_in(const char *event, const char *query)
{
    struct request_new rq = message(event, "here");
    rq.query = str_of(query);
    rq.owner = STR("me");
    rq.lease_ms = 30000;
    struct claimed c = { .attempt = 0 };
    store_accept(&fx.store, &op, &rq, &rows);
    wait_for(&op);
    cr_assert(store_claimed(&rows, &c));
    return c;
}

/* Answered in one part, which ends as `status`. */
static void answer(const struct claimed *c, bool notice, const char *status)
{
    struct uuid part = uuid_v7();
    char id[UUID_TEXT_MAX], parts[128], answers[64], message[UUID_TEXT_MAX];
    uuid_text(&part, id);
    uuid_text(&c->message, message);
    snprintf(parts, sizeof parts, "[{\"id\": \"%s\", \"part\": 0, \"text\": \"So it is.\"}]", id);
    snprintf(answers, sizeof answers, "{%s}", message);
    const struct reply_row row = { .request = c->request,
                                   .reply = uuid_v7(),
                                   .conversation = c->conversation,
                                   .attempt = c->attempt,
                                   .query = c->query,
                                   .answers = str_of(answers),
                                   .content = STR("So it is."),
                                   .notice = notice,
                                   .outcome = notice ? STR("refused") : STR("answered"),
                                   .reason = notice ? STR("budget") : STR_NONE,
                                   .model = STR("m"),
                                   .prompt_tokens = 3,
                                   .completion_tokens = 4,
                                   .latency_ms = 5,
                                   .costs = STR("[]"),
                                   .parts = str_of(parts),
                                   .n_parts = 1 };
    struct pg_rows done = { .n = 0 };
    store_keep(&fx.store, &op, &row, &done);
    wait_for(&op);
    store_mark(&fx.store, &op, part, c->request, c->attempt, 30000, &done);
    wait_for(&op);
    const struct delivery_result result = { .delivery = part,
                                            .request = c->request,
                                            .attempt = c->attempt,
                                            .status = str_of(status),
                                            .platform_message = STR("77"),
                                            .last = true };
    store_record(&fx.store, &op, &result, &done);
    wait_for(&op);
    pg_rows_done(&done);
}

static int claim(const char *owner, int64_t most, int64_t each)
{
    store_webhook_claim(&fx.store, &op, str_of(owner), LEASE_MS, most, each, &rows);
    wait_for(&op);
    return rows.n;
}

static bool record(const struct webhook_claimed *w, const char *outcome, int64_t retry_ms)
{
    const struct webhook_result r = { .id = w->id,
                                      .attempt = w->attempt,
                                      .outcome = str_of(outcome),
                                      .status = 500,
                                      .error = STR("the receiver answered 500"),
                                      .retry_ms = retry_ms,
                                      .patience_ms = 3600000 };
    struct pg_rows done = { .n = 0 };
    store_webhook_record(&fx.store, &op, &r, &done);
    wait_for(&op);
    bool ours = pg_rows_bool(&done, 0, 0);
    pg_rows_done(&done);
    return ours;
}

/* n events for whoever wants them. */
static void events(int n)
{
    char sql[200];
    snprintf(
        sql, sizeof sql,
        "SELECT count(event_emit('a.b', NULL, NULL, NULL, NULL, '{}', NULL)) FROM generate_series(1, %d)",
        n);
    SQL(sql);
}

Test(webhook, nobody_listens)
{
    struct claimed c = take_in("e1", "What is it?");
    answer(&c, false, "sent");
    subscribe("off", "\"events\": [\"*\"]");
    SQL("UPDATE webhook_subscriptions SET is_active = false; DELETE FROM webhook_deliveries");
    c = take_in("e2", "And now?");
    answer(&c, false, "dead");
    expect("SELECT count(*) FROM webhook_deliveries", "0");
}

#define TYPES(of)                                                                       \
    "SELECT string_agg(d.type, ' ' ORDER BY d.type) FROM webhook_deliveries d"          \
    " JOIN webhook_subscriptions s ON s.id = d.subscription_id WHERE s.name = '" of "'" \
    " AND d.type NOT LIKE 'webhook.%'"

Test(webhook, events_of_messages)
{
    subscribe("all", "\"events\": [\"*\"], \"include_text\": true");
    subscribe("some", "\"events\": [\"message.*\"]");
    struct claimed c = take_in("e1", "What is it?");
    answer(&c, false, "sent");
    expect(TYPES("all"), "conversation.started message.answered message.received");
    expect(TYPES("some"), "message.answered message.received");
    expect("SELECT string_agg(DISTINCT body::jsonb ->> 'type', ' ') FROM webhook_deliveries d"
           " WHERE body::jsonb ->> 'type' <> d.type",
           "");
    expect(
        "SELECT count(*) FROM webhook_deliveries WHERE body !~"
        " '^\\{\"type\" : \"[a-z.]+\", \"timestamp\" : \"[0-9-]{10}T[0-9:.]{12}Z\", \"data\" : \\{'",
        "0");
    expect(
        "SELECT body::jsonb -> 'data' ->> 'text' FROM webhook_deliveries WHERE type = 'message.received'"
        " ORDER BY 1",
        "What is it?\n");
    expect(
        "SELECT (d.body::jsonb -> 'data') - ARRAY['request','conversation','message','user','reply']"
        " FROM webhook_deliveries d JOIN webhook_subscriptions s ON s.id = d.subscription_id"
        " WHERE type = 'message.answered' AND s.name = 'some'",
        "{\"cost\": null, \"model\": \"m\", \"reason\": null, \"status\": \"answered\", \"channel\": \"bot\","
        " \"command\": false, \"latency_ms\": 5, \"prompt_tokens\": 3, \"completion_tokens\": 4}");
    expect(
        "SELECT body::jsonb -> 'data' ->> 'answer' FROM webhook_deliveries WHERE type = 'message.answered'"
        " ORDER BY 1",
        "So it is.\n");
}

Test(webhook, events_of_failures)
{
    subscribe("all", "\"events\": [\"*\"], \"include_text\": true");
    struct claimed c = take_in("e1", "What is it?");
    answer(&c, true, "sent");
    c = take_in("e2", "And that?");
    answer(&c, false, "dead");
    expect(
        "SELECT string_agg(type, ' ' ORDER BY type) FROM webhook_deliveries WHERE type ~ '^(message|delivery)'",
        "delivery.dead message.failed message.failed message.received message.received");
    /* Of two messages, some time apart. */
    expect(
        "SELECT string_agg(concat(body::jsonb -> 'data' ->> 'status', ' ', body::jsonb -> 'data' ->> 'reason'), ', '"
        " ORDER BY id) FROM webhook_deliveries WHERE type = 'message.failed'",
        "refused budget, answered not delivered");
    /* A notice may hold a code that lets somebody in. */
    expect("SELECT string_agg(coalesce(body::jsonb -> 'data' ->> 'answer', '-'), ' ' ORDER BY id)"
           " FROM webhook_deliveries WHERE type = 'message.failed'",
           "- So it is.");
}

Test(webhook, commands_keep_their_texts)
{
    subscribe("all", "\"events\": [\"*\"], \"include_text\": true");
    struct claimed c = take_in("e1", "/link 123456");
    answer(&c, true, "dead");
    expect(
        "SELECT count(*) FROM webhook_deliveries WHERE body LIKE '%123456%' OR body LIKE '%So it is%'",
        "0");
    expect(
        "SELECT count(*) FROM webhook_deliveries WHERE body::jsonb -> 'data' ->> 'command' = 'true'",
        "2");
}

Test(webhook, other_events)
{
    subscribe("all", "\"events\": [\"*\"]");
    struct claimed c = take_in("e1", "What is it?");
    char sql[400], id[UUID_TEXT_MAX];
    uuid_text(&c.request, id);
    SQL("DELETE FROM webhook_deliveries");
    snprintf(sql, sizeof sql, "INSERT INTO feedback VALUES ('%s', 'telegram', 'p1', 1)", id);
    SQL(sql);
    SQL("UPDATE feedback SET vote = -1");
    SQL("DELETE FROM feedback");
    expect(
        "SELECT string_agg(body::jsonb -> 'data' ->> 'vote', ' ' ORDER BY id) FROM webhook_deliveries"
        " WHERE type = 'vote' AND user_id = (SELECT id FROM users)",
        "1 -1 0");
    SQL("INSERT INTO budgets (scope, period, starts, spent) VALUES ('channel:bot', 'day', '2026-01-02', 8),"
        " ('all', 'day', '2026-01-02', 8)");
    SQL("UPDATE budgets SET alerted = 80; UPDATE budgets SET alerted = 80; UPDATE budgets SET alerted = 0");
    expect(
        "SELECT string_agg(concat_ws(' ', body::jsonb #>> '{data,for}', body::jsonb #>> '{data,name}',"
        " body::jsonb #>> '{data,percent}', body::jsonb #>> '{data,spent}'), ', ' ORDER BY body)"
        " FROM webhook_deliveries WHERE type = 'budget.alert'",
        "all 80 8.00000000, channel bot 80 8.00000000");
    uuid_text(&c.conversation, id);
    snprintf(sql, sizeof sql, "SELECT end_conversation('%s', '%s', gen_random_uuid())", id, id);
    SQL(sql);
    expect("SELECT count(*) FROM webhook_deliveries WHERE type = 'conversation.ended'", "1");
}

Test(webhook, filters)
{
    subscribe("audit", "\"events\": [\"audit.*\"]");
    subscribe("flags", "\"events\": [\"flag.changed\", \"message.*\"]");
    subscribe("bot", "\"events\": [\"*\"], \"channels\": [\"bot\"]");
    subscribe("web", "\"events\": [\"*\"], \"channels\": [\"web\"]");
    SQL("SELECT audit('{\"name\": \"anna\"}', 'flag.changed', 'flag', 'x', '1', '2')");
    struct claimed c = take_in("e1", "What is it?");
    cr_assert_gt(c.attempt, 0);
    SQL("SELECT audit('{}', 'conversation.ended', 'conversation', 'x', NULL, NULL)");
    expect(TYPES("audit"), "audit.conversation.ended flag.changed");
    expect(TYPES("flags"), "flag.changed message.received");
    expect(TYPES("bot"), "conversation.started message.received");
    expect(TYPES("web"), "");
    expect(
        "SELECT (body::jsonb -> 'data') - 'seq' FROM webhook_deliveries WHERE type = 'flag.changed' LIMIT 1",
        "{\"key\": null, \"new\": 2, \"old\": 1, \"user\": null, \"actor\": \"anna\", \"resource\": \"x\","
        " \"resource_type\": \"flag\"}");
}

Test(webhook, claims_are_leased_and_fenced)
{
    struct webhook_claimed first, second;
    subscribe("s", "\"events\": [\"*\"]");
    SQL("DELETE FROM webhook_deliveries");
    events(1);
    cr_assert_eq(claim("a", 10, 4), 1);
    store_webhook_claimed(&rows, 0, &first);
    cr_expect(str_eq(first.url, STR("https://example.org/")));
    cr_expect(str_eq(first.secret, STR("sealed")));
    cr_expect_eq(first.old_secret.n, 0);
    cr_expect_eq(first.tries, 1);
    cr_expect_eq(claim("b", 10, 4), 0, "it is leased");
    SQL("UPDATE webhook_deliveries SET next_attempt_at = now()"); /* the lease ends */
    cr_assert_eq(claim("b", 10, 4), 1);
    store_webhook_claimed(&rows, 0, &second);
    cr_expect(uuid_eq(&first.id, &second.id));
    cr_expect(!record(&first, "delivered", 0), "the first attempt is over");
    expect("SELECT status, attempts FROM webhook_deliveries", "sending|2");
    cr_expect(record(&second, "pending", 0));
    cr_expect(!record(&second, "delivered", 0), "once");
    expect("SELECT status, last_status, last_error FROM webhook_deliveries",
           "pending|500|the receiver answered 500");
    cr_assert_eq(claim("b", 10, 4), 1);
    store_webhook_claimed(&rows, 0, &second);
    cr_expect_eq(second.tries, 3);
    cr_expect(record(&second, "delivered", 0));
    cr_expect_eq(claim("b", 10, 4), 0);
    expect("SELECT status, finished_at IS NOT NULL FROM webhook_deliveries", "delivered|t");
}

Test(webhook, a_subscription_has_a_share)
{
    subscribe("busy", "\"events\": [\"*\"]");
    SQL("DELETE FROM webhook_deliveries");
    events(20);
    subscribe("other", "\"events\": [\"*\"]");
    SQL("DELETE FROM webhook_deliveries WHERE type <> 'a.b'");
    events(1);
    cr_expect_eq(claim("a", 100, 4), 5, "four and one");
    cr_expect_eq(claim("b", 100, 4), 0, "whoever asks");
    expect(
        "SELECT string_agg(n::text, ' ' ORDER BY n) FROM (SELECT count(*) AS n FROM webhook_deliveries"
        " WHERE status = 'sending' GROUP BY subscription_id) t",
        "1 4");
    /* Of one that fails one at once, so that those which fail together leave room. */
    SQL("UPDATE webhook_deliveries SET status = 'pending', next_attempt_at = now();"
        "UPDATE webhook_subscriptions SET failing_since = now() WHERE name = 'busy'");
    cr_expect_eq(claim("a", 100, 4), 2);
    SQL("UPDATE webhook_subscriptions SET is_active = false WHERE name = 'other';"
        "UPDATE webhook_deliveries SET status = 'pending', next_attempt_at = now()");
    cr_expect_eq(claim("a", 100, 4), 1);
    SQL("UPDATE webhook_subscriptions SET failing_since = NULL, is_active = true;"
        "UPDATE webhook_deliveries SET status = 'pending', next_attempt_at = now()");
    cr_expect_eq(claim("a", 3, 4), 3, "no more than there is room for");
}

Test(webhook, switched_off)
{
    struct webhook_claimed w;
    subscribe("s", "\"events\": [\"a.*\"]");
    events(3);
    cr_assert_eq(claim("a", 1, 4), 1);
    store_webhook_claimed(&rows, 0, &w);
    cr_expect(record(&w, "pending", 600000));
    expect("SELECT is_active, failing_since IS NULL FROM webhook_subscriptions", "t|f");
    cr_assert_eq(claim("a", 1, 4), 1);
    store_webhook_claimed(&rows, 0, &w);
    cr_expect(record(&w, "delivered", 0));
    expect("SELECT is_active, failing_since IS NULL FROM webhook_subscriptions", "t|t");
    SQL("UPDATE webhook_subscriptions SET failing_since = now() - interval '61 min'");
    cr_assert_eq(claim("a", 1, 4), 1);
    store_webhook_claimed(&rows, 0, &w);
    cr_expect(record(&w, "dead", 0));
    expect("SELECT is_active, disabled_reason FROM webhook_subscriptions",
           "f|it failed for too long");
    expect(
        "SELECT actor, resource_id, new_values ->> 'is_active' FROM audit_logs WHERE event_type = 'webhook.disabled'",
        "parley|s|false");
    SQL("SELECT admin_webhooks_change('{}', '{\"name\": \"s\", \"if_match\": \"2\", \"is_active\": true}')");
    expect(
        "SELECT is_active, disabled_reason IS NULL, failing_since IS NULL FROM webhook_subscriptions",
        "t|t|t");
    SQL("SELECT admin_webhooks_replay('{}', '{\"name\": \"s\"}')");
    cr_assert_eq(claim("a", 1, 4), 1);
    store_webhook_claimed(&rows, 0, &w);
    cr_expect_eq(w.tries, 1, "the waits begin anew");
    cr_expect(record(&w, "gone", 0));
    expect("SELECT is_active, disabled_reason FROM webhook_subscriptions",
           "f|the receiver answered 410 Gone");
}

Test(webhook, erased_with_the_person)
{
    subscribe("all", "\"events\": [\"*\"], \"include_text\": true");
    struct claimed c = take_in("e1", "What is it?");
    answer(&c, false, "sent");
    SQL("SELECT audit('{}', 'user.changed', 'user', id::text, '\"Anna\"', '\"Ann\"') FROM users");
    expect("SELECT count(*) FROM webhook_deliveries WHERE type = 'user.changed'", "1");
    SQL("UPDATE users SET forget_at = now() - interval '1 min'; SELECT forget_next()");
    expect("SELECT count(*) FROM users", "0");
    expect("SELECT string_agg(type, ' ') FROM webhook_deliveries WHERE type NOT LIKE 'webhook.%'",
           "person.forgotten");
    char id[UUID_TEXT_MAX];
    uuid_text(&c.user, id);
    expect(
        "SELECT body::jsonb #>> '{data,user}' FROM webhook_deliveries WHERE type = 'person.forgotten'",
        id);
}

Test(webhook, purged_by_age)
{
    subscribe("s", "\"events\": [\"a.b\"]");
    events(6);
    SQL("WITH n AS (SELECT id, row_number() OVER (ORDER BY id) AS i FROM webhook_deliveries)"
        "UPDATE webhook_deliveries d SET status = (ARRAY['delivered','delivered','dead','dead','pending','pending'])[n.i],"
        " finished_at = now() - (ARRAY[8,6,8,31,31,6])[n.i] * interval '1 day',"
        " last_error = n.i, id = CASE WHEN n.i IN (4, 5) THEN uuid_v7_floor(now() - interval '31 days' + n.i * interval '1 s')"
        " ELSE d.id END FROM n WHERE n.id = d.id");
    store_webhook_purge(&fx.store, &op);
    wait_for(&op);
    expect("SELECT string_agg(last_error, ' ' ORDER BY last_error) FROM webhook_deliveries",
           "2 3 6");
}

Test(webhook, operations)
{
    subscribe("s", "\"events\": [\"a.b\"]");
#define FAILS(call, state)                                                                   \
    expect("DO $x$ BEGIN PERFORM " call "; RAISE 'did not fail'; EXCEPTION WHEN OTHERS THEN" \
           " IF SQLSTATE <> '" state "' THEN RAISE; END IF; END $x$; SELECT 1",              \
           "1")
#define CREATE(members)                                \
    "admin_webhooks_create('{}', '{\"sealed\": \"x\"," \
    " \"url\": \"https://example.org/\", " members "}')"
    FAILS(CREATE("\"name\": \"s\", \"events\": [\"*\"]"), "PA409");
    FAILS(CREATE("\"name\": \"t\", \"events\": []"), "PA422");
    FAILS(CREATE("\"name\": \"t\", \"events\": [\"*.b\"]"), "PA422");
    FAILS(CREATE("\"name\": \"t\", \"events\": [\"A\"]"), "PA422");
    FAILS("admin_webhooks_change('{}', '{\"name\": \"t\"}')", "PA404");
    FAILS("admin_webhooks_change('{}', '{\"name\": \"s\", \"if_match\": \"7\"}')", "PA412");
    FAILS(
        "admin_webhooks_replay('{}', '{\"name\": \"s\", \"delivery\": \"00000000-0000-7000-8000-000000000001\"}')",
        "PA404");

    expect(
        "SELECT admin_webhooks_rotate('{}', '{\"name\": \"s\", \"sealed\": \"other\", \"keep_s\": 60}') ? 'secret'",
        "f");
    struct webhook_claimed w;
    events(1);
    cr_assert_eq(claim("a", 1, 4), 1);
    store_webhook_claimed(&rows, 0, &w);
    cr_expect(str_eq(w.secret, STR("other")));
    cr_expect(str_eq(w.old_secret, STR("sealed")));
    cr_expect(record(&w, "pending", 0));
    SQL("UPDATE webhook_subscriptions SET old_secret_until = now()");
    cr_assert_eq(claim("a", 1, 4), 1);
    store_webhook_claimed(&rows, 0, &w);
    cr_expect_eq(w.old_secret.n, 0, "its time is over");

    expect("SELECT admin_webhooks_test('{}', '{\"name\": \"s\"}') ->> 'type'", "webhook.test");
    SQL("UPDATE webhook_subscriptions SET is_active = false");
    FAILS("admin_webhooks_test('{}', '{\"name\": \"s\"}')", "PA409");
    SQL("SELECT admin_webhooks_delete('{}', '{\"name\": \"s\"}')");
    expect("SELECT count(*) FROM webhook_deliveries", "0");
    expect("SELECT string_agg(event_type, ' ' ORDER BY seq) FROM audit_logs",
           "webhook.created webhook.rotated webhook.tested webhook.deleted");
    expect("SELECT count(*) FROM audit_logs WHERE concat(old_values, new_values) ~ 'sealed|other'",
           "0");
}
