/*
 * store - what Parley keeps in PostgreSQL. One file per subject; this one opens them together.
 *
 * Every function takes an op and follows pg_query's errors. Hot statements go through group commit.
 */
#pragma once
#include "core/net/pg.h"

struct store {
    struct loop *loop;
    struct pg *pg;
    struct pg_batch *accept, *claim, *keep, *mark, *record;
};

void store_open(struct store *s, struct loop *loop, struct pg *pg); /* pg is borrowed */
void store_close(struct store *s);                                  /* no op may be waiting */

/* A final no. All else means that PostgreSQL is away or slow, and then the statement is repeated.
 */
static inline bool store_refused(const struct err *e)
{
    return e->kind == ERR_REFUSED || e->kind == ERR_BUG;
}
