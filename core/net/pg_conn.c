/*
 * pg_conn: one connection in pipeline mode. Each job is [Parse] Bind Execute Sync, so each is a
 * transaction of its own; the answers come in the order of sending, each ended by its Sync.
 */
#include "core/net/pg_impl.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"

enum { NOT_PREPARED, PARSE_SENT, PREPARED };

/* libpq returns NULL between results; more in a row, and it has none although it is not busy. */
#define NULLS_MAX 3

static void on_dialled(struct pg_dial *d, PGconn *pq, const struct err *why);

/* ---- prepared statements ---- */

static uint8_t *prepared_state(struct pg_conn *c, const struct pg_known *stmt)
{
    if (stmt->id >= c->n_prepared) {
        size_t n = stmt->id + 16;
        c->prepared = mem_grow(c->prepared, n);
        memset(c->prepared + c->n_prepared, NOT_PREPARED, n - c->n_prepared);
        c->n_prepared = n;
    }
    return &c->prepared[stmt->id];
}

/* The Parse came back. */
static void parsed(struct pg_conn *c, struct pg_known *stmt, bool passed)
{
    *prepared_state(c, stmt) = passed ? PREPARED : NOT_PREPARED;
    if (!passed) {
        c->unparsable = stmt;
        memcpy(c->parse_sqlstate, c->sqlstate, sizeof(c->sqlstate));
        c->parse_failure = c->failure;
    } else if (c->unparsable == stmt) {
        c->unparsable = NULL;
    }
}

static bool is_unknown_statement(const struct pg_conn *c, const struct pg_job *job)
{
    return !job->parses && strcmp(c->sqlstate, "26000") == 0;
}

/* The server lost a statement that it had (DISCARD ALL, a proxy): once more, with its text. */
static bool send_text_again(struct pg_conn *c, struct pg_job *job)
{
    if (job->reprepared || !is_unknown_statement(c, job)) return false;
    uint8_t *state = prepared_state(c, job->stmt);
    /* If a Parse is on its way already, another would be refused as a duplicate. */
    if (*state == PREPARED) *state = NOT_PREPARED;
    job->reprepared = true;
    return true;
}

/* ---- answers ---- */

static void forget_answer(struct pg_conn *c)
{
    PQclear(c->ok);
    c->ok = NULL;
    c->n_ok = 0;
    c->failure.kind = ERR_NONE;
    c->sqlstate[0] = '\0';
}

static bool parse_passed(const struct pg_conn *c, const struct pg_job *job)
{
    return !job->parses || c->n_ok > 0;
}

static bool executed(const struct pg_conn *c, const struct pg_job *job)
{
    return c->n_ok > (job->parses ? 1 : 0);
}

static void job_failed(struct pg_job *job, const char *sqlstate, const struct pg_answer *answer)
{
    memcpy(job->pg->sqlstate, sqlstate, strlen(sqlstate) + 1);
    job->conn = NULL;
    job->kind->done(job, answer);
}

static void job_succeeded(struct pg_conn *c, struct pg_job *job)
{
    struct pg_answer answer = { .result = pg_result_new(c->ok) };

    c->ok = NULL;
    job->conn = NULL;
    job->kind->done(job, &answer);
    pg_result_drop(answer.result);
}

static void refused(struct pg_conn *c, struct pg_job *job)
{
    struct pg_answer answer = { .why = c->failure, .unprepared = !parse_passed(c, job) };

    /* It counted on the Parse before it, which failed: that is its failure, too. */
    if (is_unknown_statement(c, job) && c->unparsable == job->stmt) {
        answer = (struct pg_answer){ .why = c->parse_failure, .unprepared = true };
        job_failed(job, c->parse_sqlstate, &answer);
    } else if (send_text_again(c, job)) {
        pg_enqueue_again(job);
    } else {
        job_failed(job, c->sqlstate, &answer);
    }
}

/* The first job's Sync came back. */
static void settle(struct pg_conn *c)
{
    struct pg_job *job = list_first(&c->sent, struct pg_job, link);

    list_drop(&job->link);
    c->n_sent--;
    c->head_since_ms = c->idle_since_ms = clock_ms();
    metric_observe_ms(&job->stmt->duration, (double)(uv_hrtime() - job->sent_ns) / 1e6);
    if (job->parses) parsed(c, job->stmt, parse_passed(c, job));
    if (c->failure.kind || !c->ok)
        refused(c, job);
    else
        job_succeeded(c, job);
    forget_answer(c);
}

