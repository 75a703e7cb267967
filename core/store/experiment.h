/*
 * experiment - which experiments run, and the stop rule that ends them.
 */
#pragma once
#include "core/store/store.h"

/*
 * Those that run, and those that ended within a day. Rows: name, running, unit, variants (JSON:
 * [{"name", "weight", "flags": {}}]), salt, version.
 */
void store_experiments(struct store *s, struct op *op, struct pg_rows *rows);

/*
 * Look whether one has a variant that is clearly worse, and end it; for many processes to call as
 * often as they like. Rows: name, variant, why.
 */
void store_experiments_guard(struct store *s, struct op *op, struct pg_rows *rows);
