/*
 * rest - a line of calls a route and major parameter, and what the buckets behind them have left.
 */
#include "channels/discord/reply.h"

#include "channels/discord/budget.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/cache/rate.h"
#include "core/chat/chat.h"
#include "core/net/http_json.h"

#define CONNECT_MS   10000
#define ANSWER_MS    15000
#define SLACK_MS     70000 /* parsing, and our own deadline comes last: the client's know more */
#define WAIT_MAX_MS  5000  /* for limits, inside a call */
#define MARGIN_MS    50    /* Discord's clock and ours */
#define AUTH_REST_MS 300000
#define GLOBAL_MAX   45 /* a second, of Discord's 50 */
#define URL_MAX      2048
#define KEY_MAX      640
#define BUCKETS_MAX  2000
#define YIELD_LEFT   1   /* previews leave the bucket's last call to answers */
#define YIELD_MS     500 /* before one is worth another try */

/* What may still be sent, by the headers: for all routes with this hash and major parameter. */
struct bucket {
    struct map_node node;
    int64_t left;
    uint64_t reset_ms;
    char key[];
};

/* Which hash a route belongs to. */
struct hash {
    struct map_node node;
    char value[64], route[];
};

struct line {
    struct map_node node;
    struct discord_rest *rest;
    struct list calls; /* that wait, the oldest first */
    struct call *busy;
    struct timer timer;
    uint64_t held_until_ms; /* by a 429 */
    char key[];
};

struct discord_rest {
    struct discord *bot;
    struct map lines, buckets, hashes;
    uint64_t silent_until_ms; /* the bot's global limit */
    uint64_t no_auth_until_ms;
    struct err no_auth;
    bool closing;
    char auth[256];
};

struct call {
    struct list link; /* in line->calls, while it waits */
    struct line *line;
    struct op inner, *outer; /* inner: the global limit, or HTTP */
    struct discord_call call;
    struct discord_reply *ret;
    uint64_t began_ms;
    struct rate_answer rate;
    struct http_request rq;
    struct http_header headers[3];
    struct http_json exchange;
    struct http_reply http;
    struct json *doc; /* the answer */
    char url[URL_MAX];
};

static void line_go(struct line *l);

/* --- buckets --- */

static uint32_t until(uint64_t at_ms)
{
    uint64_t now = clock_ms();
    return at_ms > now ? (uint32_t)(at_ms - now) : 0;
}

static void route_key(const struct discord_call *call, char *ret, size_t cap)
{
    snprintf(ret, cap, "%s %s", call->method, call->route);
}

/* NULL: nothing is known about it yet. */
static struct bucket *bucket_of(struct discord_rest *r, const struct discord_call *call)
{
    char key[KEY_MAX];
    route_key(call, key, sizeof(key));
    struct map_node *n = map_get(&r->hashes, str_of(key));
    if (!n) return NULL;
    snprintf(key, sizeof(key), "%s:%.*s", container_of(n, struct hash, node)->value,
             STR_ARG(call->major));
    n = map_get(&r->buckets, str_of(key));
    return n ? container_of(n, struct bucket, node) : NULL;
}

static void bucket_forget_old(struct map_node *n, void *ctx)
{
    struct discord_rest *r = ctx;
    struct bucket *b = container_of(n, struct bucket, node);
    if (until(b->reset_ms)) return;
    map_drop(&r->buckets, n);
    free(b);
}

static struct bucket *bucket_make(struct discord_rest *r, const char *key)
{
    struct map_node *n = map_get(&r->buckets, str_of(key));
    if (n) return container_of(n, struct bucket, node);
    if (r->buckets.n >= BUCKETS_MAX) map_walk(&r->buckets, bucket_forget_old, r);
    struct bucket *b = mem_alloc(sizeof(*b) + strlen(key) + 1);
    memcpy(b->key, key, strlen(key) + 1);
    map_put(&r->buckets, &b->node, str_of(b->key));
    return b;
}

