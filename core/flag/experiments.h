/*
 * experiments - the experiments of this process: loaded from PostgreSQL, which is the truth, again
 * whenever somebody says so on parley:experiments, and every five seconds. PostgreSQL away: what is
 * known goes on. Redis away: a change takes effect within the five seconds.
 *
 * Every five seconds each process asks the database, too, whether one has a variant that is clearly
 * worse: one process at a time looks, ends it, and tells the others.
 */
#pragma once
#include "core/flag/experiment.h"
#include "core/loop/op.h"

struct redis;
struct store;

#define EXPERIMENTS_CHANNEL "parley:experiments" /* of Redis; any payload: they have changed */

struct experiments;
/* None runs yet. Borrows all for its life. */
struct experiments *experiments_open(struct loop *loop, struct store *store, struct redis *redis);
/*
 * The tables are there: load what runs; from then on it keeps itself up to date. May be repeated.
 * op      as pg_query
 * Cancel: nobody waits any more; it goes on keeping itself up to date.
 */
void experiments_start(struct experiments *x, struct op *op);
void experiments_close(struct experiments *x); /* NULL is fine */

/* Those that run; lives, and changes, as long as `x`. */
const struct experiment_set *experiments_set(const struct experiments *x);
