/*
 * store_fixture - a private PostgreSQL with all tables, and a store on it. The loop is the test's.
 */
#pragma once
#include "core/net/sign.h"
#include "core/store/migrate.h"
#include "tests/support/pg_server.h"
#include <stdio.h>
#include <stdlib.h>

struct store_fixture {
    struct pg_server server;
    struct pg *pg;
    struct store store;
    struct migrate_report report;
};

/* Of an op whose done is store_fixture_done: run its loop until it has ended. */
static inline void store_fixture_done(struct op *op)
{
    loop_stop(op->loop);
}

static inline enum err_kind store_fixture_wait(struct op *op)
{
    while (op_busy(op)) loop_run(op->loop);
    return op->err.kind;
}

static inline void store_fixture_must(enum err_kind kind, const struct err *why)
{
    if (kind == ERR_NONE) return;
    fprintf(stderr, "store_fixture: %s\n", why->msg);
    abort();
}

/* Aborts when it does not succeed. loop: open, and borrowed until store_fixture_close. */
static inline void store_fixture_open(struct store_fixture *f, struct loop *loop)
{
    struct err why = ERR_INIT;
    struct op op;
    sign_setup();
    pg_server_start(&f->server);
    const struct pg_conf conf = { .url = f->server.url,
                                  .pool_min = 2,
                                  .pool_max = 8,
                                  .statement_timeout_ms = 20000,
                                  .connect_timeout_ms = 5000,
                                  .queue_max = 1000 };
    store_fixture_must(pg_open(loop, &conf, &f->pg, &why), &why);
    store_open(&f->store, loop, f->pg);
    op_init(&op, loop, store_fixture_done);
    store_migrate(&f->store, &op, false, &f->report);
    store_fixture_must(store_fixture_wait(&op), &op.err);
}

static inline void store_fixture_close(struct store_fixture *f)
{
    store_close(&f->store);
    pg_close(f->pg);
    pg_server_stop(&f->server);
}
