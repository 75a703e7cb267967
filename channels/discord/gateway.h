/*
 * gateway - an account's start: getting known to Discord, and then its shards.
 */
#pragma once
#include "channels/discord/bot.h"

/* With mode = "webhook" it only gets known: events come by webhook.c. */
void discord_gateway_start(struct discord *d);
/* Takes no more events; gives the leases back. Harmless twice. */
void discord_gateway_stop(struct discord *d);
