/*
 * setup - getMe, setWebhook or deleteWebhook, setMyCommands.
 */
#include "channels/telegram/setup.h"

#include "channels/telegram/api.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/command.h"

#define BODY_MAX        16384
#define SETUP_BUDGET_MS 180000

static struct telegram_setup *of_flow(struct flow *f)
{
    return container_of(f, struct telegram_setup, flow);
}

static enum flow_rc call(struct telegram_setup *s, const char *method)
{
    const struct telegram_call call = { .method = method, .body = buf_str(&s->body) };
    telegram_reply_done(&s->reply);
    telegram_call(s->bot, &s->flow.op, &call, &s->reply);
    return FLOW_WAIT;
}

static struct json_out begin_body(struct telegram_setup *s)
{
    buf_clear(&s->body);
    struct json_out o = JSON_OUT(&s->body);
    json_open(&o, '{');
    return o;
}

static enum err_kind read_me(struct telegram *t, struct json *me, struct err *why)
{
    struct str name;
    if (!json_get_str(me, "username", &name) || !name.n || name.n >= sizeof(t->username))
        return err_set(why, ERR_PROTO, "getMe: no usable username");
    snprintf(t->username, sizeof(t->username), "%.*s", STR_ARG(name));
    return ERR_NONE;
}

static enum flow_rc hello_start(struct flow *f)
{
    struct telegram_setup *s = of_flow(f);
    struct json_out o = begin_body(s);
    json_close(&o, '}');
    return call(s, "getMe");
}

static enum flow_rc hello_done(struct flow *f)
{
    struct telegram_setup *s = of_flow(f);
    return read_me(s->bot, s->reply.result, &f->err) ? FLOW_STOP : FLOW_NEXT;
}

static enum flow_rc hook_start(struct flow *f)
{
    struct telegram_setup *s = of_flow(f);
    const struct telegram *t = s->bot;
    struct json_out o = begin_body(s);
    if (t->mode == TELEGRAM_POLL) {
        json_close(&o, '}');
        return call(s, "deleteWebhook");
    }
    struct str base = str_of(t->public_url);
    if (!base.n) return FLOW_NEXT; /* the operator sees to it */

    _cleanup_(buf_done) struct buf url = BUF_INIT(4096);
    while (str_ends(base, STR("/"))) base.n--;
    buf_addf(&url, "%.*s%s", STR_ARG(base), t->path);
    json_field_str(&o, "url", buf_str(&url));
    json_field_str(&o, "secret_token", str_of(t->secret_token));
    json_key(&o, "allowed_updates");
    json_put_raw(&o, TELEGRAM_ALLOWED_UPDATES);
    json_close(&o, '}');
    return call(s, "setWebhook");
}

static enum flow_rc commands_start(struct flow *f)
{
    struct telegram_setup *s = of_flow(f);
    struct json_out o = begin_body(s);
    json_key(&o, "commands");
    json_open(&o, '[');
    for (const struct command *c = commands; c->name; c++) {
        json_open(&o, '{');
        json_field_str(&o, "command", str_of(c->name));
        json_field_str(&o, "description", str_of(c->help));
        json_close(&o, '}');
    }
    json_close(&o, ']');
    json_close(&o, '}');
    return call(s, "setMyCommands");
}

static enum flow_rc commands_failed(struct flow *f)
{
    log_warn(of_flow(f)->bot->channel.name, "no menu of commands, going on without", "why=%s",
             log_quote(str_of(f->op.err.msg)));
    return FLOW_NEXT;
}

static void setup_end(struct flow *f)
{
    struct telegram_setup *s = of_flow(f);
    telegram_reply_done(&s->reply);
    buf_done(&s->body);
}

static const struct flow_step steps[] = {
    { "hello", hello_start, hello_done, NULL },
    { "hook", hook_start, NULL, NULL },
    { "commands", commands_start, NULL, commands_failed },
};
const struct flow_kind telegram_setup_flow = { "telegram.setup", steps,
                                               sizeof(steps) / sizeof(steps[0]), SETUP_BUDGET_MS,
                                               setup_end };

void telegram_setup_init(struct telegram_setup *s, struct telegram *t)
{
    *s = (struct telegram_setup){ .bot = t };
    buf_init(&s->body, BODY_MAX);
}

/* --- parley check --- */

struct check {
    struct op inner, *outer;
    struct telegram *bot;
    struct telegram_reply reply;
    struct buf *ret_text;
};

static void check_free(struct check *c)
{
    op_cancel(&c->inner);
    telegram_reply_done(&c->reply);
    free(c);
}

static void check_drop(struct op *op)
{
    check_free(op->impl);
}

static const struct op_kind check_kind = { "telegram.check", check_drop };

static void on_checked(struct op *inner)
{
    struct check *c = container_of(inner, struct check, inner);
    struct err why = inner->err;
    if (why.kind == ERR_NONE) read_me(c->bot, c->reply.result, &why);
    if (why.kind) {
        op_fail(c->outer, &why);
    } else {
        buf_addf(c->ret_text, "@%s, %s", c->bot->username,
                 c->bot->mode == TELEGRAM_POLL ? "polling" : "by webhook");
        op_finish(c->outer);
    }
    check_free(c);
}

void telegram_check(struct channel *ch, struct op *op, struct buf *ret_text)
{
    static const struct telegram_call call = { .method = "getMe", .body = { "{}", 2 } };
    struct check *c = mem_new(struct check);
    c->outer = op;
    c->bot = telegram_of(ch);
    c->ret_text = ret_text;
    op_init(&c->inner, ch->host->loop, on_checked);
    op_begin(op, &check_kind, c, SETUP_BUDGET_MS);
    telegram_call(c->bot, &c->inner, &call, &c->reply);
}
