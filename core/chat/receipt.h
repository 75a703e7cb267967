/*
 * receipt - why an answer is as it is: who was asked, what that cost, how much the model saw. Kept
 * with the answer, in one commit; /why tells.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/json.h"

struct turn;

/* The receipt of an answer, of models that all failed, or of what a webhook said, as JSON, in the
 * turn's arena; "{}" = there is nothing to tell. */
struct str receipt_make(struct turn *t);
/* As Markdown for people. False: it is no receipt. */
bool receipt_tell(struct json *receipt, struct buf *to);
