/*
 * reply - what an answer of Discord's HTTP API says, about the call and about limits. Pure.
 */
#pragma once
#include "channels/discord/rest.h"
#include "core/net/http_client.h"

/*
 * doc      taken: it is ret's
 * why      as discord_call's op fails; ERR_NONE with 2xx
 */
void discord_reply_read(int status, struct json *doc, struct discord_reply *ret, struct err *why);

enum discord_scope {
    DISCORD_SCOPE_NONE,   /* nothing was refused */
    DISCORD_SCOPE_ROUTE,  /* this bucket, or a limit inside it that no header tells of */
    DISCORD_SCOPE_SHARED, /* the thing itself, whoever asks: no invalid request of ours */
    DISCORD_SCOPE_GLOBAL, /* the bot */
    DISCORD_SCOPE_ADDRESS /* Cloudflare refuses our address */
};

struct discord_limit {
    enum discord_scope scope;
    uint32_t retry_after_ms; /* with a scope: > 0 */
    struct str bucket;       /* "" = none was told; lives in the reply */
    int64_t remaining;       /* with a bucket */
    uint32_t reset_after_ms;
};

/* http: with its head kept. doc: its body; NULL = none, or no JSON. */
void discord_limit_read(const struct http_reply *http, struct json *doc, struct discord_limit *ret);
