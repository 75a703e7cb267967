/*
 * api - one record a call: what Slack has asked for, what we count ourselves, HTTP, the answer.
 */
#include "channels/slack/api.h"

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/cache/rate.h"
#include "core/chat/chat.h"
#include "core/net/http_client.h"
#include "core/net/http_json.h"

#define CONNECT_MS  10000
#define ANSWER_MS   15000
#define WAIT_MAX_MS 5000  /* for limits, inside a call */
#define SPARE_MS    70000 /* parsing, and our own deadline comes last: the client's know more */
#define HOLDS_MAX   10000
#define URL_MAX     1024
#define KEY_MAX     192

/* What we count, a minute; `previews` of it at most by calls that yield. */
static const struct quota {
    const char *method;
    int64_t all, previews;
    bool by_channel;
} quotas[] = {
    /* Slack: about one a second, and short bursts. */
    { "chat.postMessage", 60, 50, true },
    { "chat.update", 50, 35, false },
    { "chat.startStream", 20, 18, false },
    { "chat.appendStream", 100, 80, false },
};

/* A method and workspace that Slack wants to hear nothing of. */
struct hold {
    struct map_node node;
    uint64_t until_ms;
    char key[];
};

struct slack_api {
    struct map holds;
    struct list calls;
};

struct call {
    struct list link;
    struct slack *bot;
    struct op inner, *outer; /* inner: our own count, a wait, or HTTP */
    struct slack_call call;
    struct slack_reply *ret;
    uint64_t began_ms;
    struct rate_answer rate;
    struct http_request rq;
    struct http_header headers[2];
    struct http_json exchange;
    struct http_reply http;
    struct json *doc; /* the answer */
    char url[URL_MAX], id[KEY_MAX], auth[256];
};

/* --- holds --- */

static void hold_key(const struct slack_call *call, char ret[KEY_MAX])
{
    snprintf(ret, KEY_MAX, "%s:%.*s", call->method, STR_ARG(call->team));
}

static uint32_t held_ms(struct slack_api *api, const struct slack_call *call)
{
    char key[KEY_MAX];
    hold_key(call, key);
    struct map_node *n = map_get(&api->holds, str_of(key));
    uint64_t until = n ? container_of(n, struct hold, node)->until_ms : 0, now = clock_ms();
    return until > now ? (uint32_t)(until - now) : 0;
}

static void drop_if_over(struct map_node *n, void *ctx)
{
    struct slack_api *api = ctx;
    struct hold *h = container_of(n, struct hold, node);
    if (h->until_ms > clock_ms()) return;
    map_drop(&api->holds, n);
    free(h);
}

static void hold(struct slack_api *api, const struct slack_call *call, uint32_t ms)
{
    char key[KEY_MAX];
    hold_key(call, key);
    struct map_node *n = map_get(&api->holds, str_of(key));
    if (!n) {
        map_walk(&api->holds, drop_if_over, api);
        if (api->holds.n >= HOLDS_MAX) return;
        struct hold *fresh = mem_alloc(sizeof(*fresh) + strlen(key) + 1);
        memcpy(fresh->key, key, strlen(key) + 1);
        map_put(&api->holds, &fresh->node, str_of(fresh->key));
        n = &fresh->node;
    }
    container_of(n, struct hold, node)->until_ms = clock_ms() + ms;
}

/* --- the end --- */

static void call_free(struct call *c)
{
    op_cancel(&c->inner);
    list_drop(&c->link);
    http_reply_done(&c->http);
    json_free(c->doc);
    free(c);
}

static void call_drop(struct op *op)
{
    call_free(op->impl);
}

static const struct op_kind call_kind = { "slack.call", call_drop };

static void call_end(struct call *c, const struct err *why)
{
    if (why->kind)
        op_fail(c->outer, why);
    else
        op_finish(c->outer);
    call_free(c);
}

static void call_refuse(struct call *c, uint32_t wait_ms)
{
    struct err why;
    err_set(&why, ERR_LIMIT, "Slack's limit for %s lasts", c->call.method);
    why.retry_after_ms = wait_ms;
    call_end(c, &why);
}

/* --- HTTP --- */

static void call_answered(struct call *c, struct json *doc)
{
    struct err why;
    const struct slack_call *call = &c->call;
    uint32_t hint_ms = http_retry_hint_ms(&c->http);
    slack_reply_read(call->method, c->http.status, hint_ms, doc, c->ret, &why);
    /* A response_url says ok by its status alone. */
    if (call->url && c->http.status / 100 == 2) why.kind = ERR_NONE;
    if (why.kind == ERR_LIMIT) hold(c->bot->api, call, why.retry_after_ms);
    call_end(c, &why);
}

static void on_http(struct op *inner)
{
    struct call *c = container_of(inner, struct call, inner);
    struct json *doc = c->doc;
    c->doc = NULL;
    if (!inner->err.kind) {
        call_answered(c, doc);
        return;
    }
    struct err why = inner->err;
    c->ret->status = c->http.status;
    call_end(c, &why);
}

