/*
 * inflate - one zlib stream, inflated as its bytes arrive, with a maximum a message. Pure.
 *
 * Made for WebSocket transport compression, where one stream lasts as long as the connection and
 * every message ends with a sync flush:
 * https://discord.com/developers/docs/events/gateway#transport-compression
 */
#pragma once
#include "core/base/err.h"
#include "core/base/str.h"
#include <stddef.h>

struct inflate;
/* message_max: plain bytes between two inflate_mark() */
struct inflate *inflate_new(size_t message_max);
void inflate_free(struct inflate *z); /* NULL is fine; not from inside a sink */

/*
 * Inflate the next bytes of the stream.
 * in       borrowed for the call, any length
 * sink     gets the plain bytes in pieces of at most 16 KiB, which live only inside its call; false
 *          stops
 * ERR_PROTO: not zlib, damaged, or more bytes behind the stream's end. ERR_LIMIT: more than
 * message_max plain bytes since inflate_mark(); what is too much has not been inflated.
 * ERR_CANCELLED: the sink said stop. After a failure the stream is of no use: every later call
 * fails the same way. That a stream is cut off shows only in inflate_at_boundary().
 */
enum err_kind inflate_feed(struct inflate *z, struct str in,
                           bool (*sink)(void *ctx, struct str plain), void *ctx, struct err *why);

/*
 * A message may be complete: the bytes so far end with a sync flush (00 00 FF FF). These bytes may
 * also be data: ask only where the transport ends a piece.
 */
bool inflate_at_boundary(const struct inflate *z);
void inflate_mark(struct inflate *z); /* a new message begins: count anew */
