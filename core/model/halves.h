/*
 * halves - characters that arrive in two halves. Servers and proxies in JavaScript cut strings
 * between UTF-16 units, so that one event ends with "\ud83d" and the next begins with "\ude00":
 * JSON that no parser of Unicode takes, for what is one emoji. Pure.
 *
 * A lone half is replaced by a mark that parses (a private code point), and the marks of the parsed
 * strings are joined again, across strings.
 */
#pragma once
#include "core/base/buf.h"

struct halves {
    uint16_t high; /* waits for its other half; 0 = none */
};

/* Append the JSON text with its lone halves marked. False: there are none, or `to` is full. */
bool halves_mark(struct str json, struct buf *to);
/*
 * Append the next part of a text, marks joined; a half without its other becomes U+FFFD. What ends
 * with a first half keeps it in *h for the next part.
 */
void halves_join(struct halves *h, struct str text, struct buf *to);
/* The text has ended. */
void halves_end(struct halves *h, struct buf *to);
/* A text that is there as a whole. */
void halves_whole(struct str text, struct buf *to);
