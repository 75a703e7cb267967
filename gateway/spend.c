/* spend: see spend.h. */
#include "gateway/spend.h"
#include "core/base/clock.h"
#include "core/model/prices.h"

#define LEASE_MS      60000
#define PRICE_WAIT_MS 50
#define PRICE_WAITS   60

/* The list of prices comes from the database; what the configuration says is there at once. */
static const struct price *price_of(struct spend *s)
{
    const struct price *price = models_price(s->app->models, s->model);
    struct op op;
    op_init(&op, &s->app->loop, on_app_op);
    for (int i = 0; i < PRICE_WAITS && !price->known && !models_prices_known(s->app->models); i++) {
        op_sleep(&op, PRICE_WAIT_MS);
        app_wait(s->app, &op);
    }
    return price;
}

static enum err_kind no_room(const struct pg_rows *rows, struct err *why)
{
    struct price_text spent, limit;
    char wait[CLOCK_SPAN_MAX];
    clock_span((uint64_t)pg_rows_i64(rows, 0, 4), wait);
    return err_set(why, ERR_LIMIT,
                   "the budget of all for a %.*s is used up: %s of %s are spent, and this might "
                   "cost more than is left; it begins anew in %s",
                   STR_ARG(pg_rows_str(rows, 0, 1)), price_tell(pg_rows_i64(rows, 0, 2), &spent),
                   price_tell(pg_rows_i64(rows, 0, 3), &limit), wait);
}

static enum err_kind set_aside(struct spend *s, int64_t tokens, struct err *why)
{
    struct pg_rows rows = { .n = 0 };
    struct op op;
    int64_t most = price_estimate(price_of(s), tokens, 0, false);
    if (most == COST_UNKNOWN)
        return err_set(why, ERR_CONF,
                       "there is a budget for all, but the model %s has no price: give it one by "
                       "input_price, or by `parley prices import`",
                       s->model->name);
    op_init(&op, &s->app->loop, on_app_op);
    store_budget_reserve(&s->app->store, &op, s->id, &s->budget, most,
                         s->model->total_ms + LEASE_MS, &rows);
    enum err_kind kind = app_wait(s->app, &op);
    if (kind)
        *why = op.err;
    else if (rows.n)
        kind = no_room(&rows, why);
    pg_rows_done(&rows);
    if (kind) return kind;
    /* Should we die before it is settled, it counts as spent. */
    store_budget_asked(&s->app->store, &op, s->id, (struct uuid){ { 0 } },
                       str_of(s->model->type->name), str_of(s->model->name));
    if (app_wait(s->app, &op)) *why = op.err;
    return op.err.kind;
}

enum err_kind spend_begin(struct spend *s, struct app *app, const struct model *model,
                          int64_t tokens, struct err *why)
{
    *s = (struct spend){ .app = app, .model = model, .id = uuid_v7() };
    arena_init(&s->arena);
    s->is_limited = budgets_of_all(&app->chat.budgets, &s->arena, &s->budget);
    if (!s->is_limited) return ERR_NONE;
    enum err_kind kind = set_aside(s, tokens, why);
    return kind ? err_add(why, "not asked: ") : ERR_NONE;
}

static enum err_kind settle(struct spend *s, int64_t cost, struct err *why)
{
    struct pg_rows alerts = { .n = 0 };
    struct op op;
    if (!s->is_limited) return ERR_NONE;
    op_init(&op, &s->app->loop, on_app_op);
    store_budget_settle(&s->app->store, &op, s->id, &s->budget, cost, &alerts);
    app_wait(s->app, &op);
    budget_alerts(&alerts);
    pg_rows_done(&alerts);
    if (op.err.kind == ERR_NONE) return ERR_NONE;
    *why = op.err;
    return err_add(why, "it counts as what it might have cost: ");
}

enum err_kind spend_answered(struct spend *s, const struct model_usage *usage, struct err *why)
{
    const struct price *price = price_of(s);
    const struct cost_row row = {
        .id = s->id,
        .provider = str_of(s->model->type->name),
        .model = str_of(s->model->name),
        .prompt_tokens = usage->prompt_tokens,
        .estimated = !usage->known,
        .cost = price_cost(price, usage),
        .version = str_of(price->version),
    };
    struct op op;
    op_init(&op, &s->app->loop, on_app_op);
    store_cost_add(&s->app->store, &op, &row);
    if (app_wait(s->app, &op) == ERR_NONE) return settle(s, row.cost, why);
    *why = op.err;
    return err_add(why, "what it cost is not recorded: ");
}

enum err_kind spend_failed(struct spend *s, struct err *why)
{
    return settle(s, 0, why);
}

void spend_end(struct spend *s)
{
    arena_done(&s->arena);
}
