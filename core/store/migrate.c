/*
 * migrate: a flow of three waits (list, apply one after the other, partitions) behind one op.
 *
 * Two processes may start at once: each migration's transaction takes an advisory lock first and
 * then fails with a SQLSTATE of its own if the other was quicker, which counts as done.
 */
#include "core/store/migrate.h"
#include "core/base/arena.h"
#include "core/base/embed.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/loop/flow.h"
#include "core/net/sign.h"
#include <stdio.h>

#define MIGRATION_BUDGET_MS 600000
#define ALREADY_APPLIED     "PY001"

extern const struct embedded_file embedded_migrations[];

struct migrate {
    struct flow flow;
    struct store *store;
    struct op *outer;
    struct arena arena;
    struct pg_rows rows;
    struct migrate_report report, *ret;
    bool dry_run;
    int next; /* index into embedded_migrations */
};

enum { STEP_TABLE, STEP_LIST, STEP_APPLY, STEP_PARTITIONS, STEP_N };

static struct migrate *of_flow(struct flow *f)
{
    return container_of(f, struct migrate, flow);
}

static enum flow_rc fail(struct flow *f, struct err *why)
{
    f->err = *why;
    return FLOW_STOP;
}

static struct str checksum(struct migrate *m, const struct embedded_file *file)
{
    uint8_t sum[32];
    char hex[65];
    sign_sha256(str_from((const char *)file->bytes, file->n), sum);
    sign_hex(sum, sizeof sum, hex);
    return arena_dup(&m->arena, str_of(hex));
}

static enum flow_rc table_start(struct flow *f)
{
    if (of_flow(f)->dry_run) return FLOW_NEXT;
    /* The lock, because two CREATE TABLE IF NOT EXISTS at once can still collide in the catalogue.
     */
    pg_script(
        of_flow(f)->store->pg, &f->op,
        STR("SELECT pg_advisory_xact_lock(7021955); SET LOCAL client_min_messages = warning;"
            "CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL,"
            " checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"),
        MIGRATION_BUDGET_MS);
    return FLOW_WAIT;
}

static const struct pg_stmt list_stmt = { "migrations",
                                          "SELECT version, name, checksum FROM schema_migrations "
                                          "ORDER BY version" };

static enum flow_rc list_start(struct flow *f)
{
    struct migrate *m = of_flow(f);
    pg_query(m->store->pg, &f->op, &list_stmt, NULL, 0, &m->rows);
    return FLOW_WAIT;
}

static enum flow_rc list_failed(struct flow *f)
{
    struct migrate *m = of_flow(f);
    if (!m->dry_run || strcmp(pg_sqlstate(m->store->pg), "42P01") != 0) return FLOW_STOP;
    m->report.n_pending = m->report.n_known; /* an empty database */
    flow_goto(f, STEP_N);
    return FLOW_NEXT;
}

static enum flow_rc list_done(struct flow *f)
{
    struct migrate *m = of_flow(f);
    struct err why;
    for (int i = 0; i < m->rows.n; i++) {
        struct str name = pg_rows_str(&m->rows, i, 1);
        if (i >= m->report.n_known) {
            err_set(
                &why, ERR_CONF,
                "the database has migration %.*s, which this program does not know: it is newer",
                STR_ARG(name));
            return fail(f, &why);
        }
        const struct embedded_file *file = &embedded_migrations[i];
        if (!str_eq(name, str_of(file->name)) ||
            !str_eq(pg_rows_str(&m->rows, i, 2), checksum(m, file))) {
            err_set(&why, ERR_CONF,
                    "migration %s was edited after it had been applied to this database as %.*s",
                    file->name, STR_ARG(name));
            return fail(f, &why);
        }
        snprintf(m->report.last, sizeof m->report.last, "%s", file->name);
    }
    m->next = m->rows.n;
    m->report.n_pending = m->report.n_known - m->next;
    if (m->dry_run) flow_goto(f, STEP_N);
    return FLOW_NEXT;
}

