/*
 * store_fixture - a private PostgreSQL with all tables, and a store on it. The loop is the test's.
 */
#pragma once
#include "core/base/embed.h"
#include "core/net/sign.h"
#include "core/store/migrate.h"
#include "tests/support/pg_server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

extern const struct embedded_file embedded_migrations[];

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

static inline void store_fixture_connect(struct store_fixture *f, struct loop *loop)
{
    struct err why = ERR_INIT;
    const struct pg_conf conf = { .url = f->server.url,
                                  .pool_min = 2,
                                  .pool_max = 8,
                                  .statement_timeout_ms = 20000,
                                  .connect_timeout_ms = 5000,
                                  .queue_max = 1000 };
    store_fixture_must(pg_open(loop, &conf, &f->pg, &why), &why);
    store_open(&f->store, loop, f->pg);
}

static inline void store_fixture_disconnect(struct store_fixture *f)
{
    store_close(&f->store);
    pg_close(f->pg);
}

static inline void store_fixture_migrate(struct store_fixture *f, struct loop *loop)
{
    struct op op;
    op_init(&op, loop, store_fixture_done);
    store_migrate(&f->store, &op, false, &f->report);
    store_fixture_must(store_fixture_wait(&op), &op.err);
}

/* Names the tables as they are made today: by all migrations, with partitions from this month on.
 */
static inline void store_fixture_name(char *ret, size_t size)
{
    uint8_t sums[2][32] = { { 0 } };
    char hex[33], month[8];
    time_t now = time(NULL);
    for (const struct embedded_file *file = embedded_migrations; file->name; file++) {
        sign_sha256(str_from((const char *)file->bytes, file->n), sums[1]);
        sign_sha256(str_from((const char *)sums, sizeof sums), sums[0]);
    }
    sign_hex(sums[0], 16, hex);
    strftime(month, sizeof month, "%Y%m", gmtime(&now));
    snprintf(ret, size, "tables-%s-%s", month, hex);
}

/* Aborts when it does not succeed. loop: open, and borrowed until store_fixture_close. */
static inline void store_fixture_open(struct store_fixture *f, struct loop *loop)
{
    char name[64];
    sign_setup();
    store_fixture_name(name, sizeof name);
    if (!pg_server_start_kept(&f->server, name)) {
        store_fixture_connect(f, loop);
        store_fixture_migrate(f, loop);
        store_fixture_disconnect(f);
        pg_server_shut(&f->server, SIGINT);
        pg_server_keep(&f->server, name);
        pg_server_start(&f->server);
    }
    store_fixture_connect(f, loop);
}

static inline void store_fixture_close(struct store_fixture *f)
{
    store_fixture_disconnect(f);
    pg_server_stop(&f->server);
}
