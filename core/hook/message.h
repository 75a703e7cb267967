/*
 * message - from what a webhook brings to the text of a message: is it wanted, by which template.
 * Pure.
 */
#pragma once
#include "core/base/json.h"
#include "core/store/hook.h"

enum hook_outcome {
    HOOK_MESSAGE,
    HOOK_DROPPED, /* well received, but nobody wants to read it: why->msg */
    HOOK_BROKEN,  /* the template and this do not fit: why->msg names the field */
};

/*
 * event    X-GitHub-Event; "" = the payload's own "type", as Standard Webhooks has it
 * to       the message is appended: Markdown when it is said, plain when a model is asked. What
 * does not fit is cut, and marked so.
 */
enum hook_outcome hook_message(const struct hook_row *hook, struct str event, struct json *payload,
                               struct buf *to, struct err *why);

/* Is this a template, and does it make a message of `sample` (NULL: not tried)? ERR_PROTO, or as
 * template_render; the text says what is wrong. */
enum err_kind hook_template_check(struct str text, struct json *sample, struct err *why);
