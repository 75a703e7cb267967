/*
 * picture - photos that people sent: getFile says where one lies, then it is fetched.
 */
#pragma once
#include "core/base/buf.h"
#include "core/chat/channel.h"

/* As channel_type.picture. ref: the file_id. */
void telegram_picture(struct channel *ch, struct op *op, struct str ref, struct buf *ret);
