/*
 * utf8 - what leaves this file is valid UTF-8 without U+0000 (PostgreSQL and every platform refuse
 * others).
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/str.h"

struct arena;

bool utf8_valid(struct str s); /* strict: no surrogates, no overlong forms, no U+0000 */

/* Append `s` with each invalid sequence and each U+0000 replaced by U+FFFD. False: `to` is full. */
bool utf8_clean(struct buf *to, struct str s);
/* The same as a string: `s` itself when nothing is wrong with it, else a copy in the arena. */
struct str utf8_cleaned(struct arena *a, struct str s);

size_t utf8_points(struct str s);      /* code points, s valid */
size_t utf8_utf16_units(struct str s); /* UTF-16 units, s valid */

enum text_unit { TEXT_BYTES, TEXT_POINTS, TEXT_UTF16 };
size_t utf8_length(struct str s, enum text_unit unit);

/* The longest prefix of at most `max` units that does not cut a code point: its length in bytes. */
size_t utf8_prefix(struct str s, size_t max, enum text_unit unit);

/*
 * Decode one code point at s.p. Returns its length in bytes (1..4), or 0 when `s` is empty or
 * starts with an invalid sequence; *ret_point set only on success.
 */
size_t utf8_decode(struct str s, uint32_t *ret_point);

/* Where utf8_decode gives 0: the bytes at the start of `s` that a single U+FFFD stands for (0 when
 * `s` is empty). */
size_t utf8_bad_length(struct str s);

/* Bytes at the end of `s` that begin a code point which is not complete yet (0..3): for streams. */
size_t utf8_partial_tail(struct str s);
