/*
 * take - which workspace, what it says, chat_accept.
 */
#include "channels/slack/take.h"

#include "channels/slack/note.h"
#include "channels/slack/team.h"
#include "channels/slack/ticket.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/chat/chat.h"

#define TAKE_MS 90000
#define SORRY   "I cannot take that in right now. Please try again in a moment."

struct take {
    struct list link;
    struct slack *bot;
    struct op inner, *outer;
    enum slack_kind kind;
    struct json *doc, *payload;
    struct slack_ack *ret;
    struct arena arena;
    struct str team;
    struct slack_event event;
    struct accepted accepted;
};

static struct metric m_skipped = METRIC(METRIC_COUNTER, "parley_slack_skipped_total", "",
                                        "Events of Slack that were not for us");

static void take_free(struct take *t)
{
    op_cancel(&t->inner);
    list_drop(&t->link);
    t->bot->n_takes--;
    json_free(t->doc);
    arena_done(&t->arena);
    free(t);
}

static void take_drop(struct op *op)
{
    take_free(op->impl);
}

static const struct op_kind take_kind = { "slack.take", take_drop };

/* The answer to a command is shown; what answers a button has to be sent. */
static void take_end(struct take *t, const char *say)
{
    struct str url = STR_NONE;
    json_get_str(t->payload, "response_url", &url);
    if (t->kind == SLACK_ACTION && *say)
        slack_whisper(t->bot, url, str_of(say));
    else
        snprintf(t->ret->say, sizeof(t->ret->say), "%s", say);
    op_finish(t->outer);
    take_free(t);
}

/* Events are repeated by Slack; a command is not, so its giver has to hear of it. */
static void take_failed(struct take *t, const struct err *why)
{
    if (t->kind != SLACK_EVENT) {
        log_warn(t->bot->channel.name, "command could not be stored, saying so", "kind=%s why=%s",
                 err_rule(why->kind)->name, log_quote(str_of(why->msg)));
        take_end(t, SORRY);
        return;
    }
    op_fail(t->outer, why);
    take_free(t);
}

static void unreadable(struct take *t, const char *reason)
{
    log_warn(t->bot->channel.name, "payload cannot be understood, dropped", "why=%s",
             log_quote(str_of(reason)));
    op_failf(t->outer, ERR_PROTO, "%s", reason);
    take_free(t);
}

/* A sign at the question that it was seen; whoever answers takes it away. */
static void acknowledge(const struct take *t)
{
    const struct inbound *in = &t->event.in;
    if (in->kind == INBOUND_MESSAGE && in->message_id.n && !t->accepted.duplicate)
        slack_react(t->bot, &in->where, in->message_id, true);
}

static void on_accepted(struct op *inner)
{
    struct take *t = container_of(inner, struct take, inner);
    const struct err why = inner->err;
    if (why.kind == ERR_PROTO) {
        unreadable(t, why.msg);
    } else if (why.kind) {
        take_failed(t, &why);
    } else {
        acknowledge(t);
        take_end(t, t->event.vote_noted ? "Noted, thank you." : "");
    }
}

static void store(struct take *t)
{
    struct slack *s = t->bot;
    struct inbound *in = &t->event.in;
    if (t->kind != SLACK_EVENT && in->kind == INBOUND_MESSAGE)
        in->ticket = slack_ticket_of(s, t->event.response_url, t->kind, &t->arena);
    op_init(&t->inner, t->outer->loop, on_accepted);
    chat_accept(s->channel.host->chat, &t->inner, &s->channel, in, &t->accepted);
}

static void decide(struct take *t, const struct slack_team *team)
{
    struct slack *s = t->bot;
    struct slack_reader reader = slack_reader(s);
    reader.user = str_of(team->user);
    reader.now_ms = clock_wall_ms();
    slack_parse(&reader, t->kind, t->payload, &t->arena, &t->event);
    switch (t->event.verdict) {
    case SLACK_TAKE: store(t); break;
    case SLACK_BROKEN: unreadable(t, t->event.reason); break;
    case SLACK_GONE:
        log_warn(s->channel.name, "a workspace is left", "workspace=%.*s why=%s", STR_ARG(t->team),
                 log_quote(str_of(t->event.reason)));
        slack_team_drop(s, t->team);
        take_end(t, "");
        break;
    case SLACK_SKIP:
        metric_add(&m_skipped, 1);
        take_end(t, t->event.say);
        break;
    }
}

static void on_team(struct op *inner)
{
    struct take *t = container_of(inner, struct take, inner);
    const struct err why = inner->err;
    const struct slack_team *team = slack_team(t->bot, t->team);
    if (!why.kind && team) {
        decide(t, team);
    } else if (why.kind == ERR_NOT_FOUND) { /* nothing that we could answer with */
        log_warn(t->bot->channel.name, "payload of a workspace that we are not in, dropped",
                 "workspace=%.*s", STR_ARG(t->team));
        take_end(t, "");
    } else {
        take_failed(t, &why);
    }
}

/* Tells how much of the minute's events were left out; it has no event inside. */
static bool is_warning(struct take *t)
{
    struct str type = STR_NONE;
    json_get_str(t->payload, "type", &type);
    if (t->kind != SLACK_EVENT || !str_eq(type, STR("app_rate_limited"))) return false;
    log_warn(t->bot->channel.name, "Slack leaves out events: more than 30000 within an hour", "");
    return true;
}

void slack_take(struct slack *s, struct op *op, enum slack_kind kind, struct json *doc,
                struct json *payload, struct slack_ack *ret)
{
    struct take *t = mem_new(struct take);
    t->bot = s;
    t->outer = op;
    t->kind = kind;
    t->doc = doc;
    t->payload = payload;
    t->ret = ret;
    arena_init(&t->arena);
    list_push(&s->takes, &t->link);
    s->n_takes++;
    op_init(&t->inner, op->loop, on_team);
    op_begin(op, &take_kind, t, TAKE_MS);
    channel_heard(&s->channel);
    t->team = slack_team_of(kind, payload);
    if (is_warning(t)) {
        take_end(t, "");
    } else if (!t->team.n) {
        unreadable(t, "the workspace's id (team_id) is missing or no id");
    } else if (s->channel.paused || s->n_takes >= SLACK_TAKES_MAX) {
        struct err why;
        err_set(&why, ERR_LIMIT, "%s", s->channel.paused ? "shutting down" : "too much at once");
        why.retry_after_ms = 1000;
        take_failed(t, &why);
    } else {
        slack_teams_find(s, &t->inner, t->team);
    }
}

void slack_ack_body(const struct slack_ack *ack, struct buf *to)
{
    struct json_out o = JSON_OUT(to);
    json_open(&o, '{');
    json_field_str(&o, "response_type", STR("ephemeral"));
    json_field_str(&o, "text", str_of(ack->say));
    json_close(&o, '}');
}

void slack_takes_cancel(struct slack *s)
{
    while (!list_empty(&s->takes)) op_cancel(list_first(&s->takes, struct take, link)->outer);
}