static void hash_learn(struct discord_rest *r, const struct discord_call *call, struct str value)
{
    char key[KEY_MAX];
    route_key(call, key, sizeof(key));
    struct map_node *n = map_get(&r->hashes, str_of(key));
    struct hash *h = n ? container_of(n, struct hash, node) : NULL;
    if (!h) {
        h = mem_alloc(sizeof(*h) + strlen(key) + 1);
        memcpy(h->route, key, strlen(key) + 1);
        map_put(&r->hashes, &h->node, str_of(h->route));
    }
    snprintf(h->value, sizeof(h->value), "%.*s", STR_ARG(value));
}

static void bucket_learn(struct discord_rest *r, const struct discord_call *call,
                         const struct discord_limit *limit)
{
    char key[KEY_MAX];
    if (!limit->bucket.n) return;
    hash_learn(r, call, limit->bucket);
    snprintf(key, sizeof(key), "%.*s:%.*s", STR_ARG(limit->bucket), STR_ARG(call->major));
    struct bucket *b = bucket_make(r, key);
    b->left = limit->remaining;
    b->reset_ms = clock_ms() + limit->reset_after_ms + MARGIN_MS;
}

/* --- when may a call go? --- */

static uint32_t longest(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t wait_of(const struct line *l, const struct discord_call *call)
{
    struct discord_rest *r = l->rest;
    uint32_t wait = longest(until(l->held_until_ms), discord_budget_wait_ms());
    const struct bucket *b = bucket_of(r, call);
    int64_t keep = call->yields ? YIELD_LEFT : 0;
    if (!call->interaction) wait = longest(wait, until(r->silent_until_ms));
    if (b && b->left <= keep) wait = longest(wait, until(b->reset_ms));
    return wait;
}

static bool is_too_long(const struct call *c, uint32_t wait)
{
    return c->call.yields || clock_ms() + wait > c->began_ms + WAIT_MAX_MS;
}

/* --- one call --- */

static void call_free(struct call *c)
{
    struct line *l = c->line;
    op_cancel(&c->inner);
    if (l && l->busy == c) l->busy = NULL;
    list_drop(&c->link);
    http_reply_done(&c->http);
    json_free(c->doc);
    free(c);
    if (l) line_go(l);
}

static void call_drop(struct op *op)
{
    call_free(op->impl);
}

static const struct op_kind call_kind = { "discord.call", call_drop };

static void call_end(struct call *c, const struct err *why)
{
    if (why->kind == ERR_NONE)
        op_finish(c->outer);
    else
        op_fail(c->outer, why);
    call_free(c);
}

static void call_refuse(struct call *c, uint32_t wait)
{
    struct err why;
    err_set(&why, ERR_LIMIT, "Discord's limit for %s %s lasts", c->call.method, c->call.route);
    why.retry_after_ms = wait;
    call_end(c, &why);
}

/* Back to the head of its line, which waits. */
static void call_again(struct call *c)
{
    struct line *l = c->line;
    l->busy = NULL;
    http_reply_done(&c->http);
    c->http = (struct http_reply){ 0 };
    list_push(l->calls.next, &c->link); /* in front of the first */
    line_go(l);
}

static void auth_failed(struct discord_rest *r, const struct call *c, const struct err *why)
{
    if (c->call.interaction) return;
    r->no_auth = *why;
    r->no_auth_until_ms = clock_ms() + AUTH_REST_MS;
}

static void hold(struct call *c, const struct discord_limit *limit)
{
    struct discord_rest *r = c->line->rest;
    uint64_t at_ms = clock_ms() + limit->retry_after_ms + MARGIN_MS;
    switch (limit->scope) {
    case DISCORD_SCOPE_ADDRESS: discord_budget_ban(limit->retry_after_ms); break;
    case DISCORD_SCOPE_GLOBAL: r->silent_until_ms = at_ms; break;
    default: c->line->held_until_ms = at_ms; break;
    }
    log_debug(r->bot->channel.name, "limited by Discord", "method=%s route=%s scope=%d ms=%u",
              c->call.method, c->call.route, limit->scope, limit->retry_after_ms);
}

static void spend(int status, enum discord_scope scope)
{
    bool refused = status == 401 || status == 403 || status == 429;
    if (refused && scope != DISCORD_SCOPE_SHARED) discord_budget_spend();
}

static void call_answered(struct call *c, struct json *doc)
{
    struct discord_rest *r = c->line->rest;
    struct discord_limit limit;
    struct err why;
    discord_limit_read(&c->http, doc, &limit);
    bucket_learn(r, &c->call, &limit);
    spend(c->http.status, limit.scope);
    if (limit.scope) hold(c, &limit);
    if (limit.scope && !is_too_long(c, limit.retry_after_ms)) {
        json_free(doc);
        call_again(c);
        return;
    }
    discord_reply_read(c->http.status, doc, c->ret, &why);
    if (limit.scope) {
        why.kind = ERR_LIMIT;
        why.retry_after_ms = limit.retry_after_ms;
    }
    if (why.kind == ERR_AUTH) auth_failed(r, c, &why);
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
    static const struct http_header agent = {
        /* Discord demands an address; ours is one that is nobody's. */
        { "User-Agent", 10 },
        { "DiscordBot (https://parley.invalid, " PARLEY_VERSION ")",
          sizeof("DiscordBot (https://parley.invalid, " PARLEY_VERSION ")") - 1 }
    };
    const struct discord_call *call = &c->call;
    struct discord_rest *r = c->line->rest;
    struct bucket *b = bucket_of(r, call);
    uint32_t wait_ms = call->wait_ms ? call->wait_ms : ANSWER_MS;
    size_t n = 0;
    c->headers[n++] = agent;
    if (b && b->left > 0) b->left--;
    if (call->body.n)
        c->headers[n++] = (struct http_header){ STR("Content-Type"), STR("application/json") };
    if (!call->interaction)
        c->headers[n++] = (struct http_header){ STR("Authorization"), str_of(r->auth) };
    c->rq = (struct http_request){
        .method = call->method,
        .url = c->url,
        .headers = c->headers,
        .n_headers = n,
        .body = call->body,
        .connect_ms = CONNECT_MS,
        .first_byte_ms = wait_ms,
        .idle_ms = wait_ms,
        .total_ms = CONNECT_MS + wait_ms,
        .reply_max = call->reply_max,
        .keep_head = true,
    };
    op_init(&c->inner, c->outer->loop, on_http);
    http_json(r->bot->channel.host->http, &c->exchange, &c->inner, &c->rq, &c->http, &c->doc);
}

static void on_rate(struct op *inner)
{
    struct call *c = container_of(inner, struct call, inner);
    struct line *l = c->line;
    if (c->rate.allowed) {
        call_send(c);
    } else if (is_too_long(c, c->rate.retry_after_ms)) {
        call_refuse(c, c->rate.retry_after_ms);
    } else {
        l->held_until_ms = clock_ms() + c->rate.retry_after_ms;
        call_again(c);
    }
}

static void call_go(struct call *c)
{
    struct discord *d = c->line->rest->bot;
    if (c->call.interaction) {
        call_send(c);
        return;
    }
    const struct rate_ask ask = { .scope = RATE_BOT,
                                  .id = str_of(d->lease),
                                  .endpoint = "rest",
                                  .max = GLOBAL_MAX,
                                  .window_ms = 1000 };
    op_init(&c->inner, c->outer->loop, on_rate);
    cache_rate_take(d->channel.host->chat->rate, &c->inner, &ask, &c->rate);
}

/* --- lines --- */

static void line_free(struct line *l)
{
    timer_clear(l->rest->bot->channel.host->loop, &l->timer);
    map_drop(&l->rest->lines, &l->node);
    free(l);
}

/* The next one goes, or the line waits, or nobody needs it any more. */
static void line_go(struct line *l)
{
    struct loop *loop = l->rest->bot->channel.host->loop;
    if (l->busy || l->rest->closing) return;
    while (!list_empty(&l->calls)) {
        struct call *c = list_first(&l->calls, struct call, link);
        uint32_t wait = wait_of(l, &c->call);
        if (!wait) {
            list_drop(&c->link);
            l->busy = c;
            call_go(c);
            return;
        }
        if (!is_too_long(c, wait)) {
            timer_set(loop, &l->timer, wait);
            return;
        }
        c->line = NULL; /* so that its end does not come back here */
        call_refuse(c, wait);
    }
    if (until(l->held_until_ms))
        timer_set(loop, &l->timer, until(l->held_until_ms));
    else
        line_free(l);
}

static void on_line_timer(struct timer *t)
{
    line_go(container_of(t, struct line, timer));
}

static struct line *line_of(struct discord_rest *r, const struct discord_call *call)
{
    char key[KEY_MAX];
    snprintf(key, sizeof(key), "%s %s %.*s", call->method, call->route, STR_ARG(call->major));
    struct map_node *n = map_get(&r->lines, str_of(key));
    if (n) return container_of(n, struct line, node);
    struct line *l = mem_alloc(sizeof(*l) + strlen(key) + 1);
    *l = (struct line){ .rest = r, .timer.fire = on_line_timer };
    memcpy(l->key, key, strlen(key) + 1);
    list_init(&l->calls);
    map_put(&r->lines, &l->node, str_of(l->key));
    return l;
}

/* --- public --- */

void discord_rest_open(struct discord *d)
{
    struct discord_rest *r = mem_new(struct discord_rest);
    r->bot = d;
    map_init(&r->lines);
    map_init(&r->buckets);
    map_init(&r->hashes);
    snprintf(r->auth, sizeof(r->auth), "Bot %s", d->token);
    d->rest = r;
}

static void line_cancel(struct line *l)
{
    while (!list_empty(&l->calls)) op_cancel(list_first(&l->calls, struct call, link)->outer);
    if (l->busy) op_cancel(l->busy->outer);
    line_free(l);
}

void discord_rest_close(struct discord *d)
{
    struct discord_rest *r = d->rest;
    if (!r) return;
    d->rest = NULL;
    r->closing = true;
    for (struct map_node *n; (n = map_any(&r->lines));)
        line_cancel(container_of(n, struct line, node));
    for (struct map_node *n; (n = map_any(&r->buckets));) {
        map_drop(&r->buckets, n);
        free(container_of(n, struct bucket, node));
    }
    for (struct map_node *n; (n = map_any(&r->hashes));) {
        map_drop(&r->hashes, n);
        free(container_of(n, struct hash, node));
    }
    map_done(&r->lines);
    map_done(&r->buckets);
    map_done(&r->hashes);
    free(r);
}

void discord_call(struct discord *d, struct op *op, const struct discord_call *call,
                  struct discord_reply *ret)
{
    struct discord_rest *r = d->rest;
    struct call *c = mem_new(struct call);
    struct str base = str_of(d->api_url);
    while (str_ends(base, STR("/"))) base.n--;
    *c = (struct call){ .outer = op, .call = *call, .ret = ret, .began_ms = clock_ms() };
    *ret = (struct discord_reply){ 0 };
    list_init(&c->link);
    op_init(&c->inner, op->loop, NULL);
    int n = snprintf(c->url, sizeof(c->url), "%.*s%.*s", STR_ARG(base), STR_ARG(call->path));
    uint32_t wait_ms = call->wait_ms ? call->wait_ms : ANSWER_MS;
    op_begin(op, &call_kind, c, WAIT_MAX_MS + CONNECT_MS + wait_ms + SLACK_MS);
    if (n >= (int)sizeof(c->url)) {
        call_end(c, &(struct err){ ERR_REFUSED, 0, "the address of the call is too long" });
        return;
    }
    if (!call->interaction && until(r->no_auth_until_ms)) {
        call_end(c, &r->no_auth);
        return;
    }
    c->line = line_of(r, call);
    bool first = !c->line->busy && list_empty(&c->line->calls);
    list_push(&c->line->calls, &c->link);
    if (call->yields && !first)
        call_refuse(c, YIELD_MS);
    else
        line_go(c->line);
}
