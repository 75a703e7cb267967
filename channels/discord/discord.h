/* discord - bots on Discord, by gateway, REST and interactions. */
#pragma once
#include "core/chat/channel.h"

extern const struct channel_type discord_type;
