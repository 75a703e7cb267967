/*
 * slack - configuration, and the life of an app.
 */
#include "channels/slack/slack.h"

#include "channels/slack/api.h"
#include "channels/slack/check.h"
#include "channels/slack/links.h"
#include "channels/slack/note.h"
#include "channels/slack/oauth.h"
#include "channels/slack/picture.h"
#include "channels/slack/send.h"
#include "channels/slack/socket.h"
#include "channels/slack/stream.h"
#include "channels/slack/take.h"
#include "channels/slack/team.h"
#include "channels/slack/webhook.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/sign.h"

/* A section holds 3000 characters; what format escapes makes a text a little longer than it was. */
#define TEXT_MAX 2700

static const char *const transport_words[] = { "socket", "events", NULL };
static const char *const groups_words[] = { "mention", "all", "off", NULL };
static const char *const text_words[] = { "markdown", "mrkdwn", NULL };

#define AT(member) offsetof(struct slack, member)

static const struct conf_field fields[] = {
    { "transport", CONF_ENUM, AT(transport), .def = "socket", .words = transport_words,
      .help = "socket: we connect to Slack (Socket Mode), no public address is needed. events: "
              "Slack calls us at /hooks/slack/NAME, for events, commands and buttons alike." },
    { "bot_token", CONF_SECRET, AT(bot_token),
      .help = "The bot's token, xoxb-...: app settings, OAuth & Permissions. Leave it out when "
              "workspaces install the app by themselves (client_id)." },
    { "app_token", CONF_SECRET, AT(app_token),
      .help = "With transport = \"socket\": an app-level token, xapp-..., with the scope "
              "connections:write (app settings, Basic Information)." },
    { "signing_secret", CONF_SECRET, AT(signing_secret),
      .help =
          "With transport = \"events\": the signing secret (app settings, Basic Information)." },
    { "client_id", CONF_STR, AT(client_id),
      .help = "For many workspaces: the app's client id. They install it at "
              "/hooks/slack/NAME/install; set http.public_url, too." },
    { "client_secret", CONF_SECRET, AT(client_secret), .help = "With client_id." },
    { "seal_secret", CONF_SECRET, AT(seal_secret),
      .help = "With client_id: any long random text. The workspaces' tokens are encrypted with it "
              "in the database." },
    { "api_url", CONF_STR, AT(api_url), .def = "https://slack.com/api",
      .help = "Slack's Web API, or a proxy of it." },
    { "groups", CONF_ENUM, AT(groups), .def = "mention", .words = groups_words,
      .flags = CONF_RELOADABLE,
      .help = "Which messages in channels are answered: mention = those that mention us, or stand "
              "in a thread under a message of ours; all; off." },
    { "channels", CONF_LIST, AT(channels), .flags = CONF_RELOADABLE,
      .help = "Ids of channels in which every message is answered." },
    { "allow", CONF_LIST, AT(allow), .flags = CONF_RELOADABLE,
      .help = "Who may write: ids of people (U...), workspaces (T...) and channels (C...). Empty = "
              "everybody." },
    { "text", CONF_ENUM, AT(text), .def = "markdown", .words = text_words, .flags = CONF_RELOADABLE,
      .help = "How answers are shown: markdown = Slack's markdown block, with headings and tables; "
              "mrkdwn = its older dialect." },
    { "streaming", CONF_BOOL, AT(streaming), .def = "true", .flags = CONF_RELOADABLE,
      .help = "Let answers in threads grow by Slack's own streams; where there are none, and "
              "elsewhere, by edits." },
    { "buttons", CONF_BOOL, AT(buttons), .def = "true", .flags = CONF_RELOADABLE,
      .help = "Show buttons at answers: stop, regenerate, thumbs." },
    { "reaction", CONF_STR, AT(reaction), .def = "eyes", .flags = CONF_RELOADABLE,
      .help = "The reaction at a message that is being answered, without colons; empty = none." },
    { "sockets", CONF_INT, AT(sockets), .def = "2", .min = 1, .max = 10,
      .help = "Connections of Socket Mode in this process. Slack allows ten to all processes of an "
              "app together." },
    { "ping", CONF_DURATION, AT(ping_ms), .def = "10s", .min = 100, .max = 60000,
      .help = "A connection that is silent for so long is pinged, and given up when it stays so "
              "for as long again." },
    CONF_END,
};

