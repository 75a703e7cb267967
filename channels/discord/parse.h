/*
 * parse - one dispatched event about a message (docs.discord.com/developers/events/gateway-events)
 * as an event of ours. Pure.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/conf.h"
#include "core/base/json.h"
#include "core/chat/channel.h"

/* What a message of a server must be for us to answer it. */
enum discord_groups {
    DISCORD_GROUPS_MENTION, /* mentions us, or replies to us */
    DISCORD_GROUPS_ALL,
    DISCORD_GROUPS_OFF,
};

/* Who reads the event. */
struct discord_reader {
    struct str user;           /* our user id */
    int groups;                /* enum discord_groups */
    struct conf_list channels; /* ids in which every message is for us, with their threads */
    struct conf_list allow;    /* ids or @usernames of people, ids of servers and channels; empty =
                                  everybody */
    struct str parent; /* of the thread that the message is in; "" = not known, "-" = no thread */
    struct str guild;  /* of messages that do not say it: REST's; "" = none */
};

enum discord_verdict {
    DISCORD_TAKE,   /* `in` is an event */
    DISCORD_SKIP,   /* nothing for us; `reason` */
    DISCORD_BROKEN, /* does not follow the protocol and never will: the same, with a warning */
    DISCORD_PARENT, /* in a thread, and only its parent tells: ask Discord for it, then parse again
                     */
};

struct discord_event {
    enum discord_verdict verdict;
    const char *reason; /* static */
    struct inbound in;  /* event_id "m:ID" for a message */
};

/*
 * What people write: MESSAGE_CREATE, MESSAGE_UPDATE, MESSAGE_DELETE, and 👍 / 👎 on an answer:
 * MESSAGE_REACTION_ADD, MESSAGE_REACTION_REMOVE. Of MESSAGE_DELETE_BULK only the i-th id is read.
 *
 * type     the event's name; of others the verdict is DISCORD_SKIP
 * data     the frame's `d`, or a message of the REST API as MESSAGE_CREATE; borrowed, as is what
 *          `ret` points to afterwards; the rest of it lives in `a`
 */
void discord_parse(const struct discord_reader *reader, struct str type, struct json *data,
                   size_t i, struct arena *a, struct discord_event *ret);

/* An id: 1 to 20 digits, below 2^64. */
bool discord_id(struct str s, uint64_t *ret);
/* Milliseconds since 1970 of a snowflake, and the lowest snowflake of a time.
 * docs.discord.com/developers/reference#snowflakes */
int64_t discord_id_ms(uint64_t id);
uint64_t discord_id_at(int64_t wall_ms);
