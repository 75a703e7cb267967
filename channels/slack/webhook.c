/*
 * webhook - one record a call on its way into the database. Slack waits 3 s, and repeats events for
 * some minutes (for a day, where Delayed Events are on).
 */
#include "channels/slack/webhook.h"

#include "channels/slack/take.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/loop/work_json.h"
#include "core/net/http_form.h"
#include "core/net/http_server.h"

#define BODY_MAX      ((size_t)4 << 20)
#define HOOK_PATH_MAX 128

struct slack_hooks {
    struct slack *bot;
    struct http_route route;
    char path[HOOK_PATH_MAX];
    struct list open; /* struct hook */
};

struct hook {
    struct list link;
    struct slack_hooks *hooks;
    struct op op;       /* the parse, then the take */
    struct http_in *in; /* NULL: the peer has left */
    enum slack_kind kind;
    struct buf text; /* what is parsed */
    struct json *payload;
    struct slack_ack ack;
};

static struct metric m_retries =
    METRIC(METRIC_COUNTER, "parley_slack_retries_total", "", "Calls that Slack repeated");

/* --- answers --- */

static void hook_free(struct hook *h)
{
    op_cancel(&h->op);
    list_drop(&h->link);
    json_free(h->payload);
    buf_done(&h->text);
    free(h);
}

static void on_gone(struct http_in *in)
{
    ((struct hook *)in->user)->in = NULL;
}

static void answer_ack(const struct hook *h)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(2048);
    if (h->ack.say[0]) slack_ack_body(&h->ack, &body);
    http_answer(h->in, 200, body.n ? "application/json" : "text/plain", buf_str(&body));
}

static void on_taken(struct op *op)
{
    struct hook *h = container_of(op, struct hook, op);
    const struct err why = op->err;
    if (!h->in) {
        /* gone; should it not be stored, Slack repeats it, for it heard nothing */
    } else if (!why.kind) {
        answer_ack(h);
    } else if (why.kind == ERR_PROTO) {
        /* What can never be understood would be repeated for nothing. */
        static const struct http_header never[] = { { { "X-Slack-No-Retry", 16 }, { "1", 1 } } };
        _cleanup_(buf_done) struct buf body = BUF_INIT(1024);
        struct json_out o = JSON_OUT(&body);
        json_open(&o, '{');
        json_field_str(&o, "error", str_of(why.msg));
        json_close(&o, '}');
        http_answer_with(h->in, 400, never, 1, buf_str(&body));
    } else {
        log_warn(h->hooks->bot->channel.name, "event not stored, Slack repeats it",
                 "kind=%s text=%s", err_rule(why.kind)->name, log_quote(str_of(why.msg)));
        http_answer_error(h->in, 503, "not stored, try again");
    }
    hook_free(h);
}

/* --- what it is --- */

static bool answer_challenge(struct hook *h)
{
    struct str type = STR_NONE, challenge = STR_NONE;
    json_get_str(h->payload, "type", &type);
    json_get_str(h->payload, "challenge", &challenge);
    if (h->kind != SLACK_EVENT || !str_eq(type, STR("url_verification"))) return false;
    if (h->in) http_answer(h->in, 200, "text/plain", challenge);
    hook_free(h);
    return true;
}

static void take(struct hook *h)
{
    struct json *payload = h->payload;
    h->payload = NULL;
    op_init(&h->op, h->hooks->bot->channel.host->loop, on_taken);
    slack_take(h->hooks->bot, &h->op, h->kind, payload, payload, &h->ack);
}

static void on_parsed(struct op *op)
{
    struct hook *h = container_of(op, struct hook, op);
    if (op->err.kind) {
        if (h->in) http_answer_error(h->in, 400, "%s", op->err.msg);
        hook_free(h);
        return;
    }
    if (!answer_challenge(h)) take(h);
}

