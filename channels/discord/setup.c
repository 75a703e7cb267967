/*
 * setup - GET /users/@me, /applications/@me, and our commands.
 */
#include "channels/discord/setup.h"

#include "channels/discord/interaction.h"
#include "core/base/log.h"
#include "core/base/mem.h"

#define SETUP_PATH_MAX  128
#define BODY_MAX        65536
#define SETUP_BUDGET_MS 180000

/* docs.discord.com/developers/resources/application#application-object-application-flags */
#define CONTENT_FLAGS (1 << 18 | 1 << 19)

static struct discord_setup *of_flow(struct flow *f)
{
    return container_of(f, struct discord_setup, flow);
}

static enum flow_rc call(struct discord_setup *s, const char *method, const char *route)
{
    const struct discord_call call = {
        .method = method, .route = route, .path = buf_str(&s->path), .body = buf_str(&s->body)
    };
    discord_reply_done(&s->reply);
    discord_call(s->bot, &s->flow.op, &call, &s->reply);
    return FLOW_WAIT;
}

static void set_path(struct discord_setup *s, const char *format, const char *id)
{
    buf_clear(&s->path);
    buf_clear(&s->body);
    buf_addf(&s->path, format, id);
}

static bool copy(struct json *from, const char *key, char *ret, size_t cap)
{
    struct str s;
    if (!json_get_str(from, key, &s) || !s.n || s.n >= cap) return false;
    snprintf(ret, cap, "%.*s", STR_ARG(s));
    return true;
}

static enum flow_rc odd(struct flow *f, const char *what)
{
    err_set(&f->err, ERR_PROTO, "Discord: %s cannot be read", what);
    return FLOW_STOP;
}

static enum flow_rc user_start(struct flow *f)
{
    struct discord_setup *s = of_flow(f);
    set_path(s, "/users/%s", "@me");
    return call(s, "GET", "/users/@me");
}

static enum flow_rc user_done(struct flow *f)
{
    struct discord_setup *s = of_flow(f);
    struct discord *d = s->bot;
    bool ok = copy(s->reply.doc, "id", d->id, sizeof(d->id)) &&
              copy(s->reply.doc, "username", d->username, sizeof(d->username));
    return ok ? FLOW_NEXT : odd(f, "who we are (/users/@me)");
}

static enum flow_rc application_start(struct flow *f)
{
    struct discord_setup *s = of_flow(f);
    set_path(s, "/applications/%s", "@me");
    return call(s, "GET", "/applications/@me");
}

static enum flow_rc application_done(struct flow *f)
{
    struct discord_setup *s = of_flow(f);
    struct discord *d = s->bot;
    int64_t flags = 0;
    if (!copy(s->reply.doc, "id", d->application, sizeof(d->application)))
        return odd(f, "the application (/applications/@me)");
    json_get_i64(s->reply.doc, "flags", &flags);
    bool needed = d->message_content && d->mode == DISCORD_GATEWAY;
    if (!needed || flags & CONTENT_FLAGS) return FLOW_NEXT;
    err_set(&f->err, ERR_AUTH,
            "the switch \"Message Content Intent\" is off: turn it on in the developer portal, "
            "Bot, Privileged Gateway Intents; or set message_content = false");
    return FLOW_STOP;
}

static enum flow_rc listed_start(struct flow *f)
{
    struct discord_setup *s = of_flow(f);
    if (!s->bot->commands || s->look_only) return FLOW_STOP;
    set_path(s, "/applications/%s/commands", s->bot->application);
    return call(s, "GET", "/applications/{}/commands");
}

/* Only what differs is written: each overwrite counts, and makes people's menus flicker. */
static enum flow_rc listed_done(struct flow *f)
{
    return discord_commands_same(of_flow(f)->reply.doc) ? FLOW_STOP : FLOW_NEXT;
}

static enum flow_rc commands_start(struct flow *f)
{
    struct discord_setup *s = of_flow(f);
    set_path(s, "/applications/%s/commands", s->bot->application);
    discord_commands_body(&s->body);
    return call(s, "PUT", "/applications/{}/commands");
}

static enum flow_rc commands_done(struct flow *f)
{
    log_info(of_flow(f)->bot->channel.name, "commands registered", "");
    return FLOW_NEXT;
}

static enum flow_rc commands_failed(struct flow *f)
{
    log_warn(of_flow(f)->bot->channel.name, "commands cannot be registered, going on without",
             "why=%s", log_quote(str_of(f->op.err.msg)));
    return FLOW_STOP;
}

static void setup_end(struct flow *f)
{
    struct discord_setup *s = of_flow(f);
    discord_reply_done(&s->reply);
    buf_done(&s->path);
    buf_done(&s->body);
}

static const struct flow_step steps[] = {
    { "user", user_start, user_done, NULL },
    { "application", application_start, application_done, NULL },
    { "listed", listed_start, listed_done, commands_failed },
    { "commands", commands_start, commands_done, commands_failed },
};
const struct flow_kind discord_setup_flow = { "discord.setup", steps,
                                              sizeof(steps) / sizeof(steps[0]), SETUP_BUDGET_MS,
                                              setup_end };

void discord_setup_init(struct discord_setup *s, struct discord *d)
{
    *s = (struct discord_setup){ .bot = d };
    buf_init(&s->path, SETUP_PATH_MAX);
    buf_init(&s->body, BODY_MAX);
}

/* --- parley check --- */

struct check {
    struct discord_setup setup;
    struct flow flow;
    struct op *outer;
    struct buf *text;
};

static struct check *check_of(struct flow *f)
{
    return container_of(f, struct check, flow);
}

static enum flow_rc look_start(struct flow *f)
{
    struct check *c = check_of(f);
    flow_call(f, &c->setup.flow, &discord_setup_flow);
    return FLOW_WAIT;
}

static enum flow_rc look_done(struct flow *f)
{
    const struct discord *d = check_of(f)->setup.bot;
    buf_addf(check_of(f)->text, "%s (application %s)", d->username, d->application);
    return FLOW_NEXT;
}

static void check_end(struct flow *f)
{
    struct check *c = check_of(f);
    if (c->outer && f->err.kind)
        op_fail(c->outer, &f->err);
    else if (c->outer)
        op_finish(c->outer);
    discord_rest_close(c->setup.bot);
    free(c);
}

static const struct flow_step check_steps[] = { { "look", look_start, look_done, NULL } };
static const struct flow_kind check_flow = { "discord.check", check_steps, 1, SETUP_BUDGET_MS,
                                             check_end };

static void check_drop(struct op *op)
{
    struct check *c = op->impl;
    c->outer = NULL;
    flow_stop(&c->flow, ERR_CANCELLED, "nobody waits for the check");
}

static const struct op_kind check_kind = { "discord.check", check_drop };

void discord_check(struct channel *ch, struct op *op, struct buf *ret_text)
{
    struct check *c = mem_new(struct check);
    struct discord *d = discord_of(ch);
    discord_prepare(d);
    discord_setup_init(&c->setup, d);
    c->setup.look_only = true;
    c->outer = op;
    c->text = ret_text;
    op_begin(op, &check_kind, c, SETUP_BUDGET_MS + 1000);
    flow_start(&c->flow, &check_flow, ch->host->loop, NULL);
}
