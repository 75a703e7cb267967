/*
 * interaction - slash commands and buttons: what is done, by whom, and what they see of it.
 */
#include "channels/discord/interaction.h"

#include "channels/discord/person.h"
#include "core/base/utf8.h"
#include "core/chat/command.h"
#include "core/chat/press.h"

/* docs.discord.com/developers/interactions/receiving-and-responding#interaction-object */
enum interaction_type { TYPE_PING = 1, TYPE_COMMAND = 2, TYPE_BUTTON = 3 };
enum { COMMAND_SLASH = 1, OPTION_STRING = 3, CONTEXT_SERVER = 0, CONTEXT_BOT = 1, CONTEXT_REST };

#define NOT_ALLOWED     "You may not use this here."
#define SERVERS_OFF     "I only answer private messages. Write to me there."
#define UNKNOWN_COMMAND "I do not know this command. /help lists those that I know."
#define UNKNOWN_BUTTON  "I do not know this button."
#define UNKNOWN_KIND    "I do not know what to do with this."
#define NOTHING_SAID    "You have not said anything."
#define NOTED_UP        "Noted: 👍"
#define NOTED_DOWN      "Noted: 👎"

#define CHAT            "chat" /* the command whose option is what a message would be */
#define CHAT_HELP       "asks me something"
#define TEXT_OPTION     "text"
#define TEXT_HELP       "what you want to say"
#define TEXT_MAX        6000 /* Discord's most */
#define DESCRIPTION_MAX 100
#define BODY_MAX        ((size_t)64 << 10)

struct parser {
    const struct discord_reader *reader;
    struct arena *arena;
    struct discord_interaction *ret;
    struct json *root, *data;
};

static void skip(struct parser *p, const char *reason, const char *say)
{
    p->ret->verdict = DISCORD_SKIP;
    p->ret->reason = reason;
    p->ret->say = say;
}

static void broken(struct parser *p, const char *reason)
{
    p->ret->verdict = DISCORD_BROKEN;
    p->ret->reason = reason;
}

static void take(struct parser *p, enum discord_ack ack, const char *say)
{
    p->ret->verdict = DISCORD_TAKE;
    p->ret->ack = ack;
    p->ret->say = say;
}

/* --- who and where --- */

/* Of a thread: unlike a message, an interaction says it. */
static struct str parent_of(struct json *channel)
{
    int64_t type = 0;
    struct str parent = STR_NONE;
    json_get_i64(channel, "type", &type);
    if (type >= 10 && type <= 12) discord_get_id(channel, "parent_id", &parent);
    return parent;
}

/* False: the verdict is there already. */
static bool may_use(struct parser *p)
{
    const struct inbound *in = &p->ret->in;
    int64_t context = CONTEXT_SERVER;
    bool bot = false;
    json_get_i64(p->root, "context", &context);
    json_get_bool(json_get(json_get(p->root, "member"), "user"), "bot", &bot);
    if (bot)
        skip(p, "not from a person", "");
    else if (context >= CONTEXT_REST)
        skip(p, "between people, where we are not", NOT_ALLOWED);
    else if (!in->direct && p->reader->groups == DISCORD_GROUPS_OFF)
        skip(p, "servers are off", SERVERS_OFF);
    else if (!discord_is_allowed(p->reader, in, parent_of(json_get(p->root, "channel"))))
        skip(p, "sender is not in `allow`", NOT_ALLOWED);
    else
        return true;
    return false;
}

/* False: the verdict is there already. On servers the user is inside the member. */
static bool read_envelope(struct parser *p)
{
    struct discord_interaction *ret = p->ret;
    struct json *member = json_get(p->root, "member");
    struct json *user = json_get(member ? member : p->root, "user");
    const char *reason = "";
    if (!discord_get_id(p->root, "id", &ret->id))
        broken(p, "id is missing or no id");
    else if (!discord_get_id(p->root, "application_id", &ret->application))
        broken(p, "application_id is missing or no id");
    else if (!json_get_str(p->root, "token", &ret->token) || !ret->token.n)
        broken(p, "token is missing or no text");
    else if (!discord_read_person(user, member, p->arena, &ret->in))
        broken(p, "user.id is missing or no id");
    else if (!discord_read_place(p->reader, p->root, &ret->in, &reason))
        broken(p, reason);
    else if (!json_is_object(p->data))
        broken(p, "data is missing or no object");
    else
        return may_use(p);
    return false;
}

/* --- commands --- */

static struct str option_of(struct parser *p, struct str name)
{
    struct json *options = json_get(p->data, "options");
    size_t n = json_length(options);
    for (size_t i = 0; i < n && i < 25; i++) {
        struct json *option = json_at(options, i);
        if (str_eq(discord_get(option, "name", p->arena), name))
            return str_trim(discord_get(option, "value", p->arena));
    }
    return STR_NONE;
}

