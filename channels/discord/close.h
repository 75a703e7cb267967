/*
 * close - what to do when the gateway hangs up
 * (docs.discord.com/developers/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes).
 * Pure.
 */
#pragma once
#include "core/base/err.h"

enum discord_next {
    DISCORD_RESUME,   /* the session lives */
    DISCORD_IDENTIFY, /* it is gone: begin another, and fill the gap */
    DISCORD_STOP,     /* a human has to act */
};

/* code: 0 = none came, the connection was lost. why: the reason in words. */
enum discord_next discord_close_rule(int code, struct err *why);