static void note_failure(struct pg_conn *c, const PGresult *r)
{
    const struct pg_job *job = list_first(&c->sent, struct pg_job, link);

    /* Without a SQLSTATE it is libpq that speaks: the connection broke. */
    if (!PQresultErrorField(r, PG_DIAG_SQLSTATE)) {
        c->broken = true;
        return;
    }
    if (c->failure.kind) return;
    pg_failure(job->stmt->stmt->name, r, c->sqlstate, &c->failure);
    c->fatal = c->broken = pg_is_fatal(r);
}

static void take_result(struct pg_conn *c, PGresult *r)
{
    switch (PQresultStatus(r)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
        PQclear(c->ok);
        c->ok = r;
        c->n_ok++;
        return;
    case PGRES_PIPELINE_SYNC:
        PQclear(r);
        settle(c);
        return;
    case PGRES_PIPELINE_ABORTED: break; /* what came before it says why */
    default: note_failure(c, r);
    }
    PQclear(r);
}

/*
 * Would the next result be waited for? After a write that failed libpq says so always, though what
 * the server said before it ended is there; without a socket nothing is waited for.
 */
static bool would_wait(const struct pg_conn *c)
{
    return PQstatus(c->pq) != CONNECTION_BAD && PQisBusy(c->pq);
}

static void read_answers(struct pg_conn *c)
{
    int n_nulls = 0;

    while (!list_empty(&c->sent) && !c->broken && !would_wait(c)) {
        PGresult *r = PQgetResult(c->pq);
        if (r) {
            n_nulls = 0;
            take_result(c, r);
        } else if (++n_nulls > NULLS_MAX) {
            c->broken = true;
        }
    }
}

/* ---- losing it ---- */

/*
 * The first job of a lost connection. An error that came before the end is final. When the server
 * itself ended the session and this statement had not been executed, nothing was done.
 */
static void first_lost(struct pg_conn *c, struct pg_job *job, const struct err *why)
{
    struct pg_answer answer = { .why = c->failure };

    if (!c->failure.kind || (c->fatal && executed(c, job)))
        err_set(&answer.why, ERR_UNKNOWN, "pg: %s: connection lost after sending: %s",
                job->stmt->stmt->name, why->msg);
    else if (c->fatal)
        answer.why.kind = ERR_IO;
    job_failed(job, c->sqlstate, &answer);
}

static void rest_lost(struct pg_job *job, const struct err *why)
{
    struct pg_answer answer = { 0 };

    err_set(&answer.why, ERR_UNKNOWN, "pg: %s: connection lost after sending: %s",
            job->stmt->stmt->name, why->msg);
    job_failed(job, "", &answer);
}

/* Jobs behind one that the server's FATAL answered never began. */
static void fail_sent(struct pg_conn *c, struct list *sent, const struct err *why)
{
    bool first = true;

    list_each (it, next, sent) {
        struct pg_job *job = container_of(it, struct pg_job, link);
        list_drop(it);
        if (first)
            first_lost(c, job, why);
        else if (c->fatal)
            pg_enqueue_again(job);
        else
            rest_lost(job, why);
        first = false;
    }
    forget_answer(c);
}

static void lose(struct pg_conn *c, const struct err *why)
{
    struct list sent = LIST_INIT(sent);

    log_warn("pg", "connection lost", "in_flight=%u reason=%s", c->n_sent,
             log_quote(str_of(why->msg)));
    pg_conn_stop(c, &sent);
    fail_sent(c, &sent, why);
    pg_pool_lost(c, why);
}

/* What had already arrived still counts. */
static void broke(struct pg_conn *c)
{
    struct err why;

    read_answers(c);
    if (c->fatal)
        why = c->failure;
    else /* libpq's own text may hold what the server said about somebody's values */
        err_set(&why, ERR_IO, "pg: the connection broke");
    lose(c, &why);
}

/* The server stops each statement after its timeout; if it says nothing, it is not there. */
static void on_watchdog(struct timer *t)
{
    struct pg_conn *c = container_of(t, struct pg_conn, timer);
    uint64_t limit = (uint64_t)c->pg->conf.statement_timeout_ms + PG_MARGIN_MS;
    uint64_t waited = clock_ms() - c->head_since_ms;
    struct err why;

    if (c->n_sent == 0) return;
    if (waited < limit) {
        timer_set(c->pg->loop, &c->timer, limit - waited);
        return;
    }
    err_set(&why, ERR_IO, "pg: the server does not answer");
    lose(c, &why);
}

static void on_ready(void *ctx, int events)
{
    struct pg_conn *c = ctx;

    if (events & UV_READABLE) {
        bool alive = PQconsumeInput(c->pq);
        read_answers(c);
        if (!alive || c->broken) {
            broke(c);
            return;
        }
    }
    if (events & UV_WRITABLE) pg_conn_flush(c);
}

