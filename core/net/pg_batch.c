/*
 * pg_batch: group commit. Rows are copied as array elements when they are added, and become one
 * statement when the pool sends their group: until then more can join, and a cancelled one leaves.
 *
 * A group that was refused is split into groups of one row, which go down one connection in order.
 */
#include "core/net/pg_impl.h"

#include "core/base/clock.h"
#include "core/base/mem.h"

#include <assert.h>

#define GROUP_BYTES_MAX (16u << 20) /* a group is closed when it has more */
#define ROW_BYTES_MAX   (64u << 20)

struct pg_batch {
    struct list link; /* in pg->batches */
    struct pg *pg;    /* NULL: closed */
    const struct pg_batch_kind *kind;
    struct pg_known *stmt;
    struct list rows; /* waiting, oldest first */
    size_t n_rows;
    struct list groups; /* queued or in flight */
};

struct group {
    struct pg_job job;
    struct list link;
    struct pg_batch *batch; /* NULL: freed */
    struct list rows;
    size_t n_rows;
    bool again; /* its connection was lost once */
};

struct row {
    struct list link;
    struct op *op; /* NULL: nobody waits any more */
    struct pg_batch *batch;
    bool sent;
    struct pg_rows *ret;
    uint64_t queued_ms;
    size_t n_bytes;
    uint32_t sizes[]; /* of each column's element; then the elements */
};

/* ---- rows ---- */

static char *row_bytes(struct row *r)
{
    return (char *)&r->sizes[r->batch->kind->n_columns];
}

/* NULL: too large. */
static struct row *row_new(struct pg_batch *b, const struct pg_value *values)
{
    size_t n = b->kind->n_columns, n_bytes = 0;

    for (size_t i = 0; i < n; i++) {
        assert(values[i].type == b->kind->types[i]);
        n_bytes += pg_element_size(&values[i]);
    }
    if (n_bytes > ROW_BYTES_MAX) return NULL;
    /* Not mem_alloc: every byte is written below. */
    struct row *r = mem_grow(NULL, sizeof(*r) + n * sizeof(r->sizes[0]) + n_bytes);
    *r = (struct row){ .batch = b, .queued_ms = clock_ms(), .n_bytes = n_bytes };
    char *to = row_bytes(r);
    for (size_t i = 0; i < n; i++) {
        r->sizes[i] = (uint32_t)pg_element_size(&values[i]);
        pg_element_put(to, &values[i]);
        to += r->sizes[i];
    }
    return r;
}

static void row_end(struct row *r, const struct err *why)
{
    list_drop(&r->link);
    if (!r->op)
        op_orphans++;
    else if (why->kind)
        op_fail(r->op, why);
    else
        op_finish(r->op);
    free(r);
}

static void row_unqueue(struct row *r)
{
    list_drop(&r->link);
    r->batch->n_rows--;
}

static void row_drop(struct op *op)
{
    struct row *r = op->impl;

    r->op = NULL;
    if (r->sent) return; /* its answer will find nobody */
    row_unqueue(r);
    free(r);
}

static const struct op_kind row_kind = { "pg.batch", row_drop };

/* ---- sending ---- */

static void group_take_rows(struct group *g)
{
    struct pg_batch *b = g->batch;
    size_t n_bytes = 0;

    while (!list_empty(&b->rows) && g->n_rows < b->kind->rows_max && n_bytes < GROUP_BYTES_MAX) {
        struct row *r = list_first(&b->rows, struct row, link);
        row_unqueue(r);
        r->sent = true;
        n_bytes += r->n_bytes;
        list_push(&g->rows, &r->link);
        g->n_rows++;
    }
}

/* Nobody waits for them, and sending them again is not owed. */
static void group_drop_orphans(struct group *g)
{
    static const struct err none = ERR_INIT;

    list_each (it, next, &g->rows) {
        struct row *r = container_of(it, struct row, link);
        if (r->op) continue;
        row_end(r, &none);
        g->n_rows--;
    }
}

static void column_sizes(const struct group *g, size_t sizes[PG_BATCH_COLUMNS_MAX])
{
    unsigned n = g->batch->kind->n_columns;

    for (unsigned col = 0; col < n; col++) sizes[col] = PG_ARRAY_HEAD;
    list_each (it, next, &g->rows)
        for (unsigned col = 0; col < n; col++)
            sizes[col] += container_of(it, struct row, link)->sizes[col];
}

