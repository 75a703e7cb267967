/* The SQL of the queue, the outbox and the leases, against a real PostgreSQL. Invariants 2, 3, 4.
 */
#include "core/store/conversation.h"
#include "core/store/delivery.h"
#include "core/store/lease.h"
#include "core/store/people.h"
#include "core/store/person.h"
#include "core/store/response.h"
#include "tests/unit/store/store_case.h"
#include <stdio.h>

TestSuite(store, .init = case_open, .fini = case_close, .timeout = 60);

#define OWNER_A STR("a")
#define OWNER_B STR("b")
static const struct uuid nil;

static struct request_ids take_in(const char *event, const char *place)
{
    struct request_new rq = message(event, place);
    struct request_ids ids = { .fresh = false };
    store_accept(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert(store_accepted(&rows, &ids));
    return ids;
}

static bool claim(struct uuid conversation, struct str owner, int64_t lease_ms, struct claimed *ret)
{
    store_claim(&fx.store, &op, conversation, nil, owner, lease_ms, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    return store_claimed(&rows, ret);
}

static bool keep_as(const struct claimed *c, struct uuid reply, const char *content,
                    int64_t lease_ms, struct uuid *ret_part)
{
    char id[UUID_TEXT_MAX], parts[256], answers[64], message_id[UUID_TEXT_MAX];
    *ret_part = uuid_v7();
    uuid_text(ret_part, id);
    uuid_text(&c->message, message_id);
    snprintf(parts, sizeof parts, "[{\"id\": \"%s\", \"part\": 0, \"text\": \"%s\"}]", id, content);
    snprintf(answers, sizeof answers, "{%s}", message_id);
    const struct reply_row row = { .request = c->request,
                                   .reply = reply,
                                   .conversation = c->conversation,
                                   .attempt = c->attempt,
                                   .query = STR("What is it?"),
                                   .answers = str_of(answers),
                                   .content = str_of(content),
                                   .outcome = STR("answered"),
                                   .model = STR("m"),
                                   .prompt_tokens = 3,
                                   .completion_tokens = -1,
                                   .parts = str_of(parts),
                                   .n_parts = 1,
                                   .lease_ms = lease_ms };
    store_keep(&fx.store, &op, &row, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    return rows.n > 0;
}

static bool keep(const struct claimed *c, const char *content, struct uuid *ret_part)
{
    return keep_as(c, uuid_v7(), content, 30000, ret_part);
}

static bool mark(const struct claimed *c, struct uuid part)
{
    store_mark(&fx.store, &op, part, c->request, c->attempt, 30000, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    return rows.n > 0;
}

/* Returns whether another request waits. */
static bool record_sent(const struct claimed *c, struct uuid part)
{
    const struct delivery_result result = { .delivery = part,
                                            .request = c->request,
                                            .attempt = c->attempt,
                                            .status = STR("sent"),
                                            .platform_message = STR("99"),
                                            .last = true };
    store_record(&fx.store, &op, &result, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_eq(rows.n, 1);
    return pg_rows_bool(&rows, 0, 1);
}

static const char *status_of(struct uuid request)
{
    char id[UUID_TEXT_MAX], sql[128];
    uuid_text(&request, id);
    snprintf(sql, sizeof sql, "SELECT status FROM requests WHERE id = '%s'", id);
    return pg_server_sql(&fx.server, sql);
}

Test(store, invariant_2_an_event_is_taken_once)
{
    struct request_ids first = take_in("e1", "1"), again = take_in("e1", "1"),
                       other = take_in("e2", "1");
    cr_assert(first.fresh);
    cr_assert_not(again.fresh);
    cr_assert(uuid_eq(&first.request, &again.request));
    cr_assert(other.fresh);
    cr_assert(uuid_eq(&first.conversation, &other.conversation), "one place, one conversation");
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT count(*) FROM messages"), "2");
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT count(*) FROM users"), "1");
}

/* The connection broke at the commit: the group is sent again as it was. */
Test(store, accept_can_be_repeated)
{
    const struct request_new rq = message("e1", "1");
    for (int i = 0; i < 2; i++) {
        struct request_ids ids;
        store_accept(&fx.store, &op, &rq, &rows);
        cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
        cr_assert(store_accepted(&rows, &ids));
        cr_assert(ids.fresh);
        cr_assert(uuid_eq(&ids.request, &rq.request));
    }
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT count(*) FROM messages"), "1");
}

Test(store, many_at_once_with_duplicates_among_them)
{
    enum { N = 40 };
    static struct op ops[N];
    static struct pg_rows answers[N];
    char event[N][8];
    for (int i = 0; i < N; i++) {
        snprintf(event[i], sizeof event[i], "e%d", i / 2); /* each twice */
        struct request_new rq = message(event[i], i % 4 < 2 ? "1" : "2");
        op_init(&ops[i], &loop, store_fixture_done);
        store_accept(&fx.store, &ops[i], &rq, &answers[i]);
    }
    int n_fresh = 0;
    for (int i = 0; i < N; i++) {
        struct request_ids ids;
        cr_assert_eq(store_fixture_wait(&ops[i]), ERR_NONE, "%s", ops[i].err.msg);
        cr_assert(store_accepted(&answers[i], &ids));
        n_fresh += ids.fresh;
        pg_rows_done(&answers[i]);
    }
    cr_assert_eq(n_fresh, N / 2);
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT count(*) FROM messages"), "20");
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT count(*) FROM conversations"), "2");
}

Test(store, invariant_3_one_turn_a_conversation_in_order)
{
    struct request_ids first = take_in("e1", "1"), second = take_in("e2", "1");
    struct claimed a, b;
    struct uuid part;
    cr_assert(claim(first.conversation, OWNER_A, 30000, &a));
    cr_assert(uuid_eq(&a.request, &first.request), "the oldest first");
    cr_assert_not(claim(first.conversation, OWNER_B, 30000, &b), "another process has to wait");
    cr_assert(keep(&a, "one", &part));
    cr_assert_not(claim(first.conversation, OWNER_B, 30000, &b), "until it is delivered, too");
    cr_assert(mark(&a, part));
    cr_assert(record_sent(&a, part), "the second one waits");
    cr_assert_str_eq(status_of(first.request), "answered");
    cr_assert(claim(first.conversation, OWNER_B, 30000, &b));
    cr_assert(uuid_eq(&b.request, &second.request));
    cr_assert_eq(b.message_count, 2);
    cr_assert(keep(&b, "two", &part));
    cr_assert(mark(&b, part));
    cr_assert_not(record_sent(&b, part));
    cr_assert_not(claim(first.conversation, OWNER_A, 30000, &a));
}

Test(store, invariant_3_who_lost_the_lease_writes_nothing)
{
    struct request_ids ids = take_in("e1", "1");
    struct claimed stale, now;
    struct uuid part, late;
    cr_assert(claim(ids.conversation, OWNER_A, 1, &stale));
    pg_server_sql(&fx.server, "SELECT pg_sleep(0.01)");
    cr_assert(claim(ids.conversation, OWNER_B, 30000, &now), "the lease has run out");
    cr_assert_eq(now.attempt, stale.attempt + 1);
    cr_assert_not(keep(&stale, "stale", &late));
    cr_assert(keep(&now, "now", &part));
    cr_assert_not(keep(&now, "twice", &late), "a reply is kept once");
    cr_assert_not(mark(&stale, part));
    cr_assert(mark(&now, part));
    record_sent(&stale, part);
    cr_assert_str_eq(status_of(ids.request), "sending", "a stale process cannot end the request");
    record_sent(&now, part);
    cr_assert_str_eq(status_of(ids.request), "answered");
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT string_agg(content, ',') FROM deliveries"),
                     "now");
    cr_assert_str_eq(
        pg_server_sql(&fx.server, "SELECT count(*) FROM messages WHERE role = 'assistant'"), "1");
}

Test(store, a_kept_reply_is_only_delivered)
{
    struct request_ids ids = take_in("e1", "1");
    struct claimed a, b;
    struct uuid part;
    claim(ids.conversation, OWNER_A, 1, &a);
    keep_as(&a, uuid_v7(), "kept", 1, &part);
    pg_server_sql(&fx.server, "SELECT pg_sleep(0.01)");
    cr_assert(claim(ids.conversation, OWNER_B, 30000, &b));
    cr_assert(b.sending);
    cr_assert(str_eq(b.outcome, STR("answered")));
    store_parts(&fx.store, &op, b.request, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    cr_assert_eq(rows.n, 1);
    cr_assert(str_eq(pg_rows_str(&rows, 0, 3), STR("kept")));
    cr_assert(str_eq(pg_rows_str(&rows, 0, 5), STR("sending")), "perhaps it was sent");
    cr_assert_eq(pg_rows_i64(&rows, 0, 6), 1);
}

Test(store, a_kept_reply_has_the_lease_renewed_and_its_first_part_marked)
{
    struct request_ids ids = take_in("e1", "1");
    struct claimed a, b;
    struct uuid part;
    claim(ids.conversation, OWNER_A, 1, &a);
    const struct reply_row row = {
        .request = a.request,
        .reply = uuid_v7(),
        .conversation = a.conversation,
        .attempt = a.attempt,
        .query = STR("q"),
        .answers = STR("{}"),
        .content = STR("ab"),
        .outcome = STR("answered"),
        .parts = STR(
            "[{\"id\": \"00000000-0000-7000-8000-000000000001\", \"part\": 0, \"text\": \"a\"},"
            " {\"id\": \"00000000-0000-7000-8000-000000000002\", \"part\": 1, \"text\": \"b\"}]"),
        .n_parts = 2,
        .lease_ms = 30000,
    };
    store_keep(&fx.store, &op, &row, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_str_eq(
        pg_server_sql(&fx.server,
                      "SELECT string_agg(status || attempts, ' ' ORDER BY part) FROM deliveries"),
        "sending1 pending0");
    pg_server_sql(&fx.server, "SELECT pg_sleep(0.01)");
    cr_assert_not(claim(ids.conversation, OWNER_B, 30000, &b));
    cr_assert(uuid_parse(STR("00000000-0000-7000-8000-000000000002"), &part));
    cr_assert(mark(&a, part));
}

Test(store, invariant_4_the_same_reply_kept_again_is_answered_as_the_first_time)
{
    struct request_ids ids = take_in("e1", "1");
    struct claimed a, b;
    struct uuid reply = uuid_v7(), part, other;
    claim(ids.conversation, OWNER_A, 1, &a);
    cr_assert(keep_as(&a, reply, "kept", 1, &part));
    int64_t count = pg_rows_i64(&rows, 0, 1);
    cr_assert(keep_as(&a, reply, "kept", 1, &other), "its outcome was lost on the way");
    cr_assert_eq(pg_rows_i64(&rows, 0, 1), count);
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT count(*) FROM deliveries"), "1");
    cr_assert_str_eq(
        pg_server_sql(&fx.server, "SELECT count(*) FROM messages WHERE role = 'assistant'"), "1");
    pg_server_sql(&fx.server, "SELECT pg_sleep(0.01)");
    cr_assert(claim(ids.conversation, OWNER_B, 30000, &b));
    cr_assert_not(keep_as(&a, reply, "kept", 1, &other), "it is another process's to send now");
}

/* The first try commits while the second one waits for its row: a third look is needed. */
Test(store, invariant_4_a_reply_that_is_just_being_kept_is_seen_by_the_next_look)
{
    struct request_ids ids = take_in("e1", "1");
    struct claimed a;
    struct uuid reply = uuid_v7(), part;
    char id[UUID_TEXT_MAX], message[UUID_TEXT_MAX], sql[512];
    claim(ids.conversation, OWNER_A, 30000, &a);
    uuid_text(&reply, id);
    uuid_text(&a.request, message);
    snprintf(sql, sizeof sql,
             "UPDATE requests SET status = 'sending', reply_id = '%s' WHERE id = '%s'; SELECT "
             "pg_sleep(0.5)",
             id, message);
    struct op first;
    op_init(&first, &loop, store_fixture_done);
    pg_script(fx.pg, &first, str_of(sql), 5000);
    while (strcmp(SQL("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), "1") !=
           0)
        loop_run_for(&loop, 10);
    cr_assert_not(keep_as(&a, reply, "kept", 30000, &part));
    if (op_busy(&first)) wait_for(&first);
    cr_assert(keep_as(&a, reply, "kept", 30000, &part));
}

Test(store, merge_takes_what_waits_and_remembers)
{
    struct request_ids first = take_in("e1", "1");
    take_in("e2", "1");
    take_in("e3", "1");
    struct claimed c;
    claim(first.conversation, OWNER_A, 30000, &c);
    for (int i = 0; i < 2;
         i++) { /* the second time nothing new waits, but the two are still there */
        store_merge(&fx.store, &op, &c, &rows);
        cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
        cr_assert_eq(rows.n, 2);
        pg_rows_done(&rows);
    }
    cr_assert_str_eq(
        pg_server_sql(&fx.server, "SELECT count(*) FROM requests WHERE status = 'merged'"), "2");
}

Test(store, merge_ends_before_a_command)
{
    struct request_ids first = take_in("e1", "1");
    struct request_new command = message("e2", "1");
    struct claimed c;
    command.query = STR(" /new");
    store_accept(&fx.store, &op, &command, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    take_in("e3", "1");
    claim(first.conversation, OWNER_A, 30000, &c);
    struct pg_rows merged = { .n = 0 };
    store_merge(&fx.store, &op, &c, &merged);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_eq(merged.n, 0);
    cr_assert_str_eq(
        pg_server_sql(&fx.server, "SELECT count(*) FROM requests WHERE status = 'queued'"), "2");
    pg_rows_done(&merged);
}

/* "Stopped." and the answer that it stopped are kept at the same moment. */
Test(store, an_urgent_reply_beside_an_answer_counts_once)
{
    struct request_ids first = take_in("e1", "1");
    struct request_new stop = message("e2", "1");
    struct claimed c[2];
    struct op ops[2];
    struct pg_rows kept[2] = { { .n = 0 }, { .n = 0 } }, claims[2] = { { .n = 0 }, { .n = 0 } };
    stop.urgent = true;
    store_accept(&fx.store, &op, &stop, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    for (int i = 0; i < 2; i++) {
        store_claim(&fx.store, &op, first.conversation, i ? nil : stop.request, OWNER_A, 30000,
                    &claims[i]);
        cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
        cr_assert(store_claimed(&claims[i], &c[i]));
    }
    for (int i = 0; i < 2; i++) {
        const struct reply_row row = { .request = c[i].request,
                                       .reply = uuid_v7(),
                                       .conversation = c[i].conversation,
                                       .attempt = c[i].attempt,
                                       .query = STR("q"),
                                       .answers = STR("{}"),
                                       .content = STR("a"),
                                       .notice = i == 0,
                                       .outcome = STR("answered"),
                                       .prompt_tokens = i ? 3 : -1,
                                       .completion_tokens = -1,
                                       .parts = STR("[]"),
                                       .n_parts = 1 };
        op_init(&ops[i], &loop, store_fixture_done);
        store_keep(&fx.store, &ops[i], &row, &kept[i]);
    }
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(store_fixture_wait(&ops[i]), ERR_NONE, "%s", ops[i].err.msg);
        cr_assert_eq(kept[i].n, 1);
        pg_rows_done(&kept[i]);
        pg_rows_done(&claims[i]);
    }
    cr_assert_str_eq(
        pg_server_sql(&fx.server,
                      "SELECT message_count || ' ' || context_window_used FROM conversations"),
        "2 3");
}

Test(store, a_stale_process_takes_back_nothing)
{
    struct request_ids ids = take_in("e1", "1");
    struct claimed stale, now;
    struct uuid part;
    claim(ids.conversation, OWNER_A, 1, &stale);
    keep_as(&stale, uuid_v7(), "kept", 1, &part);
    pg_server_sql(&fx.server, "SELECT pg_sleep(0.01)");
    claim(ids.conversation, OWNER_B, 30000, &now);
    cr_assert(mark(&now, part));
    const struct delivery_result late = { .delivery = part,
                                          .request = stale.request,
                                          .attempt = stale.attempt,
                                          .status = STR("pending") };
    store_record(&fx.store, &op, &late, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT status FROM deliveries"), "sending");
}

/* As take_in, by a process that begins to answer at once where it may. */
static bool take_and_begin(const char *event, const char *place, bool urgent, struct claimed *ret)
{
    struct request_new rq = message(event, place);
    struct request_ids ids;
    rq.urgent = urgent;
    rq.owner = OWNER_A;
    rq.lease_ms = 30000;
    pg_rows_done(&rows);
    store_accept(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert(store_accepted(&rows, &ids));
    bool claimed = store_claimed(&rows, ret);
    if (claimed) cr_assert(uuid_eq(&ids.request, &ret->request));
    return claimed;
}

/* Invariant 3: one running turn a conversation, in order of arrival. */
Test(store, a_message_is_claimed_as_it_comes_where_nobody_is_busy)
{
    struct claimed first, c;
    struct uuid part;
    cr_assert(take_and_begin("e1", "1", false, &first));
    cr_assert_eq(first.attempt, 1);
    cr_assert(str_eq(first.place, STR("1")));
    cr_assert(str_eq(first.from, STR("p1")));
    cr_assert_eq(first.message_count, 0);
    cr_assert_str_eq(
        pg_server_sql(&fx.server, "SELECT status, lease_owner, lease_until > now() FROM requests"),
        "running|a|t");
    cr_assert_not(take_and_begin("e2", "1", false, &c), "one is being answered");
    cr_assert(take_and_begin("e3", "2", false, &c), "another place");
    cr_assert(take_and_begin("e4", "1", true, &c), "an urgent one runs beside it");
    cr_assert(c.urgent);
    cr_assert_not(claim(first.conversation, OWNER_B, 30000, &c), "others leave it alone");
    cr_assert(keep(&first, "Hello", &part));
    cr_assert_not(take_and_begin("e5", "1", false, &c), "e2 comes first");
}

Test(store, of_a_group_the_first_is_claimed)
{
    struct op ops[4];
    struct pg_rows answers[4] = { { .n = 0 } };
    const char *events[] = { "e1", "e2", "e3", "e4" }, *places[] = { "1", "1", "2", "1" };
    for (int i = 0; i < 4; i++) {
        struct request_new rq = message(events[i], places[i]);
        rq.owner = OWNER_A;
        rq.lease_ms = 30000;
        op_init(&ops[i], &loop, store_fixture_done);
        store_accept(&fx.store, &ops[i], &rq, &answers[i]);
    }
    for (int i = 0; i < 4; i++) {
        struct claimed c;
        cr_assert_eq(store_fixture_wait(&ops[i]), ERR_NONE, "%s", ops[i].err.msg);
        cr_assert_eq(store_claimed(&answers[i], &c), i == 0 || i == 2, "message %d", i);
        pg_rows_done(&answers[i]);
    }
}

/* Two processes take messages into one conversation in the same moment: neither waits for the
 * other. */
Test(store, who_is_second_in_a_conversation_leaves_its_message_in_the_queue)
{
    struct claimed c;
    struct request_ids ids = take_in("e0", "1");
    char lock[256], id[UUID_TEXT_MAX];
    uuid_text(&ids.conversation, id);
    pg_server_sql(&fx.server, "UPDATE requests SET status = 'answered'");
    snprintf(lock, sizeof lock,
             "SELECT pg_advisory_xact_lock(hashtextextended('take %s', 0)); SELECT pg_sleep(1)",
             id);
    struct op other;
    op_init(&other, &loop, store_fixture_done);
    pg_script(fx.pg, &other, str_of(lock), 5000);
    while (strcmp(SQL("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "1") != 0)
        loop_run_for(&loop, 10);
    cr_assert_not(take_and_begin("e1", "1", false, &c));
    cr_assert(op_busy(&other), "it was not waited for");
    wait_for(&other);
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT status FROM requests WHERE event_id = 'e1'"),
                     "queued");
}

/* Invariant 3: the index has the last word, should somebody begin while we look. */
Test(store, who_is_outrun_in_a_conversation_is_told_so)
{
    struct claimed c;
    struct request_ids ids = take_in("e0", "1");
    char begin[512], id[UUID_TEXT_MAX];
    uuid_text(&ids.conversation, id);
    SQL("UPDATE requests SET status = 'answered'");
    snprintf(
        begin, sizeof begin,
        "INSERT INTO requests (id, conversation_id, user_id, channel, event_id, message_id, query, status) "
        "SELECT gen_random_uuid(), id, user_id, channel, 'other', gen_random_uuid(), '', 'running' "
        "FROM conversations WHERE id = '%s'; SELECT pg_sleep(1)",
        id);
    struct op other;
    op_init(&other, &loop, store_fixture_done);
    pg_script(fx.pg, &other, str_of(begin), 5000);
    while (strcmp(SQL("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"), "1") !=
           0)
        loop_run_for(&loop, 10);
    struct request_new rq = message("e1", "1");
    rq.owner = OWNER_A;
    rq.lease_ms = 30000;
    store_accept(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_REFUSED);
    cr_assert(store_accept_outrun(&op.err), "%s", op.err.msg);
    if (op_busy(&other)) wait_for(&other);
    cr_assert_not(take_and_begin("e1", "1", false, &c), "now it sees who is busy there");
    cr_assert_str_eq(SQL("SELECT status FROM requests WHERE event_id = 'e1'"), "queued");
}

/* The connection broke at the commit, and the same row comes again. */
Test(store, a_claimed_message_that_comes_again_is_still_ours_to_begin)
{
    struct request_new rq = message("e1", "1");
    rq.owner = OWNER_A;
    rq.lease_ms = 30000;
    for (int i = 0; i < 3; i++) {
        struct request_ids ids;
        struct claimed c;
        pg_rows_done(&rows);
        if (i == 2) pg_server_sql(&fx.server, "UPDATE requests SET attempt = 2");
        store_accept(&fx.store, &op, &rq, &rows);
        cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
        cr_assert(store_accepted(&rows, &ids) && ids.fresh);
        cr_assert_eq(store_claimed(&rows, &c), i < 2, "unless it has been claimed again since");
    }
    struct claimed c;
    cr_assert_not(take_and_begin("e1", "1", false, &c),
                  "another event of that name is a duplicate");
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT count(*) FROM messages"), "1");
}

Test(store, renew_says_what_is_still_ours)
{
    struct request_ids ids = take_in("e1", "1");
    struct claimed c;
    char list[64], id[UUID_TEXT_MAX];
    claim(ids.conversation, OWNER_A, 1, &c);
    uuid_text(&c.request, id);
    snprintf(list, sizeof list, "{%s}", id);
    for (int i = 0; i < 2; i++) {
        pg_rows_done(&rows);
        store_renew(&fx.store, &op, str_of(list), i ? OWNER_B : OWNER_A, 30000, &rows);
        cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
        cr_assert_eq(rows.n, i, "only what is not ours is told");
        if (i) cr_assert(pg_rows_bool(&rows, 0, 1));
        cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT lease_until > now() FROM requests"),
                         "t");
    }
    pg_rows_done(&rows);
    pg_server_sql(&fx.server, "UPDATE requests SET stop_wanted = true");
    store_renew(&fx.store, &op, str_of(list), OWNER_A, 30000, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_eq(rows.n, 1);
    cr_assert_not(pg_rows_bool(&rows, 0, 1));
}

Test(store, sweep_finds_what_nobody_does)
{
    struct request_ids waiting = take_in("e1", "1"), running = take_in("e2", "2");
    struct claimed c;
    claim(running.conversation, OWNER_A, 30000, &c);
    store_sweep(&fx.store, &op, STR("{bot,other}"), 0, 10, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_eq(rows.n, 1, "the running one is somebody's");
    struct uuid found = pg_rows_uuid(&rows, 0, 0);
    cr_assert(uuid_eq(&found, &waiting.conversation));
    pg_rows_done(&rows);
    store_sweep(&fx.store, &op, STR("{other}"), 0, 10, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    cr_assert_eq(rows.n, 0, "not a channel of this process");
    store_requeue(&fx.store, &op, c.request, c.attempt);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    store_sweep(&fx.store, &op, STR("{bot,other}"), 0, 10, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    cr_assert_eq(rows.n, 2);
}

static void end_conversation(const struct claimed *c)
{
    struct pg_rows ended = { .n = 0 };
    store_end_conversation(&fx.store, &op, c, uuid_v7(), &ended);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    pg_rows_done(&rows);
    rows = ended;
}

Test(store, what_waits_behind_new_goes_along)
{
    struct request_ids first = take_in("e1", "1"), second = take_in("e2", "1");
    struct claimed c, waiting;
    cr_assert(claim(first.conversation, OWNER_A, 30000, &c));
    end_conversation(&c);
    cr_assert_eq(rows.n, 1, "something waits");
    struct uuid next = pg_rows_uuid(&rows, 0, 0);
    struct request_ids third = take_in("e3", "1");
    cr_assert(uuid_eq(&third.conversation, &next), "one queue, in the order of arrival");
    cr_assert(claim(next, OWNER_B, 30000, &waiting));
    cr_assert(uuid_eq(&waiting.request, &second.request));
    cr_assert_str_eq(pg_server_sql(&fx.server,
                                   "SELECT count(DISTINCT m.conversation_id) FROM messages m "
                                   "JOIN requests r ON r.message_id = m.id "
                                   "AND r.conversation_id = m.conversation_id"),
                     "2");
    end_conversation(&c);
    cr_assert_eq(rows.n, 0, "the second time changes nothing");
}

Test(store, new_conversation_and_move)
{
    struct request_ids first = take_in("e1", "1");
    struct claimed c;
    cr_assert(claim(first.conversation, OWNER_A, 30000, &c));
    end_conversation(&c);
    cr_assert_eq(rows.n, 0, "nothing waits");
    struct request_ids second = take_in("e2", "1");
    cr_assert_not(uuid_eq(&first.conversation, &second.conversation));
    store_move(&fx.store, &op, STR("bot"), STR("1"), STR("-1001"));
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    struct request_ids third = take_in("e3", "-1001");
    cr_assert(uuid_eq(&third.conversation, &second.conversation));
}

Test(store, edit_only_while_it_waits)
{
    struct request_ids ids = take_in("e1", "1");
    struct request_new rq = message("e1", "1");
    struct claimed c;
    rq.query = STR("changed");
    store_edit(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_eq(rows.n, 1);
    claim(ids.conversation, OWNER_A, 30000, &c);
    cr_assert(str_eq(c.query, STR("changed")));
    pg_rows_done(&rows);
    store_edit(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    cr_assert_eq(rows.n, 0);
}

Test(store, history_is_what_was_answered)
{
    struct request_ids ids = take_in("e1", "1");
    take_in("e2", "1");
    struct claimed c;
    struct uuid part;
    claim(ids.conversation, OWNER_A, 30000, &c);
    keep(&c, "an answer", &part);
    store_history(&fx.store, &op, ids.conversation, 10, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_eq(rows.n, 1);
    cr_assert(str_eq(pg_rows_str(&rows, 0, 0), STR("What is it?")));
    cr_assert(str_eq(pg_rows_str(&rows, 0, 1), STR("an answer")));
}

Test(store, leases_pass_on_with_their_state)
{
    struct lease a, b;
    store_lease_take(&fx.store, &op, STR("bot"), OWNER_A, 30000, &a);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert(a.mine);
    store_lease_save(&fx.store, &op, STR("bot"), a.fence, STR("{\"offset\": 7}"), 30000);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    store_lease_take(&fx.store, &op, STR("bot"), OWNER_B, 30000, &b);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    cr_assert_not(b.mine);
    cr_assert_str_eq(b.owner, "a");
    store_lease_drop(&fx.store, &op, STR("bot"), a.fence);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    store_lease_take(&fx.store, &op, STR("bot"), OWNER_B, 30000, &b);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    cr_assert(b.mine);
    cr_assert_str_eq(b.state, "{\"offset\": 7}");
    cr_assert_gt(b.fence, a.fence);
    store_lease_save(&fx.store, &op, STR("bot"), a.fence, STR("{}"), 30000);
    cr_assert_eq(store_fixture_wait(&op), ERR_REFUSED, "a fenced-off owner saves nothing");
}

static void open_empty(void)
{
    loop_open(&loop);
    sign_setup();
    pg_server_start(&fx.server);
    store_fixture_connect(&fx, &loop);
    op_init(&op, &loop, store_fixture_done);
}

TestSuite(empty, .init = open_empty, .fini = case_close, .timeout = 60);

Test(empty, migrations_run_once_and_refuse_edits)
{
    struct migrate_report report;
    store_fixture_migrate(&fx, &loop);
    cr_assert_eq(fx.report.n_applied, fx.report.n_known);
    cr_assert_gt(fx.report.n_known, 0);
    store_migrate(&fx.store, &op, false, &report);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    cr_assert_eq(report.n_applied, 0);
    pg_server_sql(&fx.server, "UPDATE schema_migrations SET checksum = 'x' WHERE version = 1");
    store_migrate(&fx.store, &op, false, &report);
    cr_assert_eq(store_fixture_wait(&op), ERR_CONF);
    cr_assert(strstr(op.err.msg, "0001_core.sql"), "%s", op.err.msg);
}

Test(store, partitions_are_made_ahead_and_dropped_by_age)
{
    cr_assert_str_eq(
        pg_server_sql(&fx.server,
                      "SELECT count(*) FROM pg_inherits WHERE inhparent = 'messages'::regclass"),
        "4", "three months and the default");
    pg_server_sql(&fx.server, "CREATE TABLE messages_2020_01 PARTITION OF messages FOR VALUES FROM "
                              "(uuid_v7_floor('2020-01-01Z')) TO (uuid_v7_floor('2020-02-01Z'))");
    pg_server_sql(
        &fx.server,
        "INSERT INTO users (id) VALUES (gen_random_uuid());"
        "INSERT INTO conversations (id, user_id, channel_type, channel, place_channel)"
        " SELECT gen_random_uuid(), id, 'x', 'x', 'x' FROM users;"
        "INSERT INTO messages (id, conversation_id, role, content) SELECT"
        " uuid_v7_floor(now() + interval '94 days'), id, 'user', 'early' FROM conversations");
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT messages_partitions_make(6)"), "3",
                     "all but the month of the message whose clock ran ahead");
    pg_server_sql(&fx.server, "DELETE FROM messages WHERE content = 'early'");
    store_partitions(&fx.store, &op, 12, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_eq(rows.n, 2);
    cr_assert(str_eq(pg_rows_str(&rows, 1, 0), STR("messages_2020_01")));
    take_in("e1", "1");
    cr_assert_str_eq(pg_server_sql(&fx.server, "SELECT count(*) FROM messages_default"), "0");
}

/* --- what 0002 brought --- */

static int64_t count(const char *sql)
{
    static struct pg_stmt stmts[16];
    static size_t n;
    static char names[16][8];
    cr_assert_lt(n, 16);
    snprintf(names[n], sizeof names[n], "t_%zu", n);
    stmts[n] = (struct pg_stmt){ names[n], sql };
    pg_query(fx.pg, &op, &stmts[n++], NULL, 0, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    return pg_rows_i64(&rows, 0, 0);
}

Test(store, a_request_keeps_ticket_lateness_and_pictures)
{
    struct claimed c;
    struct request_new rq = message("e1", "7");
    struct request_ids ids;
    rq.metadata = STR("{\"direct\": false, \"ticket\": \"sealed\", \"late_ms\": 90000,"
                      " \"pictures\": [\"https://x/1.png\"]}");
    store_accept(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert(store_accepted(&rows, &ids));
    cr_assert(claim(ids.conversation, OWNER_A, 30000, &c));
    cr_assert(str_eq(c.ticket, STR("sealed")));
    cr_assert_eq(c.late_ms, 90000);
    cr_assert(str_eq(c.pictures, STR("[\"https://x/1.png\"]")));
    cr_assert_eq(count("SELECT count(*) FROM messages WHERE metadata ? 'ticket'"), 0);
    cr_assert_eq(count("SELECT count(*) FROM messages WHERE metadata ? 'pictures'"), 1);
}

Test(store, a_message_with_a_ticket_is_not_merged_into_another)
{
    struct claimed c;
    struct request_ids first = take_in("e1", "7");
    take_in("e2", "7");
    struct request_new rq = message("e3", "7");
    rq.metadata = STR("{\"ticket\": \"sealed\"}");
    store_accept(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    take_in("e4", "7");
    cr_assert(claim(first.conversation, OWNER_A, 30000, &c));
    struct claimed kept = c;
    struct pg_rows merged = { .n = 0 };
    store_merge(&fx.store, &op, &kept, &merged);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert_eq(merged.n, 1, "e2 alone");
    pg_rows_done(&merged);
}

Test(store, what_waits_can_be_taken_back_and_what_runs_cannot)
{
    struct claimed c;
    struct request_ids first = take_in("e1", "7");
    take_in("e2", "7");
    cr_assert(claim(first.conversation, OWNER_A, 30000, &c));
    for (int i = 1; i <= 2; i++) {
        struct request_new rq = message(i == 1 ? "e1" : "e2", "7");
        store_withdraw(&fx.store, &op, &rq, &rows);
        cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
        cr_assert_eq(rows.n, i - 1);
    }
    cr_assert_eq(count("SELECT count(*) FROM requests WHERE status = 'cancelled'"), 1);
    cr_assert_eq(count("SELECT count(*) FROM messages"), 1, "its words are gone");
}

static void vote(const char *on, const char *from, int value, bool taken_back)
{
    const struct vote v = { .channel_type = STR("telegram"),
                            .channel = STR("bot"),
                            .place = STR("7"),
                            .message = str_of(on),
                            .from = str_of(from),
                            .vote = value,
                            .taken_back = taken_back };
    store_vote(&fx.store, &op, &v, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
}

Test(store, the_last_vote_of_each_person_counts)
{
    struct claimed c;
    struct uuid part;
    struct request_ids first = take_in("e1", "7");
    cr_assert(claim(first.conversation, OWNER_A, 30000, &c));
    cr_assert(keep(&c, "An answer.", &part));
    const struct delivery_result result = { .delivery = part,
                                            .request = first.request,
                                            .attempt = 1,
                                            .status = STR("sent"),
                                            .platform_message = STR("m9"),
                                            .last = true };
    store_record(&fx.store, &op, &result, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);

    vote("m9", "p1", 1, false);
    vote("m9", "p2", 1, false);
    vote("m9", "p2", -1, false); /* changed their mind */
    vote("m9", "p2", 1, true);   /* the older vote, taken back after that */
    vote("m8", "p3", 1, false);  /* no message of ours */
    cr_assert_eq(rows.n, 0);
    vote("", "p3", 1, false);
    cr_assert_eq(rows.n, 0);
    cr_assert_eq(count("SELECT count(*) FROM feedback"), 2);
    cr_assert_eq(count("SELECT sum(vote) FROM feedback"), 0);
    vote("m9", "p1", 1, true);
    cr_assert_eq(count("SELECT sum(vote) FROM feedback"), -1);
}

static const char *link_take(struct uuid user, const char *hash)
{
    static char word[16];
    store_link_take(&fx.store, &op, user, str_of(hash), 5, 60000, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    snprintf(word, sizeof word, "%.*s", STR_ARG(pg_rows_str(&rows, 0, 0)));
    return word;
}

static void link_offer(struct uuid user, const char *hash, int64_t life_ms)
{
    store_link_offer(&fx.store, &op, user, str_of(hash), life_ms);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
}

Test(store, a_code_makes_two_identities_one_person_once)
{
    struct request_ids here = take_in("e1", "7");
    struct request_new rq = message("e2", "8");
    rq.channel_type = STR("discord");
    rq.from = STR("d1");
    struct request_ids there;
    store_accept(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert(store_accepted(&rows, &there));

    link_offer(here.user, "old", 60000);
    link_offer(here.user, "code", 60000); /* replaces it */
    cr_assert_str_eq(link_take(here.user, "code"), "same");
    cr_assert_str_eq(link_take(there.user, "old"), "unknown");
    cr_assert_str_eq(link_take(there.user, "code"), "linked");
    cr_assert_eq(count("SELECT count(DISTINCT user_id) FROM identities"), 1);
    cr_assert_eq(count("SELECT count(DISTINCT user_id) FROM conversations"), 1);
    cr_assert_eq(
        count("SELECT count(*) FROM users WHERE merged_into IS NOT NULL AND NOT is_active"), 1);
    cr_assert_str_eq(link_take(there.user, "code"), "unknown");

    /* What comes from there now is the same person's. */
    rq = message("e3", "8");
    rq.channel_type = STR("discord");
    rq.from = STR("d1");
    store_accept(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    cr_assert(store_accepted(&rows, &there));
    cr_assert(uuid_eq(&there.user, &here.user));
}

Test(store, codes_grow_old_and_guessing_ends)
{
    struct request_ids here = take_in("e1", "7");
    struct request_new rq = message("e2", "8");
    rq.from = STR("p2");
    struct request_ids there;
    store_accept(&fx.store, &op, &rq, &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE);
    cr_assert(store_accepted(&rows, &there));
    link_offer(here.user, "code", -1);
    cr_assert_str_eq(link_take(there.user, "code"), "unknown");
    link_offer(here.user, "code", 60000);
    for (int i = 0; i < 4; i++) cr_assert_str_eq(link_take(there.user, "guess"), "unknown");
    cr_assert_str_eq(link_take(there.user, "code"), "tries", "right, but too late");
}

/* --- answers to be given again --- */

static void response_put(const char *key, const char *content, struct uuid user, int64_t ttl_ms)
{
    const struct response_row row = { .key = str_of(key),
                                      .query_hash = STR("q"),
                                      .content = str_of(content),
                                      .model = STR("m"),
                                      .usage = STR("{\"prompt\": 3}"),
                                      .user = user,
                                      .ttl_ms = ttl_ms };
    store_response_put(&fx.store, &op, &row);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
}

static bool response_is(const char *key, const char *content)
{
    pg_rows_done(&rows);
    store_response_get(&fx.store, &op, str_of(key), &rows);
    cr_assert_eq(store_fixture_wait(&op), ERR_NONE, "%s", op.err.msg);
    return rows.n == 1 && str_eq(pg_rows_str(&rows, 0, 0), str_of(content));
}

Test(store, an_answer_is_found_by_its_key_and_the_hit_is_counted)
{
    struct uuid user = take_in("e1", "1").user;
    response_put("k1", "one", user, 60000);
    response_put("k2", "two", user, 60000);
    cr_assert(response_is("k1", "one"));
    cr_assert(str_eq(pg_rows_str(&rows, 0, 1), STR("m")));
    cr_assert_eq(pg_rows_str(&rows, 0, 2).n, sizeof "2026-01-02T03:04:05Z" - 1);
    cr_assert(response_is("k1", "one"));
    cr_assert_not(response_is("k3", ""));
    cr_assert_eq(rows.n, 0);
    cr_assert_eq(count("SELECT hit_count FROM response_cache WHERE cache_key = 'k1'"), 2);
    cr_assert_eq(count("SELECT hit_count FROM response_cache WHERE cache_key = 'k2'"), 0);
}

Test(store, a_newer_answer_takes_the_place_of_the_older)
{
    struct uuid user = take_in("e1", "1").user;
    response_put("k", "old", user, 60000);
    cr_assert(response_is("k", "old"));
    response_put("k", "new", user, 60000);
    cr_assert_eq(count("SELECT hit_count FROM response_cache"), 0);
    cr_assert(response_is("k", "new"));
    cr_assert_eq(count("SELECT count(*) FROM response_cache"), 1);
}

Test(store, an_expired_answer_is_not_found_and_is_purged)
{
    struct uuid user = take_in("e1", "1").user;
    response_put("old", "one", user, -1000);
    response_put("young", "two", user, 60000);
    cr_assert_not(response_is("old", "one"));
    cr_assert_eq(count("SELECT count(*) FROM response_cache"), 2);
    pg_server_sql(&fx.server, "SELECT drop_outdated()");
    cr_assert_eq(count("SELECT count(*) FROM response_cache WHERE cache_key = 'old'"), 0);
    cr_assert(response_is("young", "two"));
}

Test(store, an_erasure_takes_answers_along_and_none_comes_after)
{
    struct uuid user = take_in("e1", "1").user;
    response_put("k", "one", user, 60000);
    pg_server_sql(&fx.server, "UPDATE users SET forget_at = now()");
    response_put("late", "two", user, 60000);
    cr_assert_eq(count("SELECT count(*) FROM response_cache WHERE cache_key = 'late'"), 0);
    pg_server_sql(&fx.server, "SELECT forget_person(id) FROM users");
    response_put("later", "three", user, 60000);
    cr_assert_eq(count("SELECT count(*) FROM response_cache"), 0);
}

/* Else the commit of some answer would do it. */
Test(store, new_words_get_their_place_in_the_index_by_the_eraser)
{
    const char *left = "SELECT sum(gin_clean_pending_list(relid)) > 0 "
                       "FROM pg_partition_tree('messages_search') WHERE isleaf";
    take_in("e1", "1");
    cr_assert_str_eq(SQL(left), "t");
    take_in("e2", "1");
    store_forget_next(&fx.store, &op, &rows);
    wait_for(&op);
    cr_assert_str_eq(SQL(left), "f");
}
