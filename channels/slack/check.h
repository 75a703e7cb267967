/*
 * check - `parley check`: do the tokens work?
 */
#pragma once
#include "core/chat/channel.h"

/* As channel_type.check. */
void slack_check(struct channel *ch, struct op *op, struct buf *ret_text);
