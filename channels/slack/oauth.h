/*
 * oauth - workspaces install the app by themselves
 * (docs.slack.dev/authentication/installing-with-oauth).
 *
 * GET /hooks/slack/NAME/install leads to Slack, which sends the person back to
 * /hooks/slack/NAME/oauth with a code. The `state` between the two is sealed, lives ten minutes,
 * and has its counterpart in a cookie: nobody else's installation can be slipped in.
 */
#pragma once
#include "channels/slack/bot.h"

void slack_oauth_open(struct slack *s);
void slack_oauth_close(struct slack *s); /* harmless twice */
