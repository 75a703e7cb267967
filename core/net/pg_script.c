/*
 * pg_script: a migration's text on a connection of its own. The simple-query protocol runs several
 * statements as one transaction, and pipelines do not take it.
 */
#include "core/net/pg_impl.h"

#include "core/base/mem.h"

struct script {
    struct list link; /* in pg->scripts */
    struct pg *pg;
    struct op *op;
    char *sql;
    struct pg_dial dial;
    PGconn *pq;
    struct pg_watch *watch;
    char sqlstate[6];
    struct err failure;
};

static void script_free(struct script *s)
{
    list_drop(&s->link);
    pg_dial_stop(&s->dial);
    pg_watch_close(s->watch);
    PQfinish(s->pq);
    free(s->sql);
    free(s);
}

static void script_drop(struct op *op)
{
    script_free(op->impl);
}

static const struct op_kind script_kind = { "pg.script", script_drop };

static void script_end(struct script *s, const struct err *why)
{
    if (why->kind) {
        memcpy(s->pg->sqlstate, s->sqlstate, sizeof(s->sqlstate));
        op_fail(s->op, why);
    } else {
        op_finish(s->op);
    }
    script_free(s);
}

static void script_lost(struct script *s)
{
    struct err why;

    err_set(&why, ERR_UNKNOWN, "pg: script: the connection broke");
    script_end(s, s->failure.kind ? &s->failure : &why);
}

static void script_result(struct script *s, PGresult *r)
{
    bool good = PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK ||
                PQresultStatus(r) == PGRES_EMPTY_QUERY;

    if (!good && !s->failure.kind && PQresultErrorField(r, PG_DIAG_SQLSTATE))
        pg_failure("script", r, s->sqlstate, &s->failure);
    PQclear(r);
}

static void script_flush(struct script *s)
{
    int left = PQflush(s->pq);

    if (left < 0)
        script_lost(s);
    else
        pg_watch_want(s->watch, UV_READABLE | (left ? UV_WRITABLE : 0));
}

static void on_ready(void *ctx, int events)
{
    struct script *s = ctx;

    if (events & UV_READABLE) {
        bool alive = PQconsumeInput(s->pq);
        while (!PQisBusy(s->pq)) {
            PGresult *r = PQgetResult(s->pq);
            if (!r) {
                if (PQstatus(s->pq) == CONNECTION_BAD) break;
                script_end(s, &s->failure);
                return;
            }
            script_result(s, r);
        }
        if (!alive || PQstatus(s->pq) == CONNECTION_BAD) {
            script_lost(s);
            return;
        }
    }
    if (events & UV_WRITABLE) script_flush(s);
}

static void on_dialled(struct pg_dial *d, PGconn *pq, const struct err *why)
{
    struct script *s = container_of(d, struct script, dial);

    if (!pq) {
        script_end(s, why);
        return;
    }
    s->pq = pq;
    s->watch = pg_watch_open(s->pg->loop, PQsocket(pq), on_ready, s);
    if (s->watch && PQsetnonblocking(pq, 1) == 0 && PQsendQuery(pq, s->sql))
        script_flush(s);
    else
        script_lost(s);
}

void pg_scripts_close(struct pg *pg)
{
    struct err why;

    err_set(&why, ERR_UNKNOWN, "pg: closed before the answer came");
    list_each (it, next, &pg->scripts) script_end(container_of(it, struct script, link), &why);
}

void pg_script(struct pg *pg, struct op *op, struct str sql, uint64_t timeout_ms)
{
    struct script *s = mem_new(struct script);

    s->pg = pg;
    s->op = op;
    s->sql = mem_dup(sql);
    s->dial = (struct pg_dial){ .loop = pg->loop,
                                .url = &pg->url,
                                .timeout_ms = pg->conf.connect_timeout_ms,
                                .statement_timeout_ms = (int64_t)timeout_ms,
                                .done = on_dialled };
    list_push(&pg->scripts, &s->link);
    op_begin(op, &script_kind, s, timeout_ms);
    pg_dial_start(&s->dial);
}
