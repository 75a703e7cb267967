/*
 * pause - who asked us to be quiet, and until when. A 429 concerns one chat; when several chats hit
 * it at once, it is the bot that is too fast. Trying early lengthens the ban, so calls wait here.
 */
#pragma once
#include "core/base/map.h"

struct telegram_pauses {
    struct map chats;
    uint64_t bot_until_ms;
};

void telegram_pauses_init(struct telegram_pauses *p);
void telegram_pauses_done(struct telegram_pauses *p);

/* Milliseconds that calls for `chat` have to wait; 0 = none. */
uint32_t telegram_pause_left(const struct telegram_pauses *p, struct str chat);
void telegram_pause(struct telegram_pauses *p, struct str chat, uint32_t ms);
