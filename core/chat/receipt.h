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
/* A step of the turn took so long; of models and tools the receipt tells anyway. step lives as long
 * as the program. */
void receipt_took(struct turn *t, const char *step, uint64_t ms);
/* As Markdown for people. False: it is no receipt. */
/* delivered_ms: from its commit until all of it was sent; < 0 = it is not, yet. */
bool receipt_tell(struct json *receipt, int64_t delivered_ms, struct buf *to);
