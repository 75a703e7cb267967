/*
 * telegram - configuration, and the life of an account.
 */
#include "channels/telegram/telegram.h"

#include "channels/telegram/bot.h"
#include "channels/telegram/picture.h"
#include "channels/telegram/poll.h"
#include "channels/telegram/send.h"
#include "channels/telegram/webhook.h"
#include "core/base/log.h"
#include "core/net/sign.h"

#include <stdio.h>

/* Telegram takes 4096; lists and quotes may get a little longer than they were. */
#define TEXT_MAX 3900

static const char *const mode_words[] = { "poll", "webhook", NULL };
static const char *const groups_words[] = { "mention", "all", "off", NULL };

static const struct conf_field fields[] = {
    { "token", CONF_SECRET, offsetof(struct telegram, token), .flags = CONF_REQUIRED,
      .help = "The bot's token, from @BotFather." },
    { "mode", CONF_ENUM, offsetof(struct telegram, mode), .def = "poll", .words = mode_words,
      .help =
          "poll: we ask Telegram, which needs no address of ours. webhook: Telegram calls us at "
          "/hooks/telegram/NAME, NAME being this channel's." },
    { "poll", CONF_DURATION, offsetof(struct telegram, poll_ms), .def = "20s", .min = 1000,
      .max = 50000,
      .help = "poll: how long Telegram may hold an empty answer back. Another process takes over "
              "from one that died after twice this time and 5 s." },
    { "public_url", CONF_STR, offsetof(struct telegram, public_url),
      .help =
          "webhook: our address as Telegram sees it, e.g. https://chat.example.org; it is set at "
          "start. Empty = you call setWebhook yourself." },
    { "secret_token", CONF_SECRET, offsetof(struct telegram, secret_token),
      .help = "webhook: 1 to 256 of A-Z a-z 0-9 _ -; Telegram shows it with every call. Required "
              "there." },
    { "api_url", CONF_STR, offsetof(struct telegram, api_url), .def = "https://api.telegram.org",
      .help = "Another server of the Bot API, e.g. a local one." },
    { "groups", CONF_ENUM, offsetof(struct telegram, groups), .def = "mention",
      .words = groups_words, .flags = CONF_RELOADABLE,
      .help =
          "Which messages of a group are answered: mention = those that name us, reply to us or "
          "are a command; all; off. To see all, the bot needs privacy mode off." },
    { "allow", CONF_LIST, offsetof(struct telegram, allow), .flags = CONF_RELOADABLE,
      .help = "Who may write: ids or @usernames of people, ids of chats. Empty = everybody." },
    { "buttons", CONF_BOOL, offsetof(struct telegram, buttons), .def = "true",
      .flags = CONF_RELOADABLE, .help = "Show buttons under answers: stop, regenerate, thumbs." },
    CONF_END,
};

static bool all_of(struct str s, const char *others)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && !strchr(others, c)) return false;
    }
    return true;
}

static enum err_kind check_token(struct telegram *t, struct err *why)
{
    struct str secret = str_of(t->token), id = str_cut(&secret, ':');
    if (!str_i64(id, &t->id) || t->id <= 0 || !secret.n || !all_of(secret, "_-"))
        return err_set(why, ERR_CONF, "token: must look like 123456:ABC-def");
    return ERR_NONE;
}

static enum err_kind check_webhook(const struct telegram *t, struct err *why)
{
    struct str secret = str_of(t->secret_token), url = str_of(t->public_url);
    struct str name = str_of(t->channel.name);
    if (!secret.n) return err_set(why, ERR_CONF, "secret_token: required with mode = \"webhook\"");
    if (secret.n > 256 || !all_of(secret, "_-"))
        return err_set(why, ERR_CONF, "secret_token: 1 to 256 of A-Z a-z 0-9 _ -");
    if (url.n && !str_starts(url, STR("https://")) && !str_starts(url, STR("http://")))
        return err_set(why, ERR_CONF, "public_url: must begin with https://");
    if (!all_of(name, "_-.") || name.n + 32 > TELEGRAM_PATH_MAX)
        return err_set(why, ERR_CONF, "name: is part of an address here: A-Z a-z 0-9 _ - . only");
    return ERR_NONE;
}

static void on_lease_dropped(struct op *op)
{
    if (op->err.kind) /* it runs out by itself */
        log_debug("telegram", "lease was not given back", "why=%s", log_quote(str_of(op->err.msg)));
}

static void name_lease(struct telegram *t)
{
    uint8_t hash[32];
    char hex[17];
    sign_sha256(str_of(t->token), hash);
    sign_hex(hash, 8, hex);
    snprintf(t->lease, sizeof(t->lease), "telegram:%s", hex);
}

static enum err_kind telegram_open(struct channel *ch, struct err *why)
{
    struct telegram *t = telegram_of(ch);
    if (check_token(t, why)) return why->kind;
    if (t->mode == TELEGRAM_WEBHOOK && check_webhook(t, why)) return why->kind;
    log_secret(str_of(t->token));
    log_secret(str_of(t->secret_token));

    list_init(&t->notes);
    list_init(&t->hooks);
    telegram_pauses_init(&t->pauses);
    op_init(&t->drop_lease, ch->host->loop, on_lease_dropped);
    name_lease(t);
    if (t->mode == TELEGRAM_POLL)
        telegram_poll_start(t);
    else
        telegram_webhook_open(t);
    return ERR_NONE;
}

/* The webhook refuses by itself while the channel is paused. */
static void telegram_pause_channel(struct channel *ch)
{
    telegram_poll_stop(telegram_of(ch));
}

static void telegram_close(struct channel *ch)
{
    struct telegram *t = telegram_of(ch);
    telegram_poll_stop(t);
    op_cancel(&t->drop_lease);
    if (t->mode == TELEGRAM_WEBHOOK) telegram_webhook_close(t);
    telegram_notes_cancel(t);
    telegram_pauses_done(&t->pauses);
}

const struct channel_type telegram_type = {
    .name = "telegram",
    .help = "A bot on Telegram, made with @BotFather.",
    .fields = fields,
    .size = sizeof(struct telegram),
    .caps = CHANNEL_CAN_EDIT | CHANNEL_CAN_TYPE,
    .text_max = TEXT_MAX,
    .text_unit = TEXT_UTF16,
    /* Faster edits bring bans of minutes. */
    .preview_ms = 1500,
    .preview_group_ms = 3000,
    .open = telegram_open,
    .pause = telegram_pause_channel,
    .close = telegram_close,
    .send = telegram_send,
    .typing = telegram_typing,
    .picture = telegram_picture,
    .check = telegram_check,
};
