/*
 * look - is a message there already? The history of its thread or channel is searched for the
 * marker of a delivery, from the time on when it may first have been sent.
 */
#pragma once
#include "channels/slack/bot.h"

struct slack_look {
    struct str token, user; /* ours in that workspace; borrowed until the op ends */
    char ts[64];            /* found: the message; "" = it is not there */
};

/*
 * out      borrowed until the op ends
 * op       succeeds also when nothing was found; fails as slack_call, and then nobody knows
 */
void slack_look(struct slack *s, struct op *op, const struct outbound *out,
                struct slack_look *look);
