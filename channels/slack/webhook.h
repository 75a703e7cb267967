/*
 * webhook - Slack calls us: events, commands and buttons, all at one address
 * (docs.slack.dev/apis/events-api/using-http-request-urls).
 */
#pragma once
#include "channels/slack/bot.h"

void slack_webhook_open(struct slack *s);
void slack_webhook_close(struct slack *s); /* harmless twice */

/* How far Slack's clock and ours may differ; older calls may be somebody's repetition. */
#define SLACK_CLOCKS_S 300

/*
 * docs.slack.dev/authentication/verifying-requests-from-slack. In constant time for what is secret.
 * stamp, signature   the headers, as they came
 * now_s              since 1970
 * Returns NULL, or what was wrong.
 */
const char *slack_signature_wrong(struct str secret, struct str stamp, struct str signature,
                                  struct str body, int64_t now_s);
