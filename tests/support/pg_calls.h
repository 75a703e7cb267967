/*
 * pg_calls - what the tests of the PostgreSQL driver share: a server, a loop, a pool, and calls
 * that remember how they ended. Each test is a process of its own, so all of it is static.
 */
#pragma once
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/net/pg.h"
#include "tests/support/pg_server.h"
#include <criterion/criterion.h>
#include <inttypes.h>

#define CALLS_MAX_MS 60000

struct call {
    struct op op;
    struct pg_rows rows;
    struct pg_value values[8];
    int n_done;
    unsigned order; /* 1 = the first to end */
    char sqlstate[6];
};

static struct pg_server server;
static struct loop loop;
static struct pg *pg;
static struct pg_conf conf = { .pool_min = 1,
                               .pool_max = 4,
                               .statement_timeout_ms = 20000,
                               .connect_timeout_ms = 2000,
                               .queue_max = 1000 };
static unsigned n_ended;
static bool (*until)(void);

static void on_call_done(struct op *op)
{
    struct call *c = container_of(op, struct call, op);

    c->n_done++;
    c->order = ++n_ended;
    snprintf(c->sqlstate, sizeof(c->sqlstate), "%s", pg ? pg_sqlstate(pg) : "");
}

static void check_until(struct loop_hook *h)
{
    (void)h;
    if (until()) loop_stop(&loop);
}

static void on_alarm(struct op *op)
{
    (void)op;
    cr_assert_fail("the loop ran for %d ms", CALLS_MAX_MS);
}

/* Run the loop until `done` says so. */
static void run_until(bool (*done)(void))
{
    struct loop_hook hook = { .run = check_until };
    struct op alarm;

    until = done;
    op_init(&alarm, &loop, on_alarm);
    op_sleep(&alarm, CALLS_MAX_MS);
    loop_hook_add(&loop, &hook);
    loop_run(&loop);
    loop_hook_drop(&hook);
    op_cancel(&alarm);
}

static unsigned n_wanted;
static inline bool enough_ended(void)
{
    return n_ended >= n_wanted;
}

/* Run until `n` more calls have ended. */
static inline void run_calls(unsigned n)
{
    n_wanted = n_ended + n;
    run_until(enough_ended);
}

static inline bool is_up(void)
{
    return pg_is_up(pg);
}

static inline bool is_down(void)
{
    return !pg_is_up(pg);
}

/* The value of a line of /metrics; 0 when it is not there. */
static inline double metric(const char *name)
{
    static struct buf text = BUF_INIT(1 << 20);
    char line[80];

    buf_clear(&text);
    cr_assert(metric_render(&text));
    snprintf(line, sizeof(line), "\n%s ", name);
    const char *at = strstr(text.p, line);
    return at ? strtod(at + strlen(line), NULL) : 0;
}

static inline bool one_in_flight(void)
{
    return metric("parley_pg_in_flight") == 1;
}

static inline bool two_up(void)
{
    return metric("parley_pg_connections{state=\"up\"}") == 2;
}

/* Starts the query; values are in c->values. */
static inline void call_begin(struct call *c, const struct pg_stmt *stmt, size_t n)
{
    op_init(&c->op, &loop, on_call_done);
    pg_query(pg, &c->op, stmt, c->values, n, &c->rows);
}

/* One call to its end. */
static inline enum err_kind call(struct call *c, const struct pg_stmt *stmt, size_t n)
{
    call_begin(c, stmt, n);
    run_calls(1);
    cr_assert_eq(c->n_done, 1);
    return c->op.err.kind;
}

static inline int64_t call_i64(const struct pg_stmt *stmt)
{
    struct call c = { 0 };

    cr_assert_eq(call(&c, stmt, 0), ERR_NONE, "%s", c.op.err.msg);
    int64_t i = pg_rows_i64(&c.rows, 0, 0);
    pg_rows_done(&c.rows);
    return i;
}

static inline void pool_open(void)
{
    struct err why;

    conf.url = server.url;
    cr_assert_eq(pg_open(&loop, &conf, &pg, &why), ERR_NONE, "%s", why.msg);
}

static inline void pg_setup(void)
{
    log_setup(LOG_ERROR, LOG_TEXT);
    pg_server_start(&server);
    loop_open(&loop);
    pool_open();
}

static inline void pg_teardown(void)
{
    if (pg) pg_close(pg);
    loop_close(&loop);
    pg_server_stop(&server);
}
