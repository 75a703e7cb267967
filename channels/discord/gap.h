/*
 * gap - what was written while nobody listened and no session could be resumed: asked for by REST,
 * channel by channel, bounded in age and number. The inbox knows what it has had before, so asking
 * too much is harmless.
 */
#pragma once
#include "channels/discord/shard.h"

/* Look for what came since s->gap_ms; ends with discord_shard_filled, or with s->gap NULL alone. */
void discord_gap_start(struct discord_shard *s);
void discord_gap_stop(struct discord_shard *s); /* harmless when nothing is being filled */
