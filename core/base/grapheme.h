/*
 * grapheme - what a person sees as one character, and how wide it is in a fixed-width font.
 *
 * Best effort: the common part of UAX #29 and #11 as ranges (combining marks, emoji sequences,
 * flags, Hangul, Indic and Thai signs), without a library. A mistake costs a cut accent, nothing
 * more.
 */
#pragma once
#include "core/base/str.h"

/* Longer clusters (heaps of combining marks) count as several. */
#define GRAPHEME_MAX 64

/* Length in bytes of the cluster that `s` begins with; 0 only when `s` is empty. s valid UTF-8. */
size_t grapheme_next(struct str s);

/* Columns that `s` takes: 2 for East Asian wide characters and emoji, 1 for other clusters. */
size_t grapheme_columns(struct str s);
