/*
 * parse - decides whether a payload is for us, and says it in the core's words.
 */
#include "channels/slack/parse.h"

#include "channels/slack/words.h"
#include "core/base/utf8.h"
#include "core/chat/command.h"
#include "core/chat/press.h"

#define ID_MAX  64
#define LATE_MS 120000 /* Slack's own first repetitions come within that */

#define NOT_ALLOWED  "You are not on the list of people who may write to me here."
#define NOTHING_SAID "Write something behind the command: a question, or `help`."
#define OLD_BUTTON   "I do not know this button any more."

struct parser {
    const struct slack_reader *reader;
    struct arena *arena;
    struct slack_event *ret;
    struct json *payload, *event; /* of the Events API: the outer object, and what it wraps */
};

static void verdict(struct parser *p, enum slack_verdict v, const char *reason)
{
    p->ret->verdict = v;
    p->ret->reason = reason;
}

static void refuse(struct parser *p, const char *reason, const char *say)
{
    verdict(p, SLACK_SKIP, reason);
    p->ret->say = say;
}

/* --- ids --- */

/* Letters and digits; they become parts of keys. */
static bool is_id(struct str s)
{
    if (!s.n || s.n > ID_MAX) return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')))
            return false;
    }
    return true;
}

static bool get_id(struct json *obj, const char *key, struct str *ret)
{
    struct str s;
    if (!json_get_str(obj, key, &s) || !is_id(s)) return false;
    *ret = s;
    return true;
}

bool slack_ts_ms(struct str ts, int64_t *ret)
{
    struct str fraction = ts, seconds = str_cut(&fraction, '.');
    uint64_t s, f;
    if (ts.n > 24 || seconds.n > 12 || !str_u64(seconds, &s) || !str_u64(fraction, &f))
        return false;
    *ret = (int64_t)s * 1000 + (fraction.n == 6 ? (int64_t)(f / 1000) : 0);
    return true;
}

/* A timestamp is an id, and stays the text that it is: as a number it would lose digits. */
static bool get_ts(struct json *obj, const char *key, struct str *ret)
{
    struct str s;
    int64_t ms;
    if (!json_get_str(obj, key, &s) || !slack_ts_ms(s, &ms)) return false;
    *ret = s;
    return true;
}

static bool is_in(const struct conf_list *list, struct str id)
{
    for (size_t i = 0; id.n && i < list->n; i++)
        if (str_eq(str_of(list->v[i]), id)) return true;
    return false;
}

static bool is_allowed(const struct parser *p)
{
    const struct conf_list *allow = &p->reader->allow;
    const struct inbound *in = &p->ret->in;
    return !allow->n || is_in(allow, in->from.id) || is_in(allow, in->where.workspace) ||
           is_in(allow, in->where.channel);
}

struct str slack_team_of(enum slack_kind kind, struct json *payload)
{
    struct str id = STR_NONE;
    if (kind == SLACK_ACTION)
        get_id(json_get(payload, "team"), "id", &id);
    else
        get_id(payload, "team_id", &id);
    if (!id.n && kind == SLACK_ACTION) get_id(json_get(payload, "user"), "team_id", &id);
    return id;
}

/* --- places --- */

static bool is_direct(struct str channel)
{
    return str_starts(channel, STR("D"));
}

/*
 * In a channel each message begins a thread, in which it is answered; a thread is a conversation. A
 * private chat with us is one by itself.
 */
static void read_thread(struct parser *p, struct json *message, struct str ts)
{
    struct inbound *in = &p->ret->in;
    struct str thread = STR_NONE;
    get_ts(message, "thread_ts", &thread);
    in->where.thread = thread.n ? thread : in->direct ? STR_NONE : ts;
}

/* False: the verdict is there. */
static bool read_place(struct parser *p, struct json *holder, const char *key)
{
    struct inbound *in = &p->ret->in;
    if (!get_id(holder, key, &in->where.channel)) {
        verdict(p, SLACK_BROKEN, "the channel's id is missing or no id");
        return false;
    }
    in->direct = is_direct(in->where.channel);
    if (in->direct || p->reader->groups != SLACK_GROUPS_OFF) return true;
    verdict(p, SLACK_SKIP, "channels are off");
    return false;
}

