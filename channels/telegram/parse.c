/*
 * parse - decides whether an Update is for us, and says it in the core's words.
 */
#include "channels/telegram/parse.h"

#include "channels/telegram/message.h"
#include "core/base/utf8.h"
#include "core/chat/press.h"

#define LATE_MS 60000 /* also how much the clocks may differ */

struct parser {
    const struct telegram_reader *reader;
    struct arena *arena;
    struct telegram_update *ret;
    struct json *message, *chat;
    struct str chat_type;
    int64_t chat_id, message_id;
};

static void verdict(struct parser *p, enum telegram_verdict v, const char *reason)
{
    p->ret->verdict = v;
    p->ret->reason = reason;
}

static struct str number(struct parser *p, int64_t n)
{
    return arena_printf(p->arena, "%lld", (long long)n);
}

static struct str get_clean(struct parser *p, struct json *obj, const char *key)
{
    struct str s = STR_NONE;
    json_get_str(obj, key, &s);
    return utf8_cleaned(p->arena, s);
}

static bool is_group(const struct parser *p)
{
    return str_eq(p->chat_type, STR("group")) || str_eq(p->chat_type, STR("supergroup"));
}

/* --- who --- */

static bool is_bot(struct json *user)
{
    bool bot = false;
    json_get_bool(user, "is_bot", &bot);
    return bot;
}

static void set_from(struct parser *p, int64_t id, struct str first, struct str last,
                     struct str user)
{
    struct inbound *in = &p->ret->in;
    in->from.id = number(p, id);
    in->from.username = user;
    in->from.display_name =
        last.n ? arena_printf(p->arena, "%.*s %.*s", STR_ARG(first), STR_ARG(last)) : first;
}

/*
 * False: the sender is nobody to answer. In groups people can write as the group (anonymous
 * admins) or as their channel; `from` is then a placeholder of Telegram's that claims to be a bot.
 */
static bool read_sender(struct parser *p)
{
    struct json *from = json_get(p->message, "from"), *as = json_get(p->message, "sender_chat");
    bool forwarded = false;
    int64_t id;
    json_get_bool(p->message, "is_automatic_forward", &forwarded);
    if (forwarded) return false; /* the linked channel's post */
    if (json_get_i64(as, "id", &id)) {
        set_from(p, id, get_clean(p, as, "title"), STR_NONE, get_clean(p, as, "username"));
        return true;
    }
    if (!json_get_i64(from, "id", &id) || is_bot(from) || id == p->reader->id) return false;
    set_from(p, id, get_clean(p, from, "first_name"), get_clean(p, from, "last_name"),
             get_clean(p, from, "username"));
    return true;
}

static bool is_allowed(const struct parser *p)
{
    const struct conf_list *allow = &p->reader->allow;
    const struct inbound *in = &p->ret->in;
    for (size_t i = 0; i < allow->n; i++) {
        struct str s = str_of(allow->v[i]);
        if (str_eq(s, in->from.id) || str_eq(s, in->where.channel)) return true;
        if (s.n > 1 && s.p[0] == '@' && str_eq_nocase(str_skip(s, 1), in->from.username))
            return true;
    }
    return allow->n == 0;
}

/* Every message of a topic "replies" to the service message that opened it: that is no reply. */
static bool replies_to_us(const struct parser *p)
{
    struct json *to = json_get(p->message, "reply_to_message");
    int64_t id;
    return !json_get(to, "forum_topic_created") && json_get_i64(json_get(to, "from"), "id", &id) &&
           id == p->reader->id;
}

/* --- what --- */

static void read_place(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    bool topic = false;
    int64_t thread;
    in->where = (struct place){ STR_NONE, number(p, p->chat_id), STR_NONE };
    in->direct = !is_group(p);
    in->message_id = number(p, p->message_id);
    /* Replies in ordinary groups have a thread id, too; and General (1) must not be named. */
    json_get_bool(p->message, "is_topic_message", &topic);
    if (topic && json_get_i64(p->message, "message_thread_id", &thread) && thread != 1)
        in->where.thread = number(p, thread);
}

/* A group became a supergroup and has a new id; both sides are told. */
static bool read_move(struct parser *p)
{
    int64_t to = p->chat_id, from = p->chat_id;
    bool left = json_get_i64(p->message, "migrate_to_chat_id", &to);
    if (!left && !json_get_i64(p->message, "migrate_from_chat_id", &from)) return false;
    p->ret->in.kind = INBOUND_MOVED;
    p->ret->in.where.channel = number(p, from);
    p->ret->in.moved_to = number(p, to);
    return true;
}

