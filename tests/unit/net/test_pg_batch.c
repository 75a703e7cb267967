/* Group commit, against a real PostgreSQL. */
#include "tests/support/pg_calls.h"

enum { COLUMNS = 7 };

static const enum pg_type types[COLUMNS] = { PG_INT,  PG_TEXT,  PG_UUID, PG_BOOL,
                                             PG_JSON, PG_FLOAT, PG_INT };
/* "n" is unique and at least 0; "times" rows come back for each. */
static const struct pg_batch_kind put = {
    .stmt = { "put",
              "WITH rows AS (SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7) WITH ORDINALITY"
              "  AS r (n, t, u, b, j, f, times, number)),"
              " done AS (INSERT INTO items (n, t, u, b, j, f)"
              "  SELECT n, t, u, b, j, f FROM rows ORDER BY number RETURNING n, seq)"
              " SELECT number, done.seq, done.n FROM rows JOIN done USING (n),"
              " generate_series(1, times) ORDER BY 1" },
    .n_columns = COLUMNS,
    .types = types,
    .rows_max = 10,
};
static const struct pg_stmt slow_stmt = { "slow", "SELECT pg_sleep($1)" };
static const struct pg_stmt lock_stmt = {
    "lock", "WITH l AS (SELECT pg_advisory_xact_lock(1)) SELECT pg_sleep($1) FROM l"
};

static struct pg_batch *batch;

static void setup(void)
{
    pg_setup();
    pg_server_sql(&server, "CREATE TABLE items (n int8 PRIMARY KEY CHECK (n >= 0), t text, u uuid,"
                           " b bool, j jsonb, f float8, seq serial)");
    batch = pg_batch_new(pg, &put);
}

static void teardown(void)
{
    if (pg) pg_close(pg);
    pg = NULL;
    pg_batch_free(batch);
    pg_teardown();
}

TestSuite(pg_batch, .init = setup, .fini = teardown, .timeout = 60);

static void add(struct call *c, int64_t n, int64_t times)
{
    struct pg_value row[COLUMNS] = { pg_int(n),     pg_null(PG_TEXT), pg_null(PG_UUID),
                                     pg_bool(true), pg_null(PG_JSON), pg_float(1.5),
                                     pg_int(times) };

    op_init(&c->op, &loop, on_call_done);
    pg_batch_add(batch, &c->op, row, &c->rows);
}

static void reopen_with(int64_t statement_timeout_ms, int64_t queue_max)
{
    pg_close(pg);
    pg_batch_free(batch);
    conf.statement_timeout_ms = statement_timeout_ms;
    conf.queue_max = queue_max;
    pool_open();
    batch = pg_batch_new(pg, &put);
}

static void calls_done(struct call *calls, size_t n)
{
    for (size_t i = 0; i < n; i++) pg_rows_done(&calls[i].rows);
}

Test(pg_batch, values_of_every_type)
{
    struct uuid id = uuid_v7();
    char text[UUID_TEXT_MAX], want[200];
    struct call calls[2] = { 0 };
    struct pg_value all[COLUMNS] = {
        pg_int(1),      pg_text(STR("\xc3\xa9, \"{}\\")),   pg_uuid(id),
        pg_bool(false), pg_json(STR("{\"a\": [1, null]}")), pg_float(-0.1),
        pg_int(1)
    };
    struct pg_value none[COLUMNS] = { pg_int(2),        pg_null(PG_TEXT), pg_null(PG_UUID),
                                      pg_null(PG_BOOL), pg_null(PG_JSON), pg_null(PG_FLOAT),
                                      pg_null(PG_INT) };

    op_init(&calls[0].op, &loop, on_call_done);
    pg_batch_add(batch, &calls[0].op, all, &calls[0].rows);
    memset(all, 0, sizeof(all)); /* copied */
    op_init(&calls[1].op, &loop, on_call_done);
    pg_batch_add(batch, &calls[1].op, none, &calls[1].rows);
    run_calls(2);
    cr_assert_eq(calls[0].op.err.kind, ERR_NONE, "%s", calls[0].op.err.msg);
    cr_expect_eq(calls[0].rows.n, 1);
    cr_expect_eq(calls[1].rows.n, 0); /* generate_series(1, NULL) */
    uuid_text(&id, text);
    snprintf(want, sizeof(want), "1|\xc3\xa9, \"{}\\|%s|f|{\"a\": [1, null]}|-0.1\n2|||||", text);
    cr_expect_str_eq(pg_server_sql(&server, "SELECT n, t, u, b, j, f FROM items ORDER BY n"), want);
    calls_done(calls, 2);
}

