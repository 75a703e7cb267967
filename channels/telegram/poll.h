/*
 * poll - getUpdates, by one process at a time. The offset is durable before Telegram hears of it:
 * what it confirms, Telegram forgets.
 */
#pragma once

struct telegram;

void telegram_poll_start(struct telegram *t);
/* Ends it, whatever it waits for; nothing is lost, and the next owner of the lease begins where the
 * offset stands. Harmless twice. */
void telegram_poll_stop(struct telegram *t);
