/*
 * person - who wrote, where, and whether they may: what messages, reactions and interactions have
 * in common. Pure; for parse.c and interaction.c.
 */
#pragma once
#include "channels/discord/parse.h"

/* A string of `obj`, clean; "" when there is none. */
struct str discord_get(struct json *obj, const char *key, struct arena *a);
/* An id of `obj`; false when it is missing or none, and *ret is as it was. */
bool discord_get_id(struct json *obj, const char *key, struct str *ret);
/* Is it there, and not null? */
bool discord_has(struct json *obj, const char *key);

/* Are we `id`? Never, as long as we do not know who we are. */
bool discord_is_us(const struct discord_reader *reader, struct str id);
/* What a user is called where `member` (may be NULL) is from; "" when nothing says it. */
struct str discord_name(struct json *user, struct json *member, struct arena *a);
/* Fills in->from. False: the user has no id. */
bool discord_read_person(struct json *user, struct json *member, struct arena *a,
                         struct inbound *in);
/* Fills in->where and in->direct. False, with the reason: an id is missing, or none. */
bool discord_read_place(const struct discord_reader *reader, struct json *data, struct inbound *in,
                        const char **ret_reason);

/* parent: of the thread; "" and "-" are in no list. */
bool discord_in_list(const struct conf_list *list, struct str id);
bool discord_is_allowed(const struct discord_reader *reader, const struct inbound *in,
                        struct str parent);