/* --- messages --- */

static bool is_us(const struct parser *p, struct str user)
{
    return p->reader->user.n && str_eq(user, p->reader->user);
}

static bool is_people_s(struct str subtype)
{
    static const char *const kinds[] = { "", "file_share", "thread_broadcast", "me_message" };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (str_eq(subtype, str_of(kinds[i]))) return true;
    return false;
}

/* Bots are not answered, or two of them would talk for ever; nor are we. */
static bool read_sender(struct parser *p, struct json *message)
{
    struct inbound *in = &p->ret->in;
    struct str subtype = STR_NONE;
    bool hidden = false;
    json_get_str(message, "subtype", &subtype);
    json_get_bool(message, "hidden", &hidden);
    if (!is_people_s(subtype) || hidden)
        verdict(p, SLACK_SKIP, "a kind of message that people do not write");
    else if (json_get(message, "bot_id") || json_get(message, "bot_profile"))
        verdict(p, SLACK_SKIP, "not from a person");
    else if (!get_id(message, "user", &in->from.id))
        verdict(p, SLACK_BROKEN, "user is missing or no id");
    else if (is_us(p, in->from.id) || str_eq(in->from.id, STR("USLACKBOT")))
        verdict(p, SLACK_SKIP, "not from a person");
    else
        return true;
    return false;
}

static bool is_for_us(struct parser *p, struct json *message, bool mentions_us)
{
    const struct slack_reader *reader = p->reader;
    const struct inbound *in = &p->ret->in;
    struct str parent = STR_NONE;
    json_get_str(message, "parent_user_id", &parent);
    if (in->direct || reader->groups == SLACK_GROUPS_ALL || mentions_us || is_us(p, parent) ||
        is_in(&reader->channels, in->where.channel))
        return true;
    verdict(p, SLACK_SKIP, "not addressed to us");
    return false;
}

static void read_words(struct parser *p, const struct slack_words *words)
{
    struct inbound *in = &p->ret->in;
    in->text = words->text;
    in->attachments = words->attachments;
    in->n_attachments = words->n_attachments;
    for (size_t i = 0; i < words->n_attachments; i++) {
        struct str *url = &words->attachments[i].url;
        if (url->n)
            *url = arena_printf(p->arena, CHANNEL_PICTURE "%.*s %.*s", STR_ARG(in->where.workspace),
                                STR_ARG(*url));
    }
    if (!in->text.n && !in->n_attachments && words->mentions_us) in->text = STR("Hello!");
    bool empty = !in->text.n && (!in->n_attachments || in->kind == INBOUND_EDIT);
    verdict(p, empty ? SLACK_SKIP : SLACK_TAKE, empty ? "nothing to answer" : "");
}

/* message: the event, or the changed message in it */
static void read_message(struct parser *p, struct json *message, bool called)
{
    struct inbound *in = &p->ret->in;
    struct slack_words words;
    if (!get_ts(message, "ts", &in->message_id)) {
        verdict(p, SLACK_BROKEN, "ts is missing or no timestamp in quotes");
        return;
    }
    read_thread(p, message, in->message_id);
    if (!read_sender(p, message)) return;
    slack_words(p->reader, message, p->arena, &words);
    words.mentions_us = words.mentions_us || called;
    if (!is_for_us(p, message, words.mentions_us)) return;
    if (!is_allowed(p))
        verdict(p, SLACK_SKIP, "sender is not in `allow`");
    else
        read_words(p, &words);
}

/* How late it is: repeated for hours, when we could not be reached. */
static void read_age(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    int64_t ms;
    if (!p->reader->now_ms || !slack_ts_ms(in->message_id, &ms)) return;
    if (p->reader->now_ms - ms > LATE_MS) in->late_ms = p->reader->now_ms - ms;
}

/* A mention in a channel comes twice, as `message` and as `app_mention`: both have one name here.
 */
