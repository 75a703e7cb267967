/*
 * budget - money that may be spent in a period: set aside before a question is asked, settled
 * afterwards. One statement each, so that processes cannot overshoot together. Amounts are nano
 * (billionths of a US dollar).
 */
#pragma once
#include "core/base/arena.h"
#include "core/store/store.h"

/* The budgets that a question touches. */
struct budget_rows {
    struct str scopes, periods, limits; /* arrays of PostgreSQL, of equal length */
};

/*
 * id        of the reservation; the same again changes nothing
 * Rows: none = set aside; else the budget that it does not fit into: scope, period, spent (nano),
 * limit (nano), ms until it begins anew.
 */
void store_budget_reserve(struct store *s, struct op *op, struct uuid id,
                          const struct budget_rows *b, int64_t amount, int64_t lease_ms,
                          struct pg_rows *rows);
/*
 * The question goes out. Should nobody settle it before its lease ends, it counts as spent by its
 * estimate, with a cost record for `request`; without this it is given back.
 * model     the first one that is asked
 */
void store_budget_asked(struct store *s, struct op *op, struct uuid id, struct uuid request,
                        struct str provider, struct str model);
/* Rows (may be NULL): budgets that passed 80 or 100 percent: scope, period, spent, limit, level. */
void store_budget_settle(struct store *s, struct op *op, struct uuid id,
                         const struct budget_rows *b, int64_t cost, struct pg_rows *rows);
/* What a question cost that belongs to no request, and was answered: its cost record. */
struct cost_row {
    struct uuid id;
    struct str provider, model;
    int64_t prompt_tokens;
    bool estimated;     /* the tokens are */
    int64_t cost;       /* nano; negative: the model has no price, and `version` does not count */
    struct str version; /* of the price */
};
void store_cost_add(struct store *s, struct op *op, const struct cost_row *row);
/* Rows, in the order of `b`: scope, period, spent, reserved, limit, ms until it begins anew. */
void store_budget_view(struct store *s, struct op *op, const struct budget_rows *b,
                       struct pg_rows *rows);
