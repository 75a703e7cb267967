/*
 * pg - PostgreSQL on the loop: a pool of pipeline connections, and group commit for the hot
 * statements.
 *
 * Every statement is prepared once a connection and is its own transaction (its own Sync), so that
 * one caller's failure never touches another's. A lost connection fails its statements with
 * ERR_UNKNOWN if they had been sent (the caller's SQL must be safe to repeat) or keeps them in the
 * queue if not; reconnects with back-off; while no connection is up, statements wait in a bounded
 * queue until their deadline. The pool grows to pool_max while all its connections are busy, and
 * shrinks again when they idle.
 *
 * What gathers in a turn of the loop is sent at its end (a loop_hook: do not call from another).
 * Sessions are in UTC, so timestamps come as text in UTC. Over the network TLS is on and verified
 * against the system's authorities (sslmode=verify-full) unless the URL names an sslmode itself.
 */
#pragma once
#include "core/base/conf.h"
#include "core/base/str.h"
#include "core/base/uuid.h"
#include "core/loop/op.h"

struct pg_conf {
    const char *url;      /* postgresql://... or key=value; host names are resolved off the loop */
    const char *password; /* "" or NULL: the URL's, if any */
    int64_t pool_min, pool_max;
    int64_t statement_timeout_ms;
    int64_t connect_timeout_ms;
    int64_t queue_max; /* statements waiting for a connection */
};
extern const struct conf_field pg_conf_fields[];

struct pg;
/*
 * Never waits: connecting goes on in the loop.
 * conf     copied; its strings are needed only for the call
 * ERR_CONF: the URL cannot be read, or the pool's bounds are wrong.
 */
enum err_kind pg_open(struct loop *loop, const struct pg_conf *conf, struct pg **ret,
                      struct err *why);
/*
 * Fails what was sent with ERR_UNKNOWN and what was not with ERR_CANCELLED, and frees the pool;
 * then run the loop until it drains. Batches may be freed before or after.
 */
void pg_close(struct pg *pg);
bool pg_is_up(const struct pg *pg);
bool pg_is_down(const struct pg *pg);            /* it was tried, and is not up */
const char *pg_down_reason(const struct pg *pg); /* why the last attempt failed; "" when up */

/* Statements are static objects: one SQL text under one name. */
struct pg_stmt {
    const char *name; /* unique, [a-z_]+: the prepared statement's name and the metric label */
    const char *sql;
};

enum pg_type { PG_TEXT, PG_UUID, PG_INT, PG_BOOL, PG_JSON, PG_FLOAT };

/* One parameter. */
struct pg_value {
    enum pg_type type;
    bool null;
    union {
        struct str text; /* PG_TEXT, PG_JSON: valid UTF-8 without U+0000 */
        struct uuid uuid;
        int64_t i; /* PG_INT (int8), PG_BOOL */
        double f;
    };
};
static inline struct pg_value pg_text(struct str s)
{
    return (struct pg_value){ .type = PG_TEXT, .text = s };
}
static inline struct pg_value pg_json(struct str s)
{
    return (struct pg_value){ .type = PG_JSON, .text = s };
}
static inline struct pg_value pg_uuid(struct uuid u)
{
    return (struct pg_value){ .type = PG_UUID, .uuid = u };
}
static inline struct pg_value pg_int(int64_t i)
{
    return (struct pg_value){ .type = PG_INT, .i = i };
}
static inline struct pg_value pg_bool(bool b)
{
    return (struct pg_value){ .type = PG_BOOL, .i = b };
}
static inline struct pg_value pg_float(double f)
{
    return (struct pg_value){ .type = PG_FLOAT, .f = f };
}
static inline struct pg_value pg_null(enum pg_type t)
{
    return (struct pg_value){ .type = t, .null = true };
}

/*
 * Rows of an answer: a window on a shared result. Zero-initialise; pg_rows_done when finished
 * (harmless twice). Getters: row < n, col < number of columns. Strings live until pg_rows_done.
 */
struct pg_rows {
    struct pg_result *result; /* shared, counted */
    int first, n;
    int64_t n_affected; /* of INSERT/UPDATE/DELETE without RETURNING */
};
void pg_rows_done(struct pg_rows *r);
/*
 * For who keeps few rows for long: a copy of just these, in place of the shared result, which takes
 * some 4 KB at least and as long as anybody has a row of it. Strings that were taken before are
 * gone. No-op without rows.
 */
