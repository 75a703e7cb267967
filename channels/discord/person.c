/*
 * person - users, members and places as Discord writes them.
 */
#include "channels/discord/person.h"

#include "core/base/utf8.h"

struct str discord_get(struct json *obj, const char *key, struct arena *a)
{
    struct str s = STR_NONE;
    json_get_str(obj, key, &s);
    return utf8_cleaned(a, s);
}

bool discord_get_id(struct json *obj, const char *key, struct str *ret)
{
    struct str s;
    uint64_t id;
    if (!json_get_str(obj, key, &s) || !discord_id(s, &id)) return false;
    *ret = s;
    return true;
}

bool discord_has(struct json *obj, const char *key)
{
    return json_get(obj, key) != NULL;
}

bool discord_is_us(const struct discord_reader *reader, struct str id)
{
    return reader->user.n && str_eq(id, reader->user);
}

struct str discord_name(struct json *user, struct json *member, struct arena *a)
{
    struct str name = discord_get(member, "nick", a);
    if (!name.n) name = discord_get(user, "global_name", a);
    if (!name.n) name = discord_get(user, "username", a);
    return name;
}

bool discord_read_person(struct json *user, struct json *member, struct arena *a,
                         struct inbound *in)
{
    if (!discord_get_id(user, "id", &in->from.id)) return false;
    in->from.username = discord_get(user, "username", a);
    in->from.display_name = discord_name(user, member, a);
    return true;
}

bool discord_read_place(const struct discord_reader *reader, struct json *data, struct inbound *in,
                        const char **ret_reason)
{
    struct str guild = reader->guild;
    if (!discord_get_id(data, "channel_id", &in->where.channel)) {
        *ret_reason = "channel_id is missing or no id";
        return false;
    }
    /* What a server says must never pass for a private message. */
    if (discord_has(data, "guild_id") && !discord_get_id(data, "guild_id", &guild)) {
        *ret_reason = "guild_id is no id";
        return false;
    }
    in->where.workspace = guild.n ? guild : STR_NONE;
    in->where.thread = STR_NONE; /* a thread is a channel of its own */
    in->direct = !guild.n;
    return true;
}

bool discord_in_list(const struct conf_list *list, struct str id)
{
    uint64_t number;
    if (!list->n || !discord_id(id, &number)) return false;
    for (size_t i = 0; i < list->n; i++)
        if (str_eq(str_of(list->v[i]), id)) return true;
    return false;
}

static bool is_named(const struct conf_list *list, struct str username)
{
    for (size_t i = 0; i < list->n; i++) {
        struct str s = str_of(list->v[i]);
        if (s.n > 1 && s.p[0] == '@' && str_eq_nocase(str_skip(s, 1), username)) return true;
    }
    return false;
}

bool discord_is_allowed(const struct discord_reader *reader, const struct inbound *in,
                        struct str parent)
{
    const struct conf_list *allow = &reader->allow;
    return !allow->n || discord_in_list(allow, in->from.id) ||
           discord_in_list(allow, in->where.workspace) ||
           discord_in_list(allow, in->where.channel) || discord_in_list(allow, parent) ||
           is_named(allow, in->from.username);
}
