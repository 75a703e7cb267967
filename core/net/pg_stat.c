/*
 * pg_stat: what a SQLSTATE means, error texts without anybody's data, and the metrics.
 */
#include "core/net/pg_impl.h"

#include "core/base/mem.h"

#include <stdio.h>

/*
 * By prefix, first match decides. shown: the server's message speaks of names in the statement and
 * of the server's state; those of other classes may quote values, so only the code goes into ours.
 */
static const struct {
    const char *prefix;
    enum err_kind kind;
    bool shown;
} meanings[] = {
    { "57014", ERR_TIMEOUT, true }, /* statement_timeout */
    { "25006", ERR_IO, true },      /* read only: we are on a standby, a failover is going on */
    { "55P03", ERR_IO, true },      /* lock not available */
    { "08", ERR_IO, true },         /* connection */
    { "40", ERR_IO, true },         /* deadlock, serialization: rolled back, may be tried again */
    { "53", ERR_IO, true },         /* disk full, out of memory, too many connections */
    { "57", ERR_IO, true },         /* shutting down, starting up */
    { "58", ERR_IO, true },         /* the server's disk */
    { "25", ERR_REFUSED, true },    /* transaction state */
    { "28", ERR_AUTH, true },       /* the role may not log in */
    { "PA", ERR_REFUSED, true },    /* admin_fail(): our own words, "column: text" */
    { "42", ERR_REFUSED, true },    /* syntax, unknown names, privileges */
    { "", ERR_REFUSED, false },
};

#define CLASS(label)                                                                       \
    {                                                                                      \
        (label), METRIC(METRIC_COUNTER, "parley_pg_failures_total", "class=\"" label "\"", \
                        "Statements refused, by SQLSTATE class.")                          \
    }
static struct {
    const char *prefix;
    struct metric counter;
} classes[] = {
    CLASS("08"), CLASS("22"), CLASS("23"), CLASS("25"), CLASS("28"), CLASS("40"),
    CLASS("42"), CLASS("53"), CLASS("55"), CLASS("57"), CLASS("58"), CLASS("other"),
};

static struct metric up =
    METRIC(METRIC_GAUGE, "parley_pg_connections", "state=\"up\"", "Connections to PostgreSQL.");
static struct metric connecting = METRIC(METRIC_GAUGE, "parley_pg_connections",
                                         "state=\"connecting\"", "Connections to PostgreSQL.");
static struct metric in_flight =
    METRIC(METRIC_GAUGE, "parley_pg_in_flight", "", "Statements sent and not yet answered.");
static struct metric queued =
    METRIC(METRIC_GAUGE, "parley_pg_queue", "", "Statements waiting for a connection.");

/* Never emptied: metrics stay registered as long as the process lives. */
static struct map known;

static void count_class(const char *sqlstate)
{
    size_t i = 0;
    while (i + 1 < sizeof(classes) / sizeof(classes[0]) &&
           strncmp(sqlstate, classes[i].prefix, 2) != 0)
        i++;
    metric_add(&classes[i].counter, 1);
}

static const char *field(const PGresult *r, int code)
{
    const char *s = PQresultErrorField(r, code);
    return s ? s : "";
}

static struct pg_known *known_new(const struct pg_stmt *stmt)
{
    struct pg_known *k = mem_new(struct pg_known);

    k->stmt = stmt;
    k->id = known.n;
    snprintf(k->labels, sizeof(k->labels), "stmt=\"%.63s\"", stmt->name);
    k->duration = (struct metric)METRIC(METRIC_HISTOGRAM, "parley_pg_statement_seconds", k->labels,
                                        "Time from sending a statement to its answer.");
    k->groups = (struct metric)METRIC(METRIC_COUNTER, "parley_pg_groups_total", k->labels,
                                      "Group commits sent.");
    k->group_rows = (struct metric)METRIC(METRIC_COUNTER, "parley_pg_group_rows_total", k->labels,
                                          "Rows in the group commits sent.");
    map_put(&known, &k->node, str_of(stmt->name));
    return k;
}

struct pg_known *pg_known_get(const struct pg_stmt *stmt)
{
    if (!known.slots) map_init(&known);
    struct map_node *node = map_get(&known, str_of(stmt->name));
    if (!node) return known_new(stmt);

    struct pg_known *k = container_of(node, struct pg_known, node);
    bool same = k->stmt == stmt || k->stmt->sql == stmt->sql || !strcmp(k->stmt->sql, stmt->sql);
    return same ? k : NULL;
}

void pg_failure(const char *who, const PGresult *r, char ret_sqlstate[6], struct err *ret)
{
    size_t i = 0;

    snprintf(ret_sqlstate, 6, "%s", field(r, PG_DIAG_SQLSTATE));
    while (strncmp(ret_sqlstate, meanings[i].prefix, strlen(meanings[i].prefix)) != 0) i++;
    const char *text =
        field(r, meanings[i].shown ? PG_DIAG_MESSAGE_PRIMARY : PG_DIAG_CONSTRAINT_NAME);
    bool ours = str_starts(str_of(ret_sqlstate), STR("PA"));
    err_set(ret, meanings[i].kind, "pg: %s: SQLSTATE %s%s%s%s%s", who, ret_sqlstate,
            *text ? " " : "", ours ? field(r, PG_DIAG_COLUMN_NAME) : "", ours ? ": " : "", text);
    count_class(ret_sqlstate);
}

bool pg_is_fatal(const PGresult *r)
{
    const char *severity = field(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    return !strcmp(severity, "FATAL") || !strcmp(severity, "PANIC");
}

void pg_pq_error(PGconn *pq, struct err *ret, enum err_kind kind, const char *what)
{
    struct str text = str_trim(str_of(pq ? PQerrorMessage(pq) : ""));
    err_set(ret, kind, "pg: %s%s%.*s", what, text.n ? ": " : "", STR_ARG(text));
}

void pg_stat_pool(const struct pg *pg)
{
    unsigned n_sent = 0, n_connecting = 0;

    for (int64_t i = 0; i < pg->conf.pool_max; i++) {
        n_sent += pg->conns[i].n_sent;
        n_connecting += pg->conns[i].state == PG_DIALING;
    }
    metric_set(&up, (double)pg->n_up);
    metric_set(&connecting, n_connecting);
    metric_set(&in_flight, n_sent);
    metric_set(&queued, (double)pg->n_queued);
}

bool pg_err_is(const struct err *why, const char *sqlstate)
{
    const char *at = strstr(why->msg, "SQLSTATE ");
    return at && !strncmp(at + strlen("SQLSTATE "), sqlstate, 5);
}