static void read_new(struct parser *p, bool called)
{
    struct inbound *in = &p->ret->in;
    in->kind = INBOUND_MESSAGE;
    read_message(p, p->event, called);
    if (p->ret->verdict != SLACK_TAKE) return;
    in->event_id =
        arena_printf(p->arena, "m:%.*s:%.*s", STR_ARG(in->where.channel), STR_ARG(in->message_id));
    read_age(p);
}

/* Messages are "changed" for previews of links, too: then the text is the same. */
static void read_changed(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    struct json *now = json_get(p->event, "message");
    struct str text = STR_NONE, before = STR_NONE;
    bool had = json_get_str(json_get(p->event, "previous_message"), "text", &before);
    json_get_str(now, "text", &text);
    in->kind = INBOUND_EDIT;
    if (!json_get(now, "edited") || (had && str_eq(text, before))) {
        verdict(p, SLACK_SKIP, "not edited by a person");
        return;
    }
    read_message(p, now, false);
    struct str event_ts = slack_get(p->event, "event_ts", p->arena);
    in->event_id = arena_printf(p->arena, "e:%.*s:%.*s:%.*s", STR_ARG(in->where.channel),
                                STR_ARG(in->message_id), STR_ARG(event_ts));
}

static void read_deleted(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    in->kind = INBOUND_DELETE;
    if (!get_ts(p->event, "deleted_ts", &in->message_id)) {
        verdict(p, SLACK_BROKEN, "deleted_ts is missing or no timestamp in quotes");
        return;
    }
    read_thread(p, json_get(p->event, "previous_message"), in->message_id);
    in->event_id =
        arena_printf(p->arena, "d:%.*s:%.*s", STR_ARG(in->where.channel), STR_ARG(in->message_id));
    verdict(p, SLACK_TAKE, "");
}

static void read_message_event(struct parser *p)
{
    struct str subtype = STR_NONE;
    json_get_str(p->event, "subtype", &subtype);
    if (!read_place(p, p->event, "channel")) return;
    if (str_eq(subtype, STR("message_changed")))
        read_changed(p);
    else if (str_eq(subtype, STR("message_deleted")))
        read_deleted(p);
    else
        read_new(p, false);
}

static void read_mention(struct parser *p)
{
    if (read_place(p, p->event, "channel")) read_new(p, true);
}

/* --- votes --- */

/* "+1", "thumbsup", with a skin tone or not: 1; their opposites: -1; everything else: 0. */
static int vote_of(struct str reaction)
{
    struct str tone = reaction, name = str_cut(&tone, ':');
    if (tone.n && !str_starts(tone, STR(":skin-tone-"))) return 0;
    if (str_eq(name, STR("+1")) || str_eq(name, STR("thumbsup"))) return 1;
    if (str_eq(name, STR("-1")) || str_eq(name, STR("thumbsdown"))) return -1;
    return 0;
}

/* Votes have no id that counts: the database keeps a person's last one. */
static void name_vote(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    in->event_id = arena_printf(p->arena, "v:%.*s:%.*s:%.*s:%s:%s", STR_ARG(in->where.channel),
                                STR_ARG(in->message_id), STR_ARG(in->from.id),
                                in->vote > 0 ? "up" : "down", in->taken_back ? "remove" : "add");
}

static bool is_on_ours(const struct parser *p)
{
    struct str author;
    return !json_get_str(p->event, "item_user", &author) || is_us(p, author);
}

static void read_reaction(struct parser *p, bool taken_back)
{
    struct inbound *in = &p->ret->in;
    struct json *item = json_get(p->event, "item");
    struct str name = STR_NONE, type = STR_NONE;
    json_get_str(p->event, "reaction", &name);
    json_get_str(item, "type", &type);
    in->kind = INBOUND_VOTE;
    in->vote = vote_of(name);
    in->taken_back = taken_back;
    if (!in->vote || !str_eq(type, STR("message"))) {
        verdict(p, SLACK_SKIP, "no vote");
        return;
    }
    if (!read_place(p, item, "channel")) return;
    if (!get_ts(item, "ts", &in->message_id))
        verdict(p, SLACK_BROKEN, "item.ts is missing or no timestamp in quotes");
    else if (!get_id(p->event, "user", &in->from.id))
        verdict(p, SLACK_BROKEN, "user is missing or no id");
    else if (is_us(p, in->from.id) || !is_on_ours(p))
        verdict(p, SLACK_SKIP, "not a person's vote on a message of ours");
    else if (!taken_back && !is_allowed(p))
        verdict(p, SLACK_SKIP, "sender is not in `allow`");
    else
        verdict(p, SLACK_TAKE, "");
    name_vote(p);
}

