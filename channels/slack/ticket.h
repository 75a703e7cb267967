/*
 * ticket - what answers a command or a button, kept with the request: the response_url is a secret
 * for the 30 minutes that it works, so it is sealed with a key made from the app's secrets.
 */
#pragma once
#include "channels/slack/bot.h"

#define SLACK_URL_MAX 512

struct slack_ticket {
    enum slack_kind kind; /* SLACK_COMMAND or SLACK_ACTION */
    int64_t made_ms;      /* since 1970 */
    char url[SLACK_URL_MAX];
};

/* An address at Slack's own host, or at the one of a configured proxy of its API: calls go nowhere
 * else. */
bool slack_is_slacks(const struct slack *s, struct str url);

/*
 * In the arena; "" and a log line when `url` is no address of Slack's.
 */
struct str slack_ticket_of(const struct slack *s, struct str url, enum slack_kind kind,
                           struct arena *a);
/* False: not ours, sealed with other secrets, or too old to work. */
bool slack_ticket_open(const struct slack *s, struct str text, struct slack_ticket *ret);
