/*
 * api - calls of the Bot API. The token is part of every address: none is ever logged or put into
 * an error.
 */
#pragma once
#include "channels/telegram/bot.h"
#include "channels/telegram/reply.h"

struct telegram_call {
    const char *method;
    struct str body;  /* JSON */
    struct str chat;  /* whom it concerns, for pauses; "" = nobody */
    uint32_t wait_ms; /* for the answer; 0 = 30 s */
    size_t reply_max; /* bytes; 0 = 1 MiB */
};

/*
 * call     borrowed until the op ends, with all it points to
 * ret      filled when the op ends, also on failure; free with telegram_reply_done
 * op       succeeds when Telegram says ok (or "not modified"); fails as telegram_reply_read says,
 *          and with ERR_IO: surely nothing done. ERR_UNKNOWN: perhaps done. ERR_LIMIT with
 *          retry_after_ms: also without a call, while the chat is paused. ERR_LIMIT without: the
 *          answer is larger than reply_max.
 * Cancel: the outcome is unknown.
 */
void telegram_call(struct telegram *t, struct op *op, const struct telegram_call *call,
                   struct telegram_reply *ret);
