/*
 * webhook - what is to be sent to those who subscribed to events. The rows are written by triggers
 * (migrations/0015_subscriptions.sql), in the transaction of what they tell of.
 */
#pragma once
#include "core/store/store.h"

/*
 * Take deliveries that are due, or whose sender has died, under a lease of lease_ms.
 * most     of all subscriptions together
 * each     of one subscription at once, by all processes; of one that fails, 1
 * Rows: webhook_claimed reads them.
 */
void store_webhook_claim(struct store *s, struct op *op, struct str owner, int64_t lease_ms,
                         int64_t most, int64_t each, struct pg_rows *rows);

struct webhook_claimed {
    struct uuid id, subscription;
    int64_t attempt; /* the fence: of all there were */
    int64_t tries;   /* since it was made or replayed, this one included */
    struct str url, body;
    struct str secret, old_secret; /* sealed; old_secret "" = there is none, or its time is over */
};
/* Strings live as long as the rows. row < rows->n. */
void store_webhook_claimed(const struct pg_rows *rows, int row, struct webhook_claimed *ret);

struct webhook_result {
    struct uuid id;
    int64_t attempt;
    struct str outcome; /* "delivered", "pending" = again in retry_ms, "dead", "gone" */
    int64_t status;     /* of HTTP; 0 = none came */
    struct str error;   /* "" = none */
    int64_t retry_ms;
    int64_t patience_ms; /* a subscription that only failed for so long is switched off */
};
/*
 * How an attempt ended. Safe to repeat, and without effect when the attempt is not the running one
 * any more. One row: whether it was. r is borrowed until the op ends.
 */
void store_webhook_record(struct store *s, struct op *op, const struct webhook_result *r,
                          struct pg_rows *rows);

/* Delete some of what was delivered a week ago, or not for a month. */
void store_webhook_purge(struct store *s, struct op *op);
