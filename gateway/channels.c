/* channels: the registration of platforms, and the life of their accounts. */
#include "gateway/channels.h"
#include "channels/discord/discord.h"
#include "channels/slack/slack.h"
#include "channels/telegram/telegram.h"
#include "channels/web/web.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <stdio.h>

const struct channel_type *const channel_types[] = { &web_type, &telegram_type, &discord_type,
                                                     &slack_type, NULL };

#define FIELDS_MAX     64
#define NAME_MAX_BYTES 64

static const struct channel_type *type_find(const char *name)
{
    for (const struct channel_type *const *t = channel_types; *t; t++)
        if (strcmp((*t)->name, name) == 0) return *t;
    return NULL;
}

/* The common fields and the type's own, as one table. */
static void table_of(const struct channel_type *type, struct conf_field ret[FIELDS_MAX])
{
    size_t n = 0;
    for (const struct conf_field *f = channel_fields; f->key; f++) ret[n++] = *f;
    for (const struct conf_field *f = type->fields; f->key && n < FIELDS_MAX - 1; f++)
        ret[n++] = *f;
    ret[n] = (struct conf_field)CONF_END;
}

/* A name is part of addresses, keys and array literals. */
static bool is_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    return n > 0 && n <= NAME_MAX_BYTES && name[n] == '\0';
}

static void channel_add(struct channel *ch, const struct channel_type *type,
                        struct channel_host *host)
{
    ch->type = type;
    ch->host = host;
    chat_channel_add(host->chat, ch);
}

static enum err_kind channel_load(struct conf_doc *doc, size_t i, struct channel_host *host,
                                  struct err *why)
{
    static const char *const also[] = { "type", NULL };
    struct conf_group *group = conf_group_at(doc, "channels", i);
    const struct channel_type *type = type_find(conf_peek(group, "type"));
    if (!type) {
        _cleanup_(buf_done) struct buf known = BUF_INIT(1024);
        for (const struct channel_type *const *t = channel_types; *t; t++)
            buf_addf(&known, "%s%s", known.n ? ", " : "", (*t)->name);
        err_set(why, ERR_CONF, "channels[%zu].type: \"%s\" is no channel type; known are: %.*s", i,
                conf_peek(group, "type"), STR_ARG(buf_str(&known)));
        return conf_blame(doc, group, "type", why);
    }
    struct conf_field fields[FIELDS_MAX];
    table_of(type, fields);
    struct channel *ch = mem_alloc(type->size);
    char section[32];
    snprintf(section, sizeof section, "channels[%zu]", i);
    if (conf_read(doc, group, section, fields, also, ch, why)) {
        free(ch);
        return why->kind;
    }
    const char *wrong = !is_name(ch->name) ? "not 1 to 64 of A-Z a-z 0-9 _ . -"
                        : chat_channel(host->chat, str_of(ch->name)) ? "used twice"
                                                                     : NULL;
    if (wrong) {
        err_set(why, ERR_CONF, "%s.name: \"%s\" is %s", section, ch->name, wrong);
        free(ch);
        return why->kind;
    }
    channel_add(ch, type, host);
    return ERR_NONE;
}

/* With nothing configured, a person can chat in the browser. */
static enum err_kind default_web(struct conf_doc *doc, struct channel_host *host, struct err *why)
{
    struct conf_field fields[FIELDS_MAX];
    table_of(&web_type, fields);
    for (struct conf_field *f = fields; f->key; f++) f->flags &= ~CONF_REQUIRED;
    struct channel *ch = mem_alloc(web_type.size);
    if (conf_read(doc, NULL, "channels", fields, NULL, ch, why)) {
        free(ch);
        return why->kind;
    }
    ch->name = "web";
    channel_add(ch, &web_type, host);
    return ERR_NONE;
}

enum err_kind channels_load(struct conf_doc *doc, struct channel_host *host, struct err *why)
{
    size_t n = conf_groups(doc, "channels");
    if (n == 0) return default_web(doc, host, why);
    for (size_t i = 0; i < n; i++)
        if (channel_load(doc, i, host, why)) return why->kind;
    return ERR_NONE;
}

/* The group that configures `name`, by its place in the list; false: it is not there any more. */
static bool group_of(struct conf_doc *doc, const char *name, size_t *ret)
{
    for (*ret = 0; *ret < conf_groups(doc, "channels"); ++*ret)
        if (strcmp(conf_peek(conf_group_at(doc, "channels", *ret), "name"), name) == 0) return true;
    return false;
}

static void channel_reload(struct channel *ch, struct conf_doc *doc, size_t i)
{
    static const char *const also[] = { "type", NULL };
    struct conf_field fields[FIELDS_MAX];
    const char *key;
    struct err why;
    struct channel *fresh = mem_alloc(ch->type->size);
    table_of(ch->type, fields);
    if (conf_read(doc, conf_group_at(doc, "channels", i), "channels", fields, also, fresh, &why)) {
        log_error("conf", "channel not reloaded, the old settings stay in force",
                  "channel=%s text=%s", ch->name, log_quote(str_of(why.msg)));
    } else {
        if (conf_differs(fields, ch, fresh, &key))
            log_warn("conf", "changed, but only a restart applies it", "channel=%s key=%s",
                     ch->name, key);
        conf_apply(fields, ch, fresh);
    }
    free(fresh);
}

void channels_reload(struct chat *chat, struct conf_doc *doc)
{
    size_t i;
    list_each (it, next, &chat->channels) {
        struct channel *ch = container_of(it, struct channel, link);
        if (group_of(doc, ch->name, &i))
            channel_reload(ch, doc, i);
        else if (conf_groups(doc, "channels") > 0)
            log_warn("conf", "channel removed, but only a restart applies it", "channel=%s",
                     ch->name);
    }
    for (i = 0; i < conf_groups(doc, "channels"); i++) {
        const char *name = conf_peek(conf_group_at(doc, "channels", i), "name");
        if (!chat_channel(chat, str_of(name)))
            log_warn("conf", "channel added, but only a restart applies it", "channel=%s", name);
    }
}

enum err_kind channels_open(struct chat *chat, struct err *why)
{
    list_each (it, next, &chat->channels) {
        struct channel *ch = container_of(it, struct channel, link);
        if (ch->type->open(ch, why)) return err_add(why, "channel %s: ", ch->name);
        ch->opened = true;
    }
    return ERR_NONE;
}

void channels_pause(struct chat *chat)
{
    list_each (it, next, &chat->channels) {
        struct channel *ch = container_of(it, struct channel, link);
        if (ch->opened && !ch->paused) ch->type->pause(ch);
        ch->paused = true;
    }
}

void channels_close(struct chat *chat)
{
    list_each (it, next, &chat->channels) {
        struct channel *ch = container_of(it, struct channel, link);
        if (ch->opened) ch->type->close(ch);
        ch->opened = false;
    }
}

void channels_free(struct chat *chat)
{
    while (!list_empty(&chat->channels)) {
        struct channel *ch = list_first(&chat->channels, struct channel, link);
        list_drop(&ch->link);
        free(ch);
    }
}

void channels_example(struct buf *to)
{
    buf_add_cstr(
        to,
        "# Where people talk to Parley, each place with a name of its own. None = one web channel named \"web\".\n"
        "# channels = (\n");
    for (const struct channel_type *const *t = channel_types; *t; t++) {
        struct conf_field fields[FIELDS_MAX];
        table_of(*t, fields);
        conf_example_item(to, (*t)->name, (*t)->help, fields, !t[1]);
    }
    buf_add_cstr(to, "# );\n");
}
