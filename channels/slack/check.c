/*
 * check - auth.test with the bot's token, apps.connections.open with the app's.
 */
#include "channels/slack/check.h"

#include "channels/slack/api.h"
#include "core/base/mem.h"
#include "core/loop/flow.h"

#define CHECK_MS 120000

struct check {
    struct flow flow;
    struct op *outer;
    struct slack *bot;
    struct buf *text;
    struct slack_reply reply;
};

static struct check *of_flow(struct flow *f)
{
    return container_of(f, struct check, flow);
}

static enum flow_rc call(struct check *c, const char *method, const char *token)
{
    const struct slack_call what = { .method = method, .token = str_of(token), .form = true };
    slack_reply_done(&c->reply);
    slack_call(c->bot, &c->flow.op, &what, &c->reply);
    return FLOW_WAIT;
}

static enum flow_rc bot_start(struct flow *f)
{
    struct check *c = of_flow(f);
    if (*c->bot->bot_token) return call(c, "auth.test", c->bot->bot_token);
    buf_add_cstr(c->text, "workspaces install it");
    return FLOW_NEXT;
}

static enum flow_rc bot_done(struct flow *f)
{
    struct check *c = of_flow(f);
    struct str user = STR_NONE, team = STR_NONE;
    json_get_str(c->reply.doc, "user", &user);
    json_get_str(c->reply.doc, "team", &team);
    buf_addf(c->text, "@%.*s in %.*s", STR_ARG(user), STR_ARG(team));
    return FLOW_NEXT;
}

static enum flow_rc app_start(struct flow *f)
{
    struct check *c = of_flow(f);
    if (c->bot->transport != SLACK_SOCKET) return FLOW_STOP;
    return call(c, "apps.connections.open", c->bot->app_token);
}

static enum flow_rc app_done(struct flow *f)
{
    buf_add_cstr(of_flow(f)->text, ", Socket Mode is on");
    return FLOW_NEXT;
}

static void check_end(struct flow *f)
{
    struct check *c = of_flow(f);
    if (c->outer && f->err.kind)
        op_fail(c->outer, &f->err);
    else if (c->outer)
        op_finish(c->outer);
    slack_reply_done(&c->reply);
    slack_forget(c->bot);
    free(c);
}

static const struct flow_step steps[] = { { "bot", bot_start, bot_done, NULL },
                                          { "app", app_start, app_done, NULL } };
static const struct flow_kind check_flow = { "slack.check", steps, 2, CHECK_MS, check_end };

static void check_drop(struct op *op)
{
    struct check *c = op->impl;
    c->outer = NULL;
    flow_stop(&c->flow, ERR_CANCELLED, "nobody waits for the check");
}

static const struct op_kind check_kind = { "slack.check", check_drop };

void slack_check(struct channel *ch, struct op *op, struct buf *ret_text)
{
    struct check *c = mem_new(struct check);
    c->bot = slack_of(ch);
    c->outer = op;
    c->text = ret_text;
    slack_prepare(c->bot);
    op_begin(op, &check_kind, c, CHECK_MS + 1000);
    flow_start(&c->flow, &check_flow, ch->host->loop, NULL);
}