/* Does a group's message concern us? Decides the verdict when it does not. */
static bool is_for_us(struct parser *p, const struct telegram_words *w)
{
    if (w->names_another && !w->depends_on_name) {
        verdict(p, TELEGRAM_SKIP, "another bot's command");
        return false;
    }
    if (p->reader->groups == TELEGRAM_GROUPS_ALL && !w->names_another) return true;
    if (w->mentions_us || replies_to_us(p)) return true;
    if (w->depends_on_name)
        verdict(p, TELEGRAM_LATER, "our name is not known yet");
    else
        verdict(p, TELEGRAM_SKIP, "not addressed to us");
    return false;
}

/* "@us" and nothing else: about the message it replies to, or just a call. */
static struct str bare_mention(struct parser *p)
{
    struct json *to = json_get(p->message, "reply_to_message");
    struct str s = get_clean(p, to, "text");
    if (!s.n) s = get_clean(p, to, "caption");
    if (!s.n) s = get_clean(p, p->message, "text");
    return s;
}

/* Telegram keeps for a day what it could not hand over. */
static int64_t late_ms(const struct parser *p)
{
    int64_t date, late = 0;
    if (json_get_i64(p->message, "date", &date) && date > 0 && date < p->reader->now_ms / 1000)
        late = p->reader->now_ms - date * 1000;
    return late > LATE_MS ? late : 0;
}

static void read_message(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    struct telegram_words words;
    struct attachment *attachments;
    if (!read_sender(p)) {
        verdict(p, TELEGRAM_SKIP, "not from a person");
        return;
    }
    if (!is_allowed(p)) {
        verdict(p, TELEGRAM_SKIP, "sender is not in `allow`");
        return;
    }
    telegram_words(p->reader, p->message, p->arena, &words);
    in->text = words.text;
    in->n_attachments = telegram_attachments(p->reader, p->message, p->arena, &attachments);
    in->attachments = attachments;
    in->album = get_clean(p, p->message, "media_group_id");
    if (in->kind == INBOUND_MESSAGE) in->late_ms = late_ms(p);
    /* Live locations and dice are "edited" all the time. */
    if (!in->text.n && !in->n_attachments && words.mentions_us) in->text = bare_mention(p);
    bool empty = !str_trim(in->text).n;
    if (empty && (!in->n_attachments || in->kind == INBOUND_EDIT))
        verdict(p, TELEGRAM_SKIP, "nothing to answer");
    else if (!is_group(p) || is_for_us(p, &words))
        verdict(p, TELEGRAM_TAKE, "");
}

/* The chat, and which of its messages it is about. False: the verdict is there. */
static bool read_chat(struct parser *p)
{
    if (!json_get_i64(p->chat, "id", &p->chat_id) ||
        !json_get_str(p->chat, "type", &p->chat_type) ||
        !json_get_i64(p->message, "message_id", &p->message_id))
        verdict(p, TELEGRAM_BROKEN, "message without chat.id, chat.type or message_id");
    else if (!is_group(p) && !str_eq(p->chat_type, STR("private")))
        verdict(p, TELEGRAM_SKIP, "not a private chat or group");
    else
        return true;
    return false;
}

static void read_envelope(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    if (!read_chat(p)) return;
    /*
     * Telegram starts update ids anew at random after a week of silence: what the update is about
     * keeps one from passing for an old one.
     */
    in->event_id = arena_printf(p->arena, "%lld:%lld:%lld", (long long)p->ret->id,
                                (long long)p->chat_id, (long long)p->message_id);
    read_place(p);
    if (read_move(p))
        verdict(p, TELEGRAM_TAKE, "");
    else if (is_group(p) && p->reader->groups == TELEGRAM_GROUPS_OFF)
        verdict(p, TELEGRAM_SKIP, "groups are off");
    else
        read_message(p);
}

/* --- buttons and reactions --- */

static bool read_person(struct parser *p, struct json *user)
{
    int64_t id;
    if (!json_get_i64(user, "id", &id) || is_bot(user)) {
        verdict(p, TELEGRAM_SKIP, "not from a person");
        return false;
    }
    set_from(p, id, get_clean(p, user, "first_name"), get_clean(p, user, "last_name"),
             get_clean(p, user, "username"));
    if (is_allowed(p)) return true;
    verdict(p, TELEGRAM_SKIP, "sender is not in `allow`");
    return false;
}

