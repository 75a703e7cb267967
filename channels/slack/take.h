/*
 * take - a payload on its way into the database, from either transport.
 */
#pragma once
#include "channels/slack/bot.h"

struct slack_ack {
    char
        say[256]; /* for the eyes of whoever gave the command or pressed the button; "" = nothing */
};

/* The answer to a command, as JSON. */
void slack_ack_body(const struct slack_ack *ack, struct buf *to);

#define SLACK_TAKES_MAX 1024 /* at once; more are refused, and come again */

/*
 * Read a payload and store what is in it.
 * doc      taken: freed when it is not needed any more
 * payload  in it, or `doc` itself
 * ret      filled when the op succeeds
 * op       succeeds: Slack may forget it; it is stored, or nothing for us. Fails: not known to be
 *          stored, Slack shall repeat it. ERR_PROTO: it can never be understood
 * Cancel: it may or may not be stored.
 */
void slack_take(struct slack *s, struct op *op, enum slack_kind kind, struct json *doc,
                struct json *payload, struct slack_ack *ret);
void slack_takes_cancel(struct slack *s);
