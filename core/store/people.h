/*
 * people - what somebody thinks of an answer, and who is who on several channels.
 */
#pragma once
#include "core/store/store.h"

struct vote {
    struct str channel_type, channel, place; /* borrowed until the op ends, with the rest */
    struct str message;                      /* the platform's id of our message */
    struct str from;                         /* the platform's id of the person */
    int vote;                                /* -1 or 1 */
    bool taken_back;                         /* this vote does not count any more */
};

/*
 * The last vote of a person counts, one an answer. Repeating it changes nothing.
 * Rows: one, or none when the message is no answer of a model's (or the vote was not there).
 */
void store_vote(struct store *s, struct op *op, const struct vote *v, struct pg_rows *rows);

/* A one-time code that lives for life_ms; it replaces an earlier one of the same person. */
void store_link_offer(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                      int64_t life_ms);

/*
 * `user` typed a code: from now on they are who asked for it. One row with one word: linked, same
 * (their own code), unknown (never was, used, too old), tries (more than tries_max within life_ms).
 */
void store_link_take(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                     int64_t tries_max, int64_t life_ms, struct pg_rows *rows);
