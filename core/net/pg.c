/*
 * pg: the pool. Statements gather in a queue during a turn of the loop; at its end they are spread
 * over the connections, each to the one with the least in flight, and written.
 */
#include "core/net/pg_impl.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/retry.h"

#define EXPIRY_TICK_MS                                                        \
    250 /* how often waiting statements are looked at; less than PG_MARGIN_MS \
         */
#define SHRINK_TICK_MS 10000
#define IDLE_MAX_MS    60000
#define SCRATCH_KEEP   (1u << 20)

static const struct retry reconnect = { .base_ms = 100, .max_ms = 3000 };

struct query {
    struct pg_job job;
    struct op *op; /* NULL: nobody waits any more */
    struct pg_rows *ret;
    size_t n;
    struct pg_value
        values[]; /* callers build theirs on the stack; this is read at the turn's end */
};

/* ---- one query ---- */

static struct query *of_job(struct pg_job *job)
{
    return container_of(job, struct query, job);
}

static bool query_params(struct pg_job *job, struct pg_params *ret)
{
    struct query *q = of_job(job);
    struct err why;

    if (q->op) {
        if (pg_params_set(ret, &job->pg->scratch, q->values, q->n, &why) == ERR_NONE) return true;
        op_fail(q->op, &why);
    }
    free(q);
    return false;
}

static int64_t affected(PGresult *pq)
{
    int64_t n = 0;
    str_i64(str_of(PQcmdTuples(pq)), &n);
    return n;
}

static void query_done(struct pg_job *job, const struct pg_answer *answer)
{
    struct query *q = of_job(job);

    if (!q->op) {
        op_orphans++;
    } else if (answer->why.kind) {
        op_fail(q->op, &answer->why);
    } else {
        if (q->ret) {
            pg_rows_set(q->ret, answer->result, 0, PQntuples(answer->result->pq));
            q->ret->n_affected = affected(answer->result->pq);
        }
        op_finish(q->op);
    }
    free(q);
}

static const struct pg_job_kind query_job = { query_params, query_done, .expires = true };

static void unqueue(struct pg_job *job)
{
    list_drop(&job->link);
    if (!job->again) job->pg->n_queued--;
}

static void query_drop(struct op *op)
{
    struct query *q = op->impl;

    q->op = NULL;
    if (q->job.conn) return; /* sent: an orphan now */
    unqueue(&q->job);
    free(q);
}

static const struct op_kind query_kind = { "pg.query", query_drop };

/* ---- the pool ---- */

/* Another connection may come soon. */
static bool can_grow(const struct pg *pg)
{
    return (int64_t)pg->n_on < pg->conf.pool_max && clock_ms() >= pg->grow_at_ms;
}

static bool is_dialing(const struct pg *pg)
{
    for (int64_t i = 0; i < pg->conf.pool_max; i++)
        if (pg->conns[i].state == PG_DIALING) return true;
    return false;
}

static struct pg_conn *least_busy(struct pg *pg, unsigned depth)
{
    struct pg_conn *best = NULL;

    /* Ties go to the first, so that the last ones fall idle and can be closed. */
    for (int64_t i = 0; i < pg->conf.pool_max; i++) {
        struct pg_conn *c = &pg->conns[i];
        if (c->state != PG_UP || c->n_sent >= depth) continue;
        if (!best || c->n_sent < best->n_sent) best = c;
    }
    return best;
}

static void grow(struct pg *pg)
{
    /* One at a time, and not while the ones we have are coming back. */
    if (pg->n_up < pg->n_on || !can_grow(pg)) return;
    struct pg_conn *c = pg->conns;
    while (c->state != PG_OFF) c++;
    pg_conn_start(c);
}

static void on_shrink(struct timer *t)
{
    struct pg *pg = container_of(t, struct pg, shrink);
    uint64_t now = clock_ms();

    for (int64_t i = pg->conf.pool_max - 1; i >= 0; i--) {
        struct pg_conn *c = &pg->conns[i];
        bool idle = c->state == PG_UP && c->n_sent == 0 && now - c->idle_since_ms >= IDLE_MAX_MS;
        if (idle && (int64_t)pg->n_on > pg->conf.pool_min) pg_conn_stop(c, NULL);
    }
    timer_set(pg->loop, t, SHRINK_TICK_MS);
}

void pg_pool_up(struct pg_conn *c)
{
    struct pg *pg = c->pg;

    pg->grow_attempt = 0;
    if (pg->n_up == 1) log_info("pg", "connected", "server_version=%d", PQserverVersion(c->pq));
    pg->told_down = false;
}

