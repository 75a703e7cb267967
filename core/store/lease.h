/*
 * lease - who owns a bot's connection: one process at a time, by the database's clock, with a fence
 * number and the state that lets the next owner go on without a gap.
 */
#pragma once
#include "core/base/str.h"
#include "core/loop/op.h"

struct store;

struct lease {
    bool mine;
    int64_t fence;    /* grows with every change of owner */
    char owner[64];   /* who has it when it is not mine */
    char state[2048]; /* JSON, what lease_save stored last; "" = none */
};

/*
 * Take or renew the lease `name` for `ms`. Succeeds with ret->mine false when somebody else holds
 * it. name, owner   borrowed until the op ends; name is never a secret (a hash of the token)
 */
void store_lease_take(struct store *s, struct op *op, struct str name, struct str owner, int64_t ms,
                      struct lease *ret);

/*
 * Keep `state` (a JSON object) under the lease and renew it. ERR_REFUSED: it is no longer ours
 * (another fence).
 */
void store_lease_save(struct store *s, struct op *op, struct str name, int64_t fence,
                      struct str state, int64_t ms);

/* Give it up, so that another process need not wait. */
void store_lease_drop(struct store *s, struct op *op, struct str name, int64_t fence);
