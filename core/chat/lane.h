/*
 * lane - one conversation in this process: at most one turn at a time, the next one when it is
 * through.
 *
 * The truth about what waits is in PostgreSQL; a lane only knows that there is something to claim.
 * It exists while it runs, waits for a free place, or waits for a timer (merge, or a pause after a
 * failed turn).
 */
#pragma once
#include "core/chat/chat.h"

struct lane {
    struct map_node node;
    struct uuid conversation;
    struct chat *chat;
    struct turn *turn;
    struct timer later;
    struct list ready; /* in chat->ready */
    bool more;         /* something arrived since the running turn began */
    bool merge;        /* the next turn takes everything that waits: an album, or merge mode */
    unsigned failures; /* turns in a row that came to nothing */
};

/* Something waits in this conversation. queue: the mode of the channel it came by (never
 * QUEUE_DEFAULT). */
void lane_notify(struct chat *chat, struct uuid conversation, int queue);

/* One more turn may begin: conf.turns_max. */
bool lane_has_place(const struct chat *chat);
/* A place may be free: the lanes that have waited longest for one take it. */
void lane_start_waiting(struct chat *chat);

/* Its next request is claimed already. taken: rows of the store_accept that did it, which began at
 * `since`; moved, or left where a turn is under way all the same: then its end claims again what is
 * ours. */
void lane_take(struct chat *chat, struct uuid conversation, struct pg_rows *taken, uint64_t since);

/* From the turn's end: done = its request is finished or not ours; more = another request waits. */
void lane_turn_ended(struct lane *lane, bool done, bool more);

/* The running turn of a conversation in this process, or NULL. */
struct turn *lane_running(const struct chat *chat, struct uuid conversation);

void lane_free_all(struct chat *chat); /* no turn may be running */
