/*
 * prices - which price each model has: of its configuration, else of the list in the database,
 * which is looked at again each minute. What runs on this machine costs nothing.
 */
#pragma once
#include "core/model/price.h"

struct store;

/* A check of a model's own prices: as model_type.check. */
enum err_kind prices_check(const struct model *m, const char **ret_key, struct err *why);
/* Look into the list, and again each minute; `store` is borrowed until models_close. */
void models_load_prices(struct models *models, struct store *store);
/* Of a model of the configuration; never NULL. */
const struct price *models_price(const struct models *models, const struct model *m);
/* The list was read since the last model came: what has no price now has none. */
bool models_prices_known(const struct models *models);

/* From generations.c. */
struct prices;
struct prices *prices_new(struct loop *loop); /* empty, until models_load_prices */
/* These may be asked: their prices are wanted. */
void prices_expect(struct models *models);
void prices_forget(struct prices *p, const struct model *m); /* it goes, and its price with it */
void prices_free(struct prices *p);                          /* NULL is fine */