/* An action is a form with one field, which holds JSON; a command is a form of many. */
static bool read_form(struct hook *h, struct str body)
{
    _cleanup_(buf_done) struct buf key = BUF_INIT(64);
    struct str rest = body;
    if (str_starts(body, STR("payload="))) {
        h->kind = SLACK_ACTION;
        return http_form_next(&rest, &key, &h->text);
    }
    h->kind = SLACK_COMMAND;
    return slack_form_json(body, &h->text);
}

static bool read_body(struct hook *h, const struct http_in *in)
{
    struct str type = http_in_header(in, "Content-Type");
    bool form = str_starts(type, STR("application/x-www-form-urlencoded"));
    return form ? read_form(h, in->body) : buf_add(&h->text, in->body);
}

static void begin(struct slack_hooks *hooks, struct http_in *in)
{
    struct hook *h = mem_new(struct hook);
    struct loop *loop = hooks->bot->channel.host->loop;
    h->hooks = hooks;
    h->in = in;
    h->kind = SLACK_EVENT;
    buf_init(&h->text, 6 * in->body.n + 1024);
    in->user = h;
    in->on_gone = on_gone;
    list_push(&hooks->open, &h->link);
    op_init(&h->op, loop, on_parsed);
    if (!read_body(h, in)) {
        http_answer_error(in, 400, "the form cannot be read");
        hook_free(h);
    } else if (h->text.n > WORK_JSON_BYTES) {
        work_json_parse(&h->op, &h->text, &h->payload);
    } else {
        struct err why = ERR_INIT;
        if (slack_json(buf_str(&h->text), &h->payload, &why)) {
            http_answer_error(in, 400, "%s", why.msg);
            hook_free(h);
        } else if (!answer_challenge(h)) {
            take(h);
        }
    }
}

static void on_request(struct http_route *route, struct http_in *in)
{
    struct slack_hooks *hooks = container_of(route, struct slack_hooks, route);
    const char *wrong = slack_signature_wrong(
        str_of(hooks->bot->signing_secret), http_in_header(in, "X-Slack-Request-Timestamp"),
        http_in_header(in, "X-Slack-Signature"), in->body, clock_wall_ms() / 1000);
    if (wrong) {
        log_warn(hooks->bot->channel.name, "webhook call refused", "peer=%.*s why=%s",
                 STR_ARG(in->peer), log_quote(str_of(wrong)));
        http_answer_error(in, 401, "%s", wrong);
        return;
    }
    struct str retry = http_in_header(in, "X-Slack-Retry-Num");
    if (retry.n) {
        struct str reason = http_in_header(in, "X-Slack-Retry-Reason");
        metric_add(&m_retries, 1);
        log_info(hooks->bot->channel.name, "Slack repeats a call", "number=%s reason=%s",
                 log_quote(str_head(retry, 8)), log_quote(str_head(reason, 64)));
    }
    begin(hooks, in);
}

/* --- life --- */

void slack_webhook_open(struct slack *s)
{
    struct slack_hooks *hooks = mem_new(struct slack_hooks);
    hooks->bot = s;
    list_init(&hooks->open);
    snprintf(hooks->path, sizeof(hooks->path), "/hooks/slack/%s", s->channel.name);
    hooks->route = (struct http_route){
        .method = "POST", .path = hooks->path, .handle = on_request, .body_max = BODY_MAX
    };
    list_init(&hooks->route.link);
    http_route_add(s->channel.host->server, &hooks->route);
    s->hooks = hooks;
}

void slack_webhook_close(struct slack *s)
{
    struct slack_hooks *hooks = s->hooks;
    if (!hooks) return;
    http_route_drop(&hooks->route);
    list_each (it, next, &hooks->open) {
        struct hook *h = container_of(it, struct hook, link);
        if (h->in) http_answer_error(h->in, 503, "shutting down, try again");
        hook_free(h);
    }
    free(hooks);
    s->hooks = NULL;
}
