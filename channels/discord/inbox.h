/*
 * inbox - events of one shard on their way into PostgreSQL, and how far Discord may forget them.
 *
 * Everything is stored in the order it came. What cannot be stored now is tried again until it can:
 * until then the sequence number that Discord hears, and that is saved for the next session, stays
 * in front of it (invariant 1).
 */
#pragma once
#include "channels/discord/bot.h"
#include "channels/discord/frame.h"
#include "core/base/map.h"

#define DISCORD_INBOX_MAX  10000 /* events that wait to be stored */
#define DISCORD_RECENT_MAX 8192

struct discord_inbox {
    struct discord *bot;
    struct list items; /* struct item of inbox.c, oldest first */
    size_t n_items;
    size_t n_held;      /* of these, not handed to the core yet */
    int64_t seen;       /* the newest sequence number of the session */
    struct map parents; /* of threads that were asked for */
    uint64_t *recent;   /* messages that were taken: a deletion of another one concerns nobody */
    size_t n_recent;
    int64_t opened_ms; /* wall clock */
};

void discord_inbox_open(struct discord_inbox *b, struct discord *d);
void discord_inbox_close(struct discord_inbox *b); /* what waits is left to Discord to repeat */

/* Is an event of this type any of our business? For discord_frames_init. */
bool discord_inbox_wants(struct str type);

/* A dispatched event, skipped or not. Bad ones are logged, and count as dealt with. */
void discord_inbox_take(struct discord_inbox *b, const struct discord_frame *frame);

/* Everything up to this number of the session is stored, or concerns nobody. */
int64_t discord_inbox_seq(const struct discord_inbox *b);
/* Our session goes on behind `seq`, or another one begins: what waits is stored all the same. */
void discord_inbox_begin(struct discord_inbox *b, bool anew, int64_t seq);
/* More than may wait: time to hang up and let Discord repeat it later. */
bool discord_inbox_full(const struct discord_inbox *b);
