/*
 * scopes - what the app may do, in the order of the manifest (docs.slack.dev/reference/scopes).
 */
#pragma once

#define SLACK_SCOPES                                                                    \
    "app_mentions:read,channels:history,chat:write,commands,files:read,groups:history," \
    "im:history,im:write,mpim:history,reactions:read,reactions:write"