Test(pg_batch, each_gets_its_rows)
{
    enum { N = 25 };
    struct call calls[N] = { 0 };

    for (int i = 0; i < N; i++) add(&calls[i], 100 + i, i % 4);
    run_calls(N);
    for (int i = 0; i < N; i++) {
        cr_assert_eq(calls[i].op.err.kind, ERR_NONE, "%s", calls[i].op.err.msg);
        cr_expect_eq(calls[i].rows.n, i % 4);
        cr_expect_eq(calls[i].rows.n_affected, i % 4);
        for (int row = 0; row < calls[i].rows.n; row++) {
            cr_expect_eq(pg_rows_i64(&calls[i].rows, row, 1), i + 1, "in order of adding");
            cr_expect_eq(pg_rows_i64(&calls[i].rows, row, 2), 100 + i);
        }
    }
    cr_expect_eq(metric("parley_pg_groups_total{stmt=\"put\"}"), 3);
    cr_expect_eq(metric("parley_pg_group_rows_total{stmt=\"put\"}"), N);
    /* The rows live as long as the last window on them. */
    for (int i = N - 1; i >= 0; i--) pg_rows_done(&calls[i].rows);
}

Test(pg_batch, a_copy_of_ones_rows_outlives_the_group)
{
    enum { N = 9 };
    struct call calls[N] = { 0 };

    for (int i = 0; i < N; i++) add(&calls[i], 100 + i, i % 3);
    run_calls(N);
    for (int i = 0; i < N; i += 2) pg_rows_own(&calls[i].rows);
    for (int i = 1; i < N; i += 2) pg_rows_done(&calls[i].rows);
    for (int i = 0; i < N; i += 2) {
        cr_expect_eq(calls[i].rows.n, i % 3);
        for (int row = 0; row < calls[i].rows.n; row++)
            cr_expect_eq(pg_rows_i64(&calls[i].rows, row, 2), 100 + i);
    }
    calls_done(calls, N);
}

Test(pg_batch, a_bad_row_hurts_only_itself)
{
    enum { N = 30 };
    struct call calls[N] = { 0 };

    for (int i = 0; i < N; i++) add(&calls[i], i % 10 == 4 ? -1 : i, 1);
    run_calls(N);
    int64_t last = 0;
    for (int i = 0; i < N; i++) {
        bool bad = i % 10 == 4;
        cr_expect_eq(calls[i].n_done, 1);
        cr_expect_eq(calls[i].op.err.kind, bad ? ERR_REFUSED : ERR_NONE, "%s", calls[i].op.err.msg);
        cr_expect(!bad || pg_err_is(&calls[i].op.err, "23514"));
        if (bad) continue;
        cr_expect_gt(pg_rows_i64(&calls[i].rows, 0, 1), last, "still in order");
        last = pg_rows_i64(&calls[i].rows, 0, 1);
    }
    cr_expect_str_eq(pg_server_sql(&server, "SELECT count(*) FROM items"), "27");
    calls_done(calls, N);
}

Test(pg_batch, a_bad_statement_fails_all_at_once)
{
    enum { N = 10 };
    struct call calls[N] = { 0 };

    pg_server_sql(&server, "DROP TABLE items");
    for (int i = 0; i < N; i++) add(&calls[i], i, 1);
    run_calls(N);
    for (int i = 0; i < N; i++) cr_expect(pg_err_is(&calls[i].op.err, "42P01"));
    cr_expect_eq(metric("parley_pg_groups_total{stmt=\"put\"}"), 1);
}

