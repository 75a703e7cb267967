/* budget: see budget.h; the rules are functions of the database. */
#include "core/store/budget.h"

#define NANO(x)    "(" x " * 1000000000)::bigint"
/* Up: what is set aside is never too little. */
#define DOLLARS(x) "(ceil(" x "::numeric / 10) / 100000000)"

static const struct pg_stmt reserve_stmt = {
    "budget_reserve",
    "SELECT scope, period, " NANO("spent") ", " NANO(
        "most") ", left_ms FROM budget_reserve("
                "$1, $2::text[], $3::text[], (SELECT array_agg(l::numeric / 1000000000 ORDER BY n) FROM"
                " unnest($4::bigint[]) WITH ORDINALITY AS t (l, n)), " DOLLARS("$5::bigint") ", $6)"
};

void store_budget_reserve(struct store *s, struct op *op, struct uuid id,
                          const struct budget_rows *b, int64_t amount, int64_t lease_ms,
                          struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(id),        pg_text(b->scopes), pg_text(b->periods),
                                  pg_text(b->limits), pg_int(amount),     pg_int(lease_ms) };
    pg_query(s->pg, op, &reserve_stmt, v, 6, rows);
}

static const struct pg_stmt asked_stmt = { "budget_asked", "SELECT budget_asked($1, $2, $3, $4)" };

void store_budget_asked(struct store *s, struct op *op, struct uuid id, struct uuid request,
                        struct str provider, struct str model)
{
    const struct pg_value v[] = { pg_uuid(id), pg_uuid(request), pg_text(provider),
                                  pg_text(model) };
    pg_query(s->pg, op, &asked_stmt, v, 4, NULL);
}

static const struct pg_stmt settle_stmt = {
    "budget_settle",
    "SELECT scope, period, " NANO("spent") ", " NANO(
        "most") ", level::bigint FROM budget_settle("
                "$1, " DOLLARS(
                    "$5::bigint") ", $2::text[], $3::text[], (SELECT array_agg(l::numeric / 1000000000 ORDER BY n)"
                                  " FROM unnest($4::bigint[]) WITH ORDINALITY AS t (l, n)))"
};

void store_budget_settle(struct store *s, struct op *op, struct uuid id,
                         const struct budget_rows *b, int64_t cost, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(id), pg_text(b->scopes), pg_text(b->periods),
                                  pg_text(b->limits), pg_int(cost) };
    pg_query(s->pg, op, &settle_stmt, v, 5, rows);
}

static const struct pg_stmt cost_stmt = {
    "cost_add",
    "INSERT INTO cost_records (id, channel, provider, model, prompt_tokens, completion_tokens, estimated,"
    " cost, pricing_version) SELECT $1, '', $2, $3, $4, 0, $5,"
    " CASE WHEN $6 >= 0 THEN " DOLLARS("$6::bigint") " END, CASE WHEN $6 >= 0 THEN $7::text END"
};

void store_cost_add(struct store *s, struct op *op, const struct cost_row *row)
{
    const struct pg_value v[] = { pg_uuid(row->id),        pg_text(row->provider),
                                  pg_text(row->model),     pg_int(row->prompt_tokens),
                                  pg_bool(row->estimated), pg_int(row->cost),
                                  pg_text(row->version) };
    pg_query(s->pg, op, &cost_stmt, v, 7, NULL);
}

static const struct pg_stmt view_stmt = {
    "budget_view",
    "SELECT t.s, t.p, " NANO("coalesce(g.spent, 0)") ", " NANO(
        "coalesce(g.reserved, 0)") ", t.l,"
                                   " period_left_ms(t.p) FROM unnest($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS t (s, p, l, n)"
                                   " LEFT JOIN budgets g ON g.scope = t.s AND g.period = t.p AND g.starts = period_start(t.p) ORDER BY t.n"
};

void store_budget_view(struct store *s, struct op *op, const struct budget_rows *b,
                       struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(b->scopes), pg_text(b->periods), pg_text(b->limits) };
    pg_query(s->pg, op, &view_stmt, v, 3, rows);
}
