/*
 * telegram - the Telegram Bot API as a channel: one line for gateway/channels.c.
 *
 * In:  poll.c or webhook.c -> parse.c -> chat_accept. Out: send.c -> format.c -> api.c.
 */
#pragma once
#include "core/chat/channel.h"

extern const struct channel_type telegram_type;