/* Whether a tool may be called. */
static void read_decision(struct parser *p, struct str data)
{
    struct inbound *in = &p->ret->in;
    switch (press_read(data, in->from.id, p->arena, &in->text)) {
    case PRESS_TAKEN: break;
    case PRESS_OTHERS:
        verdict(p, TELEGRAM_SKIP, "somebody else was asked");
        p->ret->say = PRESS_NOT_YOURS;
        break;
    case PRESS_NONE: verdict(p, TELEGRAM_SKIP, "no button of ours"); break;
    }
}

static void read_press(struct parser *p, struct json *query)
{
    struct inbound *in = &p->ret->in;
    struct str data = STR_NONE;
    p->message = json_get(query, "message");
    p->chat = json_get(p->message, "chat");
    json_get_str(query, "data", &data);
    p->ret->press = get_clean(p, query, "id");
    if (!p->message || !p->ret->press.n) {
        verdict(p, TELEGRAM_SKIP, "a button that is not at a message of ours");
        return;
    }
    if (!read_chat(p)) return;
    read_place(p);
    if (!read_person(p, json_get(query, "from"))) return;
    in->event_id =
        arena_printf(p->arena, "%lld:q:%.*s", (long long)p->ret->id, STR_ARG(p->ret->press));
    verdict(p, TELEGRAM_TAKE, "");
    if (str_eq(data, STR(TELEGRAM_PRESS_UP)) || str_eq(data, STR(TELEGRAM_PRESS_DOWN))) {
        in->kind = INBOUND_VOTE;
        in->vote = str_eq(data, STR(TELEGRAM_PRESS_UP)) ? 1 : -1;
        p->ret->say = "Noted, thank you.";
        return;
    }
    /* It stands for a command, and is no message that could be replied to. */
    in->message_id = STR_NONE;
    if (str_eq(data, STR(TELEGRAM_PRESS_STOP)))
        in->text = STR("/stop");
    else if (str_eq(data, STR(TELEGRAM_PRESS_REGENERATE)))
        in->text = STR("/regenerate");
    else
        read_decision(p, data);
}

/* The last thumb in a list of reactions: 1, -1, or 0 for none. */
static int thumb_in(struct json *reactions)
{
    int vote = 0;
    for (size_t i = 0; i < json_length(reactions); i++) {
        struct str emoji = STR_NONE;
        json_get_str(json_at(reactions, i), "emoji", &emoji);
        if (str_starts(emoji, STR("\xF0\x9F\x91\x8D"))) vote = 1;
        if (str_starts(emoji, STR("\xF0\x9F\x91\x8E"))) vote = -1;
    }
    return vote;
}

static void read_reaction(struct parser *p, struct json *reaction)
{
    struct inbound *in = &p->ret->in;
    p->message = reaction;
    p->chat = json_get(reaction, "chat");
    if (!read_chat(p)) return;
    read_place(p);
    if (!read_person(p, json_get(reaction, "user"))) return;
    in->kind = INBOUND_VOTE;
    in->vote = thumb_in(json_get(reaction, "new_reaction"));
    in->taken_back = !in->vote;
    if (in->taken_back) in->vote = thumb_in(json_get(reaction, "old_reaction"));
    in->event_id = arena_printf(p->arena, "%lld:r:%lld:%lld", (long long)p->ret->id,
                                (long long)p->chat_id, (long long)p->message_id);
    verdict(p, in->vote ? TELEGRAM_TAKE : TELEGRAM_SKIP, in->vote ? "" : "no vote");
}

enum err_kind telegram_parse(const struct telegram_reader *reader, struct json *update,
                             struct arena *a, struct telegram_update *ret, struct err *why)
{
    *ret = (struct telegram_update){ .verdict = TELEGRAM_SKIP };
    if (!json_is_object(update)) return err_set(why, ERR_PROTO, "not a JSON object");
    if (!json_get_i64(update, "update_id", &ret->id))
        return err_set(why, ERR_PROTO, "update_id is missing or not an integer");

    struct parser p = { .reader = reader, .arena = a, .ret = ret };
    struct json *press = json_get(update, "callback_query");
    struct json *reaction = json_get(update, "message_reaction");
    if (press || reaction) {
        if (press)
            read_press(&p, press);
        else
            read_reaction(&p, reaction);
        return ERR_NONE;
    }
    p.message = json_get(update, "message");
    if (!p.message) {
        p.message = json_get(update, "edited_message");
        ret->in.kind = INBOUND_EDIT;
    }
    p.chat = json_get(p.message, "chat");
    if (!p.message)
        verdict(&p, TELEGRAM_SKIP, "a kind of update that we do not use");
    else
        read_envelope(&p);
    return ERR_NONE;
}
