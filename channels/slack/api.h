/*
 * api - calls of Slack's Web API, within its limits (docs.slack.dev/apis/web-api/rate-limits).
 *
 * Slack counts a method and workspace at a time: a 429 silences both together, for all that this
 * process would call. What is called often (posts into one channel, edits, pieces of a stream) is
 * counted beforehand, for all processes together, by Redis; what only shows an answer growing
 * leaves a part of that to what must arrive. Tokens are never logged, nor is a response_url.
 */
#pragma once
#include "channels/slack/bot.h"
#include "channels/slack/reply.h"

struct slack_call {
    const char *method; /* "chat.postMessage" */
    struct str team;    /* the workspace whose limits these are */
    struct str token;   /* "" = none */
    struct str channel; /* with limits of its own: posts; "" = none */
    struct str body;    /* JSON, or a form */
    bool form;          /* methods that read take nothing else */
    bool yields;        /* a preview, a sign: fails with ERR_LIMIT rather than wait */
    const char *url;    /* a response_url to post to, instead of the method's; NULL = none */
    size_t reply_max;   /* bytes; 0 = 1 MiB */
};

void slack_api_open(struct slack *s);
/* What is under way is cancelled, silently. Harmless twice. */
void slack_api_close(struct slack *s);

/*
 * call     copied; what it points to is borrowed until the op ends, `method` for ever
 * ret      filled when the op ends, also on failure; free with slack_reply_done
 * op       succeeds when Slack says ok. Fails with
 *            ERR_IO         surely nothing done: not connected, or before anything was sent
 *            ERR_UNKNOWN    perhaps done: lost after sending, 5xx, or no answer of Slack's
 *            ERR_LIMIT      with retry_after_ms
 *            ERR_AUTH       the token, or a scope that it lacks; the text says which
 *            ERR_NOT_FOUND  the message that it is about is not there, or cannot be changed any
 * more ERR_REFUSED    every other error: repeating it is pointless Cancel: the outcome is unknown.
 */
void slack_call(struct slack *s, struct op *op, const struct slack_call *call,
                struct slack_reply *ret);
