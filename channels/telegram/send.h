/*
 * send - messages, edits and "is typing".
 */
#pragma once
#include "core/chat/channel.h"

/* As struct channel_type says. */
void telegram_send(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret);
void telegram_typing(struct channel *ch, const struct place *where);

struct telegram;
void telegram_notes_cancel(struct telegram *t); /* what typing has begun */
