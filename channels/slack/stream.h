/*
 * stream - messages that are being written by chat.startStream and chat.appendStream: what stands
 * in them, where Slack does not want any, and what may have been begun without our hearing of it.
 * docs.slack.dev/reference/methods/chat.startStream
 */
#pragma once
#include "channels/slack/bot.h"

/* They have been seen to die after five minutes: ours end before, and go on by edits. */
#define SLACK_STREAM_MS 240000

void slack_streams_open(struct slack *s);
void slack_streams_close(struct slack *s); /* harmless twice */

/* The message `ts` is a stream, in which `text` stands. */
void slack_stream_put(struct slack *s, struct str channel, struct str ts, struct str text);
/*
 * What of `text` is missing in the stream.
 * ret_rest   "" = nothing
 * False: there is no such stream, it is too old, or something else than the beginning of `text`
 * stands in it.
 */
bool slack_stream_rest(struct slack *s, struct str channel, struct str ts, struct str text,
                       struct str *ret_rest);
/* Nobody knows what stands in it: slack_stream_rest says false from now on. */
void slack_stream_spoil(struct slack *s, struct str channel, struct str ts);
bool slack_stream_is(struct slack *s, struct str channel, struct str ts);
void slack_stream_drop(struct slack *s, struct str channel, struct str ts);

/* Slack took none in this channel: not again for an hour. */
void slack_stream_refused(struct slack *s, struct str channel);
bool slack_stream_may(struct slack *s, struct str channel);

/* A first message for this request may be there, though nobody said so. */
void slack_doubt(struct slack *s, const struct uuid *request);
bool slack_doubted(struct slack *s, const struct uuid *request);
