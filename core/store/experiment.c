/* experiment: see experiment.h; the rule itself is in migrations/0017_experiments.sql. */
#include "core/store/experiment.h"

static const struct pg_stmt list_stmt = {
    "experiments",
    "SELECT name, status = 'running', unit, experiment_variants(variants), salt, version FROM experiments "
    "WHERE status = 'running' OR ended_at > now() - interval '1 day' ORDER BY name"
};

void store_experiments(struct store *s, struct op *op, struct pg_rows *rows)
{
    pg_query(s->pg, op, &list_stmt, NULL, 0, rows);
}

static const struct pg_stmt guard_stmt = {
    "experiments_guard", "SELECT experiment, variant, reason FROM experiments_guard()"
};

void store_experiments_guard(struct store *s, struct op *op, struct pg_rows *rows)
{
    pg_query(s->pg, op, &guard_stmt, NULL, 0, rows);
}
