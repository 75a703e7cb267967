/*
 * send - the core's outbound messages as calls of the Web API.
 *
 * A first preview is posted, or begun as a stream where Slack has them; the rest of the answer
 * edits that message, or is appended to it. Each post carries a marker in its metadata, derived
 * from the delivery's row (the request's for the first part, of which a preview may be there): when
 * nobody knows whether a post arrived, the channel's history is searched for it first.
 */
#pragma once
#include "core/chat/channel.h"

/* As channel_type.send. */
void slack_send(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret);