static void read_added(struct parser *p)
{
    read_reaction(p, false);
}

static void read_removed(struct parser *p)
{
    read_reaction(p, true);
}

/* --- the app itself --- */

static void read_uninstalled(struct parser *p)
{
    verdict(p, SLACK_GONE, "the app was removed from the workspace");
}

/* Tokens of people are none of ours. */
static void read_revoked(struct parser *p)
{
    if (json_length(json_get(json_get(p->event, "tokens"), "bot")))
        verdict(p, SLACK_GONE, "the workspace has taken our token back");
}

static const struct event {
    const char *type;
    void (*read)(struct parser *p);
} events[] = {
    { "message", read_message_event },       { "app_mention", read_mention },
    { "reaction_added", read_added },        { "reaction_removed", read_removed },
    { "app_uninstalled", read_uninstalled }, { "tokens_revoked", read_revoked },
};

static void read_event(struct parser *p)
{
    struct str type = STR_NONE, outer = STR_NONE;
    p->event = json_get(p->payload, "event");
    json_get_str(p->payload, "type", &outer);
    json_get_str(p->event, "type", &type);
    verdict(p, SLACK_SKIP, "a kind of event that we do not use");
    if (str_eq(outer, STR("event_callback")) && !json_is_object(p->event))
        verdict(p, SLACK_BROKEN, "event is missing or no object");
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
        if (str_eq(type, str_of(events[i].type))) events[i].read(p);
}

/* --- commands --- */

static void name_person(struct parser *p, struct json *holder, const char *key)
{
    struct inbound *in = &p->ret->in;
    in->from.username = slack_get(holder, key, p->arena);
    in->from.display_name = in->from.username;
}

/* "/parley model x" is our "/model x"; everything that is no command of ours is a question. */
static struct str command_text(struct parser *p, struct str text)
{
    if (str_starts(text, STR("/"))) return text;
    struct str rest = text, word = str_cut(&rest, ' ');
    for (const struct command *c = commands; c->name; c++)
        if (str_eq_nocase(word, str_of(c->name)) && command_fits(c, str_trim(rest)))
            return arena_printf(p->arena, "/%.*s", STR_ARG(text));
    return text;
}

/* Each call has one: it names the command, and the press of a button. */
static bool read_trigger(struct parser *p, const char *prefix)
{
    struct str trigger = slack_get(p->payload, "trigger_id", p->arena);
    if (!trigger.n || trigger.n > 256) return false;
    p->ret->in.event_id = arena_printf(p->arena, "%s:%.*s", prefix, STR_ARG(trigger));
    return true;
}

static void read_command(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    in->kind = INBOUND_MESSAGE;
    struct slack_words words;
    if (!read_place(p, p->payload, "channel_id")) {
        p->ret->say = "I do not answer in channels here.";
    } else if (!get_id(p->payload, "user_id", &in->from.id)) {
        verdict(p, SLACK_BROKEN, "user_id is missing or no id");
    } else if (!read_trigger(p, "c")) {
        verdict(p, SLACK_BROKEN, "trigger_id is missing");
    } else if (!is_allowed(p)) {
        refuse(p, "sender is not in `allow`", NOT_ALLOWED);
    } else {
        name_person(p, p->payload, "user_name");
        slack_words(p->reader, p->payload, p->arena, &words);
        in->text = command_text(p, words.text);
        if (in->text.n)
            verdict(p, SLACK_TAKE, "");
        else
            refuse(p, "nothing to answer", NOTHING_SAID);
    }
}

