/*
 * parse - decides whether an event is for us, and says it in the core's words.
 */
#include "channels/discord/parse.h"

#include "channels/discord/message.h"
#include "channels/discord/person.h"

#define EPOCH_MS INT64_C(1420070400000) /* the first second of 2015 */

enum message_type { TYPE_DEFAULT = 0, TYPE_REPLY = 19 };

struct parser {
    const struct discord_reader *reader;
    struct arena *arena;
    struct discord_event *ret;
    struct json *data;
    struct str type; /* of the event */
    size_t i;
};

static void verdict(struct parser *p, enum discord_verdict v, const char *reason)
{
    p->ret->verdict = v;
    p->ret->reason = reason;
}

static bool is_type(const struct parser *p, const char *name)
{
    return str_eq(p->type, str_of(name));
}

static bool is_true(struct json *obj, const char *key)
{
    bool b = false;
    json_get_bool(obj, key, &b);
    return b;
}

/* --- ids --- */

bool discord_id(struct str s, uint64_t *ret)
{
    return s.n <= 20 && str_u64(s, ret);
}

int64_t discord_id_ms(uint64_t id)
{
    return (int64_t)(id >> 22) + EPOCH_MS;
}

uint64_t discord_id_at(int64_t wall_ms)
{
    if (wall_ms <= EPOCH_MS) return 0;
    uint64_t ms = (uint64_t)(wall_ms - EPOCH_MS);
    return ms > UINT64_MAX >> 22 ? UINT64_MAX : ms << 22;
}

/* --- for us? --- */

/* Messages of the REST API do not say what kind of channel they are in. */
static bool may_be_thread(const struct parser *p)
{
    int64_t type = 10;
    json_get_i64(p->data, "channel_type", &type);
    return !p->ret->in.direct && !p->reader->parent.n && type >= 10 && type <= 12;
}

static bool has_ids(const struct conf_list *list)
{
    uint64_t id;
    for (size_t i = 0; i < list->n; i++)
        if (discord_id(str_of(list->v[i]), &id)) return true;
    return false;
}

static void ask_for_parent(struct parser *p)
{
    p->ret->in.event_id = STR_NONE; /* says that it is not decided */
    verdict(p, DISCORD_PARENT, "only the thread's channel tells");
}

/* Decides the verdict when it is not. */
static bool is_allowed(struct parser *p)
{
    if (discord_is_allowed(p->reader, &p->ret->in, p->reader->parent)) return true;
    if (may_be_thread(p) && has_ids(&p->reader->allow))
        ask_for_parent(p);
    else
        verdict(p, DISCORD_SKIP, "sender is not in `allow`");
    return false;
}

static bool replies_to_us(const struct parser *p)
{
    struct str id = STR_NONE;
    json_get_str(json_get(json_get(p->data, "referenced_message"), "author"), "id", &id);
    return discord_is_us(p->reader, id);
}

/* Does a message concern us? Decides the verdict when it does not. */
static bool is_for_us(struct parser *p, bool mentions_us)
{
    const struct discord_reader *reader = p->reader;
    if (p->ret->in.direct || reader->groups == DISCORD_GROUPS_ALL) return true;
    if (mentions_us || replies_to_us(p)) return true;
    if (discord_in_list(&reader->channels, p->ret->in.where.channel)) return true;
    if (discord_in_list(&reader->channels, reader->parent)) return true;
    if (reader->channels.n && may_be_thread(p))
        ask_for_parent(p);
    else
        verdict(p, DISCORD_SKIP, "not addressed to us");
    return false;
}

static bool is_off(struct parser *p)
{
    if (p->ret->in.direct || p->reader->groups != DISCORD_GROUPS_OFF) return false;
    verdict(p, DISCORD_SKIP, "servers are off");
    return true;
}

/* --- messages --- */

/*
 * False: the sender is nobody to answer. Bots are none, or two of them would talk for ever; nor are
 * webhooks, whose author is made up, and Discord itself.
 */