static const struct command *command_named(struct str name)
{
    for (const struct command *c = commands; c->name; c++)
        if (str_eq(name, str_of(c->name))) return c;
    return NULL;
}

/* "[name]": may be left out, "name": may not. "" = there is none. Discord takes words of small
 * letters only; what follows the word is for the person to write into the same option. */
static struct str option_name(const struct command *c)
{
    struct str s = str_skip(str_of(c->args), *c->args == '[');
    size_t n = 0;
    while (n < s.n && s.p[n] >= 'a' && s.p[n] <= 'z') n++;
    return str_head(s, n);
}

/* False: none of ours. */
static bool read_text(struct parser *p, struct str name)
{
    struct inbound *in = &p->ret->in;
    if (str_eq(name, STR(CHAT))) {
        in->text = option_of(p, STR(TEXT_OPTION));
        return true;
    }
    const struct command *c = command_named(name);
    if (!c) return false;
    struct str value = *c->args ? option_of(p, option_name(c)) : STR_NONE;
    in->text = arena_printf(p->arena, "/%s%s%.*s", c->name, value.n ? " " : "", STR_ARG(value));
    return true;
}

static void read_command(struct parser *p)
{
    struct str name = STR_NONE;
    int64_t type = COMMAND_SLASH;
    json_get_i64(p->data, "type", &type);
    if (!json_get_str(p->data, "name", &name))
        broken(p, "data.name is missing or no text");
    else if (type != COMMAND_SLASH || !read_text(p, name))
        skip(p, "no command of ours", UNKNOWN_COMMAND);
    else if (!p->ret->in.text.n)
        skip(p, "nothing to answer", NOTHING_SAID);
    else
        take(p, DISCORD_ACK_DEFER, "");
}

/* --- buttons --- */

/* What is pressed stands for a command. It has no message that could be replied to. */
static void press(struct parser *p, struct str text)
{
    p->ret->in.text = text;
    take(p, DISCORD_ACK_DEFER_UPDATE, "");
}

static void vote(struct parser *p, int vote)
{
    struct inbound *in = &p->ret->in;
    in->kind = INBOUND_VOTE;
    in->vote = vote;
    if (!discord_get_id(json_get(p->root, "message"), "id", &in->message_id))
        broken(p, "message.id is missing or no id");
    else
        take(p, DISCORD_ACK_MESSAGE, vote > 0 ? NOTED_UP : NOTED_DOWN);
}

/* Whether a tool may be called. */
static void read_decision(struct parser *p, struct str id)
{
    struct str text = STR_NONE;
    switch (press_read(id, p->ret->in.from.id, p->arena, &text)) {
    case PRESS_TAKEN: press(p, text); break;
    case PRESS_OTHERS: skip(p, "somebody else was asked", PRESS_NOT_YOURS); break;
    case PRESS_NONE: skip(p, "no button of ours", UNKNOWN_BUTTON); break;
    }
}

static void read_button(struct parser *p)
{
    struct str id = STR_NONE;
    if (!json_get_str(p->data, "custom_id", &id))
        broken(p, "data.custom_id is missing or no text");
    else if (str_eq(id, STR(DISCORD_BUTTON_STOP)))
        press(p, STR("/stop"));
    else if (str_eq(id, STR(DISCORD_BUTTON_REGENERATE)))
        press(p, STR("/regenerate"));
    else if (str_eq(id, STR(DISCORD_BUTTON_UP)))
        vote(p, 1);
    else if (str_eq(id, STR(DISCORD_BUTTON_DOWN)))
        vote(p, -1);
    else
        read_decision(p, id);
}

void discord_interaction_parse(const struct discord_reader *reader, struct json *data,
                               struct arena *a, struct discord_interaction *ret)
{
    struct parser p = {
        .reader = reader, .arena = a, .ret = ret, .root = data, .data = json_get(data, "data")
    };
    int64_t type = 0;
    *ret = (struct discord_interaction){ .verdict = DISCORD_SKIP, .reason = "", .say = "" };
    ret->ack = DISCORD_ACK_MESSAGE;
    if (!json_is_object(data)) {
        broken(&p, "not a JSON object");
    } else if (!json_get_i64(data, "type", &type)) {
        broken(&p, "type is missing or no number");
    } else if (type == TYPE_PING) {
        take(&p, DISCORD_ACK_PONG, "");
    } else if (read_envelope(&p)) {
        ret->in.event_id = arena_printf(a, "i:%.*s", STR_ARG(ret->id));
        if (type == TYPE_COMMAND)
            read_command(&p);
        else if (type == TYPE_BUTTON)
            read_button(&p);
        else
            skip(&p, "a kind of interaction that we do not use", UNKNOWN_KIND);
    }
}

/* --- telling Discord --- */

