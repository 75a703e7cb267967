/*
 * guard - notices a model that calls tools in circles, before it costs much. Pure.
 *
 * Over a window of the last calls of one answer:
 *   the same call (tool and arguments) 8 times: warning; 12 times: stop
 *   the same call with the same result 4 times in a row: warning (asking again changes nothing)
 *   two calls in turn, 6 of them: warning
 *   a cycle of 1 to 5 calls, made 5 times and begun again: stop if the results were the same each
 *   time; else a warning, from a length of 2 on
 */
#pragma once
#include "core/base/str.h"

#define GUARD_WINDOW 30

enum guard_verdict { GUARD_FINE, GUARD_WARN, GUARD_STOP };

struct guard {
    struct guard_entry {
        uint64_t call, result; /* hashes */
        bool has_result;
    } entries[GUARD_WINDOW]; /* the oldest first */
    size_t n;
};

void guard_init(struct guard *g); /* for a new answer: no call was made */
/*
 * Before a call is made: note it, and judge.
 * arguments  JSON; white space makes no difference
 * ret_why    a sentence to tell the model with the verdict; NULL with GUARD_FINE
 */
enum guard_verdict guard_call(struct guard *g, struct str tool, struct str arguments,
                              const char **ret_why);
/* What a noted call returned. back: 0 = the call noted last, 1 = the one before ... */
void guard_result(struct guard *g, size_t back, struct str result);
