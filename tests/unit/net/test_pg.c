/* Statements through the pool, against a real PostgreSQL. */
#include "core/base/clock.h"
#include "tests/support/pg_calls.h"
#include <float.h>

static const struct pg_stmt echo_stmt = {
    "echo", "SELECT $1, $2, $3, $4, $5 ->> 'a', $6, $1::text IS NULL, pg_typeof($1)::text, "
            "pg_typeof($5)::text"
};
static const struct pg_stmt sleep_stmt = { "sleep", "SELECT pg_sleep($1)" };
static const struct pg_stmt one_stmt = { "one", "SELECT 1" };
static const struct pg_stmt add_stmt = { "add", "INSERT INTO numbers VALUES ($1)" };
static const struct pg_stmt count_stmt = { "count", "SELECT count(*) FROM numbers" };
static const struct pg_stmt backend_stmt = { "backend", "SELECT pg_backend_pid()" };
static const struct pg_stmt connections_stmt = {
    "connections", "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'parley'"
};

TestSuite(pg, .init = pg_setup, .fini = pg_teardown, .timeout = 60);

static void make_numbers(void)
{
    pg_server_sql(&server, "CREATE TABLE numbers (n int8 PRIMARY KEY)");
}

Test(pg, values_of_every_type)
{
    struct uuid id = uuid_v7();
    struct call c = { .values = { pg_text(STR("a\"\\'\xc3\xa9\n")), pg_uuid(id), pg_int(INT64_MIN),
                                  pg_bool(true), pg_json(STR("{\"a\": \"b\"}")),
                                  pg_float(DBL_MIN) } };

    cr_assert_eq(call(&c, &echo_stmt, 6), ERR_NONE, "%s", c.op.err.msg);
    cr_assert_eq(c.rows.n, 1);
    cr_expect(str_eq(pg_rows_str(&c.rows, 0, 0), STR("a\"\\'\xc3\xa9\n")));
    struct uuid back = pg_rows_uuid(&c.rows, 0, 1);
    cr_expect(uuid_eq(&back, &id));
    cr_expect_eq(pg_rows_i64(&c.rows, 0, 2), INT64_MIN);
    cr_expect(pg_rows_bool(&c.rows, 0, 3));
    cr_expect(str_eq(pg_rows_str(&c.rows, 0, 4), STR("b")));
    cr_expect_eq(pg_rows_f64(&c.rows, 0, 5), DBL_MIN);
    cr_expect_not(pg_rows_bool(&c.rows, 0, 6));
    cr_expect(str_eq(pg_rows_str(&c.rows, 0, 7), STR("text")));
    cr_expect(str_eq(pg_rows_str(&c.rows, 0, 8), STR("jsonb")));
    pg_rows_done(&c.rows);
    pg_rows_done(&c.rows);
}

Test(pg, nulls_of_every_type)
{
    struct call c = { .values = { pg_null(PG_TEXT), pg_null(PG_UUID), pg_null(PG_INT),
                                  pg_null(PG_BOOL), pg_null(PG_JSON), pg_null(PG_FLOAT) } };

    cr_assert_eq(call(&c, &echo_stmt, 6), ERR_NONE, "%s", c.op.err.msg);
    for (int i = 0; i < 6; i++) cr_expect(pg_rows_null(&c.rows, 0, i));
    cr_expect_eq(pg_rows_str(&c.rows, 0, 0).n, 0);
    struct uuid nil = pg_rows_uuid(&c.rows, 0, 1);
    cr_expect(uuid_is_nil(&nil));
    cr_expect_eq(pg_rows_i64(&c.rows, 0, 2), 0);
    cr_expect_not(pg_rows_bool(&c.rows, 0, 3));
    cr_expect_eq(pg_rows_f64(&c.rows, 0, 5), 0);
    pg_rows_done(&c.rows);
}

