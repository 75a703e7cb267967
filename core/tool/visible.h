/*
 * visible - somebody else's text without what nobody sees. Pure.
 *
 * Characters without a picture can carry instructions past the person who looks at a tool's
 * description or at a call that is to be approved, and straight to the model.
 */
#pragma once
#include "core/base/buf.h"

/*
 * Append `text` as valid UTF-8 without control characters (but line ends and tabs), marks that turn
 * the direction of writing, tags, and other characters without width that no script needs; what is
 * invalid, and U+0000, is U+FFFD. It never gets longer than three times the text.
 * False: `to` is full.
 */
bool visible_add(struct buf *to, struct str text);
