/*
 * pg_impl - what the pg_*.c files share; nobody else includes this, so libpq stays in them.
 *
 *   pg_url    the URL, its hosts, TLS by default     pg_dial   name look-up and connecting
 *   pg_conn   one connection's pipeline              pg        pool, queue, pg_query
 *   pg_batch  group commit                           pg_script migrations
 *   pg_value  parameters to bytes                    pg_rows   results to values
 *   pg_stat   SQLSTATEs, error texts, metrics        pg_conf   the configuration table
 *
 * A job is one statement and its Sync. It waits in the pool's queue, is sent at the end of a loop
 * turn (never earlier: until then it can still be cancelled for free), then stands in its
 * connection's list of sent jobs, in the order the answers will come.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/map.h"
#include "core/base/metric.h"
#include "core/net/pg.h"
#include <libpq-fe.h>

#define PG_DEPTH         16   /* statements in one connection's pipeline */
#define PG_GROWING_DEPTH 4    /* the same, while more connections may come */
#define PG_GROW_AT       2    /* all connections have this many in flight: open another */
#define PG_VALUES_MAX    64   /* parameters of a statement */
#define PG_MARGIN_MS     1000 /* the server's statement_timeout should speak before our deadline */
#define PG_SCRATCH_MAX   (256u << 20)

/* ---- pg_url ---- */

struct pg_url {
    PQconninfoOption *options;
    char *password; /* from the configuration; NULL = the URL's, if any */
};
enum err_kind pg_url_parse(const struct pg_conf *conf, struct pg_url *ret, struct err *why);
void pg_url_done(struct pg_url *u);
const char *pg_url_get(const struct pg_url *u, const char *key); /* NULL: not there */

/* Lists as libpq takes them, comma separated and of equal length. */
struct pg_hosts {
    struct buf names, addresses, ports;
    unsigned n;
};
/* Begins connecting; NULL only when memory is out. hosts NULL: as the URL has them. */
PGconn *pg_url_connect(const struct pg_url *u, const struct pg_hosts *hosts,
                       int64_t statement_timeout_ms);

/* ---- pg_dial ---- */

/* A socket of libpq's on the loop. */
struct pg_watch;
struct pg_watch *pg_watch_open(struct loop *loop, int fd, void (*ready)(void *ctx, int events),
                               void *ctx);
void pg_watch_want(struct pg_watch *w, int events); /* UV_READABLE | UV_WRITABLE; 0 = nothing */
void pg_watch_close(struct pg_watch *w);            /* before PQfinish; NULL is fine */

/*
 * One attempt to connect. done gets the connection, now its own, or NULL and the reason; it may be
 * called inside pg_dial_start, and may free the dial.
 */
struct pg_dial {
    struct loop *loop;
    const struct pg_url *url;
    int64_t timeout_ms, statement_timeout_ms;
    void (*done)(struct pg_dial *d, PGconn *pq, const struct err *why);
    struct timer timer;
    struct pg_lookup *lookup; /* the name being resolved */
    struct pg_hosts hosts;
    struct str names_left, ports_left;
    PGconn *pq;
    struct pg_watch *watch;
    int fd;
};
void pg_dial_start(struct pg_dial *d);
void pg_dial_stop(struct pg_dial *d); /* no-op when nothing goes on */

/* ---- pg_stat ---- */

/* What this process knows of a statement, for ever. */
struct pg_known {
    struct map_node node;
    const struct pg_stmt *stmt;
    size_t id; /* small: an index into each connection's table of prepared statements */
    char labels[80];
    struct metric duration, groups, group_rows;
};
/* NULL: another text is known under this name. */
struct pg_known *pg_known_get(const struct pg_stmt *stmt);

/* A failed result as kind and text (never a value), counted by SQLSTATE class. */
void pg_failure(const char *who, const PGresult *r, char ret_sqlstate[6], struct err *ret);
bool pg_is_fatal(const PGresult *r); /* the server ends the session with this */
void pg_pq_error(PGconn *pq, struct err *ret, enum err_kind kind, const char *what);
void pg_stat_pool(const struct pg *pg); /* set the gauges */

/* ---- pg_value ---- */

struct pg_params {
    int n;
    Oid types[PG_VALUES_MAX];
    const char *values[PG_VALUES_MAX];
    int sizes[PG_VALUES_MAX], formats[PG_VALUES_MAX];
};
/* The values as parameters; what they need is put into `scratch`. */
enum err_kind pg_params_set(struct pg_params *p, struct buf *scratch, const struct pg_value *values,
                            size_t n, struct err *why);

