/*
 * note - small calls that nobody waits for: a reaction, the sign that we think, a word to one
 * person. Lost without harm.
 */
#pragma once
#include "channels/slack/bot.h"

/* The configured reaction at the message `ts`, or its end. */
void slack_react(struct slack *s, const struct place *where, struct str ts, bool add);

/* "is thinking ..." under the thread, where there is one; Slack takes it away with the answer, or
 * after two minutes (docs.slack.dev/reference/methods/assistant.threads.setStatus). */
void slack_typing(struct channel *ch, const struct place *where);

/* For the eyes of whoever pressed the button. `url` is a response_url; no-op when it is none. */
void slack_whisper(struct slack *s, struct str url, struct str text);

void slack_notes_cancel(struct slack *s);