void pg_rows_own(struct pg_rows *r);
bool pg_rows_null(const struct pg_rows *r, int row, int col);
struct str pg_rows_str(const struct pg_rows *r, int row, int col); /* "" for NULL */
int64_t pg_rows_i64(const struct pg_rows *r, int row, int col);    /* 0 for NULL */
double pg_rows_f64(const struct pg_rows *r, int row, int col);
bool pg_rows_bool(const struct pg_rows *r, int row, int col);
struct uuid pg_rows_uuid(const struct pg_rows *r, int row, int col); /* nil for NULL */

/*
 * Run one statement as one transaction.
 * values   n of them (at most 64), $1..$n, borrowed until the op ends (as is what they point to).
 *          The types of the first call are the statement's: PG_INT is int8, PG_JSON is jsonb; a
 *          PG_TEXT is whatever the SQL makes of it ($1::timestamptz), text if nothing.
 * ret      filled on success; may be NULL. pg_rows_done is the caller's, also after a cancel.
 * op       ERR_TIMEOUT: the statement's outcome is unknown. ERR_UNKNOWN: the connection was lost
 *          after sending. ERR_IO: nothing was done, and it may be tried again: no connection within
 *          the deadline, deadlock, shutdown, disk full, read only. ERR_REFUSED: the server said no
 *          (SQLSTATE in the text, and in pg_sqlstate). ERR_LIMIT: the queue is full. Texts never
 *          hold a value.
 * Cancel: a queued statement is not sent; a sent one runs to its end and its rows are dropped.
 */
void pg_query(struct pg *pg, struct op *op, const struct pg_stmt *stmt,
              const struct pg_value *values, size_t n, struct pg_rows *ret);

/*
 * Text without parameters, several statements allowed, in one transaction, on a connection of its
 * own: migrations only.
 * sql      copied inside the call
 * op       as pg_query, but ERR_IO at once when there is no connection to be had
 * Cancel closes the connection; the outcome is unknown.
 */
void pg_script(struct pg *pg, struct op *op, struct str sql, uint64_t timeout_ms);

/* The SQLSTATE of the statement that failed last on this loop turn, e.g. "23505"; "" if none. Ask
 * in the op's done, not later. */
const char *pg_sqlstate(const struct pg *pg);
/* Whether `why` came from the server with this SQLSTATE: exact, also when several failed at once.
 */
bool pg_err_is(const struct err *why, const char *sqlstate);

/*
 * Group commit: callers add rows; what has gathered goes as one statement over arrays when the
 * previous group of the same kind is through. Groups of one kind never overlap, so rows commit in
 * the order they were added.
 *
 * The SQL takes n_columns arrays ($1 text[], $2 uuid[], ...), numbers their elements WITH
 * ORDINALITY, and returns rows whose FIRST column is that number (1..): each caller gets the rows
 * that carry its number (rows of one number must be adjacent and the numbers ascending: ORDER BY
 * 1). When a group fails with ERR_REFUSED its rows are sent again one by one, so a bad row hurts
 * only itself. When its connection is lost, or after a deadlock and the like, the rows are sent
 * again as a group, once (the SQL must be safe to repeat).
 */
struct pg_batch;
struct pg_batch_kind {
    struct pg_stmt stmt;
    unsigned n_columns; /* <= PG_BATCH_COLUMNS_MAX */
    const enum pg_type *types;
    size_t rows_max; /* a group */
};
#define PG_BATCH_COLUMNS_MAX 24

struct pg_batch *pg_batch_new(struct pg *pg, const struct pg_batch_kind *kind);
void pg_batch_free(struct pg_batch *b); /* no op may be waiting; NULL is fine */

/*
 * row      kind->n_columns values of kind->types, copied inside the call
 * ret, op  as pg_query; ERR_LIMIT: queue_max rows wait already, or the row is over 64 MB
 * Cancel: a row that waits is forgotten; one that was sent may be committed.
 */
void pg_batch_add(struct pg_batch *b, struct op *op, const struct pg_value *row,
                  struct pg_rows *ret);