/* --- buttons --- */

/* Whether a tool may be called. */
static void decide(struct parser *p, struct str value)
{
    struct inbound *in = &p->ret->in;
    switch (press_read(value, in->from.id, p->arena, &in->text)) {
    case PRESS_TAKEN: break;
    case PRESS_OTHERS: refuse(p, "somebody else was asked", PRESS_NOT_YOURS); break;
    case PRESS_NONE: refuse(p, "no button of ours", OLD_BUTTON); break;
    }
}

static void press(struct parser *p, struct json *button)
{
    struct inbound *in = &p->ret->in;
    struct str action = STR_NONE, value = STR_NONE, block = STR_NONE;
    json_get_str(button, "action_id", &action);
    json_get_str(button, "value", &value);
    json_get_str(button, "block_id", &block);
    if (str_eq(block, STR(SLACK_BLOCK_ROOT))) in->where.thread = STR_NONE;
    in->kind = INBOUND_MESSAGE;
    verdict(p, SLACK_TAKE, "");
    if (str_eq(action, STR(SLACK_BUTTON_STOP))) {
        in->text = STR("/stop");
    } else if (str_eq(action, STR(SLACK_BUTTON_REGENERATE))) {
        in->text = STR("/regenerate");
    } else if (str_eq(action, STR(SLACK_BUTTON_UP)) || str_eq(action, STR(SLACK_BUTTON_DOWN))) {
        in->kind = INBOUND_VOTE;
        in->vote = str_eq(action, STR(SLACK_BUTTON_UP)) ? 1 : -1;
        p->ret->vote_noted = true;
        name_vote(p);
    } else {
        decide(p, value);
    }
    /* What is pressed stands for a command, which is no message that could be replied to. */
    if (in->kind == INBOUND_MESSAGE) in->message_id = STR_NONE;
}

static void read_action(struct parser *p)
{
    struct inbound *in = &p->ret->in;
    struct json *container = json_get(p->payload, "container"),
                *user = json_get(p->payload, "user");
    struct json *message = json_get(p->payload, "message");
    struct str type = STR_NONE;
    json_get_str(p->payload, "type", &type);
    if (!str_eq(type, STR("block_actions"))) {
        verdict(p, SLACK_SKIP, "a kind of interaction that we do not use");
    } else if (!get_ts(container, "message_ts", &in->message_id)) {
        verdict(p, SLACK_SKIP, "not at a message");
    } else if (!read_place(p, container, "channel_id")) {
        p->ret->say = "";
    } else if (!get_id(user, "id", &in->from.id)) {
        verdict(p, SLACK_BROKEN, "user.id is missing or no id");
    } else if (!read_trigger(p, "a")) {
        verdict(p, SLACK_BROKEN, "trigger_id is missing");
    } else if (!is_allowed(p)) {
        refuse(p, "sender is not in `allow`", NOT_ALLOWED);
    } else {
        struct str thread;
        bool named = get_ts(container, "thread_ts", &thread);
        name_person(p, user, "username");
        read_thread(p, named ? container : message, in->message_id);
        press(p, json_at(json_get(p->payload, "actions"), 0));
    }
}

void slack_parse(const struct slack_reader *reader, enum slack_kind kind, struct json *payload,
                 struct arena *a, struct slack_event *ret)
{
    struct parser p = { .reader = reader, .arena = a, .ret = ret, .payload = payload };
    *ret = (struct slack_event){ .verdict = SLACK_SKIP, .reason = "", .say = "" };
    if (!json_is_object(payload)) {
        verdict(&p, SLACK_BROKEN, "not a JSON object");
        return;
    }
    ret->in.where.workspace = slack_team_of(kind, payload);
    if (kind != SLACK_EVENT) json_get_str(payload, "response_url", &ret->response_url);
    if (!ret->in.where.workspace.n)
        verdict(&p, SLACK_BROKEN, "the workspace's id is missing or no id");
    else if (kind == SLACK_EVENT)
        read_event(&p);
    else if (kind == SLACK_COMMAND)
        read_command(&p);
    else
        read_action(&p);
}