static enum err_kind need(const char *value, const char *key, const char *with, struct err *why)
{
    if (*value) return ERR_NONE;
    return err_set(why, ERR_CONF, "%s: required with %s", key, with);
}

static enum err_kind check_many(const struct slack *s, struct err *why)
{
    if (!*s->client_id && !*s->bot_token)
        return err_set(why, ERR_CONF, "bot_token: required, unless there is a client_id");
    if (!*s->client_id) return ERR_NONE;
    if (*s->bot_token)
        return err_set(why, ERR_CONF,
                       "bot_token: not together with client_id: workspaces have "
                       "tokens of their own");
    if (need(s->client_secret, "client_secret", "client_id", why)) return why->kind;
    return need(s->seal_secret, "seal_secret", "client_id", why);
}

/* The wrong kind of token in the right place is the usual mistake. */
static enum err_kind check_tokens(const struct slack *s, struct err *why)
{
    if (*s->bot_token && str_starts(str_of(s->bot_token), STR("xapp-")))
        return err_set(why, ERR_CONF,
                       "bot_token: this is an app-level token (xapp-); a bot's "
                       "begins with xoxb-");
    if (*s->app_token && str_starts(str_of(s->app_token), STR("xoxb-")))
        return err_set(why, ERR_CONF,
                       "app_token: this is a bot's token (xoxb-); an app-level one "
                       "begins with xapp-");
    if (s->transport == SLACK_SOCKET)
        return need(s->app_token, "app_token", "transport = \"socket\"", why);
    return need(s->signing_secret, "signing_secret", "transport = \"events\"", why);
}

/* Names and keys made from the secrets, which give nothing of them away. */
static void derive(struct slack *s)
{
    uint8_t hash[32];
    char hex[17];
    const char *const secrets[] = { s->bot_token, s->client_secret, s->app_token };
    _cleanup_(buf_done) struct buf b = BUF_INIT(16384);
    buf_add_cstr(&b, "parley slack ticket");
    for (size_t i = 0; i < sizeof(secrets) / sizeof(*secrets); i++) buf_addf(&b, " %s", secrets[i]);
    sign_sha256(buf_str(&b), s->seal);
    sign_sha256(str_from((const char *)s->seal, sizeof(s->seal)), hash);
    sign_hex(hash, 8, hex);
    snprintf(s->name, sizeof(s->name), "slack:%s", hex);
}

void slack_prepare(struct slack *s)
{
    list_init(&s->takes);
    list_init(&s->notes);
    list_init(&s->open_sockets);
    list_init(&s->orphans);
    derive(s);
    slack_api_open(s);
    slack_teams_open(s);
    slack_streams_open(s);
}

void slack_forget(struct slack *s)
{
    slack_notes_cancel(s);
    slack_teams_close(s);
    slack_streams_close(s);
    slack_api_close(s);
}

static enum err_kind slack_open(struct channel *ch, struct err *why)
{
    struct slack *s = slack_of(ch);
    if (check_many(s, why) || check_tokens(s, why)) return why->kind;
    slack_prepare(s);
    if (*s->client_id) slack_oauth_open(s);
    slack_teams_greet(s);
    if (s->transport == SLACK_EVENTS) {
        slack_webhook_open(s);
        if (*s->client_id) channel_up(ch);
    } else {
        slack_links_start(s);
    }
    return ERR_NONE;
}

/* The webhook refuses by itself while the channel is paused. */
static void slack_pause(struct channel *ch)
{
    slack_links_stop(slack_of(ch));
}

static void slack_close(struct channel *ch)
{
    struct slack *s = slack_of(ch);
    slack_links_stop(s);
    slack_sockets_drop(s);
    slack_webhook_close(s);
    slack_oauth_close(s);
    slack_takes_cancel(s);
    slack_forget(s);
}

const struct channel_type slack_type = {
    .name = "slack",
    .help = "An app in Slack, made at api.slack.com/apps.",
    .fields = fields,
    .size = sizeof(struct slack),
    .caps = CHANNEL_CAN_EDIT | CHANNEL_CAN_TYPE | CHANNEL_KEYED,
    .text_max = TEXT_MAX,
    .text_unit = TEXT_UTF16,
    /* Edits are counted for the whole workspace, about one a second. */
    .preview_ms = 1200,
    .preview_group_ms = 1200,
    .open = slack_open,
    .pause = slack_pause,
    .close = slack_close,
    .send = slack_send,
    .typing = slack_typing,
    .picture = slack_picture,
    .check = slack_check,
};
