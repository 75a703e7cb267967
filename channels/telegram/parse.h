/*
 * parse - one Update of the Bot API (core.telegram.org/bots/api#update) as an event of ours. Pure.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/conf.h"
#include "core/base/json.h"
#include "core/chat/channel.h"

/* What a group's message must be for us to answer it. */
enum telegram_groups {
    TELEGRAM_GROUPS_MENTION, /* mentions us, replies to us, or is a command of ours */
    TELEGRAM_GROUPS_ALL,
    TELEGRAM_GROUPS_OFF,
};

/* Who reads the update. */
struct telegram_reader {
    int64_t id;             /* ours: the number before the colon of the token */
    struct str username;    /* ours, without the @; "" = not known yet */
    int groups;             /* enum telegram_groups */
    struct conf_list allow; /* ids or @usernames of people, ids of chats; empty = everybody */
    int64_t now_ms;         /* wall clock */
    int64_t picture_max;    /* bytes of a photo that a model may look at; 0 = any */
};

enum telegram_verdict {
    TELEGRAM_TAKE,   /* `in` is an event */
    TELEGRAM_SKIP,   /* nothing for us: acknowledge it; `reason` */
    TELEGRAM_BROKEN, /* does not follow the protocol and never will: the same, with a warning */
    TELEGRAM_LATER,  /* cannot be decided before our username is known: do not acknowledge it */
};

struct telegram_update {
    int64_t id;
    enum telegram_verdict verdict;
    const char *reason; /* static */
    struct inbound in;
    struct str press; /* of a button: Telegram waits to hear that it was noticed; "" = none */
    const char *say;  /* static; to whoever pressed it, and nobody else; NULL = nothing */
};

/* What our buttons say when they are pressed. */
#define TELEGRAM_PRESS_STOP       "parley:stop"
#define TELEGRAM_PRESS_REGENERATE "parley:regenerate"
#define TELEGRAM_PRESS_UP         "parley:up"
#define TELEGRAM_PRESS_DOWN       "parley:down"

/*
 * update   borrowed, as is what `ret` points to afterwards; the rest of it lives in `a`
 * ERR_PROTO: not an Update at all: it has no update_id.
 */
enum err_kind telegram_parse(const struct telegram_reader *reader, struct json *update,
                             struct arena *a, struct telegram_update *ret, struct err *why);
