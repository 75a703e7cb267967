/* Connections that fail, break, hang and come back. */
#include "tests/support/pg_calls.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct pg_stmt sleep_stmt = { "sleep", "SELECT pg_sleep($1)" };
static const struct pg_stmt one_stmt = { "one", "SELECT 1" };
static const struct pg_stmt die_stmt = { "die", "SELECT pg_terminate_backend(pg_backend_pid())" };
static const struct pg_stmt add_stmt = { "add", "INSERT INTO numbers VALUES ($1)" };

TestSuite(pg_lost, .init = pg_setup, .fini = pg_teardown, .timeout = 60);

static void reopen(void)
{
    pg_close(pg);
    pool_open();
}

/* A listening socket that never says a word. */
static int mute_server(int *ret_port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert(bind(fd, (struct sockaddr *)&a, n) == 0 && listen(fd, 8) == 0);
    getsockname(fd, (struct sockaddr *)&a, &n);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void open_url(const char *url)
{
    struct err why;

    if (pg) pg_close(pg);
    conf.url = url;
    cr_assert_eq(pg_open(&loop, &conf, &pg, &why), ERR_NONE, "%s", why.msg);
}

Test(pg_lost, statements_wait_for_the_first_connection)
{
    struct call c = { 0 };

    pg_server_shut(&server, SIGINT);
    reopen();
    cr_expect_not(pg_is_up(pg));
    call_begin(&c, &one_stmt, 0);
    loop_run_for(&loop, 50);
    cr_expect_neq(*pg_down_reason(pg), '\0');
    pg_server_start(&server);
    run_calls(1);
    cr_expect_eq(c.op.err.kind, ERR_NONE, "%s", c.op.err.msg);
    cr_expect_str_eq(pg_down_reason(pg), "");
    pg_rows_done(&c.rows);
}

Test(pg_lost, refused_until_the_deadline)
{
    struct call c = { 0 }, cancelled = { 0 };

    pg_server_shut(&server, SIGINT);
    conf.statement_timeout_ms = 300;
    reopen();
    call_begin(&cancelled, &one_stmt, 0);
    call_begin(&c, &one_stmt, 0);
    loop_run_for(&loop, 10);
    op_cancel(&cancelled.op);
    run_calls(1);
    cr_expect_eq(c.op.err.kind, ERR_IO, "%s", c.op.err.msg);
    cr_expect(strstr(c.op.err.msg, "no connection"), "%s", c.op.err.msg);
    cr_expect_eq(cancelled.n_done, 0);
}

static void lost_in_flight(int sig)
{
    struct call sent = { .values = { pg_float(5) } }, later = { 0 };

    call_begin(&sent, &sleep_stmt, 1);
    run_until(one_in_flight);
    loop_run_for(&loop, 50);
    pg_server_shut(&server, sig);
    run_calls(1);
    cr_expect_eq(sent.op.err.kind, sig == SIGINT ? ERR_IO : ERR_UNKNOWN, "%s", sent.op.err.msg);
    run_until(is_down);
    call_begin(&later, &one_stmt, 0);
    loop_run_for(&loop, 50);
    cr_expect_eq(later.n_done, 0);
    pg_server_start(&server);
    run_calls(1);
    cr_expect_eq(later.op.err.kind, ERR_NONE, "%s", later.op.err.msg);
    pg_rows_done(&later.rows);
}

Test(pg_lost, crash_and_restart)
{
    lost_in_flight(SIGQUIT);
}

/* The server ended the session itself, before the statement had its result: nothing was done. */
Test(pg_lost, shutdown_and_restart)
{
    lost_in_flight(SIGINT);
}

Test(pg_lost, behind_a_dying_statement_the_others_live)
{
    enum { N = 8 };
    struct call calls[N] = { 0 };

    conf.pool_max = 1;
    reopen();
    run_until(is_up);
    for (int i = 0; i < N; i++) call_begin(&calls[i], i == 3 ? &die_stmt : &one_stmt, 0);
    run_calls(N);
    for (int i = 0; i < N; i++) {
        cr_expect_eq(calls[i].op.err.kind, i == 3 ? ERR_IO : ERR_NONE, "%s", calls[i].op.err.msg);
        pg_rows_done(&calls[i].rows);
    }
    cr_expect(pg_err_is(&calls[3].op.err, "57P01"), "%s", calls[3].op.err.msg);
}

Test(pg_lost, an_idle_connection_comes_back)
{
    run_until(is_up);
    pg_server_sql(&server, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                           "application_name = 'parley'");
    run_until(is_down);
    run_until(is_up);
    cr_expect_eq(call_i64(&one_stmt), 1);
}

Test(pg_lost, restarts_under_load_lose_nothing_and_double_nothing)
{
    enum { N = 400 };
    struct call *calls = mem_new_array(struct call, N);
    int n_ok = 0, n_none = 0;

    pg_server_sql(&server, "CREATE TABLE numbers (n int8)");
    conf.pool_min = 4;
    reopen();
    for (int i = 0; i < N; i++) {
        calls[i].values[0] = pg_int(i);
        call_begin(&calls[i], &add_stmt, 1);
        if (i % 20 == 0) loop_run_for(&loop, 1);
        if (i == 150 || i == 300) {
            pg_server_shut(&server, i == 150 ? SIGQUIT : SIGINT);
            pg_server_start(&server);
        }
    }
    run_calls(N - n_ended);
    const char *counts = pg_server_sql(&server, "SELECT count(numbers.n) FROM generate_series(0, "
                                                "399) AS i LEFT JOIN numbers ON n = i GROUP BY i "
                                                "ORDER BY i");
    for (int i = 0; i < N; i++) {
        enum err_kind kind = calls[i].op.err.kind;
        long in_table = strtol(counts, (char **)&counts, 10);
        cr_expect_eq(calls[i].n_done, 1);
        if (kind == ERR_NONE) cr_expect_eq(in_table, 1);
        if (kind == ERR_IO) cr_expect_eq(in_table, 0, "%s", calls[i].op.err.msg);
        if (kind == ERR_UNKNOWN) cr_expect_leq(in_table, 1);
        n_ok += kind == ERR_NONE;
        n_none += kind != ERR_NONE && kind != ERR_IO && kind != ERR_UNKNOWN;
    }
    cr_expect_gt(n_ok, N / 2);
    cr_expect_eq(n_none, 0);
    free(calls);
}

Test(pg_lost, a_server_that_hangs)
{
    struct call c = { 0 };

    conf.statement_timeout_ms = 200;
    reopen();
    run_until(is_up);
    pg_server_freeze(&server);
    call_begin(&c, &one_stmt, 0);
    run_calls(1);
    cr_expect_eq(c.op.err.kind, ERR_TIMEOUT, "%s", c.op.err.msg);
    run_until(is_down); /* the connection is given up */
    pg_server_thaw(&server);
    run_until(is_up);
    cr_expect_eq(call_i64(&one_stmt), 1);
}

Test(pg_lost, connecting_to_a_mute_server)
{
    int port;
    int fd = mute_server(&port);
    char url[100];
    struct call c = { 0 };

    snprintf(url, sizeof(url), "postgresql://x@127.0.0.1:%d/x", port);
    conf.connect_timeout_ms = 100;
    conf.statement_timeout_ms = 500;
    open_url(url);
    cr_expect_eq(call(&c, &one_stmt, 0), ERR_IO);
    cr_expect(strstr(pg_down_reason(pg), "too long"), "%s", pg_down_reason(pg));
    close(fd);
}

Test(pg_lost, too_many_connections)
{
    enum { N = 40 };
    struct call calls[N] = { 0 };

    pg_close(pg);
    pg = NULL;
    pg_server_shut(&server, SIGINT);
    server.args = "-c max_connections=6 -c superuser_reserved_connections=0 -c max_wal_senders=0";
    pg_server_start(&server);
    conf.pool_max = 20;
    pool_open();
    for (int i = 0; i < N; i++) {
        calls[i].values[0] = pg_float(0.02);
        call_begin(&calls[i], &sleep_stmt, 1);
    }
    run_calls(N);
    for (int i = 0; i < N; i++) {
        cr_expect_eq(calls[i].op.err.kind, ERR_NONE, "%s", calls[i].op.err.msg);
        pg_rows_done(&calls[i].rows);
    }
}

Test(pg_lost, a_database_that_is_not_there)
{
    char url[200];
    struct call c = { 0 };

    snprintf(url, sizeof(url), "postgresql:///nowhere?host=%s&user=postgres", server.dir);
    conf.statement_timeout_ms = 300;
    open_url(url);
    cr_expect_eq(call(&c, &one_stmt, 0), ERR_IO);
    cr_expect(strstr(pg_down_reason(pg), "nowhere"), "%s", pg_down_reason(pg));
}

static void server_on_tcp(char url[200], const char *hosts)
{
    static char args[80];
    int port;

    close(mute_server(&port));
    pg_close(pg);
    pg = NULL;
    pg_server_shut(&server, SIGINT);
    snprintf(args, sizeof(args), "-c listen_addresses=127.0.0.1 -c port=%d", port);
    server.args = args;
    pg_server_start(&server);
    snprintf(url, 200, "postgresql://postgres@/postgres?host=%s&port=%d", hosts, port);
}

Test(pg_lost, names_are_resolved)
{
    char url[200];
    struct call c = { 0 };

    server_on_tcp(url, "localhost");
    open_url(url);
    cr_expect_eq(call(&c, &one_stmt, 0), ERR_NONE, "%s", c.op.err.msg);
    pg_rows_done(&c.rows);
}

Test(pg_lost, several_hosts_are_tried_in_order)
{
    char url[200];
    struct call c = { 0 };

    server_on_tcp(url, "/nowhere,localhost,127.0.0.1");
    open_url(url);
    cr_expect_eq(call(&c, &one_stmt, 0), ERR_NONE, "%s", c.op.err.msg);
    pg_rows_done(&c.rows);
}

Test(pg_lost, closing_while_a_name_is_resolved)
{
    open_url("postgresql://postgres@localhost:1/postgres");
    open_url("postgresql://postgres@localhost:1/postgres");
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    pg_close(pg);
    pg = NULL;
}

static bool script_runs(void)
{
    return *pg_server_sql(&server, "SELECT 1 FROM pg_stat_activity WHERE state = 'active'"
                                   " AND query = 'SELECT pg_sleep(60)'") == '1';
}

Test(pg_lost, a_script_without_a_server)
{
    struct call c = { 0 };

    pg_server_shut(&server, SIGINT);
    op_init(&c.op, &loop, on_call_done);
    pg_script(pg, &c.op, STR("SELECT 1"), 1000);
    run_calls(1);
    cr_expect_eq(c.op.err.kind, ERR_IO, "%s", c.op.err.msg);
    pg_server_start(&server);
    pg_script(pg, &c.op, STR("SELECT pg_sleep(60)"), 60000);
    run_until(script_runs);
    pg_server_shut(&server, SIGQUIT);
    run_calls(1);
    cr_expect_eq(c.op.err.kind, ERR_UNKNOWN, "%s", c.op.err.msg);
}
