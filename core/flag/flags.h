/*
 * flags - the flags of this process: loaded from PostgreSQL, which is the truth, looked at again
 * whenever somebody says so on parley:flags, and every five seconds. PostgreSQL away: what is known
 * stays in force. Redis away: a change takes effect within the five seconds.
 */
#pragma once
#include "core/flag/flag.h"
#include "core/loop/op.h"

struct redis;
struct store;

#define FLAGS_CHANNEL "parley:flags" /* of Redis; any payload: flags have changed */

/* Nothing is set yet: flags give their defaults. Borrows all for its life. */
struct flags *flags_open(struct loop *loop, struct store *store, struct redis *redis);
/*
 * The tables are there: say which flags this program knows, and load what is set; from then on it
 * keeps itself up to date. May be repeated when it failed.
 * op      as pg_query; ERR_PROTO: what is set cannot be read
 * Cancel: nobody waits any more; it goes on keeping itself up to date.
 */
void flags_start(struct flags *f, struct op *op);
void flags_close(struct flags *f); /* NULL is fine */
int64_t flags_revision(const struct flags *f);
