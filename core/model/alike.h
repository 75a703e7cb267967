/*
 * alike - most events of a stream are the one before with another text:
 *
 *   {"id":"c1","choices":[{"index":0,"delta":{"content":"Good"}}]}
 *   {"id":"c1","choices":[{"index":0,"delta":{"content":" morning"}}]}
 *
 * To parse all of each was half of what the gateway computed for an answer. So the last event is
 * kept without its text, and of the next one only the text is parsed if all else is the same bytes.
 * Pure.
 */
#pragma once
#include "core/base/buf.h"

struct alike {
    struct buf form; /* the event without its text and the quotes of it; empty = none is kept */
    size_t at;       /* where in it the text goes */
};

void alike_init(struct alike *a); /* none is kept; then alike_done */
void alike_done(struct alike *a);
/*
 * Keep the form of an event.
 * event   valid JSON
 * key     of its text. An event that does not have it just once, or has no string there, or is
 *         large, is not kept.
 */
void alike_keep(struct alike *a, struct str event, const char *key);
void alike_forget(struct alike *a); /* the next event is parsed, whatever it looks like */
/* The event is the kept one with something else in the text's place. ret: what stands there, a view
 * into the event; if that is a JSON string, the event is valid JSON. */
bool alike_fits(const struct alike *a, struct str event, struct str *ret);
