/*
 * response - answers kept to be given again. Those that are past their time are never found;
 * drop_outdated() of the migrations deletes them in the eraser's rounds.
 */
#pragma once
#include "core/store/store.h"

/* Strings are borrowed until the op ends. */
struct response_row {
    struct str key;        /* of reuse.h */
    struct str query_hash; /* hex */
    struct str content, model;
    struct str usage; /* JSON object */
    struct uuid user; /* who asked: an erasure takes the row along */
    int64_t ttl_ms;
};

/* Find one and count the hit. Rows: content, model, when it was made (UTC, ISO 8601); none: a miss.
 */
void store_response_get(struct store *s, struct op *op, struct str key, struct pg_rows *rows);

/* Keep one, in place of an older one. Of a person who is gone, or will be, nothing is kept. */
void store_response_put(struct store *s, struct op *op, const struct response_row *r);
