/*
 * shard - one shard of the gateway: its lease, its session, its socket, for as long as the channel
 * is open. docs.discord.com/developers/events/gateway
 */
#pragma once
#include "channels/discord/close.h"
#include "channels/discord/inbox.h"
#include "channels/discord/rest.h"
#include "channels/discord/socket.h"
#include "core/cache/rate.h"
#include "core/loop/flow.h"
#include "core/store/lease.h"

#define DISCORD_URL_MAX     256
#define DISCORD_SESSION_MAX 128

struct discord_gap;

struct discord_shard {
    struct flow flow;
    struct list link; /* in the gateway's */
    struct discord *bot;
    int64_t number, count;
    char name[48]; /* of the lease: "discord:HASH:0/1" */
    struct lease lease;
    int64_t fence; /* of the lease under which the rest is right; 0 = not ours */
    bool told;     /* that another process has it */

    /* the session; saved with the lease, so that whoever has it next can resume */
    char session[DISCORD_SESSION_MAX]; /* "" = none */
    char url[DISCORD_URL_MAX];         /* where it can be resumed */
    int64_t known_ms;                  /* wall clock: everything before was seen */
    int64_t gap_ms;                    /* what came since then has to be looked for; 0 = nothing */
    struct timer save_timer;
    struct op save;
    bool save_again;
    char state[1024];

    char base_url[DISCORD_URL_MAX]; /* where a session can be begun */
    struct discord_reply reply;
    struct rate_answer rate;
    char bucket[32];
    uint64_t identified_ms[5]; /* clock: the last ones of this process */
    size_t n_identified;

    struct discord_inbox inbox;
    struct discord_socket socket;
    struct discord_gap *gap; /* being filled */

    unsigned attempt;          /* failures in a row */
    unsigned resume_failures;  /* of these, since the session last worked */
    uint64_t failing_since_ms; /* clock of the first */
    uint32_t rest_ms;
};

/* Begins; ends with discord_shard_stop, after which it is gone. */
struct discord_shard *discord_shard_start(struct discord *d, int64_t number, int64_t count);
/* Save the session and give the lease back, so that another process goes on at once. */
void discord_shard_stop(struct discord_shard *s);

/* For socket.c: what came over it. */
void discord_shard_ready(struct discord_shard *s, struct json *data, int64_t seq);
void discord_shard_resumed(struct discord_shard *s);
void discord_shard_heard(struct discord_shard *s); /* a heartbeat was answered */

/* For gap.c: all of it was looked at. */
void discord_shard_filled(struct discord_shard *s);