static bool read_sender(struct parser *p)
{
    struct json *author = json_get(p->data, "author");
    int64_t type = TYPE_DEFAULT;
    json_get_i64(p->data, "type", &type);
    if (type != TYPE_DEFAULT && type != TYPE_REPLY) {
        verdict(p, DISCORD_SKIP, "a kind of message that people do not write");
    } else if (discord_has(p->data, "webhook_id") || is_true(author, "bot") ||
               is_true(author, "system")) {
        verdict(p, DISCORD_SKIP, "not from a person");
    } else if (!discord_read_person(author, json_get(p->data, "member"), p->arena, &p->ret->in)) {
        verdict(p, DISCORD_BROKEN, "author.id is missing or no id");
    } else if (discord_is_us(p->reader, p->ret->in.from.id)) {
        verdict(p, DISCORD_SKIP, "our own");
    } else {
        return true;
    }
    return false;
}

/* A mention of us and nothing else: a call. What we are called is in the list of mentions. */
static struct str bare_call(struct parser *p)
{
    struct json *mentions = json_get(p->data, "mentions");
    size_t n = json_length(mentions);
    for (size_t i = 0; i < n; i++) {
        struct json *user = json_at(mentions, i);
        struct str id = STR_NONE, name;
        json_get_str(user, "id", &id);
        name = discord_name(user, json_get(user, "member"), p->arena);
        if (discord_is_us(p->reader, id) && name.n)
            return arena_printf(p->arena, "@%.*s", STR_ARG(name));
    }
    return STR_NONE;
}

static void read_words(struct parser *p, struct discord_words *words)
{
    struct inbound *in = &p->ret->in;
    if (words->text.n || words->mentions_us) discord_quote(p->reader, p->data, p->arena, words);
    in->text = words->text;
    in->attachments = words->attachments;
    in->n_attachments = words->n_attachments;
    if (!in->text.n && !in->n_attachments && words->mentions_us) in->text = bare_call(p);
    bool empty = !in->text.n && (!in->n_attachments || in->kind == INBOUND_EDIT);
    verdict(p, empty ? DISCORD_SKIP : DISCORD_TAKE, empty ? "nothing to answer" : "");
}

static void read_message(struct parser *p)
{
    struct discord_words words;
    if (!read_sender(p) || is_off(p)) return;
    discord_words(p->reader, p->data, p->arena, &words);
    if (is_for_us(p, words.mentions_us) && is_allowed(p)) read_words(p, &words);
}

static void read_create(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    in->kind = INBOUND_MESSAGE;
    in->event_id = arena_printf(p->arena, "m:%.*s", STR_ARG(in->message_id));
    read_message(p);
}

/* Messages are "updated" for previews of links, pins and flags, too, often with little in it. */
static void read_update(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    struct str edited = discord_get(p->data, "edited_timestamp", p->arena), content;
    in->kind = INBOUND_EDIT;
    in->event_id = arena_printf(p->arena, "e:%.*s:%.*s", STR_ARG(in->message_id), STR_ARG(edited));
    if (!edited.n)
        verdict(p, DISCORD_SKIP, "not edited by a person");
    else if (!discord_has(p->data, "author") || !json_get_str(p->data, "content", &content))
        verdict(p, DISCORD_SKIP, "only a part of the message");
    else
        read_message(p);
}

/* Nobody says whose it was, nor who took it back: it counts for a message that waits. */
static void read_delete(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    in->kind = INBOUND_DELETE;
    in->event_id = arena_printf(p->arena, "d:%.*s", STR_ARG(in->message_id));
    if (!is_off(p)) verdict(p, DISCORD_TAKE, "");
}

static void read_bulk(struct parser *p)
{
    struct json *ids = json_get(p->data, "ids");
    struct str id;
    uint64_t number;
    if (!json_is_array(ids)) {
        verdict(p, DISCORD_BROKEN, "ids is missing or no list");
    } else if (p->i >= json_length(ids)) {
        verdict(p, DISCORD_SKIP, "no more ids");
    } else if (!json_str(json_at(ids, p->i), &id) || !discord_id(id, &number)) {
        verdict(p, DISCORD_BROKEN, "one of ids is no id");
    } else {
        p->ret->in.message_id = id;
        read_delete(p);
    }
}

/* --- votes --- */