static void put_described(struct json_out *o, struct str name, struct str help)
{
    json_field_str(o, "name", name);
    json_field_str(o, "description",
                   str_head(help, utf8_prefix(help, DESCRIPTION_MAX, TEXT_POINTS)));
}

/* A command's only option, if it has one. */
static void put_option(struct json_out *o, struct str name, struct str help, bool required,
                       int64_t length_max)
{
    json_key(o, "options");
    json_open(o, '[');
    if (name.n) {
        json_open(o, '{');
        json_field_i64(o, "type", OPTION_STRING);
        put_described(o, name, help);
        json_field_bool(o, "required", required);
        if (length_max) json_field_i64(o, "max_length", length_max);
        json_close(o, '}');
    }
    json_close(o, ']');
}

static void open_command(struct json_out *o, struct str name, struct str help)
{
    json_open(o, '{');
    json_field_i64(o, "type", COMMAND_SLASH);
    put_described(o, name, help);
    json_key(o, "contexts");
    json_open(o, '[');
    json_put_i64(o, CONTEXT_SERVER);
    json_put_i64(o, CONTEXT_BOT);
    json_close(o, ']');
}

void discord_commands_body(struct buf *to)
{
    struct json_out o = JSON_OUT(to);
    json_open(&o, '[');
    open_command(&o, STR(CHAT), STR(CHAT_HELP));
    put_option(&o, STR(TEXT_OPTION), STR(TEXT_HELP), true, TEXT_MAX);
    json_close(&o, '}');
    for (const struct command *c = commands; c->name; c++) {
        struct str name = option_name(c);
        open_command(&o, str_of(c->name), str_of(c->help));
        put_option(&o, name, name, name.n == strlen(c->args), 0);
        json_close(&o, '}');
    }
    json_close(&o, ']');
}

/* --- has it heard? --- */

static bool same_str(struct json *ours, struct json *listed, const char *key)
{
    struct str a = STR_NONE, b = STR_NONE;
    return json_get_str(ours, key, &a) == json_get_str(listed, key, &b) && str_eq(a, b);
}

/* What Discord leaves out, or null, is `otherwise`. */
static bool same_i64(struct json *ours, struct json *listed, const char *key, int64_t otherwise)
{
    int64_t a = otherwise, b = otherwise;
    json_get_i64(ours, key, &a);
    json_get_i64(listed, key, &b);
    return a == b;
}

static bool same_bool(struct json *ours, struct json *listed, const char *key)
{
    bool a = false, b = false;
    json_get_bool(ours, key, &a);
    json_get_bool(listed, key, &b);
    return a == b;
}

static bool same_options(struct json *ours, struct json *listed)
{
    size_t n = json_length(ours);
    if (json_length(listed) != n) return false;
    for (size_t i = 0; i < n; i++) {
        struct json *a = json_at(ours, i), *b = json_at(listed, i);
        if (!same_str(a, b, "name") || !same_str(a, b, "description") ||
            !same_bool(a, b, "required") || !same_bool(a, b, "autocomplete") ||
            !same_i64(a, b, "type", 0) || !same_i64(a, b, "min_length", 0) ||
            !same_i64(a, b, "max_length", TEXT_MAX) || json_length(json_get(b, "choices")))
            return false;
    }
    return true;
}

static bool has_number(struct json *list, int64_t want)
{
    int64_t n;
    for (size_t i = 0; i < json_length(list); i++)
        if (json_i64(json_at(list, i), &n) && n == want) return true;
    return false;
}

static bool same_contexts(struct json *ours, struct json *listed)
{
    size_t n = json_length(ours);
    for (size_t i = 0; i < n; i++) {
        int64_t want = -1;
        json_i64(json_at(ours, i), &want);
        if (!has_number(listed, want)) return false;
    }
    return json_length(listed) == n;
}

static bool same_command(struct json *ours, struct json *listed)
{
    return same_str(ours, listed, "name") && same_str(ours, listed, "description") &&
           same_i64(ours, listed, "type", COMMAND_SLASH) && same_bool(ours, listed, "nsfw") &&
           same_str(ours, listed, "default_member_permissions") &&
           same_contexts(json_get(ours, "contexts"), json_get(listed, "contexts")) &&
           same_options(json_get(ours, "options"), json_get(listed, "options"));
}

static bool is_listed(struct json *command, struct json *listed)
{
    for (size_t i = 0; i < json_length(listed); i++)
        if (same_command(command, json_at(listed, i))) return true;
    return false;
}

bool discord_commands_same(struct json *listed)
{
    struct json *ours = NULL;
    _cleanup_(buf_done) struct buf body = BUF_INIT(BODY_MAX);
    discord_commands_body(&body);
    bool same = json_parse(buf_str(&body), &ours, NULL) == ERR_NONE &&
                json_length(listed) == json_length(ours);
    for (size_t i = 0; same && i < json_length(ours); i++)
        same = is_listed(json_at(ours, i), listed);
    json_free(ours);
    return same;
}
