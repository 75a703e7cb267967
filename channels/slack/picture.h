/*
 * picture - pictures that people sent: Slack hands them out to our token.
 */
#pragma once
#include "core/base/buf.h"
#include "core/chat/channel.h"

/* As channel_type.picture. ref: the workspace, a blank, the file's url_private. */
void slack_picture(struct channel *ch, struct op *op, struct str ref, struct buf *ret);
