/*
 * slack - an app of Slack's as a channel.
 */
#pragma once
#include "core/chat/channel.h"

extern const struct channel_type slack_type;
