/*
 * send - messages, edits and "is typing".
 */
#pragma once
#include "core/chat/channel.h"

/* As struct channel_type says. */
void telegram_send(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret);
void telegram_typing(struct channel *ch, const struct place *where);

struct telegram;
struct telegram_update;
/*
 * Was it a button? Telegram shows a clock at it until it hears that it was noticed; nobody waits
 * for that. What it asks for is stored all the same, if not at once, then when Telegram repeats it.
 */
void telegram_noticed_press(struct telegram *t, const struct telegram_update *u);
void telegram_notes_cancel(struct telegram *t); /* what typing has begun */