/* ---- up ---- */

static void conn_up(struct pg_conn *c, PGconn *pq)
{
    c->pq = pq;
    c->watch = pg_watch_open(c->pg->loop, PQsocket(pq), on_ready, c);
    c->state = PG_UP;
    c->attempt = 0;
    c->fatal = c->broken = false;
    c->unparsable = NULL;
    c->idle_since_ms = clock_ms();
    c->timer.fire = on_watchdog;
    c->pg->n_up++;
    if (!c->watch || PQsetnonblocking(pq, 1) != 0 || !PQenterPipelineMode(pq)) {
        broke(c);
        return;
    }
    pg_watch_want(c->watch, UV_READABLE);
    pg_pool_up(c);
}

static void on_dialled(struct pg_dial *d, PGconn *pq, const struct err *why)
{
    struct pg_conn *c = container_of(d, struct pg_conn, dial);

    if (pq) {
        conn_up(c, pq);
        return;
    }
    log_debug("pg", "connecting failed", "reason=%s", log_quote(str_of(why->msg)));
    pg_conn_stop(c, NULL);
    pg_pool_lost(c, why);
}

static void on_rested(struct timer *t)
{
    pg_conn_start(container_of(t, struct pg_conn, timer));
}

void pg_conn_start(struct pg_conn *c)
{
    if (c->state == PG_OFF) c->pg->n_on++;
    c->state = PG_DIALING;
    c->dial.done = on_dialled;
    pg_dial_start(&c->dial);
}

void pg_conn_rest(struct pg_conn *c, uint64_t ms)
{
    if (c->state == PG_OFF) c->pg->n_on++;
    c->state = PG_RESTING;
    c->timer.fire = on_rested;
    timer_set(c->pg->loop, &c->timer, ms);
}

void pg_conn_stop(struct pg_conn *c, struct list *ret_sent)
{
    struct pg *pg = c->pg;

    if (c->state == PG_OFF) return;
    if (c->state == PG_UP) pg->n_up--;
    pg->n_on--;
    c->state = PG_OFF;
    timer_clear(pg->loop, &c->timer);
    pg_dial_stop(&c->dial);
    pg_watch_close(c->watch);
    c->watch = NULL;
    PQfinish(c->pq);
    c->pq = NULL;
    free(c->prepared);
    c->prepared = NULL;
    c->n_prepared = c->n_sent = 0;
    c->dirty = false;
    if (ret_sent) list_move_all(ret_sent, &c->sent);
}

/* ---- sending ---- */

static bool put_sync(PGconn *pq)
{
#ifdef LIBPQ_HAS_SEND_PIPELINE_SYNC
    return PQsendPipelineSync(pq); /* libpq 17: leaves the writing to pg_conn_flush */
#else
    return PQpipelineSync(pq);
#endif
}

static bool put_job(struct pg_conn *c, struct pg_job *job, const struct pg_params *p)
{
    const struct pg_stmt *stmt = job->stmt->stmt;
    uint8_t *state = prepared_state(c, job->stmt);

    job->parses = *state == NOT_PREPARED;
    if (job->parses) {
        if (!PQsendPrepare(c->pq, stmt->name, stmt->sql, p->n, p->types)) return false;
        *state = PARSE_SENT;
    }
    return PQsendQueryPrepared(c->pq, stmt->name, p->n, p->values, p->sizes, p->formats, 0) &&
           put_sync(c->pq);
}

void pg_conn_send(struct pg_conn *c, struct pg_job *job)
{
    struct pg_params params;

    if (!job->kind->params(job, &params)) return;
    if (!put_job(c, job, &params)) {
        /* Without its Sync the server will never commit it. */
        broke(c);
        pg_enqueue_again(job);
        return;
    }
    if (c->n_sent++ == 0) c->head_since_ms = clock_ms();
    if (!timer_armed(&c->timer))
        timer_set(c->pg->loop, &c->timer,
                  (uint64_t)c->pg->conf.statement_timeout_ms + PG_MARGIN_MS);
    job->conn = c;
    job->sent_ns = uv_hrtime();
    list_push(&c->sent, &job->link);
    c->dirty = true;
}

void pg_conn_flush(struct pg_conn *c)
{
    int left = PQflush(c->pq);

    if (left < 0) {
        broke(c);
        return;
    }
    pg_watch_want(c->watch, UV_READABLE | (left ? UV_WRITABLE : 0));
    c->dirty = false;
}