Test(pg, rows_of_ones_own)
{
    static const struct pg_stmt rows = {
        "rows", "SELECT i, CASE WHEN i = 2 THEN NULL ELSE repeat('a', i::int) END, ''"
                " FROM generate_series(1, $1) i"
    };
    struct call c = { .values = { pg_int(3) } };

    cr_assert_eq(call(&c, &rows, 1), ERR_NONE, "%s", c.op.err.msg);
    for (int i = 0; i < 2; i++) { /* also of those that are one's own already */
        pg_rows_own(&c.rows);
        cr_assert_eq(c.rows.n, 3);
        cr_expect_eq(pg_rows_i64(&c.rows, 1, 0), 2);
        cr_expect(pg_rows_null(&c.rows, 1, 1));
        cr_expect(str_eq(pg_rows_str(&c.rows, 1, 1), STR_NONE));
        cr_expect_eq(pg_rows_i64(&c.rows, 2, 0), 3);
        cr_expect_str_eq(pg_rows_str(&c.rows, 2, 1).p, "aaa");
        cr_expect_not(pg_rows_null(&c.rows, 2, 2));
        cr_expect_eq(pg_rows_str(&c.rows, 2, 2).n, 0);
    }
    pg_rows_done(&c.rows);
    pg_rows_own(&c.rows);
    cr_expect_eq(c.rows.n, 0);
}

Test(pg, text_is_read_as_what_the_statement_says)
{
    static const struct pg_stmt cast = { "cast", "SELECT extract(epoch FROM $1::timestamptz)::int8,"
                                                 " $2::text, current_setting('TimeZone'),"
                                                 " current_setting('statement_timeout')" };
    struct call c = { .values = { pg_text(STR("2026-01-01 00:00:00Z")), pg_text(STR("")) } };

    cr_assert_eq(call(&c, &cast, 2), ERR_NONE, "%s", c.op.err.msg);
    cr_expect_eq(pg_rows_i64(&c.rows, 0, 0), 1767225600);
    cr_expect_eq(pg_rows_str(&c.rows, 0, 1).n, 0);
    cr_expect_not(pg_rows_null(&c.rows, 0, 1));
    cr_expect(str_eq(pg_rows_str(&c.rows, 0, 2), STR("UTC")));
    cr_expect(str_eq(pg_rows_str(&c.rows, 0, 3), STR("20s")));
    pg_rows_done(&c.rows);
}

Test(pg, rows_affected)
{
    static const struct pg_stmt fill = { "fill",
                                         "INSERT INTO numbers SELECT generate_series(1, $1)" };
    struct call c = { .values = { pg_int(7) } };

    make_numbers();
    cr_assert_eq(call(&c, &fill, 1), ERR_NONE, "%s", c.op.err.msg);
    cr_expect_eq(c.rows.n, 0);
    cr_expect_eq(c.rows.n_affected, 7);
}

Test(pg, a_null_character_is_refused)
{
    struct call c = { .values = { pg_text(str_from("a\0b", 3)) } };
    static const struct pg_stmt s = { "text", "SELECT $1::text" };

    cr_expect_eq(call(&c, &s, 1), ERR_REFUSED);
    c.values[0] = pg_text(STR("\xff"));
    cr_expect_eq(call_i64(&one_stmt), 1);
    c.n_done = 0;
    cr_expect_eq(call(&c, &s, 1), ERR_REFUSED);
    cr_expect(pg_err_is(&c.op.err, "22021"));
}

Test(pg, one_failing_among_many_of_a_turn)
{
    enum { N = 40 };
    struct call calls[N] = { 0 };

    make_numbers();
    for (int i = 0; i < N; i++) {
        calls[i].values[0] = pg_int(i % 10 == 9 ? 0 : i);
        call_begin(&calls[i], &add_stmt, 1);
    }
    run_calls(N);
    for (int i = 0; i < N; i++) {
        bool bad = i % 10 == 9;
        cr_expect_eq(calls[i].n_done, 1);
        cr_expect_eq(calls[i].op.err.kind, bad ? ERR_REFUSED : ERR_NONE, "%s", calls[i].op.err.msg);
        cr_expect(!bad || pg_err_is(&calls[i].op.err, "23505"));
    }
    cr_expect_eq(call_i64(&count_stmt), N - N / 10);
}

