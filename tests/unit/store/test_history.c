/* Threads as a person reads them, against a real PostgreSQL. */
#include "core/store/history.h"
#include "tests/unit/store/store_case.h"
#include <stdio.h>

TestSuite(history, .init = case_open, .fini = case_close, .timeout = 60);

/* Somebody writes; commands are not part of what a model sees. */
static struct request_ids write_in(const char *person, const char *thread, const char *text)
{
    static int n;
    char event[24];
    struct request_ids ids = { .fresh = false };
    snprintf(event, sizeof(event), "e%d", n++);
    const struct request_new rq = { .request = uuid_v7(),
                                    .message = uuid_v7(),
                                    .user = uuid_v7(),
                                    .conversation = uuid_v7(),
                                    .channel_type = STR("web"),
                                    .channel = STR("web"),
                                    .event = str_of(event),
                                    .workspace = STR_NONE,
                                    .place = str_of(person),
                                    .thread = str_of(thread),
                                    .from = str_of(person),
                                    .username = STR_NONE,
                                    .display_name = STR_NONE,
                                    .platform_message = str_of(event),
                                    .query = str_of(text),
                                    .ip = STR_NONE,
                                    .metadata = STR("{}"),
                                    .command = *text == '/' };
    store_accept(&fx.store, &op, &rq, &rows);
    wait_for(&op);
    cr_assert(store_accepted(&rows, &ids) && ids.fresh);
    return ids;
}

static struct thread thread_of(const char *person, const char *thread)
{
    return (struct thread){ STR("web"), str_of(person), str_of(thread) };
}

static int read_page(const char *person, const char *thread, struct thread_page page)
{
    const struct thread t = thread_of(person, thread);
    if (!page.limit) page.limit = 50;
    if (!page.bytes_max) page.bytes_max = 1 << 20;
    store_thread_messages(&fx.store, &op, &t, &page, &rows);
    wait_for(&op);
    return rows.n;
}

static int list_threads(const char *person)
{
    store_threads(&fx.store, &op, STR("web"), str_of(person), 10, &rows);
    wait_for(&op);
    return rows.n;
}

static void expect(int row, int col, const char *text)
{
    cr_assert(str_eq(pg_rows_str(&rows, row, col), str_of(text)), "%.*s",
              STR_ARG(pg_rows_str(&rows, row, col)));
}

Test(history, lists_what_is_the_persons_own)
{
    write_in("anna", "t1", "/help");
    write_in("anna", "t1", "first words\nand more");
    write_in("anna", "t2", "other words");
    write_in("bert", "t3", "not hers");
    cr_assert_eq(list_threads("anna"), 2);
    cr_assert_eq(list_threads("nobody"), 0);

    const struct thread t1 = thread_of("anna", "t1"), t2 = thread_of("anna", "t2");
    store_thread_pin(&fx.store, &op, &t1, true, &rows);
    wait_for(&op);
    cr_assert_eq(rows.n_affected, 1);
    store_thread_rename(&fx.store, &op, &t2, STR("A title"), &rows);
    wait_for(&op);
    list_threads("anna");
    expect(0, 0, "t1");
    expect(0, 1, "");
    expect(0, 2, "first words\nand more");
    cr_assert(pg_rows_bool(&rows, 0, 4));
    expect(1, 1, "A title");
    cr_assert_not(pg_rows_bool(&rows, 1, 4));
    cr_assert_gt(pg_rows_i64(&rows, 1, 3), INT64_C(1500000000000));

    store_thread_rename(&fx.store, &op, &t2, STR_NONE, &rows);
    wait_for(&op);
    store_thread_hide(&fx.store, &op, &t1, &rows);
    wait_for(&op);
    cr_assert_eq(list_threads("anna"), 1);
    expect(0, 1, "");
}

Test(history, changes_nothing_of_others)
{
    write_in("anna", "t1", "hers");
    const struct thread foreign = thread_of("bert", "t1");
    store_thread_hide(&fx.store, &op, &foreign, &rows);
    wait_for(&op);
    cr_assert_eq(rows.n_affected, 0);
    cr_assert_eq(list_threads("anna"), 1);
    cr_assert_eq(read_page("bert", "t1", (struct thread_page){ .limit = 0 }), 0);
}

Test(history, reads_all_conversations_of_a_thread_page_by_page)
{
    char text[24];
    struct request_ids ids[10];
    for (int i = 0; i < 10; i++) {
        snprintf(text, sizeof(text), "message %d", i);
        ids[i] = write_in("anna", "t1", text);
        if (i % 4 == 3) /* as /new does: the next one begins another conversation in this place */
            pg_server_sql(&fx.server, "UPDATE conversations SET is_active = false");
    }
    cr_assert_eq(list_threads("anna"), 1);
    expect(0, 2, "message 0");

    cr_assert_eq(read_page("anna", "t1", (struct thread_page){ .limit = 4 }), 4);
    expect(0, 3, "message 9");
    expect(3, 3, "message 6");
    cr_assert_eq(pg_rows_i64(&rows, 0, 4), 5, "there are more");
    cr_assert(pg_rows_bool(&rows, 0, 1) && !pg_rows_bool(&rows, 0, 2));

    cr_assert_eq(read_page("anna", "t1", (struct thread_page){ .before = ids[2].message }), 2);
    expect(0, 3, "message 1");
    cr_assert_eq(pg_rows_i64(&rows, 0, 4), 2, "that is the beginning");

    cr_assert_eq(
        read_page("anna", "t1", (struct thread_page){ .after = ids[2].message, .limit = 3 }), 3);
    expect(0, 3, "message 3");
    expect(2, 3, "message 5");
    cr_assert_eq(pg_rows_i64(&rows, 0, 4), 4);
    cr_assert_eq(read_page("anna", "t1", (struct thread_page){ .after = ids[9].message }), 0);
}

Test(history, bounds_a_page_by_its_bytes_but_brings_one_message)
{
    for (int i = 0; i < 3; i++) write_in("anna", "t1", "0123456789");
    cr_assert_eq(read_page("anna", "t1", (struct thread_page){ .bytes_max = 15 }), 2);
    cr_assert_eq(read_page("anna", "t1", (struct thread_page){ .bytes_max = 10 }), 1);
    cr_assert_eq(read_page("anna", "t1", (struct thread_page){ .bytes_max = 1 }), 1);
    cr_assert_eq(pg_rows_i64(&rows, 0, 4), 3, "the rest is still known to be there");
}

Test(history, knows_what_is_open)
{
    struct request_ids first = write_in("anna", "t1", "one"),
                       second = write_in("anna", "t1", "two");
    const struct thread t = thread_of("anna", "t1");
    struct claimed c;
    static const struct uuid nil;
    store_claim(&fx.store, &op, first.conversation, nil, STR("me"), 1000, &rows);
    wait_for(&op);
    cr_assert(store_claimed(&rows, &c));
    store_thread_open(&fx.store, &op, &t, &rows);
    wait_for(&op);
    cr_assert_eq(rows.n, 2);
    struct uuid request = pg_rows_uuid(&rows, 0, 0), message = pg_rows_uuid(&rows, 1, 1);
    cr_assert(uuid_eq(&request, &first.request) && uuid_eq(&message, &second.message));
    expect(0, 2, "running");
    expect(1, 2, "queued");
}
