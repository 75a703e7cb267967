/*
 * ticket - what answers an interaction, kept with the request: its token is a secret for the 15
 * minutes that it works, so it is sealed with a key made from the bot's token.
 */
#pragma once
#include "channels/discord/bot.h"

enum discord_ticket_kind {
    DISCORD_TICKET_COMMAND, /* @original is a placeholder of ours that waits for the answer */
    DISCORD_TICKET_BUTTON,  /* @original is the message with the button: notices go to who pressed
                               it, answers into the channel */
};

#define DISCORD_TOKEN_MAX 512

struct discord_ticket {
    enum discord_ticket_kind kind;
    uint64_t interaction; /* its id: tells how old it is */
    char application[DISCORD_ID_MAX];
    char token[DISCORD_TOKEN_MAX];
};

/* Appends text of at most TICKET_MAX bytes. False: the token is longer than any of Discord's. */
bool discord_ticket_seal(const struct discord *d, const struct discord_ticket *ticket,
                         struct buf *to);
/* False: not ours, or sealed under another token. */
bool discord_ticket_open(const struct discord *d, struct str text, struct discord_ticket *ret);

/* The ticket of an interaction, in the arena; "" when its acknowledgement ends the matter, and,
 * with a log line, when there can be none. */
struct discord_interaction;
struct str discord_ticket_of(const struct discord *d, const struct discord_interaction *ia,
                             struct arena *a);