/* All rows column by column into the scratch buffer; false: it cannot be that large. */
static bool group_encode(struct group *g, struct pg_params *p)
{
    const struct pg_batch_kind *kind = g->batch->kind;
    struct buf *scratch = &g->job.pg->scratch;
    size_t sizes[PG_BATCH_COLUMNS_MAX], total = 0;
    char *at[PG_BATCH_COLUMNS_MAX];

    column_sizes(g, sizes);
    for (unsigned col = 0; col < kind->n_columns; col++) total += sizes[col];
    buf_clear(scratch);
    char *to = buf_room(scratch, total);
    if (!to) return false;

    p->n = (int)kind->n_columns;
    for (unsigned col = 0; col < kind->n_columns; to += sizes[col++]) {
        pg_array_head(to, kind->types[col], g->n_rows);
        at[col] = to + PG_ARRAY_HEAD;
        p->types[col] = pg_array_oid(kind->types[col]);
        p->values[col] = to;
        p->sizes[col] = (int)sizes[col];
        p->formats[col] = 1;
    }
    list_each (it, next, &g->rows) {
        struct row *r = container_of(it, struct row, link);
        const char *from = row_bytes(r);
        for (unsigned col = 0; col < kind->n_columns; col++) {
            memcpy(at[col], from, r->sizes[col]);
            at[col] += r->sizes[col];
            from += r->sizes[col];
        }
    }
    return true;
}

/* ---- groups ---- */

static const struct pg_job_kind group_job;

static struct group *group_new(struct pg_batch *b)
{
    struct group *g = mem_new(struct group);

    g->job.kind = &group_job;
    g->job.stmt = b->stmt;
    g->job.pg = b->pg;
    g->batch = b;
    list_init(&g->rows);
    list_push(&b->groups, &g->link);
    return g;
}

/* Groups of one batch never overlap: the next waits until the last of these is through. */
static void batch_go_on(struct pg_batch *b)
{
    if (!b->pg || b->pg->closing || list_empty(&b->rows) || !list_empty(&b->groups)) return;
    pg_enqueue(b->pg, &group_new(b)->job);
}

/* All its rows have this outcome. */
static void group_end(struct group *g, const struct err *why)
{
    struct pg_batch *b = g->batch;

    while (!list_empty(&g->rows)) row_end(list_first(&g->rows, struct row, link), why);
    list_drop(&g->link);
    free(g);
    if (b) batch_go_on(b);
}

static bool group_params(struct pg_job *job, struct pg_params *ret)
{
    struct group *g = container_of(job, struct group, job);
    struct err why = ERR_INIT;

    if (g->batch) {
        if (list_empty(&g->rows))
            group_take_rows(g);
        else
            group_drop_orphans(g);
        if (g->n_rows > 0 && group_encode(g, ret)) {
            metric_add(&job->stmt->groups, 1);
            metric_add(&job->stmt->group_rows, (double)g->n_rows);
            return true;
        }
        if (g->n_rows > 0)
            err_set(&why, ERR_LIMIT, "pg: %s: rows too large", job->stmt->stmt->name);
    }
    group_end(g, &why);
    return false;
}

/* One by one, in order, so that a bad row hurts only itself. */
static void group_split(struct group *g)
{
    struct pg_batch *b = g->batch;
    bool first = true;

    list_each (it, next, &g->rows) {
        struct group *one = group_new(b);
        list_drop(it);
        list_push(&one->rows, it);
        one->n_rows = 1;
        one->job.follows = !first;
        pg_enqueue_again(&one->job);
        first = false;
    }
    list_drop(&g->link);
    free(g);
}

static bool row_belongs(const PGresult *pq, int row, size_t number)
{
    uint64_t n;
    return str_u64(str_of(PQgetvalue(pq, row, 0)), &n) && n == number;
}

/* Each waiter gets the rows that carry its number. */
static void group_succeeded(struct group *g, struct pg_result *result)
{
    struct err bug, none = ERR_INIT;
    int n = PQntuples(result->pq), at = 0;
    size_t number = 1;

    list_each (it, next, &g->rows) {
        struct row *r = container_of(it, struct row, link);
        int first = at;
        while (at < n && row_belongs(result->pq, at, number)) at++;
        if (r->op && r->ret) {
            pg_rows_set(r->ret, result, first, at - first);
            r->ret->n_affected = at - first;
        }
        /* Out of order: the last row's waiter hears of it, the others cannot know. */
        bool last = number++ == g->n_rows;
        if (last && at < n)
            err_set(&bug, ERR_BUG, "pg: %s: rows are not ordered by their number",
                    g->job.stmt->stmt->name);
        row_end(r, last && at < n ? &bug : &none);
    }
    group_end(g, &none);
}

