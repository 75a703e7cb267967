/*
 * keeper - what a process does for its turns, and for those of dead processes, at intervals: renew
 * leases, sweep up work that nobody does, hear of stops that were asked for elsewhere.
 */
#pragma once
#include "core/chat/chat.h"

struct budget_rows;
struct response_row;

void keeper_open(struct chat *chat); /* what is kept of it is in chat; nothing runs yet */
/* From now on; the first sweep finds what an earlier process left. */
void keeper_start(struct chat *chat);
/* chat->conf has changed: a shorter lease is renewed in time, too. */
void keeper_reload(struct chat *chat);
void keeper_close(struct chat *chat); /* ends what is under way, silently */

/* Put a request back into the queue, in the background; should that fail, its lease runs out. */
void keeper_requeue(struct chat *chat, struct uuid request, int attempt);
/* The place of `channel` is known under another id from now on; in the background. */
void keeper_move(struct chat *chat, struct str channel, struct str from_place, struct str to_place);
/* Keep an answer to be given again; `row` is copied. */
void keeper_remember(struct chat *chat, const struct response_row *row);

/* As store_budget_asked and store_budget_settle, in the background; copied. */
void keeper_asked(struct chat *chat, struct uuid reservation, struct uuid request,
                  const char *provider, const char *model);
void keeper_settle(struct chat *chat, struct uuid reservation, const struct budget_rows *rows,
                   int64_t cost);

bool keeper_busy(const struct chat *chat); /* something of this is under way */

/* Milliseconds since the oldest open request came in, as of the last sweep; 0 = none is open. */
int64_t keeper_oldest_ms(const struct chat *chat);

/* Tell the other processes to stop the answer being written in this conversation. Best effort:
 * renewals tell them too. */
void keeper_publish_stop(struct chat *chat, struct uuid conversation);
