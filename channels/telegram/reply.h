/*
 * reply - what the Bot API answers to a call, and what its errors mean for us. Pure.
 */
#pragma once
#include "core/base/err.h"
#include "core/base/json.h"

/* Answers that somebody can do something about. */
enum telegram_problem {
    TELEGRAM_FINE,
    TELEGRAM_MIGRATED,     /* the group has a new id: `migrate_to`; repeat the call there */
    TELEGRAM_UNPARSABLE,   /* our HTML was refused: send it as plain text */
    TELEGRAM_NOT_MODIFIED, /* an edit that changes nothing: as good as done */
    TELEGRAM_CONFLICT,     /* 409: another process polls */
    TELEGRAM_HOOKED,       /* 409: a webhook is set, which forbids polling */
    TELEGRAM_OTHER,
};

struct telegram_reply {
    enum telegram_problem problem;
    int64_t migrate_to;
    int64_t unreadable_id; /* update_id in a body that is no JSON of ours; else 0 */
    int64_t message_id;    /* of the Message that was the result, else 0 */
    struct json *result;   /* inside doc; NULL for a Message */
    struct json *doc;
};
void telegram_reply_done(struct telegram_reply *r);

/*
 * Read the answer to a call.
 * status   of HTTP
 * doc      the body; taken over in any case. NULL: it was no JSON
 * ERR_LIMIT: 429, retry_after_ms is set. ERR_AUTH: 401, 404: the token. ERR_NOT_FOUND: the message
 * to edit is gone. ERR_REFUSED: a final no (blocked, kicked, bad request). ERR_IO: Telegram says
 * that it failed, and did nothing. ERR_UNKNOWN: something between us failed, or spoke no JSON.
 */
enum err_kind telegram_reply_read(int status, struct json *doc, struct telegram_reply *ret,
                                  struct err *why);

/* The first update_id in a body that could not be parsed; 0 = none. */
int64_t telegram_reply_unreadable_id(struct str body);

/* The short cut for the one answer that comes with every message:
 * {"ok":true,"result":{"message_id":N */
bool telegram_reply_message_id(struct str body, int64_t *ret);
