/*
 * socket - one connection to the gateway: hello, heartbeats, identify or resume, events, the end.
 * docs.discord.com/developers/events/gateway#connections
 */
#pragma once
#include "channels/discord/close.h"
#include "channels/discord/frame.h"
#include "core/loop/op.h"

struct discord_shard;
struct inflate;
struct ws_client;

enum discord_phase { DISCORD_CLOSED, DISCORD_DIALS, DISCORD_GREETED, DISCORD_ASKED, DISCORD_LIVE };

struct discord_socket {
    enum discord_phase phase;
    struct op *outer;
    struct ws_client *ws;
    struct inflate *inflate;
    struct discord_frames frames;
    struct timer beat, patience; /* the next heartbeat; the wait for hello, READY, RESUMED */
    uint32_t beat_ms;
    bool acked;   /* the last heartbeat was answered */
    bool decided; /* we hang up: `next` and `why` stand */
    uint64_t live_since_ms;
    enum discord_next next; /* when it is over */
    bool soon;              /* ... and without a rest */
    struct err why;
};

/*
 * Connect and stay connected; the shard's `session` decides between resume and identify.
 * op     fails when the connection is over: s->socket.next says what then
 * Cancel drops the connection without a close frame, which leaves the session alive.
 */
void discord_socket_run(struct discord_shard *s, struct op *op);

/* Hang up, in a way that leaves the session alive. */
void discord_socket_leave(struct discord_shard *s, enum discord_next next, const struct err *why);
