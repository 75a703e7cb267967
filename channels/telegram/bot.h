/*
 * bot - one Telegram account: what its files share.
 */
#pragma once
#include "channels/telegram/parse.h"
#include "channels/telegram/pause.h"
#include "channels/telegram/setup.h"
#include "core/base/clock.h"
#include "core/chat/chat.h"
#include "core/loop/flow.h"
#include "core/net/http_server.h"
#include "core/store/lease.h"

enum telegram_mode { TELEGRAM_POLL, TELEGRAM_WEBHOOK };

#define TELEGRAM_PATH_MAX 128

struct telegram_poll;

struct telegram {
    struct channel channel;

    /* configuration */
    const char *token, *public_url, *secret_token, *api_url;
    int mode, groups;
    bool buttons;
    int64_t poll_ms;
    struct conf_list allow;

    /* since open */
    int64_t id;        /* ours: the part of the token before the colon */
    char username[64]; /* ours, from getMe; "" = not known yet */
    char lease[32];    /* a name for the token that gives nothing away: who polls it, its limits */
    struct telegram_pauses pauses;
    struct list notes; /* struct note of send.c: calls that nobody waits for */

    /* poll mode */
    struct telegram_poll *poll; /* until pause or close */
    struct op drop_lease;

    /* webhook mode */
    struct http_route route;
    char path[TELEGRAM_PATH_MAX];
    struct flow introduce; /* setup, again and again until it works */
    struct telegram_setup setup;
    bool introducing;
    unsigned attempt;
    struct list hooks; /* struct hook of webhook.c: updates being stored */
    size_t n_hooks;
};

static inline struct telegram *telegram_of(struct channel *ch)
{
    return container_of(ch, struct telegram, channel);
}

static inline struct telegram_reader telegram_reader(const struct telegram *t)
{
    return (struct telegram_reader){ t->id,           str_of(t->username),
                                     t->groups,       t->allow,
                                     clock_wall_ms(), t->channel.host->chat->conf.picture_max };
}