static void call_send(struct call *c)
{
    const struct slack_call *call = &c->call;
    size_t n = 0;
    c->headers[n++] = (struct http_header){ STR("Content-Type"),
                                            call->form ? STR("application/x-www-form-urlencoded")
                                                       : STR("application/json; charset=utf-8") };
    if (call->token.n) {
        snprintf(c->auth, sizeof(c->auth), "Bearer %.*s", STR_ARG(call->token));
        c->headers[n++] = (struct http_header){ STR("Authorization"), str_of(c->auth) };
    }
    c->rq = (struct http_request){
        .method = "POST",
        .url = c->url,
        .headers = c->headers,
        .n_headers = n,
        .body = call->body,
        .connect_ms = CONNECT_MS,
        .first_byte_ms = ANSWER_MS,
        .idle_ms = ANSWER_MS,
        .total_ms = CONNECT_MS + 2 * ANSWER_MS,
        .reply_max = call->reply_max,
    };
    op_init(&c->inner, c->outer->loop, on_http);
    http_json(c->bot->channel.host->http, &c->exchange, &c->inner, &c->rq, &c->http, &c->doc);
}

/* --- may it go? --- */

static void call_go(struct call *c);

static void on_waited(struct op *inner)
{
    call_go(container_of(inner, struct call, inner));
}

static void call_wait(struct call *c, uint32_t ms)
{
    if (c->call.yields || clock_ms() + ms > c->began_ms + WAIT_MAX_MS) {
        call_refuse(c, ms);
        return;
    }
    op_init(&c->inner, c->outer->loop, on_waited);
    op_sleep(&c->inner, ms);
}

static void on_counted(struct op *inner)
{
    struct call *c = container_of(inner, struct call, inner);
    if (c->rate.allowed)
        call_send(c);
    else
        call_wait(c, c->rate.retry_after_ms);
}

static const struct quota *quota_of(const char *method)
{
    for (size_t i = 0; i < sizeof(quotas) / sizeof(*quotas); i++)
        if (strcmp(quotas[i].method, method) == 0) return &quotas[i];
    return NULL;
}

static void call_go(struct call *c)
{
    const struct slack_call *call = &c->call;
    const struct quota *q = call->url ? NULL : quota_of(call->method);
    uint32_t wait_ms = held_ms(c->bot->api, call);
    if (wait_ms) {
        call_wait(c, wait_ms);
        return;
    }
    if (!q) {
        call_send(c);
        return;
    }
    snprintf(c->id, sizeof(c->id), "%s:%.*s%s%.*s", c->bot->name, STR_ARG(call->team),
             q->by_channel ? ":" : "", STR_ARG(q->by_channel ? call->channel : STR_NONE));
    const struct rate_ask ask = { .scope = RATE_BOT,
                                  .id = str_of(c->id),
                                  .endpoint = q->method,
                                  .max = call->yields ? q->previews : q->all,
                                  .window_ms = 60000 };
    op_init(&c->inner, c->outer->loop, on_counted);
    cache_rate_take(c->bot->channel.host->chat->rate, &c->inner, &ask, &c->rate);
}

/* --- public --- */

void slack_api_open(struct slack *s)
{
    s->api = mem_new(struct slack_api);
    map_init(&s->api->holds);
    list_init(&s->api->calls);
}

void slack_api_close(struct slack *s)
{
    struct slack_api *api = s->api;
    if (!api) return;
    while (!list_empty(&api->calls)) op_cancel(list_first(&api->calls, struct call, link)->outer);
    for (struct map_node *n; (n = map_any(&api->holds));) {
        map_drop(&api->holds, n);
        free(container_of(n, struct hold, node));
    }
    map_done(&api->holds);
    free(api);
    s->api = NULL;
}

void slack_call(struct slack *s, struct op *op, const struct slack_call *call,
                struct slack_reply *ret)
{
    struct call *c = mem_new(struct call);
    struct str base = str_of(s->api_url);
    while (str_ends(base, STR("/"))) base.n--;
    c->bot = s;
    c->outer = op;
    c->call = *call;
    c->ret = ret;
    c->began_ms = clock_ms();
    *ret = (struct slack_reply){ 0 };
    op_init(&c->inner, op->loop, NULL);
    list_push(&s->api->calls, &c->link);
    int n = call->url ? snprintf(c->url, sizeof(c->url), "%s", call->url)
                      : snprintf(c->url, sizeof(c->url), "%.*s/%s", STR_ARG(base), call->method);
    op_begin(op, &call_kind, c, WAIT_MAX_MS + CONNECT_MS + 2 * ANSWER_MS + SPARE_MS);
    if (n >= (int)sizeof(c->url))
        call_end(c, &(struct err){ ERR_REFUSED, 0, "the address of the call is too long" });
    else
        call_go(c);
}
