/*
 * discord - configuration, and the life of an account.
 */
#include "channels/discord/discord.h"

#include "channels/discord/gateway.h"
#include "channels/discord/send.h"
#include "channels/discord/setup.h"
#include "channels/discord/webhook.h"
#include "core/base/log.h"
#include "core/net/sign.h"

#include <stdio.h>

/* Discord takes 2000; what format escapes makes a text a little longer than it was. */
#define TEXT_MAX 1900

static const char *const mode_words[] = { "gateway", "webhook", NULL };
static const char *const groups_words[] = { "mention", "all", "off", NULL };
static const char *const status_words[] = { "online", "idle", "dnd", "invisible", NULL };

#define AT(member) offsetof(struct discord, member)

static const struct conf_field fields[] = {
    { "token", CONF_SECRET, AT(token), .flags = CONF_REQUIRED,
      .help = "The bot's token: developer portal, your application, Bot, Reset Token." },
    { "mode", CONF_ENUM, AT(mode), .def = "gateway", .words = mode_words,
      .help = "gateway: we connect to Discord, and hear messages, commands and buttons. webhook: "
              "Discord calls us at /hooks/discord/NAME with commands and buttons only." },
    { "public_key", CONF_STR, AT(public_key),
      .help = "The application's public key (General Information). With it, interactions may come "
              "by webhook; required with mode = \"webhook\"." },
    { "api_url", CONF_STR, AT(api_url), .def = "https://discord.com/api/v10",
      .help = "Discord's API, or a proxy of it." },
    { "groups", CONF_ENUM, AT(groups), .def = "mention", .words = groups_words,
      .flags = CONF_RELOADABLE,
      .help = "Which messages on servers are answered: mention = those that mention us or reply to "
              "us; all; off." },
    { "channels", CONF_LIST, AT(channels), .flags = CONF_RELOADABLE,
      .help = "Ids of channels in which every message is answered, their threads included." },
    { "allow", CONF_LIST, AT(allow), .flags = CONF_RELOADABLE,
      .help = "Who may write: ids or @usernames of people, ids of servers and channels. Empty = "
              "everybody." },
    { "message_content", CONF_BOOL, AT(message_content), .def = "true",
      .help = "Read messages that do not mention us: needs the switch Message Content Intent "
              "(developer portal, Bot). Without it mentions, private messages and commands work." },
    { "commands", CONF_BOOL, AT(commands), .def = "true",
      .help = "Register our slash commands with Discord." },
    { "buttons", CONF_BOOL, AT(buttons), .def = "true",
      .help = "Show buttons at answers: stop, regenerate, thumbs." },
    { "status", CONF_ENUM, AT(status), .def = "online", .words = status_words,
      .help = "What people see beside our name." },
    { "activity", CONF_STR, AT(activity), .help = "A short text below our name; empty = none." },
    { "shards", CONF_INT, AT(shards), .max = 1024,
      .help = "Connections to the gateway, spread over all processes; 0 = as Discord advises." },
    { "takeover", CONF_DURATION, AT(takeover_ms), .def = "15s", .min = 1000, .max = 600000,
      .help = "After this time without a sign of life another process takes the connection over." },
    { "ready", CONF_DURATION, AT(ready_ms), .def = "15s", .min = 500, .max = 600000,
      .help = "How long Discord may take to confirm a session." },
    { "gap", CONF_DURATION, AT(gap_ms), .def = "1h", .max = INT64_C(604800000),
      .help = "What was written while we were away longer than Discord remembers is looked for: at "
              "most so far back." },
    { "gap_messages", CONF_INT, AT(gap_messages), .def = "200", .min = 1, .max = 10000,
      .help = "... and so many messages in each channel." },
    CONF_END,
};

static enum err_kind check_webhook(struct discord *d, struct err *why)
{
    if (d->mode == DISCORD_WEBHOOK && !*d->public_key)
        return err_set(why, ERR_CONF, "public_key: required with mode = \"webhook\"");
    return *d->public_key ? discord_webhook_open(d, why) : ERR_NONE;
}

/* Names and keys made from the token, which give nothing of it away. */
static void derive(struct discord *d)
{
    uint8_t hash[32];
    char hex[17];
    sign_sha256(str_of(d->token), hash);
    sign_hex(hash, 8, hex);
    snprintf(d->lease, sizeof(d->lease), "discord:%s", hex);
    _cleanup_(buf_done) struct buf b = BUF_INIT(4096);
    buf_addf(&b, "parley discord ticket %s", d->token);
    sign_sha256(buf_str(&b), d->seal);
}

void discord_prepare(struct discord *d)
{
    log_secret(str_of(d->token));
    list_init(&d->leaving);
    list_init(&d->notes);
    derive(d);
    discord_rest_open(d);
}

static enum err_kind discord_open(struct channel *ch, struct err *why)
{
    struct discord *d = discord_of(ch);
    if (strpbrk(d->token, " \t\r\n"))
        return err_set(why, ERR_CONF, "token: has blanks in it; copy it anew");
    if (check_webhook(d, why)) return why->kind;
    discord_prepare(d);
    discord_gateway_start(d);
    return ERR_NONE;
}

/* The webhook refuses by itself while the channel is paused. */
static void discord_pause(struct channel *ch)
{
    discord_gateway_stop(discord_of(ch));
}

static void discord_close(struct channel *ch)
{
    struct discord *d = discord_of(ch);
    discord_gateway_stop(d);
    discord_webhook_close(d);
    while (!list_empty(&d->leaving))
        flow_stop(list_first(&d->leaving, struct flow, link), ERR_CANCELLED, "the channel closes");
    discord_notes_cancel(d);
    discord_rest_close(d);
}

const struct channel_type discord_type = {
    .name = "discord",
    .help = "A bot on Discord, made in the developer portal (discord.com/developers).",
    .fields = fields,
    .size = sizeof(struct discord),
    .caps = CHANNEL_CAN_EDIT | CHANNEL_CAN_TYPE | CHANNEL_KEYED,
    .text_max = TEXT_MAX,
    .text_unit = TEXT_UTF16,
    /* Five edits in five seconds of a channel, by the headers; room for other answers in it. */
    .preview_ms = 1200,
    .preview_group_ms = 1500,
    .open = discord_open,
    .pause = discord_pause,
    .close = discord_close,
    .send = discord_send,
    .typing = discord_typing,
    .check = discord_check,
};
