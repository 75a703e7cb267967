/*
 * editor - the growing answer, shown while the model writes: by edits of one message where the
 * platform can edit, or piece by piece where it shows progress. Previews never delay the final text
 * and are dropped when a platform complains.
 */
#pragma once
#include "core/chat/channel.h"

struct turn;

struct editor {
    struct turn *turn;
    struct preview *preview; /* the one that was sent last; NULL: none was */
    struct op *settle;       /* who waits for it to come back */
    struct timer later;
    struct str message; /* the platform's id of the preview; "" = none was shown */
    struct buf notice;  /* stands there until the answer begins */
    uint64_t next_ms;   /* not before */
    int64_t every_ms;
    size_t shown; /* bytes of the answer */
    bool off;     /* the platform cannot, or refused */
};

/* Nothing is shown yet. t: lives until editor_done, its request is claimed. */
void editor_init(struct editor *e, struct turn *t);
void editor_done(struct editor *e); /* cancels what is on its way */
/* The answer of the turn is longer by `piece`, whose end is the end of its text. */
void editor_grew(struct editor *e, struct str piece);
/* Something for the person to read until the answer grows in its place; at the platform's pace. */
void editor_note(struct editor *e, struct str text);
void editor_restart(struct editor *e); /* another answer grows, in the same message */
/* No more previews. True: one is on its way, and `op` finishes when it is back, or fails when that
 * takes too long; false: nothing to wait for. */
bool editor_settle(struct editor *e, struct op *op);
