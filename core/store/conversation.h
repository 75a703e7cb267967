/*
 * conversation - what a place's conversation is and was: edits, moves, /new, the chosen model,
 * history.
 */
#pragma once
#include "core/store/request.h"

/* The person changed a message that still waits: rq->channel, place, thread, platform_message,
 * query. */
void store_edit(struct store *s, struct op *op, const struct request_new *rq, struct pg_rows *rows);

/* They took it back: if it still waits, it is cancelled and its text is gone. The same fields,
 * without the query. Rows: one, if so. */
void store_withdraw(struct store *s, struct op *op, const struct request_new *rq,
                    struct pg_rows *rows);

/* The place has a new channel id; its conversations go along. */
void store_move(struct store *s, struct op *op, struct str channel, struct str from_place,
                struct str to_place);

/*
 * End the conversation of `c`: what waits behind that request, or comes next, begins another.
 * next     the id of the new one, should something wait already
 * Rows: the new conversation if something waits in it. Repeating it changes nothing.
 */
void store_end_conversation(struct store *s, struct op *op, const struct claimed *c,
                            struct uuid next, struct pg_rows *rows);

/* Where somebody wrote on this channel within the last `days`, the latest first. Rows: place,
 * workspace, direct. */
void store_places(struct store *s, struct op *op, struct str channel, int64_t days, int64_t limit,
                  struct pg_rows *rows);

/* model: "" = back to the default. */
void store_set_model(struct store *s, struct op *op, struct uuid conversation, struct str model);

/* The person's own model from now on, wherever no conversation has another one; this one has none
 * then. "" = back to the default. */
void store_prefer_model(struct store *s, struct op *op, const struct claimed *c, struct str model);

/* A summary stands for the conversation's messages up to the one with this ordinal. */
void store_compact(struct store *s, struct op *op, struct uuid conversation, int64_t until,
                   struct str summary);
/* off: there is none, and will be none. */
void store_compact_off(struct store *s, struct op *op, struct uuid conversation, bool off);

/* The newest answered exchanges, newest first, at most `limit`. Rows: question, answer. */
void store_history(struct store *s, struct op *op, struct uuid conversation, int64_t limit,
                   struct pg_rows *rows);

/* The receipt of a model's reply in the conversation, or of one that failed, n = 1 for the newest.
 * Rows: receipt, the first words of the reply, ms from its commit until it was delivered (-1: it is
 * not, yet). */
void store_receipt(struct store *s, struct op *op, struct uuid conversation, int64_t n,
                   struct pg_rows *rows);

/* The newest reply of a model in the conversation, and what it answered; or what a webhook said.
 * Rows: content, question ("" = there was none), "{uuid,...}" of the messages answered, pictures
 * ("" = none). */
void store_last_reply(struct store *s, struct op *op, struct uuid conversation,
                      struct pg_rows *rows);
