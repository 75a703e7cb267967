/*
 * code - one-time codes that a person reads here and types there. The database keeps their hash
 * only.
 */
#pragma once
#include "core/base/arena.h"

#define CODE_CHARS 8 /* 40 bits: with a few tries in some minutes nobody guesses one */

/* A new one, of letters and digits that nobody mistakes for others, and a zero byte. */
void code_make(char ret[CODE_CHARS + 1]);
/* Of a code as it was shown, or as somebody typed it: in any case, with or without the dash. */
struct str code_hash(struct arena *a, struct str code);

/* For showing: "ABCD-EFGH". */
#define CODE_FMT       "%.4s-%s"
#define CODE_ARG(code) (code), (code) + 4
