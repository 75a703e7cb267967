/*
 * bot - one Discord account: what its files share.
 */
#pragma once
#include "channels/discord/parse.h"
#include "core/chat/channel.h"

enum discord_mode { DISCORD_GATEWAY, DISCORD_WEBHOOK };

#define DISCORD_ID_MAX 24 /* a snowflake in decimal, and the NUL */

struct discord_rest;
struct discord_gateway;
struct discord_hooks;

struct discord {
    struct channel channel;

    /* configuration */
    const char *token, *public_key, *api_url, *activity;
    int mode, groups, status;
    bool message_content, buttons, commands;
    int64_t shards; /* 0 = as many as Discord advises */
    int64_t gap_ms, gap_messages, takeover_ms, ready_ms;
    struct conf_list channels, allow;

    /* since open */
    char lease[32]; /* a name for the token that gives nothing away: "discord:" and 16 hex digits */
    char id[DISCORD_ID_MAX]; /* the bot user's; "" = not known yet */
    char application[DISCORD_ID_MAX];
    char username[64];
    uint8_t seal[32];                /* the key of tickets, made from the token */
    struct discord_rest *rest;       /* rest.c */
    struct list leaving;             /* leases being given back: shard.c */
    struct list notes;               /* calls that nobody waits for: send.c */
    struct discord_gateway *gateway; /* gateway.c, with mode = "gateway"; until pause or close */
    struct discord_hooks *hooks;     /* webhook.c, with a public_key */
};

/* discord.c: what open does before anything is asked of Discord. Undone by discord_rest_close. */
void discord_prepare(struct discord *d);

static inline struct discord *discord_of(struct channel *ch)
{
    return container_of(ch, struct discord, channel);
}

static inline struct discord_reader discord_reader(const struct discord *d)
{
    return (struct discord_reader){
        .user = str_of(d->id), .groups = d->groups, .channels = d->channels, .allow = d->allow
    };
}
