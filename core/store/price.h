/*
 * price - the price list.
 */
#pragma once
#include "core/store/store.h"

/*
 * Put a whole list in the place of the old one, at once.
 * list      JSON: {"model": {entry}, ...}, only entries with a price
 * version   of the list: a name for the records that were made by it
 * Rows: how many models it had before, how many now.
 */
void store_prices_replace(struct store *s, struct op *op, struct str list, struct str version,
                          struct pg_rows *rows);
/* names: "{a,b}". Rows: model, entry as JSON, version. */
void store_prices(struct store *s, struct op *op, struct str names, struct pg_rows *rows);
/* Those whose name has the pattern in it, by name. Rows: as store_prices. */
void store_prices_like(struct store *s, struct op *op, struct str pattern, int64_t limit,
                       struct pg_rows *rows);
/* Rows: how many there are. */
void store_prices_count(struct store *s, struct op *op, struct pg_rows *rows);
