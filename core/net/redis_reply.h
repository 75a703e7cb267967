/*
 * redis_reply - hiredis' replies, copied into ours: one allocation a reply.
 */
#pragma once
#include "core/net/redis.h"

struct redisReply;
/* reply    not an error; ret: free with redis_reply_done */
void redis_reply_copy(const struct redisReply *reply, struct redis_reply *ret);
