/*
 * words - what a message of Slack says: its text without Slack's markup, and its files. Pure.
 * docs.slack.dev/messaging/formatting-message-text
 */
#pragma once
#include "channels/slack/parse.h"

struct slack_words {
    struct str text; /* clean; without the mention of us at its start */
    bool mentions_us;
    struct attachment *attachments;
    size_t n_attachments;
};

/* message: an event `message` or `app_mention`, or the inner one of a change */
void slack_words(const struct slack_reader *reader, struct json *message, struct arena *a,
                 struct slack_words *ret);

/* A string of `obj`, clean; "" when there is none. */
struct str slack_get(struct json *obj, const char *key, struct arena *a);
