/*
 * feature - what flags are set, for other programs to read: the hashes features:global and
 * features:channel:{type}, field = flag, value = "true", "30", "person". What depends on a person,
 * a place or a percentage is not there. The fields _revision, _since and _channels are ours.
 *
 * Redis away: they are written again within the polling time of core/flag. Nobody in this program
 * reads them.
 */
#pragma once
#include "core/net/redis.h"

/*
 * Put them there, unless newer ones are.
 * revision, since   of the flags; since: when the time last changed what holds
 * json              {"global": {flag: text}, "channel": {type: {flag: text}}}; copied
 */
void cache_features_put(struct redis *r, int64_t revision, int64_t since, struct str json);