void pg_pool_lost(struct pg_conn *c, const struct err *why)
{
    struct pg *pg = c->pg;

    if (pg->n_up == 0) {
        if (!pg->told_down)
            log_warn("pg", "no connection, statements wait", "reason=%s",
                     log_quote(str_of(why->msg)));
        pg->told_down = true;
        pg->down = *why;
    }
    if ((int64_t)pg->n_on < pg->conf.pool_min) {
        pg_conn_rest(c, retry_delay_ms(&reconnect, ++c->attempt, 0));
    } else {
        c->attempt = 0;
        pg->grow_at_ms = clock_ms() + retry_delay_ms(&reconnect, ++pg->grow_attempt, 0);
    }
}

/* ---- the queue ---- */

static struct pg_job *next_job(struct pg *pg)
{
    struct list *from = list_empty(&pg->again) ? &pg->queue : &pg->again;
    return list_empty(from) ? NULL : list_first(from, struct pg_job, link);
}

static void send_waiting(struct pg *pg)
{
    struct pg_conn *c = NULL;
    bool busy = false;

    if (list_empty(&pg->queue) && list_empty(&pg->again)) return;
    /* What has been sent cannot move to a new connection: keep some back for it. */
    unsigned depth = can_grow(pg) || is_dialing(pg) ? PG_GROWING_DEPTH : PG_DEPTH;
    for (struct pg_job *job; (job = next_job(pg));) {
        if (!job->follows || !c || c->state != PG_UP) c = least_busy(pg, depth);
        busy = !c || c->n_sent >= PG_GROW_AT;
        if (!c) break;
        unqueue(job);
        pg_conn_send(c, job);
    }
    if (busy) grow(pg);
}

static bool anything_waits(const struct pg *pg)
{
    return !list_empty(&pg->queue) || !list_empty(&pg->again) || pg_batches_wait(pg);
}

/* The end of a loop turn. */
static void on_turn(struct loop_hook *h)
{
    struct pg *pg = container_of(h, struct pg, hook);

    pg->sqlstate[0] = '\0'; /* those who asked for it have been told */
    send_waiting(pg);
    for (int64_t i = 0; i < pg->conf.pool_max; i++)
        if (pg->conns[i].dirty) pg_conn_flush(&pg->conns[i]);
    if (pg->scratch.cap > SCRATCH_KEEP) buf_done(&pg->scratch);
    if (anything_waits(pg) && !timer_armed(&pg->expiry))
        timer_set(pg->loop, &pg->expiry, EXPIRY_TICK_MS);
}

static void fail_waiting(struct list *jobs, uint64_t before_ms, const struct err *why)
{
    struct pg_answer answer = { .why = *why };

    list_each (it, next, jobs) {
        struct pg_job *job = container_of(it, struct pg_job, link);
        if (job->queued_ms > before_ms || !job->kind->expires) continue;
        unqueue(job);
        job->kind->done(job, &answer);
    }
}

static void on_expiry(struct timer *t)
{
    struct pg *pg = container_of(t, struct pg, expiry);
    uint64_t now = clock_ms(), patience = (uint64_t)pg->conf.statement_timeout_ms;
    struct err why;

    if (now < patience) return;
    err_set(&why, ERR_IO, "pg: no connection in time%s%s", pg->n_up ? "" : ": ",
            pg_down_reason(pg));
    fail_waiting(&pg->again, now - patience, &why);
    fail_waiting(&pg->queue, now - patience, &why);
    pg_batches_expire(pg, now - patience, &why);
}

void pg_enqueue(struct pg *pg, struct pg_job *job)
{
    job->pg = pg;
    job->queued_ms = clock_ms();
    list_push(&pg->queue, &job->link);
    pg->n_queued++;
}

void pg_enqueue_again(struct pg_job *job)
{
    job->conn = NULL;
    job->again = true;
    list_push(&job->pg->again, &job->link);
    loop_wake(job->pg->loop); /* the end of this turn may have been missed */
}

/* ---- public ---- */

static void update_gauges(void *ctx)
{
    pg_stat_pool(ctx);
}

