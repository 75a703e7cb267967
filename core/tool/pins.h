/*
 * pins - which definition of each tool is in force: the one that was first seen, or the one that an
 * admin has accepted since. PostgreSQL keeps them (migrations/0024_tool_pins.sql), so that they
 * outlive the process; this is the process's copy, loaded again whenever somebody says so on
 * parley:tools, and every five seconds.
 *
 * PostgreSQL away: what is known stays in force; what is new counts as new until it can be asked.
 * Redis away: a change takes effect within the five seconds.
 */
#pragma once
#include "core/loop/op.h"
#include "core/tool/catalog.h"

struct pg_rows;
struct redis;
struct store;

#define PINS_CHANNEL "parley:tools" /* of Redis; any payload: they have changed */

struct pins;
/*
 * Until pins_start, a definition that is seen first is in force for as long as `pins` lives, and
 * nothing is written: for tests, and for commands that only look.
 * store, redis  borrowed; NULL where pins_start is never called
 */
struct pins *pins_open(struct loop *loop, struct store *store, struct redis *redis);
/*
 * The tables are there: load what is kept, and keep what is seen from now on. May be repeated.
 * op      as pg_query
 * Cancel: nobody waits any more; it goes on keeping itself up to date.
 */
void pins_start(struct pins *p, struct op *op);
void pins_close(struct pins *p); /* no pins_see may be waiting; NULL is fine */
/* Instead of pins_start: the rows of store_tool_pins. */
void pins_take(struct pins *p, const struct pg_rows *rows);

/*
 * A server has listed its tools: what was never seen is in force from now on, what differs is kept
 * for an admin to look at. Asks PostgreSQL only about what is not known to be so already.
 * server   its name
 * c        borrowed for the call
 * op       as pg_query, within 3 s: then only what is known is in force
 * Cancel: it may be kept all the same.
 */
void pins_see(struct pins *p, struct op *op, const char *server, const struct catalog *c);

/* Of what is known: another number, something has changed. */
int64_t pins_revision(const struct pins *p);

enum pin { PIN_NEW, PIN_SAME, PIN_CHANGED };
/* A tool, as it is defined now. PIN_NEW: nothing is known of it. */
enum pin pins_ask(const struct pins *p, const char *server, const struct tool *t);
