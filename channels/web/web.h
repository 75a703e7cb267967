/*
 * web - chat in the browser: a page of plain files, one WebSocket, history from PostgreSQL.
 */
#pragma once
#include "core/chat/channel.h"

extern const struct channel_type web_type;
