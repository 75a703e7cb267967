/*
 * webhook - one record an interaction on its way into the database. Discord waits 3 s and repeats
 * nothing: who is not heard in time is told by Discord itself.
 */
#include "channels/discord/webhook.h"

#include "channels/discord/interaction.h"
#include "channels/discord/send.h"
#include "channels/discord/ticket.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/chat.h"
#include "core/net/http_server.h"
#include "core/net/sign.h"

#define BODY_MAX      ((size_t)1 << 20)
#define HOOKS_MAX     1024
#define HOOK_PATH_MAX 128
#define STAMP_MAX     64
#define SORRY         "I cannot take that in right now. Please try again in a moment."

struct discord_hooks {
    struct discord *bot;
    struct http_route route;
    char path[HOOK_PATH_MAX];
    uint8_t key[32];
    struct list open; /* struct hook */
    size_t n;
};

struct hook {
    struct list link;
    struct discord_hooks *hooks;
    struct op op;
    struct http_in *in; /* NULL: the peer has left */
    int ack;
    const char *say;
};

static void answer(struct http_in *in, int ack, const char *say)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(4096);
    discord_acknowledge_body(ack, str_of(say), &body);
    http_answer(in, 200, "application/json", buf_str(&body));
}

static void hook_free(struct hook *h)
{
    op_cancel(&h->op);
    list_drop(&h->link);
    h->hooks->n--;
    free(h);
}

static void on_gone(struct http_in *in)
{
    ((struct hook *)in->user)->in = NULL;
}

static void on_accepted(struct op *op)
{
    struct hook *h = container_of(op, struct hook, op);
    const struct err *err = &op->err;
    if (err->kind)
        log_warn(h->hooks->bot->channel.name, "interaction could not be stored, saying so",
                 "kind=%s why=%s", err_rule(err->kind)->name, log_quote(str_of(err->msg)));
    if (h->in && err->kind)
        answer(h->in, DISCORD_ACK_MESSAGE, SORRY);
    else if (h->in)
        answer(h->in, h->ack, h->say);
    hook_free(h);
}

static void take(struct discord_hooks *hooks, struct http_in *in, struct discord_interaction *ia,
                 struct arena *arena)
{
    struct discord *d = hooks->bot;
    struct hook *h = mem_new(struct hook);
    h->hooks = hooks;
    h->in = in;
    h->ack = (int)ia->ack;
    h->say = ia->say;
    in->user = h;
    in->on_gone = on_gone;
    ia->in.ticket = discord_ticket_of(d, ia, arena);
    op_init(&h->op, d->channel.host->loop, on_accepted);
    list_push(&hooks->open, &h->link);
    hooks->n++;
    chat_accept(d->channel.host->chat, &h->op, &d->channel, &ia->in, NULL);
}

static void decide(struct discord_hooks *hooks, struct http_in *in, struct json *doc,
                   struct arena *arena)
{
    struct discord *d = hooks->bot;
    struct discord_interaction ia;
    struct discord_reader reader = discord_reader(d);
    discord_interaction_parse(&reader, doc, arena, &ia);
    channel_heard(&d->channel);
    if (ia.ack == DISCORD_ACK_PONG) {
        answer(in, DISCORD_ACK_PONG, "");
    } else if (ia.verdict == DISCORD_TAKE && (d->channel.paused || hooks->n >= HOOKS_MAX)) {
        answer(in, DISCORD_ACK_MESSAGE, SORRY);
    } else if (ia.verdict == DISCORD_TAKE) {
        take(hooks, in, &ia, arena);
    } else if (ia.verdict == DISCORD_SKIP && *ia.say) {
        answer(in, DISCORD_ACK_MESSAGE, ia.say);
    } else {
        log_warn(d->channel.name, "interaction cannot be understood, dropped", "why=%s",
                 log_quote(str_of(ia.reason)));
        http_answer_error(in, 400, "%s", ia.reason);
    }
}

/* Discord tests endpoints with wrong signatures now and then, and drops those that take them. */
static bool is_discord(const struct discord_hooks *hooks, const struct http_in *in)
{
    uint8_t signature[64];
    struct str hex = http_in_header(in, "X-Signature-Ed25519");
    struct str stamp = http_in_header(in, "X-Signature-Timestamp");
    if (!stamp.n || stamp.n > STAMP_MAX || !sign_unhex(hex, signature, sizeof(signature)))
        return false;
    _cleanup_(buf_done) struct buf signed_text = BUF_INIT(STAMP_MAX + BODY_MAX);
    buf_add(&signed_text, stamp);
    buf_add(&signed_text, in->body);
    return sign_ed25519_verify(hooks->key, buf_str(&signed_text), signature);
}

static void on_request(struct http_route *route, struct http_in *in)
{
    struct discord_hooks *hooks = container_of(route, struct discord_hooks, route);
    struct err why = ERR_INIT;
    struct json *doc = NULL;
    if (!is_discord(hooks, in)) {
        log_warn(hooks->bot->channel.name, "webhook call refused", "peer=%.*s why=%s",
                 STR_ARG(in->peer), "\"signature missing or wrong\"");
        http_answer_error(in, 401, "signature missing or wrong");
        return;
    }
    if (json_parse(in->body, &doc, &why)) {
        http_answer_error(in, 400, "%s", why.msg);
        return;
    }
    struct arena arena;
    arena_init(&arena);
    decide(hooks, in, doc, &arena);
    arena_done(&arena);
    json_free(doc);
}

enum err_kind discord_webhook_open(struct discord *d, struct err *why)
{
    struct discord_hooks *hooks = mem_new(struct discord_hooks);
    hooks->bot = d;
    if (!sign_unhex(str_of(d->public_key), hooks->key, sizeof(hooks->key))) {
        free(hooks);
        return err_set(why, ERR_CONF,
                       "public_key: must be the 64 hex digits that the developer portal shows "
                       "under General Information");
    }
    snprintf(hooks->path, sizeof(hooks->path), "/hooks/discord/%s", d->channel.name);
    list_init(&hooks->open);
    hooks->route = (struct http_route){
        .method = "POST", .path = hooks->path, .handle = on_request, .body_max = BODY_MAX
    };
    list_init(&hooks->route.link);
    http_route_add(d->channel.host->server, &hooks->route);
    d->hooks = hooks;
    return ERR_NONE;
}

void discord_webhook_close(struct discord *d)
{
    struct discord_hooks *hooks = d->hooks;
    if (!hooks) return;
    http_route_drop(&hooks->route);
    list_each (it, next, &hooks->open) {
        struct hook *h = container_of(it, struct hook, link);
        if (h->in) answer(h->in, DISCORD_ACK_MESSAGE, SORRY);
        hook_free(h);
    }
    free(hooks);
    d->hooks = NULL;
}