Test(pg, the_sqlstate_of_this_turn)
{
    struct call c = { .values = { pg_int(1) } };

    make_numbers();
    cr_expect_eq(call(&c, &add_stmt, 1), ERR_NONE);
    cr_expect_str_eq(c.sqlstate, "");
    c.n_done = 0;
    cr_expect_eq(call(&c, &add_stmt, 1), ERR_REFUSED);
    cr_expect_str_eq(c.sqlstate, "23505");
    cr_expect_eq(call_i64(&one_stmt), 1);
    cr_expect_str_eq(pg_sqlstate(pg), "");
}

Test(pg, an_error_names_no_value)
{
    static const struct pg_stmt s = { "parse", "SELECT $1::int4" };
    struct call c = { .values = { pg_text(STR("hunter2")) } };

    cr_expect_eq(call(&c, &s, 1), ERR_REFUSED);
    cr_expect(pg_err_is(&c.op.err, "22P02"));
    cr_expect_null(strstr(c.op.err.msg, "hunter2"));
    cr_expect(strstr(c.op.err.msg, "parse"));
}

Test(pg, an_error_at_commit_counts)
{
    static const struct pg_stmt s = { "child", "INSERT INTO children VALUES ($1)" };
    struct call c = { .values = { pg_int(1) } };

    make_numbers();
    pg_server_sql(&server, "CREATE TABLE children (n int8 REFERENCES numbers DEFERRABLE INITIALLY "
                           "DEFERRED)");
    cr_expect_eq(call(&c, &s, 1), ERR_REFUSED, "%s", c.op.err.msg);
    cr_expect(pg_err_is(&c.op.err, "23503"), "%s", c.op.err.msg);
    cr_expect_eq(call_i64(&one_stmt), 1);
}

Test(pg, a_bad_statement_fails_alone_and_again)
{
    static const struct pg_stmt bad = { "bad", "SELECT nothing FROM nowhere" };
    struct call calls[6] = { 0 };

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 6; i++) call_begin(&calls[i], i % 2 ? &bad : &one_stmt, 0);
        run_calls(6);
        for (int i = 0; i < 6; i++) {
            cr_expect_eq(calls[i].op.err.kind, i % 2 ? ERR_REFUSED : ERR_NONE);
            cr_expect(i % 2 == 0 || pg_err_is(&calls[i].op.err, "42P01"), "%s",
                      calls[i].op.err.msg);
            pg_rows_done(&calls[i].rows);
        }
    }
    /* Later, when a migration has made the table, the same statement works. */
    pg_server_sql(&server, "CREATE TABLE nowhere (nothing int); INSERT INTO nowhere VALUES (1)");
    cr_expect_eq(call_i64(&bad), 1);
}

Test(pg, a_lost_prepared_statement_is_prepared_again)
{
    static const struct pg_stmt forget = { "forget", "DEALLOCATE ALL" };
    struct call calls[5] = { 0 };

    cr_expect_eq(call_i64(&one_stmt), 1);
    cr_expect_eq(call(&calls[0], &forget, 0), ERR_NONE, "%s", calls[0].op.err.msg);
    for (int i = 0; i < 5; i++) {
        calls[i].n_done = 0;
        call_begin(&calls[i], &one_stmt, 0);
    }
    run_calls(5);
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(calls[i].op.err.kind, ERR_NONE, "%s", calls[i].op.err.msg);
        pg_rows_done(&calls[i].rows);
    }
}

Test(pg, two_statements_of_one_name)
{
    static const struct pg_stmt other = { "one", "SELECT 2" };
    struct call c = { 0 };

    cr_expect_eq(call_i64(&one_stmt), 1);
    cr_expect_eq(call(&c, &other, 0), ERR_BUG);
}

Test(pg, five_hundred_at_once)
{
    enum { N = 500 };
    struct call *calls = mem_new_array(struct call, N);
    static const struct pg_stmt same = { "same", "SELECT $1" };

    for (int i = 0; i < N; i++) {
        calls[i].values[0] = pg_int(i);
        call_begin(&calls[i], &same, 1);
    }
    run_calls(N);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(calls[i].op.err.kind, ERR_NONE, "%s", calls[i].op.err.msg);
        cr_expect_eq(pg_rows_i64(&calls[i].rows, 0, 0), i);
        pg_rows_done(&calls[i].rows);
    }
    free(calls);
}

