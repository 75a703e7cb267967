/*
 * webhook - one record an update on its way into the database. Telegram repeats what it hears no
 * 2xx for, and holds back the rest of that chat until then, so that order is kept.
 */
#include "channels/telegram/webhook.h"

#include "channels/telegram/send.h"

#include "channels/telegram/api.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/retry.h"
#include "core/chat/chat.h"
#include "core/net/sign.h"

#define BODY_MAX  ((size_t)1 << 20)
#define HOOKS_MAX 4096
#define AGAIN_S   2
#define AUTH_MS   300000

struct hook {
    struct list link;
    struct op op;
    struct telegram *bot;
    struct http_in *in; /* NULL: the peer has left */
    int64_t id;
};

/* --- one update --- */

static void answer_later(struct http_in *in, uint32_t seconds)
{
    char after[16];
    snprintf(after, sizeof(after), "%u", seconds);
    const struct http_header header = { STR("Retry-After"), str_of(after) };
    http_answer_with(in, 503, &header, 1, STR_NONE);
}

static void answer_ok(struct http_in *in)
{
    http_answer(in, 200, "text/plain", STR_NONE);
}

static void hook_free(struct hook *h)
{
    op_cancel(&h->op);
    list_drop(&h->link);
    h->bot->n_hooks--;
    free(h);
}

/* The update may get stored all the same; Telegram will bring it again, and it will be known. */
static void on_gone(struct http_in *in)
{
    struct hook *h = in->user;
    h->in = NULL;
}

static void on_accepted(struct op *op)
{
    struct hook *h = container_of(op, struct hook, op);
    const char *who = h->bot->channel.name;
    const struct err *err = &op->err;
    bool settled = err->kind == ERR_NONE || err->kind == ERR_PROTO;
    if (err->kind == ERR_PROTO)
        log_error(who, "update cannot be stored, dropped", "update=%lld why=%s", (long long)h->id,
                  log_quote(str_of(err->msg)));
    else if (!settled)
        log_warn(who, "update could not be stored, Telegram will repeat it",
                 "update=%lld kind=%s why=%s", (long long)h->id, err_rule(err->kind)->name,
                 log_quote(str_of(err->msg)));
    if (h->in && settled)
        answer_ok(h->in);
    else if (h->in)
        answer_later(h->in, err->retry_after_ms ? err->retry_after_ms / 1000 + 1 : AGAIN_S);
    hook_free(h);
}

static void accept_update(struct telegram *t, struct http_in *in, const struct telegram_update *u)
{
    struct hook *h = mem_new(struct hook);
    h->bot = t;
    h->in = in;
    h->id = u->id;
    in->user = h;
    in->on_gone = on_gone;
    op_init(&h->op, t->channel.host->loop, on_accepted);
    list_push(&t->hooks, &h->link);
    t->n_hooks++;
    chat_accept(t->channel.host->chat, &h->op, &t->channel, &u->in, NULL);
}

static void decide(struct telegram *t, struct http_in *in, const struct telegram_update *u)
{
    const char *who = t->channel.name;
    switch (u->verdict) {
    case TELEGRAM_TAKE:
        telegram_noticed_press(t, u);
        accept_update(t, in, u);
        return;
    case TELEGRAM_LATER: answer_later(in, AGAIN_S); return;
    case TELEGRAM_SKIP:
        log_debug(who, "update is not for us", "update=%lld why=%s", (long long)u->id, u->reason);
        telegram_noticed_press(t, u);
        break;
    case TELEGRAM_BROKEN:
        log_warn(who, "update cannot be understood, dropped", "update=%lld why=%s",
                 (long long)u->id, log_quote(str_of(u->reason)));
        break;
    }
    answer_ok(in);
}

static bool is_telegram(const struct telegram *t, const struct http_in *in)
{
    struct str token = http_in_header(in, "X-Telegram-Bot-Api-Secret-Token");
    if (sign_equal(token, str_of(t->secret_token))) return true;
    log_warn(t->channel.name, "webhook call refused", "peer=%.*s why=%s", STR_ARG(in->peer),
             token.n ? "\"wrong secret token\"" : "\"no secret token\"");
    return false;
}

