/*
 * interaction - a slash command or a pressed button
 * (docs.discord.com/developers/interactions/receiving-and-responding) as an event of ours. Pure.
 */
#pragma once
#include "channels/discord/parse.h"

/* How it is acknowledged, once it is stored: the `type` of the callback. */
enum discord_ack {
    DISCORD_ACK_PONG = 1,
    DISCORD_ACK_MESSAGE = 4,      /* a word that only who did it sees; ends the matter */
    DISCORD_ACK_DEFER = 5,        /* "... is thinking", to be filled in as @original */
    DISCORD_ACK_DEFER_UPDATE = 6, /* a button: nothing is shown */
};

struct discord_interaction {
    enum discord_verdict verdict; /* TAKE, SKIP (answer with `say`), BROKEN */
    const char *reason;           /* static */
    const char *say;              /* static; what who did it is told when it is skipped, or "" */
    enum discord_ack ack;
    struct str id, token, application; /* token is a secret: never logged */
    struct inbound in; /* event_id "i:ID"; its ticket is left to the caller; no event with PONG */
};

/*
 * Commands come as their text ("/model gpt"), /chat as what was typed; buttons as "/stop",
 * "/regenerate", or a vote.
 *
 * data     the INTERACTION_CREATE's `d`, or the body of a webhook; borrowed likewise
 */
void discord_interaction_parse(const struct discord_reader *reader, struct json *data,
                               struct arena *a, struct discord_interaction *ret);

/* The custom_id of our buttons. */
#define DISCORD_BUTTON_STOP       "stop"
#define DISCORD_BUTTON_REGENERATE "regenerate"
#define DISCORD_BUTTON_UP         "up"
#define DISCORD_BUTTON_DOWN       "down"

/*
 * Our slash commands as the body of "bulk overwrite global application commands": /chat, and all of
 * the core's. docs.discord.com/developers/interactions/application-commands
 */
void discord_commands_body(struct buf *to);
/* Does Discord have them so already? listed: its answer to GET .../commands */
bool discord_commands_same(struct json *listed);
