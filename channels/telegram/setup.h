/*
 * setup - what has to be said to Telegram before updates come: who are we, webhook or not, which
 * commands there are. A flow to be called by another, which tries again when it fails.
 */
#pragma once
#include "channels/telegram/reply.h"
#include "core/loop/flow.h"

struct channel;
struct telegram;

/* What we want to hear of; for getUpdates and setWebhook. */
#define TELEGRAM_ALLOWED_UPDATES \
    STR("[\"message\",\"edited_message\",\"callback_query\",\"message_reaction\"]")

struct telegram_setup {
    struct flow flow;
    struct telegram *bot;
    struct telegram_reply reply;
    struct buf body;
};

void telegram_setup_init(struct telegram_setup *s, struct telegram *t);
/* Succeeds with bot->username set. A webhook is set when there is a public_url, and is removed when
 * we poll. */
extern const struct flow_kind telegram_setup_flow;

/* `parley check`: as struct channel_type says. */
void telegram_check(struct channel *ch, struct op *op, struct buf *ret_text);