Test(pg_batch, rows_gather_while_a_group_is_out)
{
    enum { N = 9 };
    struct call calls[N] = { 0 }, holder = { .values = { pg_float(0.1) } };
    static const struct pg_stmt hold = { "hold", "WITH l AS (INSERT INTO items (n) VALUES (7))"
                                                 " SELECT pg_sleep($1)" };

    /* Group 1 waits for the lock on n = 7. */
    call_begin(&holder, &hold, 1);
    run_until(one_in_flight);
    loop_run_for(&loop, 20);
    add(&calls[0], 7, 1);
    loop_run_for(&loop, 20);
    for (int i = 1; i < N; i++) {
        add(&calls[i], 100 + i, 1);
        loop_run_for(&loop, 1);
    }
    run_calls(N + 1);
    cr_expect_eq(calls[0].op.err.kind, ERR_REFUSED);
    for (int i = 1; i < N; i++) cr_expect_eq(calls[i].op.err.kind, ERR_NONE);
    cr_expect_eq(metric("parley_pg_groups_total{stmt=\"put\"}"), 2);
    calls_done(calls, N);
    pg_rows_done(&holder.rows);
}

/* What waits goes out, and the answer cannot be there yet, however busy the machine is. */
static void send_to_frozen(void)
{
    pg_server_freeze(&server);
    uv_run(&loop.uv, UV_RUN_NOWAIT);
}

Test(pg_batch, cancelled_before_and_after_sending)
{
    enum { N = 6 };
    struct call calls[N] = { 0 };
    uint64_t orphans = op_orphans;

    run_until(is_up);
    for (int i = 0; i < N; i++) add(&calls[i], i, 1);
    op_cancel(&calls[2].op); /* its row leaves */
    send_to_frozen();
    op_cancel(&calls[4].op); /* its row is on its way */
    pg_server_thaw(&server);
    run_calls(4);
    cr_expect_eq(calls[2].n_done + calls[4].n_done, 0);
    cr_expect_eq(op_orphans, orphans + 1);
    cr_expect_str_eq(
        pg_server_sql(&server, "SELECT string_agg(n::text, ' ' ORDER BY n) FROM items"),
        "0 1 3 4 5");
    calls_done(calls, N);
}

Test(pg_batch, all_cancelled_before_sending)
{
    struct call calls[3] = { 0 };

    for (int i = 0; i < 2; i++) add(&calls[i], i, 1);
    for (int i = 0; i < 2; i++) op_cancel(&calls[i].op);
    run_until(is_up);
    add(&calls[2], 2, 1);
    run_calls(1);
    cr_expect_eq(calls[2].op.err.kind, ERR_NONE);
    cr_expect_str_eq(pg_server_sql(&server, "SELECT count(*) FROM items"), "1");
    calls_done(calls, 3);
}

Test(pg_batch, freed_with_a_group_in_flight)
{
    struct call c = { 0 };
    uint64_t orphans = op_orphans;

    run_until(is_up);
    add(&c, 1, 1);
    send_to_frozen();
    op_cancel(&c.op);
    pg_server_thaw(&server);
    pg_batch_free(batch);
    batch = NULL;
    struct call after = { .values = { pg_float(0.01) } };
    call(&after, &slow_stmt, 1);
    cr_expect_eq(op_orphans, orphans + 1);
    pg_rows_done(&after.rows);
}

Test(pg_batch, waiting_rows_are_bounded)
{
    enum { N = 8 };
    struct call calls[N] = { 0 };
    static char large[65 << 20];

    reopen_with(5000, 5);
    for (int i = 0; i < N; i++) add(&calls[i], i, 1);
    run_calls(N);
    for (int i = 0; i < N; i++) cr_expect_eq(calls[i].op.err.kind, i < 5 ? ERR_NONE : ERR_LIMIT);
    calls_done(calls, N);

    struct pg_value row[COLUMNS] = { pg_int(9),        pg_text(str_from(large, sizeof(large))),
                                     pg_null(PG_UUID), pg_bool(true),
                                     pg_null(PG_JSON), pg_float(1.5),
                                     pg_int(1) };
    pg_batch_add(batch, &calls[0].op, row, NULL);
    run_calls(1);
    cr_expect_eq(calls[0].op.err.kind, ERR_LIMIT);
}

