/*
 * github - ready templates for what GitHub sends, and which of it is news. Pure.
 *
 * https://docs.github.com/en/webhooks/webhook-events-and-payloads
 */
#pragma once
#include "core/base/json.h"

/*
 * event    X-GitHub-Event
 * The template; NULL: nobody wants to read this, and *ret_why says so in a few words.
 */
const char *github_template(struct str event, struct json *payload, const char **ret_why);