Test(pg, large_values_both_ways)
{
    enum { SIZE = 4 << 20 };
    static const struct pg_stmt same = { "large", "SELECT $1::text" };
    char *text = mem_alloc(SIZE);
    struct call calls[3] = { 0 };

    memset(text, 'x', SIZE);
    for (int i = 0; i < 3; i++) {
        calls[i].values[0] = pg_text(str_from(text, SIZE));
        call_begin(&calls[i], &same, 1);
    }
    run_calls(3);
    for (int i = 0; i < 3; i++) {
        cr_expect_eq(calls[i].op.err.kind, ERR_NONE, "%s", calls[i].op.err.msg);
        cr_expect_eq(pg_rows_str(&calls[i].rows, 0, 0).n, SIZE);
        pg_rows_done(&calls[i].rows);
    }
    free(text);
}

Test(pg, cancelled_while_queued_is_not_sent)
{
    struct call c = { .values = { pg_int(1) } };

    make_numbers();
    run_until(is_up);
    call_begin(&c, &add_stmt, 1);
    op_cancel(&c.op);
    cr_expect_eq(call_i64(&count_stmt), 0);
    cr_expect_eq(c.n_done, 0);
}

Test(pg, cancelled_after_sending_is_an_orphan)
{
    struct call c = { .values = { pg_float(0.05) } };
    uint64_t orphans = op_orphans;

    conf.pool_max = 1;
    call_begin(&c, &sleep_stmt, 1);
    run_until(one_in_flight);
    op_cancel(&c.op);
    for (int i = 0; i < 3; i++) cr_expect_eq(call_i64(&one_stmt), 1);
    cr_expect_eq(c.n_done, 0);
    cr_expect_eq(op_orphans, orphans + (pg ? 1 : 0));
}

Test(pg, cancelled_between_end_and_delivery)
{
    struct call a = { 0 }, b = { 0 };

    /* Both answers come together; the first one's done cancels the second. */
    call_begin(&a, &one_stmt, 0);
    call_begin(&b, &one_stmt, 0);
    run_calls(1);
    op_cancel(&b.op);
    op_cancel(&a.op);
    cr_expect_eq(call_i64(&one_stmt), 1);
    pg_rows_done(&a.rows);
    pg_rows_done(&b.rows);
}

Test(pg, statement_timeout)
{
    struct call c = { .values = { pg_float(10) } };

    pg_close(pg);
    conf.statement_timeout_ms = 200;
    pool_open();
    uint64_t began = clock_ms();
    cr_expect_eq(call(&c, &sleep_stmt, 1), ERR_TIMEOUT);
    cr_expect(pg_err_is(&c.op.err, "57014"), "%s", c.op.err.msg);
    cr_expect_lt(clock_ms() - began, 9000);
    cr_expect_eq(call_i64(&one_stmt), 1);
}

Test(pg, the_queue_is_bounded)
{
    enum { N = 20 };
    struct call calls[N] = { 0 };

    pg_close(pg);
    conf.queue_max = 15;
    pool_open();
    for (int i = 0; i < N; i++) call_begin(&calls[i], &one_stmt, 0);
    run_calls(N);
    for (int i = 0; i < N; i++) {
        cr_expect_eq(calls[i].op.err.kind, i < 15 ? ERR_NONE : ERR_LIMIT);
        pg_rows_done(&calls[i].rows);
    }
}

static bool sleepers_on_all(void)
{
    return strcmp(pg_server_sql(&server, "SELECT count(*) FROM pg_stat_activity WHERE "
                                         "application_name = 'parley'"),
                  "4") == 0;
}

