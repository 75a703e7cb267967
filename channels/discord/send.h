/*
 * send - answers, previews and "typing" on their way out.
 */
#pragma once
#include "channels/discord/bot.h"

/* As struct channel_type has them. */
void discord_send(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret);
void discord_typing(struct channel *ch, const struct place *where);
void discord_notes_cancel(struct discord *d); /* calls that nobody waits for */

/*
 * Acknowledge an interaction, best effort: nobody waits for it. text: for DISCORD_ACK_MESSAGE.
 * It has to reach Discord within 3 s of the interaction.
 */
struct discord_interaction;
void discord_acknowledge(struct discord *d, const struct discord_interaction *what,
                         struct str text);
/* The callback's body, for the webhook to answer with. */
void discord_acknowledge_body(int ack, struct str text, struct buf *to);
