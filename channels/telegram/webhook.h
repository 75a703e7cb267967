/*
 * webhook - POST /hooks/telegram/{name}: Telegram brings the updates, and hears 200 when they are
 * stored.
 */
#pragma once

struct telegram;

void telegram_webhook_open(struct telegram *t);
void telegram_webhook_close(struct telegram *t);