/* 1, -1, or 0. Both thumbs come in five skin tones, and with U+FE0F behind them from some. */
static int vote_of(struct json *emoji)
{
    const struct str up = STR("\xF0\x9F\x91\x8D"), down = STR("\xF0\x9F\x91\x8E");
    struct str name = STR_NONE;
    json_get_str(emoji, "name", &name);
    if (discord_has(emoji, "id")) return 0; /* a server's own */
    int vote = str_starts(name, up) ? 1 : str_starts(name, down) ? -1 : 0;
    if (!vote) return 0;
    struct str tone = str_skip(name, up.n);
    bool plain = !tone.n || str_eq(tone, STR("\xEF\xB8\x8F"));
    bool toned = tone.n == 4 && str_starts(tone, STR("\xF0\x9F\x8F")) &&
                 (unsigned char)tone.p[3] >= 0xBB && (unsigned char)tone.p[3] <= 0xBF;
    return plain || toned ? vote : 0;
}

/*
 * Reactions have no id. The database keeps the last vote of a person and takes no notice of the
 * event's id, so that one given again after it was taken back counts again; the id is for the log,
 * and the same whenever Discord repeats itself.
 */
static void name_vote(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    in->event_id =
        arena_printf(p->arena, "v:%.*s:%.*s:%s:%s", STR_ARG(in->message_id), STR_ARG(in->from.id),
                     in->vote > 0 ? "up" : "down", in->taken_back ? "remove" : "add");
}

/*
 * A vote counts only on an answer. Who sees one in private got it, and what was not counted cannot
 * be taken back: in both cases Discord does not say the person's name, and we need not know it.
 */
static bool may_vote(struct parser *p)
{
    const struct inbound *in = &p->ret->in;
    return in->direct || in->taken_back || is_allowed(p);
}

static bool is_on_ours(const struct parser *p)
{
    struct str author;
    if (!json_get_str(p->data, "message_author_id", &author)) return true; /* not said */
    return discord_is_us(p->reader, author);
}

static void read_vote(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    struct json *member = json_get(p->data, "member"), *user = json_get(member, "user");
    in->kind = INBOUND_VOTE;
    in->vote = vote_of(json_get(p->data, "emoji"));
    in->taken_back = is_type(p, "MESSAGE_REACTION_REMOVE");
    discord_read_person(user, member, p->arena, in);
    if (!discord_get_id(p->data, "user_id", &in->from.id)) {
        verdict(p, DISCORD_BROKEN, "user_id is missing or no id");
        return;
    }
    name_vote(p);
    if (!in->vote)
        verdict(p, DISCORD_SKIP, "no vote");
    else if (discord_is_us(p->reader, in->from.id) || is_true(user, "bot"))
        verdict(p, DISCORD_SKIP, "not from a person");
    else if (!is_on_ours(p))
        verdict(p, DISCORD_SKIP, "not on a message of ours");
    else if (!is_off(p) && may_vote(p))
        verdict(p, DISCORD_TAKE, "");
}

/* --- all of them --- */

static const struct event {
    const char *type, *id_key; /* which message it is about; NULL: a list */
    const char *broken;
    void (*read)(struct parser *p);
} events[] = {
    { "MESSAGE_CREATE", "id", "id is missing or no id", read_create },
    { "MESSAGE_UPDATE", "id", "id is missing or no id", read_update },
    { "MESSAGE_DELETE", "id", "id is missing or no id", read_delete },
    { "MESSAGE_DELETE_BULK", NULL, NULL, read_bulk },
    { "MESSAGE_REACTION_ADD", "message_id", "message_id is missing or no id", read_vote },
    { "MESSAGE_REACTION_REMOVE", "message_id", "message_id is missing or no id", read_vote },
};

static const struct event *event_of(struct str type)
{
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (str_eq(type, str_of(events[i].type))) return &events[i];
    return NULL;
}

void discord_parse(const struct discord_reader *reader, struct str type, struct json *data,
                   size_t i, struct arena *a, struct discord_event *ret)
{
    struct parser p = {
        .reader = reader, .arena = a, .ret = ret, .data = data, .type = type, .i = i
    };
    const struct event *event = event_of(type);
    const char *reason;
    *ret = (struct discord_event){ .verdict = DISCORD_SKIP };
    if (!event)
        verdict(&p, DISCORD_SKIP, "a kind of event that we do not use");
    else if (!json_is_object(data))
        verdict(&p, DISCORD_BROKEN, "not a JSON object");
    else if (event->id_key && !discord_get_id(data, event->id_key, &ret->in.message_id))
        verdict(&p, DISCORD_BROKEN, event->broken);
    else if (!discord_read_place(reader, data, &ret->in, &reason))
        verdict(&p, DISCORD_BROKEN, reason);
    else
        event->read(&p);
}