static void pool_open(struct pg *pg)
{
    pg->conns = mem_new_array(struct pg_conn, (size_t)pg->conf.pool_max);
    for (int64_t i = 0; i < pg->conf.pool_max; i++) {
        struct pg_conn *c = &pg->conns[i];
        c->pg = pg;
        list_init(&c->sent);
        c->dial = (struct pg_dial){ .loop = pg->loop,
                                    .url = &pg->url,
                                    .timeout_ms = pg->conf.connect_timeout_ms,
                                    .statement_timeout_ms = pg->conf.statement_timeout_ms };
    }
    for (int64_t i = 0; i < pg->conf.pool_min; i++) pg_conn_start(&pg->conns[i]);
}

enum err_kind pg_open(struct loop *loop, const struct pg_conf *conf, struct pg **ret,
                      struct err *why)
{
    if (conf->pool_min < 1 || conf->pool_max < conf->pool_min)
        return err_set(why, ERR_CONF, "pg: pool_max is less than pool_min");
    struct pg_url url;
    if (pg_url_parse(conf, &url, why)) return why ? why->kind : ERR_CONF;

    struct pg *pg = mem_new(struct pg);
    pg->loop = loop;
    pg->conf = *conf;
    pg->url = url;
    list_init(&pg->queue);
    list_init(&pg->again);
    list_init(&pg->batches);
    list_init(&pg->scripts);
    buf_init(&pg->scratch, PG_SCRATCH_MAX);
    err_set(&pg->down, ERR_IO, "not connected yet");
    pg->hook.run = on_turn;
    loop_hook_add(loop, &pg->hook);
    pg->expiry.fire = on_expiry;
    pg->shrink.fire = on_shrink;
    timer_set(loop, &pg->shrink, SHRINK_TICK_MS);
    pg->probe = (struct metric_probe){ .update = update_gauges, .ctx = pg };
    metric_probe_add(&pg->probe);
    pool_open(pg);
    *ret = pg;
    return ERR_NONE;
}

void pg_close(struct pg *pg)
{
    struct list sent = LIST_INIT(sent);
    struct pg_answer answer = { 0 };

    pg->closing = true;
    for (int64_t i = 0; i < pg->conf.pool_max; i++) {
        pg_conn_stop(&pg->conns[i], &sent);
        PQclear(pg->conns[i].ok);
    }
    err_set(&answer.why, ERR_UNKNOWN, "pg: closed before the answer came");
    list_each (it, next, &sent) {
        list_drop(it);
        struct pg_job *job = container_of(it, struct pg_job, link);
        job->kind->done(job, &answer);
    }
    err_set(&answer.why, ERR_CANCELLED, "pg: closed");
    for (struct pg_job *job; (job = next_job(pg));) {
        unqueue(job);
        job->kind->done(job, &answer);
    }
    pg_batches_close(pg);
    pg_scripts_close(pg);
    timer_clear(pg->loop, &pg->expiry);
    timer_clear(pg->loop, &pg->shrink);
    loop_hook_drop(&pg->hook);
    metric_probe_drop(&pg->probe);
    buf_done(&pg->scratch);
    pg_url_done(&pg->url);
    free(pg->conns);
    free(pg);
}

bool pg_is_up(const struct pg *pg)
{
    return pg->n_up > 0;
}

bool pg_is_down(const struct pg *pg)
{
    return pg->n_up == 0 && pg->told_down;
}

const char *pg_down_reason(const struct pg *pg)
{
    return pg->n_up > 0 ? "" : pg->down.msg;
}

const char *pg_sqlstate(const struct pg *pg)
{
    return pg->sqlstate;
}

void pg_query(struct pg *pg, struct op *op, const struct pg_stmt *stmt,
              const struct pg_value *values, size_t n, struct pg_rows *ret)
{
    uint64_t timeout_ms = (uint64_t)pg->conf.statement_timeout_ms + PG_MARGIN_MS;
    struct pg_known *known = pg_known_get(stmt);

    if (!known || (int64_t)pg->n_queued >= pg->conf.queue_max) {
        op_begin(op, &query_kind, NULL, timeout_ms);
        if (!known)
            op_failf(op, ERR_BUG, "pg: %s: two statements have this name", stmt->name);
        else
            op_failf(op, ERR_LIMIT, "pg: %s: too many statements wait", stmt->name);
        return;
    }
    struct query *q = mem_alloc(sizeof(*q) + n * sizeof(*values));
    q->job.kind = &query_job;
    q->job.stmt = known;
    q->op = op;
    q->ret = ret;
    q->n = n;
    if (n > 0) memcpy(q->values, values, n * sizeof(*values));
    pg_enqueue(pg, &q->job);
    op_begin(op, &query_kind, q, timeout_ms);
}
