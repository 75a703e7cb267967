/*
 * provider - how models fared: a row a model.
 */
#pragma once
#include "core/store/store.h"

struct provider_calls {
    int64_t n, failed, ms; /* questions, of which failed; how long the others took, in all */
};
/*
 * Add some calls to the record.
 * status   "healthy", "failing" or "resting"; reason: why it rests, "" = it does not
 * calls    copied
 */
void store_provider_health(struct store *s, struct op *op, struct str id, struct str provider,
                           struct str status, struct str reason,
                           const struct provider_calls *calls);
