/*
 * spend - a question that a command asks a model, within the budget of all, with a cost record as
 * every other.
 */
#pragma once
#include "core/base/arena.h"
#include "core/store/budget.h"
#include "gateway/app.h"

struct spend {
    struct app *app;
    const struct model *model;
    struct arena arena;
    struct budget_rows budget;
    struct uuid id;  /* of what is set aside, and of the record */
    bool is_limited; /* there is a budget */
};

/*
 * Before it is asked: `tokens` at their price are set aside, where there is a budget. Blocks. Then
 * spend_end, on every path. ERR_LIMIT: it does not fit. ERR_CONF: the model has no price. As the
 * database's: without it nobody knows what may be spent.
 */
enum err_kind spend_begin(struct spend *s, struct app *app, const struct model *model,
                          int64_t tokens, struct err *why);
/* It answered, and took that. That this could not be kept is an error, of the database. */
enum err_kind spend_answered(struct spend *s, const struct model_usage *usage, struct err *why);
/* It did not: what was set aside is given back. */
enum err_kind spend_failed(struct spend *s, struct err *why);
void spend_end(struct spend *s);