Test(pg_batch, lost_groups_are_sent_again_once)
{
    enum { N = 25 };
    struct call calls[N] = { 0 }, holder = { .values = { pg_float(4) } };

    /* The group stands in the pipeline behind a statement whose backend is then killed. */
    conf.pool_max = 1;
    call_begin(&holder, &lock_stmt, 1);
    run_until(one_in_flight);
    for (int i = 0; i < N; i++) add(&calls[i], i, 1);
    loop_run_for(&loop, 20);
    pg_server_shut(&server, SIGQUIT);
    pg_server_start(&server);
    run_calls(N + 1);
    cr_expect_eq(holder.op.err.kind, ERR_UNKNOWN, "%s", holder.op.err.msg);
    for (int i = 0; i < N; i++) {
        cr_expect_eq(calls[i].op.err.kind, ERR_NONE, "%s", calls[i].op.err.msg);
        cr_expect_eq(pg_rows_i64(&calls[i].rows, 0, 2), i);
    }
    calls_done(calls, N);
}

Test(pg_batch, lost_twice_is_unknown)
{
    struct call c = { 0 };
    static const char killer[] =
        "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;"
        "CREATE TRIGGER die BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION die()";

    pg_server_sql(&server, killer);
    add(&c, 1, 1);
    run_calls(1);
    /* The server said 57P01 both times: nothing was done, for sure. */
    cr_expect_eq(c.op.err.kind, ERR_IO, "%s", c.op.err.msg);
    cr_expect(pg_err_is(&c.op.err, "57P01"));
    cr_expect_eq(metric("parley_pg_groups_total{stmt=\"put\"}"), 2);
}

Test(pg_batch, rows_expire_without_a_server)
{
    struct call calls[3] = { 0 };

    reopen_with(300, 1000);
    run_until(is_up);
    pg_server_shut(&server, SIGINT);
    run_until(is_down);
    for (int i = 0; i < 3; i++) add(&calls[i], i, 1);
    op_cancel(&calls[1].op);
    run_calls(2);
    cr_expect_eq(calls[0].op.err.kind, ERR_IO, "%s", calls[0].op.err.msg);
    cr_expect_eq(calls[1].n_done, 0);
    cr_expect_eq(calls[2].op.err.kind, ERR_IO);
    pg_server_start(&server);
    run_until(is_up);
    add(&calls[0], 5, 1);
    run_calls(1);
    cr_expect_str_eq(pg_server_sql(&server, "SELECT n FROM items"), "5");
    calls_done(calls, 3);
}

Test(pg_batch, unordered_rows_are_a_bug)
{
    static const enum pg_type one[] = { PG_INT };
    static const struct pg_batch_kind kind = {
        .stmt = { "unordered", "SELECT number FROM unnest($1) WITH ORDINALITY AS r (n, number)"
                               " ORDER BY 1 DESC" },
        .n_columns = 1,
        .types = one,
        .rows_max = 10,
    };
    struct pg_batch *b = pg_batch_new(pg, &kind);
    struct call calls[2] = { 0 };

    for (int i = 0; i < 2; i++) {
        struct pg_value row = pg_int(i);
        op_init(&calls[i].op, &loop, on_call_done);
        pg_batch_add(b, &calls[i].op, &row, &calls[i].rows);
    }
    run_calls(2);
    cr_expect_eq(calls[1].op.err.kind, ERR_BUG);
    calls_done(calls, 2);
    pg_batch_free(b);
}

Test(pg_batch, closing_with_rows_everywhere)
{
    enum { N = 25 };
    struct call calls[N] = { 0 };

    run_until(is_up);
    for (int i = 0; i < N; i++) add(&calls[i], i, 1);
    send_to_frozen(); /* ten are on their way */
    op_cancel(&calls[3].op);
    op_cancel(&calls[13].op);
    pg_server_thaw(&server);
    pg_close(pg);
    pg = NULL;
    run_calls(N - 2);
    for (int i = 0; i < N; i++) {
        if (i == 3 || i == 13) continue;
        cr_expect_eq(calls[i].op.err.kind, i < 10 ? ERR_UNKNOWN : ERR_CANCELLED);
    }
    add(&calls[0], 0, 1); /* harmless */
    run_calls(1);
    cr_expect_eq(calls[0].op.err.kind, ERR_CANCELLED);
}
