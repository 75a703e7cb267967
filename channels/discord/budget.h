/*
 * budget - refused requests of this address: after 10,000 answers of 401, 403 or 429 in 10 minutes
 * Cloudflare bans it (docs.discord.com/developers/topics/rate-limits). Shared by all bots of the
 * process, as the address is.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* A refusal came. */
void discord_budget_spend(void);
/* Cloudflare has spoken: nothing at all for so long. */
void discord_budget_ban(uint32_t ms);
/* Milliseconds until a request may be made; 0 = now. */
uint32_t discord_budget_wait_ms(void);
/* Forget everything: for tests. */
void discord_budget_reset(void);
