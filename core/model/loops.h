/*
 * loops - notices a model that is caught in a loop while it writes, which nobody waits for the end
 * of. Pure; what is compared is the text that is kept anyway.
 *
 *   the same piece 100 times (LiteLLM's rule)
 *   4 KB or more that are one text, of up to 1 KB, again and again, at least ten times; however it
 *   was cut into pieces
 *
 * The second is not said of code in fences, nor of lists and tables whose lines are alike: there it
 * may be what was asked for.
 */
#pragma once
#include "core/base/str.h"

struct loops {
    unsigned n_same; /* pieces like the last one, in a row */
    size_t last_at;  /* where the last one begins */
    size_t looked;   /* bytes, when it was looked for repetitions */
    size_t line;     /* where the line begins that has not ended yet */
    size_t fence;    /* of so many marks is the code fence that is open; 0 = none is */
    char mark;       /* it is made of these */
};

/* A piece is about to be appended to the text, not empty. */
void loops_piece(struct loops *l, struct str text, struct str piece);
/* So far the answer is `text`, which has only grown since it was looked at. */
bool loops_caught(struct loops *l, struct str text);
