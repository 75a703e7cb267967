/* lease: channel_leases. One statement each, decided on the database's clock. */
#include "core/store/lease.h"
#include "core/base/buf.h"
#include "core/base/mem.h"
#include "core/store/store.h"
#include <stdio.h>

/* The answer goes into the caller's struct once the rows are there: a relay between its op and
 * pg's. */
struct relay {
    struct op inner;
    struct op *outer;
    struct pg_rows rows;
    struct lease *ret;
};

static void relay_free(struct relay *r)
{
    op_cancel(&r->inner);
    pg_rows_done(&r->rows);
    free(r);
}

static void relay_drop(struct op *op)
{
    relay_free(op->impl);
}

static const struct op_kind relay_kind = { "store.lease", relay_drop };

static void on_rows(struct op *inner)
{
    struct relay *r = container_of(inner, struct relay, inner);
    if (inner->err.kind) {
        op_fail(r->outer, &inner->err);
    } else if (!r->ret && r->rows.n == 0) {
        op_failf(r->outer, ERR_REFUSED, "the lease has passed to another process");
    } else {
        if (r->ret && r->rows.n > 0) {
            r->ret->mine = pg_rows_bool(&r->rows, 0, 0);
            r->ret->fence = pg_rows_i64(&r->rows, 0, 1);
            struct str owner = pg_rows_str(&r->rows, 0, 2), state = pg_rows_str(&r->rows, 0, 3);
            snprintf(r->ret->owner, sizeof r->ret->owner, "%.*s", STR_ARG(owner));
            snprintf(r->ret->state, sizeof r->ret->state, "%.*s", STR_ARG(state));
        }
        op_finish(r->outer);
    }
    relay_free(r);
}

static struct relay *relay_new(struct store *s, struct op *op, struct lease *ret)
{
    struct relay *r = mem_new(struct relay);
    r->outer = op;
    r->ret = ret;
    op_init(&r->inner, s->loop, on_rows);
    op_begin(op, &relay_kind, r, 60000);
    return r;
}

/* When somebody else's lease is valid the update does nothing, and the last SELECT says whose it
 * is. */
static const struct pg_stmt take_stmt = {
    "lease_take",
    "WITH taken AS ("
    "  INSERT INTO channel_leases AS l (name, owner, lease_until) VALUES ($1, $2, now() + $3 * interval '1 ms')"
    "  ON CONFLICT (name) DO UPDATE SET owner = $2, lease_until = now() + $3 * interval '1 ms', updated_at = now(),"
    "    fence = l.fence + CASE WHEN l.owner = $2 THEN 0 ELSE 1 END"
    "  WHERE l.owner = $2 OR l.lease_until < now() RETURNING fence, owner, state"
    ") SELECT true, fence, owner, state FROM taken UNION ALL "
    "SELECT false, fence, owner, state FROM channel_leases WHERE name = $1 AND NOT EXISTS (SELECT 1 FROM taken)"
};

void store_lease_take(struct store *s, struct op *op, struct str name, struct str owner, int64_t ms,
                      struct lease *ret)
{
    *ret = (struct lease){ .mine = false };
    struct relay *r = relay_new(s, op, ret);
    const struct pg_value v[] = { pg_text(name), pg_text(owner), pg_int(ms) };
    pg_query(s->pg, &r->inner, &take_stmt, v, 3, &r->rows);
}

static const struct pg_stmt save_stmt = {
    "lease_save",
    "UPDATE channel_leases SET state = $3::jsonb, updated_at = now(),"
    " lease_until = now() + $4 * interval '1 ms' WHERE name = $1 AND fence = $2 RETURNING fence"
};

void store_lease_save(struct store *s, struct op *op, struct str name, int64_t fence,
                      struct str state, int64_t ms)
{
    struct relay *r = relay_new(s, op, NULL);
    const struct pg_value v[] = { pg_text(name), pg_int(fence), pg_json(state), pg_int(ms) };
    pg_query(s->pg, &r->inner, &save_stmt, v, 4, &r->rows);
}

/* The fence grows here too: a late save of ours on another connection must not revive it. */
static const struct pg_stmt drop_stmt = {
    "lease_drop", "UPDATE channel_leases SET lease_until = now() - interval '1 ms', owner = '',"
                  " fence = fence + 1 "
                  "WHERE name = $1 AND fence = $2"
};

void store_lease_drop(struct store *s, struct op *op, struct str name, int64_t fence)
{
    const struct pg_value v[] = { pg_text(name), pg_int(fence) };
    pg_query(s->pg, op, &drop_stmt, v, 2, NULL);
}