static void take_body(struct telegram *t, struct http_in *in)
{
    struct telegram_reader reader = telegram_reader(t);
    struct telegram_update update;
    struct json *doc = NULL;
    struct arena arena;
    struct err why = ERR_INIT;
    arena_init(&arena);
    if (json_parse(in->body, &doc, &why) || telegram_parse(&reader, doc, &arena, &update, &why)) {
        log_warn(t->channel.name, "webhook call is no update", "peer=%.*s why=%s",
                 STR_ARG(in->peer), log_quote(str_of(why.msg)));
        http_answer_error(in, 400, "%s", why.msg);
    } else {
        channel_heard(&t->channel);
        decide(t, in, &update);
    }
    arena_done(&arena);
    json_free(doc);
}

static void on_request(struct http_route *route, struct http_in *in)
{
    struct telegram *t = container_of(route, struct telegram, route);
    if (!is_telegram(t, in))
        http_answer_error(in, 401, "secret token missing or wrong");
    else if (t->channel.paused || t->n_hooks >= HOOKS_MAX)
        answer_later(in, AGAIN_S);
    else
        take_body(t, in);
}

/* --- getting known to Telegram --- */

static const struct retry backoff = { 1000, 60000 };
enum step { SETUP, REST, N_STEPS };

static struct telegram *of_flow(struct flow *f)
{
    return container_of(f, struct telegram, introduce);
}

static enum flow_rc setup_start(struct flow *f)
{
    struct telegram *t = of_flow(f);
    telegram_setup_init(&t->setup, t);
    flow_call(f, &t->setup.flow, &telegram_setup_flow);
    return FLOW_WAIT;
}

static enum flow_rc setup_done(struct flow *f)
{
    channel_up(&of_flow(f)->channel);
    return FLOW_STOP;
}

static enum flow_rc setup_failed(struct flow *f)
{
    channel_down(&of_flow(f)->channel, &f->op.err);
    return FLOW_NEXT;
}

static enum flow_rc rest_start(struct flow *f)
{
    struct telegram *t = of_flow(f);
    const struct err *why = &t->channel.down_why;
    op_sleep(&f->op, why->kind == ERR_AUTH
                         ? AUTH_MS
                         : retry_delay_ms(&backoff, ++t->attempt, why->retry_after_ms));
    return FLOW_WAIT;
}

static enum flow_rc rest_done(struct flow *f)
{
    flow_goto(f, SETUP);
    return FLOW_NEXT;
}

static void introduce_end(struct flow *f)
{
    of_flow(f)->introducing = false;
}

static const struct flow_step steps[N_STEPS] = {
    [SETUP] = { "setup", setup_start, setup_done, setup_failed },
    [REST] = { "rest", rest_start, rest_done, NULL },
};
static const struct flow_kind introduce_flow = { "telegram.introduce", steps, N_STEPS, 0,
                                                 introduce_end };

void telegram_webhook_open(struct telegram *t)
{
    snprintf(t->path, sizeof(t->path), "/hooks/telegram/%s", t->channel.name);
    t->route = (struct http_route){
        .method = "POST",
        .path = t->path,
        .handle = on_request,
        .body_max = BODY_MAX,
    };
    list_init(&t->route.link);
    http_route_add(t->channel.host->server, &t->route);
    t->introducing = true;
    flow_start(&t->introduce, &introduce_flow, t->channel.host->loop, NULL);
}

void telegram_webhook_close(struct telegram *t)
{
    http_route_drop(&t->route);
    if (t->introducing) flow_stop(&t->introduce, ERR_CANCELLED, "the channel closes");
    list_each (it, next, &t->hooks) {
        struct hook *h = container_of(it, struct hook, link);
        if (h->in) answer_later(h->in, AGAIN_S);
        hook_free(h);
    }
}
