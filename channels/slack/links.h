/*
 * links - the connections of Socket Mode: as many as configured, each replaced before it ends.
 */
#pragma once
#include "channels/slack/bot.h"

void slack_links_start(struct slack *s);
/* Take nothing more; what was taken is acknowledged. Harmless twice. */
void slack_links_stop(struct slack *s);
