/*
 * setup - getting to know each other: who we are, what the application may do, its slash commands.
 */
#pragma once
#include "channels/discord/rest.h"
#include "core/loop/flow.h"

struct discord_setup {
    struct flow flow;
    struct discord *bot;
    struct buf path, body;
    struct discord_reply reply;
    bool look_only; /* leave the commands as they are */
};

/*
 * A child flow, for flow_call: fills the bot's id, username and application; overwrites the
 * commands when they differ. Fails as discord_call does, with ERR_AUTH also when message_content is
 * wanted and the portal's switch for it is off: the text names the switch.
 */
void discord_setup_init(struct discord_setup *s, struct discord *d);
extern const struct flow_kind discord_setup_flow;

/* `parley check`. */
void discord_check(struct channel *ch, struct op *op, struct buf *ret_text);