static bool worth_splitting(const struct group *g, const struct pg_answer *answer)
{
    return answer->why.kind == ERR_REFUSED && !answer->unprepared && g->n_rows > 1;
}

static bool worth_repeating(const struct group *g, const struct pg_answer *answer)
{
    return !g->again && (answer->why.kind == ERR_UNKNOWN || answer->why.kind == ERR_IO);
}

static void group_done(struct pg_job *job, const struct pg_answer *answer)
{
    struct group *g = container_of(job, struct group, job);
    bool final = !g->batch || job->pg->closing;

    if (answer->result) {
        group_succeeded(g, answer->result);
    } else if (!final && worth_splitting(g, answer)) {
        group_split(g);
    } else if (!final && worth_repeating(g, answer)) {
        g->again = true;
        pg_enqueue_again(job);
    } else {
        group_end(g, &answer->why);
    }
}

/* Waiting rows expire one by one (pg_batches_expire). */
static const struct pg_job_kind group_job = { group_params, group_done, .expires = false };

/* ---- for the pool ---- */

static void fail_rows(struct pg_batch *b, uint64_t before_ms, const struct err *why)
{
    while (!list_empty(&b->rows)) {
        struct row *r = list_first(&b->rows, struct row, link);
        if (r->queued_ms > before_ms) return;
        b->n_rows--;
        row_end(r, why);
    }
}

bool pg_batches_wait(const struct pg *pg)
{
    for (const struct list *it = pg->batches.next; it != &pg->batches; it = it->next)
        if (container_of(it, struct pg_batch, link)->n_rows > 0) return true;
    return false;
}

void pg_batches_expire(struct pg *pg, uint64_t before_ms, const struct err *why)
{
    list_each (it, next, &pg->batches)
        fail_rows(container_of(it, struct pg_batch, link), before_ms, why);
}

void pg_batches_close(struct pg *pg)
{
    struct err why;

    err_set(&why, ERR_CANCELLED, "pg: closed");
    list_each (it, next, &pg->batches) {
        struct pg_batch *b = container_of(it, struct pg_batch, link);
        fail_rows(b, UINT64_MAX, &why);
        list_drop(it);
        b->pg = NULL;
    }
}

/* ---- public ---- */

struct pg_batch *pg_batch_new(struct pg *pg, const struct pg_batch_kind *kind)
{
    struct pg_batch *b = mem_new(struct pg_batch);

    assert(kind->n_columns > 0 && kind->n_columns <= PG_BATCH_COLUMNS_MAX && kind->rows_max > 0);
    b->pg = pg;
    b->kind = kind;
    b->stmt = pg_known_get(&kind->stmt);
    assert(b->stmt); /* another statement has this name */
    list_init(&b->rows);
    list_init(&b->groups);
    list_push(&pg->batches, &b->link);
    return b;
}

void pg_batch_free(struct pg_batch *b)
{
    if (!b) return;
    assert(list_empty(&b->rows));
    list_each (it, next, &b->groups) {
        list_drop(it);
        container_of(it, struct group, link)->batch = NULL;
    }
    list_drop(&b->link);
    free(b);
}

void pg_batch_add(struct pg_batch *b, struct op *op, const struct pg_value *row,
                  struct pg_rows *ret)
{
    if (!b->pg) {
        op_begin(op, &row_kind, NULL, 1);
        op_failf(op, ERR_CANCELLED, "pg: closed");
        return;
    }
    uint64_t timeout_ms = (uint64_t)b->pg->conf.statement_timeout_ms + PG_MARGIN_MS;
    bool full = (int64_t)b->n_rows >= b->pg->conf.queue_max;
    struct row *r = full ? NULL : row_new(b, row);
    if (!r) {
        op_begin(op, &row_kind, NULL, timeout_ms);
        op_failf(op, ERR_LIMIT, "pg: %s: %s", b->kind->stmt.name,
                 full ? "too many rows wait" : "row too large");
        return;
    }
    r->op = op;
    r->ret = ret;
    list_push(&b->rows, &r->link);
    b->n_rows++;
    op_begin(op, &row_kind, r, timeout_ms);
    batch_go_on(b);
}
