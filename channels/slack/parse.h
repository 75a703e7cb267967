/*
 * parse - one payload of Slack as an event of ours: an event of the Events API, a slash command, a
 * pressed button; the same over HTTP and over a socket. Pure.
 *
 * docs.slack.dev/reference/events/message,
 * docs.slack.dev/interactivity/implementing-slash-commands,
 * docs.slack.dev/interactivity/handling-user-interaction
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/conf.h"
#include "core/base/json.h"
#include "core/chat/channel.h"

/* What a message in a channel must be for us to answer it. */
enum slack_groups {
    SLACK_GROUPS_MENTION, /* mentions us, or stands in a thread under a message of ours */
    SLACK_GROUPS_ALL,
    SLACK_GROUPS_OFF,
};

/* Who reads the payload. */
struct slack_reader {
    struct str user;           /* our user id in that workspace */
    int groups;                /* enum slack_groups */
    struct conf_list channels; /* ids in which every message is for us, with their threads */
    struct conf_list allow;    /* ids of people, workspaces and channels; empty = everybody */
    int64_t now_ms;            /* since 1970: tells how late an event comes; 0 = do not ask */
};

enum slack_kind { SLACK_EVENT, SLACK_COMMAND, SLACK_ACTION };

enum slack_verdict {
    SLACK_TAKE,   /* `in` is an event */
    SLACK_SKIP,   /* nothing for us; `reason` */
    SLACK_GONE,   /* the workspace has removed us, or taken the token back */
    SLACK_BROKEN, /* does not follow the protocol and never will: `reason`, with a warning */
};

struct slack_event {
    enum slack_verdict verdict;
    const char *reason; /* static */
    const char *say;    /* to whoever gave the command or pressed the button; "" = nothing */
    struct inbound in;  /* event_id "m:CHANNEL:TS" for a message, whichever event tells of it */
    struct str response_url; /* of a command or a button: a secret */
    bool vote_noted;         /* a vote by button: say so */
};

/* The workspace that a payload is for, before anything else is read; "" = it does not say. */
struct str slack_team_of(enum slack_kind kind, struct json *payload);

/*
 * payload  borrowed, as is what `ret` points to afterwards; the rest of it lives in `a`
 */
void slack_parse(const struct slack_reader *reader, enum slack_kind kind, struct json *payload,
                 struct arena *a, struct slack_event *ret);

/*
 * A body of application/x-www-form-urlencoded as a JSON object of strings; of keys that are there
 * twice the last one counts. False: a broken escape, no UTF-8, more than 64 fields, or over the
 * buffer.
 */
bool slack_form_json(struct str form, struct buf *to);

/* As json_parse; a text cut in the middle of a character, as JavaScript does it, is mended. */
enum err_kind slack_json(struct str text, struct json **ret, struct err *why);

/* Ids of our buttons. */
#define SLACK_BUTTON_STOP       "parley_stop"
#define SLACK_BUTTON_REGENERATE "parley_regenerate"
#define SLACK_BUTTON_UP         "parley_up"
#define SLACK_BUTTON_DOWN       "parley_down"
#define SLACK_BUTTON_ALLOW      "parley_allow" /* their value is what press.h says */
#define SLACK_BUTTON_DENY       "parley_deny"
/* Of their block, where they stand outside of threads: a message there may begin one later. */
#define SLACK_BLOCK_ROOT        "parley_root"

/* "1700000000.000100" as milliseconds since 1970; false: no timestamp of Slack's. */
bool slack_ts_ms(struct str ts, int64_t *ret);
