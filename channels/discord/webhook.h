/*
 * webhook - interactions by HTTP at /hooks/discord/NAME, signed with Ed25519
 * (docs.discord.com/developers/interactions/overview#preparing-for-interactions).
 */
#pragma once
#include "channels/discord/bot.h"

/* With a public_key only. ERR_CONF: it is none, or the channel's name is no part of an address. */
enum err_kind discord_webhook_open(struct discord *d, struct err *why);
void discord_webhook_close(struct discord *d); /* harmless when it is not open */
