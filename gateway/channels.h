/*
 * channels - which platforms this program speaks, and the accounts that the configuration names.
 */
#pragma once
#include "core/chat/channel.h"
#include "core/chat/chat.h"

/* NULL-terminated: a platform is one line here. */
extern const struct channel_type *const channel_types[];

/*
 * Make a struct channel for every group of the list "channels" (none configured: one web channel
 * named "web"), and add it to host->chat. ERR_CONF names file, line and key.
 */
enum err_kind channels_load(struct conf_doc *doc, struct channel_host *host, struct err *why);
/* Open them all. ERR_CONF: the first that cannot work with its configuration. */
enum err_kind channels_open(struct chat *chat, struct err *why);
/* SIGHUP: apply what can be applied, log what cannot. `doc` outlives the channels, or the next
 * reload. */
void channels_reload(struct chat *chat, struct conf_doc *doc);
void channels_pause(struct chat *chat);
void channels_close(struct chat *chat); /* then the loop runs until it drains */
void channels_free(struct chat *chat);

void channels_example(struct buf *to);