/* Binary arrays: head, then elements. */
#define PG_ARRAY_HEAD 20
void pg_array_head(char *to, enum pg_type type, size_t n);
Oid pg_array_oid(enum pg_type type);
size_t pg_element_size(const struct pg_value *v);
void pg_element_put(char *to, const struct pg_value *v);

/* ---- pg_rows ---- */

struct pg_result {
    unsigned refs;
    PGresult *pq;        /* NULL: the values are here, one row after the other */
    int n_columns;       /* of values */
    struct str values[]; /* p NULL = NULL; their bytes are behind them, each with a NUL */
};
struct pg_result *pg_result_new(PGresult *take_pq); /* one reference */
void pg_result_drop(struct pg_result *r);           /* NULL is fine */
void pg_rows_set(struct pg_rows *rows, struct pg_result *r, int first, int n);

/* ---- jobs ---- */

struct pg_answer {
    struct pg_result *result; /* borrowed; NULL on failure */
    struct err why;
    bool unprepared; /* the server refused the statement's text itself */
};

struct pg_job;
struct pg_job_kind {
    /* About to be sent. False: nothing to send any more, and the job is gone. */
    bool (*params)(struct pg_job *job, struct pg_params *ret);
    /* Ended: the job frees itself, or goes back into pg->again. */
    void (*done)(struct pg_job *job, const struct pg_answer *answer);
    bool expires; /* fails with ERR_IO when it waited too long in the queue */
};

struct pg_job {
    struct list link; /* pg->queue, pg->again or conn->sent */
    const struct pg_job_kind *kind;
    struct pg *pg;
    struct pg_known *stmt;
    struct pg_conn *conn; /* NULL while it waits */
    uint64_t queued_ms, sent_ns;
    bool again;      /* in pg->again, or was once: not counted in n_queued */
    bool follows;    /* goes the way of the job before it, so that their order holds */
    bool parses;     /* carries the statement's text: not prepared yet on this connection */
    bool reprepared; /* the server had lost the prepared statement once */
};

/* ---- pg_conn ---- */

enum pg_conn_state { PG_OFF, PG_DIALING, PG_UP, PG_RESTING };
struct pg_conn {
    struct pg *pg;
    enum pg_conn_state state;
    struct timer timer; /* resting: dial again; up: the oldest statement's deadline */
    struct pg_dial dial;
    unsigned attempt; /* failures in a row */
    PGconn *pq;
    struct pg_watch *watch;
    bool dirty; /* has bytes to flush */
    struct list sent;
    unsigned n_sent;
    uint64_t head_since_ms, idle_since_ms;
    uint8_t *prepared; /* by pg_known.id: enum in pg_conn.c */
    size_t n_prepared;
    const struct pg_known *unparsable; /* the last one refused as text, and why */
    char parse_sqlstate[6];
    struct err parse_failure;
    /* The answer to the first sent job, as far as it has come. */
    PGresult *ok;
    unsigned n_ok;
    char sqlstate[6];
    struct err failure;
    bool fatal, broken;
};
void pg_conn_start(struct pg_conn *c);             /* from PG_OFF or PG_RESTING */
void pg_conn_rest(struct pg_conn *c, uint64_t ms); /* start after a while */
/* ret_sent: what was sent goes to its end; NULL when nothing can have been. */
void pg_conn_stop(struct pg_conn *c, struct list *ret_sent); /* to PG_OFF */
void pg_conn_send(struct pg_conn *c, struct pg_job *job);
void pg_conn_flush(struct pg_conn *c);

/* ---- pg ---- */

struct pg {
    struct loop *loop;
    struct loop_hook hook;
    struct pg_conf conf;
    struct pg_url url;
    struct pg_conn *conns;    /* pool_max of them */
    size_t n_on, n_up;        /* not PG_OFF; PG_UP */
    struct list queue, again; /* waiting jobs; those in `again` were sent before and go first */
    size_t n_queued;
    struct list batches, scripts;
    struct timer expiry, shrink;
    uint64_t grow_at_ms; /* not earlier: the last attempt failed */
    unsigned grow_attempt;
    struct buf scratch;
    char sqlstate[6];
    struct err down; /* while n_up is 0: why */
    bool told_down;
    struct metric_probe probe;
    bool closing;
};
void pg_enqueue(struct pg *pg, struct pg_job *job);
void pg_enqueue_again(struct pg_job *job);
void pg_pool_up(struct pg_conn *c);
/* c is PG_OFF already; decides whether it comes back. */
void pg_pool_lost(struct pg_conn *c, const struct err *why);

/* ---- pg_batch, pg_script ---- */

void pg_batches_close(struct pg *pg);
bool pg_batches_wait(const struct pg *pg);
void pg_batches_expire(struct pg *pg, uint64_t before_ms, const struct err *why);
void pg_scripts_close(struct pg *pg);
