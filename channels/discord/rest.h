/*
 * rest - calls of Discord's HTTP API, within its limits
 * (docs.discord.com/developers/topics/rate-limits).
 *
 * A queue a route and id in its path ("major parameter"): one call at a time, in order, which waits
 * for the bucket that the route shares with others to fill. The bot's 50 a second are counted for
 * all processes together, by Redis. A 429 silences what it concerns: the bucket, the bot, or,
 * when it comes from Cloudflare, the whole address. Too many refused calls stop everything well
 * before Discord bans the address. The token is never logged, nor is a path that holds one.
 */
#pragma once
#include "channels/discord/bot.h"

struct discord_call {
    const char *method; /* "GET", "POST", "PATCH", "PUT", "DELETE" */
    const char *route;  /* constant: the path with {} for its ids, the same for each such call */
    struct str path;    /* "/channels/123/messages", behind api_url, with the query */
    struct str major;   /* the channel, server or webhook in it whose limits these are; "" = none */
    struct str body;    /* JSON; "" = none */
    bool yields; /* a preview, typing: fails with ERR_LIMIT rather than wait or be waited for */
    bool interaction; /* by its own token: no Authorization, not counted as the bot's */
    uint32_t wait_ms; /* for the answer; 0 = 15 s */
    size_t reply_max; /* bytes; 0 = 1 MiB */
};

struct discord_reply {
    int status;   /* 0: none came */
    int64_t code; /* of the error, docs.discord.com/developers/topics/opcodes-and-status-codes */
    struct json *doc; /* the answer; NULL when there is none */
    uint64_t message; /* its "id", when it is an object that has one; 0 = none */
};
void discord_reply_done(struct discord_reply *r); /* harmless twice */

void discord_rest_open(struct discord *d); /* makes d->rest */
/* What is under way is cancelled, silently. Harmless twice. */
void discord_rest_close(struct discord *d);

/*
 * call     copied; what it points to is borrowed until the op ends
 * ret      filled when the op ends, also on failure; free with discord_reply_done
 * op       succeeds with 2xx. Fails with
 *            ERR_IO         surely nothing done: not connected, or before anything was sent
 *            ERR_UNKNOWN    perhaps done: lost after sending, or 5xx
 *            ERR_LIMIT      with retry_after_ms: the limit lasts longer than a call may wait (5 s),
 *                           or the call yields
 *            ERR_AUTH       the token is no good (401, 40001, 50014); also at once, without a call,
 *                           for some minutes after such an answer
 *            ERR_NOT_FOUND  404 and 10xxx: what it is about is not there (any more)
 *            ERR_REFUSED    every other 4xx, and an answer over reply_max: repeating it is
 *                           pointless; the text has Discord's words
 * Cancel: the outcome is unknown. A call that waits in its queue is forgotten.
 */
void discord_call(struct discord *d, struct op *op, const struct discord_call *call,
                  struct discord_reply *ret);