static enum flow_rc apply_start(struct flow *f)
{
    struct migrate *m = of_flow(f);
    const struct embedded_file *file = &embedded_migrations[m->next];
    if (!file->name) return FLOW_NEXT;
    struct str sum = checksum(m, file);
    struct str sql = arena_printf(
        &m->arena,
        "SELECT pg_advisory_xact_lock(7021955); SET LOCAL statement_timeout = 0;"
        "DO $parley$ BEGIN IF EXISTS (SELECT 1 FROM schema_migrations WHERE version = %d) THEN"
        " RAISE EXCEPTION 'applied by another process' USING ERRCODE = '" ALREADY_APPLIED
        "'; END IF; END $parley$;\n"
        "%.*s\n"
        "INSERT INTO schema_migrations (version, name, checksum) VALUES (%d, '%s', '%.*s')",
        m->next + 1, (int)file->n, (const char *)file->bytes, m->next + 1, file->name,
        STR_ARG(sum));
    pg_script(m->store->pg, &f->op, sql, MIGRATION_BUDGET_MS);
    return FLOW_WAIT;
}

static enum flow_rc apply_next(struct migrate *m, bool ours)
{
    const char *name = embedded_migrations[m->next].name;
    m->report.n_applied += ours;
    m->report.n_pending--;
    m->next++;
    snprintf(m->report.last, sizeof m->report.last, "%s", name);
    if (ours) log_info("migrate", "applied", "name=%s", name);
    flow_goto(&m->flow, STEP_APPLY);
    return FLOW_NEXT;
}

static enum flow_rc apply_done(struct flow *f)
{
    return apply_next(of_flow(f), true);
}

static enum flow_rc apply_failed(struct flow *f)
{
    struct migrate *m = of_flow(f);
    if (strcmp(pg_sqlstate(m->store->pg), ALREADY_APPLIED) == 0) return apply_next(m, false);
    f->err = f->op.err;
    err_add(&f->err, "migration %s: ", embedded_migrations[m->next].name);
    return FLOW_STOP;
}

static const struct pg_stmt partitions_stmt = {
    "partitions", "SELECT messages_partitions_make(2)::text UNION ALL "
                  "SELECT * FROM messages_partitions_drop($1::int) WHERE $1 > 0"
};

void store_partitions(struct store *s, struct op *op, int64_t keep_months, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_int(keep_months) };
    pg_query(s->pg, op, &partitions_stmt, v, 1, rows);
}

static enum flow_rc partitions_start(struct flow *f)
{
    struct migrate *m = of_flow(f);
    store_partitions(m->store, &f->op, 0, NULL);
    return FLOW_WAIT;
}

static void migrate_end(struct flow *f)
{
    struct migrate *m = of_flow(f);
    if (m->outer && f->err.kind) {
        op_fail(m->outer, &f->err);
    } else if (m->outer) {
        *m->ret = m->report;
        op_finish(m->outer);
    }
    pg_rows_done(&m->rows);
    arena_done(&m->arena);
    free(m);
}

static const struct flow_step migrate_steps[] = {
    [STEP_TABLE] = { "table", table_start, NULL, NULL },
    [STEP_LIST] = { "list", list_start, list_done, list_failed },
    [STEP_APPLY] = { "apply", apply_start, apply_done, apply_failed },
    [STEP_PARTITIONS] = { "partitions", partitions_start, NULL, NULL },
};
static const struct flow_kind migrate_kind = { "migrate", migrate_steps, STEP_N,
                                               MIGRATION_BUDGET_MS, migrate_end };

static void migrate_drop(struct op *op)
{
    struct migrate *m = op->impl;
    m->outer = NULL;
    flow_stop(&m->flow, ERR_CANCELLED, "nobody waits for it");
}

static const struct op_kind migrate_op = { "store.migrate", migrate_drop };

void store_migrate(struct store *s, struct op *op, bool dry_run, struct migrate_report *ret)
{
    struct migrate *m = mem_new(struct migrate);
    m->store = s;
    m->outer = op;
    m->ret = ret;
    m->dry_run = dry_run;
    arena_init(&m->arena);
    while (embedded_migrations[m->report.n_known].name) m->report.n_known++;
    op_begin(op, &migrate_op, m, MIGRATION_BUDGET_MS);
    flow_start(&m->flow, &migrate_kind, s->loop, NULL);
}
