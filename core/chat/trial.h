/*
 * trial - what experiments do with a turn: which variants it has, what is kept of that with the
 * reply, and what /why says.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/json.h"

struct turn;

/* Once it is claimed, before its flags are looked up: t->trial, and the layer of t->who. */
void trial_begin(struct turn *t);

/* What was really used, for store_keep; "[]": no model was asked. */
struct str trial_exposures(struct turn *t);

/* A member of the receipt; and as Markdown for people, from the receipt. */
void trial_put(struct json_out *o, const struct turn *t);
void trial_tell(struct buf *to, struct json *receipt);
