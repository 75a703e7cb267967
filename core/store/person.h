/*
 * person - what somebody may ask about themselves: taking apart what was linked, going on with a
 * conversation elsewhere, being let in, getting and erasing all that is kept.
 */
#pragma once
#include "core/store/request.h"

/* The identity behind the request becomes a person of its own. One row: false = it is one already.
 */
void store_unlink(struct store *s, struct op *op, const struct claimed *c, struct uuid fresh,
                  struct pg_rows *rows);

/*
 * The person's latest private conversations but for this one. Rows: id, channel type, age in ms,
 * the first words of it.
 */
void store_conversations(struct store *s, struct op *op, const struct claimed *c, int64_t limit,
                         struct pg_rows *rows);

/*
 * End the request's conversation, as /new does; `next` begins and goes on with the nth of
 * store_conversations (1 = the first). Rows: first words and channel type of it; none when there is
 * no such.
 */
void store_continue(struct store *s, struct op *op, const struct claimed *c, struct uuid next,
                    int64_t nth, struct pg_rows *rows);

/* A one-time code for an admin, or to confirm an erasure; it replaces an earlier one. */
void store_code_offer(struct store *s, struct op *op, struct uuid user, const char *purpose,
                      struct str code_hash, int64_t life_ms);

/*
 * Let in whoever has the code, as an admin if so. Rows: the person's name; none = no such code. By:
 * the same, when `user` is an admin.
 */
void store_approve(struct store *s, struct op *op, struct str code_hash, bool admin,
                   struct pg_rows *rows);
void store_approve_by(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                      struct pg_rows *rows);

/* One row with one word: begun, unknown, tries (more than tries_max). */
void store_forget_begin(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                        int64_t tries_max, struct pg_rows *rows);
/* Erase somebody who wants it and has nothing under way; with it goes what is outdated, and the
 * search's index takes in what is new. One row: keys of Redis that are to go. */
void store_forget_next(struct store *s, struct op *op, struct pg_rows *rows);
/* Rows: id, key, member ("" = the whole key). */
void store_erasures(struct store *s, struct op *op, int64_t limit, struct pg_rows *rows);
void store_erased(struct store *s, struct op *op, int64_t up_to);

/* An address that works for life_ms. */
void store_export_offer(struct store *s, struct op *op, struct uuid user, struct str token_hash,
                        int64_t life_ms);
#define EXPORT_MESSAGES 2000 /* in one document */
/*
 * before   nil = the newest messages; else those before this one
 * Rows: the document, whose "older" leads to the part before it; none = the address does not work
 * (any more).
 */
void store_export(struct store *s, struct op *op, struct str token_hash, struct uuid before,
                  struct pg_rows *rows);