Test(pg, the_pool_grows_and_shrinks)
{
    enum { N = 32 };
    struct call calls[N] = { 0 };

    cr_expect_eq(call_i64(&connections_stmt), 1);
    n_ended = 0;
    for (int i = 0; i < N; i++) {
        calls[i].values[0] = pg_float(0.05);
        call_begin(&calls[i], &sleep_stmt, 1);
    }
    run_until(sleepers_on_all);
    if (n_ended < N) run_calls(N - n_ended);
    for (int i = 0; i < N; i++) pg_rows_done(&calls[i].rows);
    clock_virtual(clock_ms());
    loop_run_for(&loop, 75000);
    clock_real();
    cr_expect_eq(metric("parley_pg_connections{state=\"up\"}"), 1);
}

Test(pg, a_slow_statement_does_not_hold_up_others)
{
    struct call slow = { .values = { pg_float(2) } };
    struct call quick[2] = { 0 };

    pg_close(pg);
    conf.pool_min = 2;
    pool_open();
    run_until(two_up);
    call_begin(&slow, &sleep_stmt, 1);
    for (int i = 0; i < 2; i++) {
        cr_expect_eq(call(&quick[i], &backend_stmt, 0), ERR_NONE);
        pg_rows_done(&quick[i].rows);
    }
    cr_expect_eq(slow.n_done, 0);
    run_calls(1);
    pg_rows_done(&slow.rows);
}

Test(pg, closing_with_everything_under_way)
{
    enum { N = 30 };
    struct call calls[N] = { 0 };

    for (int i = 0; i < N; i++) {
        calls[i].values[0] = pg_float(1);
        call_begin(&calls[i], &sleep_stmt, 1);
        if (i == 20) loop_run_for(&loop, 20);
    }
    op_cancel(&calls[0].op);
    op_cancel(&calls[29].op);
    pg_close(pg);
    pg = NULL;
    for (int i = 1; i < N - 1; i++) cr_expect(op_busy(&calls[i].op), "%d", i);
    loop_run_for(&loop, 10);
    for (int i = 0; i < N; i++) {
        cr_expect_eq(calls[i].n_done, i == 0 || i == N - 1 ? 0 : 1);
        enum err_kind kind = calls[i].op.err.kind;
        cr_expect(i == 0 || i == N - 1 || kind == ERR_UNKNOWN || kind == ERR_CANCELLED);
    }
}

Test(pg, closing_at_any_time)
{
    struct call c = { .values = { pg_float(0.01) } };

    for (unsigned turns = 0; turns < 40; turns++) {
        for (unsigned i = 0; i < turns; i++) uv_run(&loop.uv, UV_RUN_NOWAIT);
        if (!op_busy(&c.op)) call_begin(&c, &sleep_stmt, 1);
        uv_run(&loop.uv, UV_RUN_NOWAIT);
        op_cancel(&c.op);
        pg_close(pg);
        pool_open();
    }
    pg_rows_done(&c.rows);
}

Test(pg, script)
{
    struct call c = { 0 };

    op_init(&c.op, &loop, on_call_done);
    pg_script(pg, &c.op, STR("CREATE TABLE a (n int); INSERT INTO a VALUES (1), (2);"), 5000);
    run_calls(1);
    cr_expect_eq(c.op.err.kind, ERR_NONE, "%s", c.op.err.msg);
    pg_script(pg, &c.op, STR("INSERT INTO a VALUES (3); SELECT 1 / 0;"), 5000);
    run_calls(1);
    cr_expect_eq(c.op.err.kind, ERR_REFUSED);
    cr_expect_str_eq(c.sqlstate, "22012");
    cr_expect_str_eq(pg_server_sql(&server, "SELECT count(*) FROM a"), "2");
    pg_script(pg, &c.op, STR("SELECT pg_sleep(10)"), 300);
    run_calls(1);
    cr_expect_eq(c.op.err.kind, ERR_TIMEOUT, "%s", c.op.err.msg);
    pg_script(pg, &c.op, STR("SELECT pg_sleep(10)"), 5000);
    loop_run_for(&loop, 30);
    op_cancel(&c.op);
    pg_script(pg, &c.op, STR("SELECT pg_sleep(10)"), 5000);
    loop_run_for(&loop, 30);
    pg_close(pg);
    pg = NULL;
    run_calls(1);
    cr_expect_eq(c.op.err.kind, ERR_UNKNOWN);
}
