/*
 * reply - what an answer of Slack's Web API says. Pure. HTTP is 200 also when the call failed: then
 * `ok` is false and `error` says why (docs.slack.dev/apis/web-api/using-the-slack-web-api).
 */
#pragma once
#include "core/base/err.h"
#include "core/base/json.h"

#define SLACK_ERROR_MAX 64

struct slack_reply {
    int status;                  /* 0: none came */
    struct json *doc;            /* the answer; NULL when there is none */
    char error[SLACK_ERROR_MAX]; /* Slack's word for what was wrong; "" = nothing, or no word */
};
void slack_reply_done(struct slack_reply *r); /* harmless twice */

/*
 * status, hint_ms  of HTTP: the status, and Retry-After (0 = none)
 * doc              taken: it is ret's. NULL: the body was no JSON
 * why              as slack_call's op fails; ERR_NONE when it was done
 */
void slack_reply_read(const char *method, int status, uint32_t hint_ms, struct json *doc,
                      struct slack_reply *ret, struct err *why);

bool slack_reply_is(const struct slack_reply *r, const char *error);
