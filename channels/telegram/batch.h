/*
 * batch - the updates of one poll, until all of them are stored.
 */
#pragma once
#include "channels/telegram/bot.h"

struct telegram_item;

struct telegram_batch {
    bool open; /* read, and not done with */
    struct telegram *bot;
    struct arena arena;
    struct telegram_item *items; /* those that are not stored yet, in their order */
    size_t n_open;
    struct op *ops; /* one an item */
    struct op_join join;
    int64_t next_offset; /* what to poll from when all are stored */
};

/*
 * result   getUpdates' array; borrowed until telegram_batch_done
 * offset   what the poll began from: still the next when there are no updates
 * ERR_PROTO: there is something, but nothing that has an id.
 */
enum err_kind telegram_batch_read(struct telegram_batch *b, struct telegram *t, struct json *result,
                                  int64_t offset, struct err *why);

/* Hand all open ones to the core at once; `op` succeeds when each has an outcome. */
void telegram_batch_accept(struct telegram_batch *b, struct op *op);
/* Look at the outcomes: those that failed stay open, and *why is the first one's reason. */
enum err_kind telegram_batch_settle(struct telegram_batch *b, struct err *why);

void telegram_batch_done(struct telegram_batch *b); /* harmless twice, and on a zeroed one */
