/*
 * telegram_fakes - what a Telegram account talks to, in memory and on the virtual clock: the Bot
 * API, the lease, the core's intake. Every asynchronous call of the account is counted, so that a
 * test can fail the first, the second, the third ...
 *
 * The fakes also check the promises: what Telegram is told to forget must be stored, and the offset
 * with it.
 */
#pragma once
#include "channels/telegram/bot.h"
#include "channels/telegram/telegram.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/cache/rate.h"
#include "core/chat/chat.h"
#include "core/chat/command.h"
#include "core/net/http_client.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define TOKEN   "123456:TEST-secret_0123456789"
#define QUEUE_N 64
#define CALLS_N 256

const struct command commands[] = { { .name = "help", .help = "What I can do" },
                                    { .name = "new", .help = "Begin anew" },
                                    { .name = NULL } };
struct store {
    int unused;
};

static struct fakes {
    struct loop loop;
    struct channel_host host;
    struct store store;
    struct chat chat;
    struct telegram *bot;

    /* asynchronous calls, counted */
    unsigned n_ops, fail_at, stop_at; /* 1-based; 0 = never */
    enum err_kind fail_kind;
    bool fail_after; /* the effect happens, and the answer is lost */
    void (*on_stop)(void);

    bool previews_used_up;

    /* Telegram */
    int64_t queue[QUEUE_N]; /* update ids, ascending */
    size_t n_queue;
    const char *extra[QUEUE_N]; /* the update's own text instead of an ordinary message */
    struct {
        char method[32], body[4096];
        uint64_t at_ms;
    } calls[CALLS_N];
    size_t n_calls;
    struct {
        const char *method, *body;
        int status;
        enum err_kind kind; /* instead of an answer */
    } next[16];             /* answers to come, each for the next call of its method */
    size_t n_next;
    bool webhook_set;

    /* PostgreSQL */
    bool db_away, lease_taken;
    int64_t fence, saved_offset;
    char lease_state[2048], lease_owner[64];
    char accepted[QUEUE_N][96]; /* event ids, in order, each once */
    char texts[QUEUE_N][64];
    enum inbound_kind kinds[QUEUE_N];
    size_t n_accepted, n_accepts;
    const char *refuse_event; /* prefix: ERR_PROTO */

    /* the HTTP server */
    struct http_route *route;
    struct {
        struct http_in in;
        struct http_header header;
        int status; /* 0 = not answered */
    } hooks[QUEUE_N];
    size_t n_hooks;
    char retry_after[16], error[256];

    unsigned n_up, n_down;
    struct err last_down;
    char log[65536];
} fx;

/* --- one asynchronous call --- */

struct pending {
    struct op *op;
    struct timer timer;
    struct http_reply *reply;
};

static void pending_drop(struct op *op)
{
    struct pending *p = op->impl;
    timer_clear(&fx.loop, &p->timer);
    free(p);
}

static const struct op_kind fake_kind = { "fake", NULL };
static const struct op_kind pending_kind = { "fake.pending", pending_drop };

/* True: the test wants this call to fail; `op` is dealt with. Call after the effect if fail_after.
 */
static bool fake_fails(struct op *op)
{
    if (!fx.fail_at || fx.n_ops != fx.fail_at) return false;
    op_begin(op, &fake_kind, NULL, 1000);
    struct err why = { .kind = fx.fail_kind, .msg = "injected" };
    op_fail(op, &why);
    return true;
}

static void fake_count(void)
{
    fx.n_ops++;
    if (fx.stop_at && fx.n_ops == fx.stop_at && fx.on_stop) fx.on_stop();
}

static void fake_ok(struct op *op)
{
    op_begin(op, &fake_kind, NULL, 1000);
    op_finish(op);
}

static void fake_fail(struct op *op, enum err_kind kind, const char *text)
{
    op_begin(op, &fake_kind, NULL, 1000);
    op_failf(op, kind, "%s", text);
}

/* --- PostgreSQL: leases and intake --- */

void store_lease_take(struct store *s, struct op *op, struct str name, struct str owner, int64_t ms,
                      struct lease *ret)
{
    (void)s, (void)ms;
    cr_assert(str_starts(name, STR("telegram:")) && name.n == 25);
    cr_assert(str_find(name, STR("secret")) == SIZE_MAX);
    fake_count();
    *ret = (struct lease){ .mine = !fx.lease_taken };
    if (!fx.fail_after && fake_fails(op)) return;
    if (fx.db_away) {
        fake_fail(op, ERR_IO, "no database");
        return;
    }
    if (ret->mine && !str_eq(owner, str_of(fx.lease_owner))) {
        fx.fence++;
        snprintf(fx.lease_owner, sizeof(fx.lease_owner), "%.*s", STR_ARG(owner));
    }
    ret->fence = fx.fence;
    snprintf(ret->state, sizeof(ret->state), "%s", fx.lease_state);
    if (fx.fail_after && fake_fails(op)) return;
    fake_ok(op);
}

void store_lease_save(struct store *s, struct op *op, struct str name, int64_t fence,
                      struct str state, int64_t ms)
{
    (void)s, (void)name, (void)ms;
    fake_count();
    if (!fx.fail_after && fake_fails(op)) return;
    if (fx.db_away) {
        fake_fail(op, ERR_IO, "no database");
    } else if (fence != fx.fence || fx.lease_taken) {
        fake_fail(op, ERR_REFUSED, "the lease has passed to another process");
    } else {
        struct json *doc;
        cr_assert_eq(json_parse(state, &doc, NULL), ERR_NONE);
        cr_assert(json_get_i64(doc, "offset", &fx.saved_offset));
        json_free(doc);
        snprintf(fx.lease_state, sizeof(fx.lease_state), "%.*s", STR_ARG(state));
        if (fx.fail_after && fake_fails(op)) return;
        fake_ok(op);
    }
}

void store_lease_drop(struct store *s, struct op *op, struct str name, int64_t fence)
{
    (void)s, (void)name;
    if (fence == fx.fence) fx.lease_owner[0] = '\0';
    fake_ok(op);
}

static bool is_accepted(struct str event)
{
    for (size_t i = 0; i < fx.n_accepted; i++)
        if (str_eq(event, str_of(fx.accepted[i]))) return true;
    return false;
}

void cache_rate_take(struct cache_rate *rate, struct op *op, const struct rate_ask *ask,
                     struct rate_answer *ret)
{
    (void)rate;
    cr_assert_str_eq(ask->endpoint, "preview");
    cr_assert(str_starts(ask->id, STR("telegram:")));
    *ret = (struct rate_answer){ .allowed = !fx.previews_used_up, .retry_after_ms = 400 };
    fake_ok(op); /* it never fails */
}

void chat_accept(struct chat *chat, struct op *op, struct channel *ch, const struct inbound *in,
                 struct accepted *ret)
{
    (void)chat, (void)ret;
    cr_assert_eq(ch, &fx.bot->channel);
    fake_count();
    fx.n_accepts++;
    if (!fx.fail_after && fake_fails(op)) return;
    if (fx.db_away) {
        fake_fail(op, ERR_IO, "no database");
        return;
    }
    if (fx.refuse_event && str_starts(in->event_id, str_of(fx.refuse_event))) {
        fake_fail(op, ERR_PROTO, "cannot be stored");
        return;
    }
    if (!is_accepted(in->event_id)) {
        size_t i = fx.n_accepted++;
        snprintf(fx.accepted[i], sizeof(fx.accepted[i]), "%.*s", STR_ARG(in->event_id));
        snprintf(fx.texts[i], sizeof(fx.texts[i]), "%.*s", STR_ARG(in->text));
        fx.kinds[i] = in->kind;
    }
    if (fx.fail_after && fake_fails(op)) return;
    fake_ok(op);
}

void channel_up(struct channel *ch)
{
    fx.n_up += !ch->up;
    ch->up = true;
}

void channel_down(struct channel *ch, const struct err *why)
{
    fx.n_down++;
    fx.last_down = *why;
    ch->down_why = *why;
    ch->up = false;
}

void channel_heard(struct channel *ch)
{
    ch->last_event_ms = (int64_t)clock_ms();
}

/* --- Telegram --- */

static void answer(struct op *op, struct http_reply *reply, int status, const char *body)
{
    reply->status = status;
    reply->sent = true;
    buf_init(&reply->body, 1 << 20);
    buf_add_cstr(&reply->body, body);
    op_finish(op);
}

static void on_poll_over(struct timer *t)
{
    struct pending *p = container_of(t, struct pending, timer);
    answer(p->op, p->reply, 200, "{\"ok\":true,\"result\":[]}");
    free(p);
}

static void forget_below(int64_t offset)
{
    size_t n = 0;
    while (n < fx.n_queue && fx.queue[n] < offset) {
        char event[96];
        snprintf(event, sizeof(event), "%lld:7:%lld", (long long)fx.queue[n],
                 (long long)fx.queue[n]);
        bool dropped = fx.extra[n] || (fx.refuse_event && !strncmp(event, fx.refuse_event, 4));
        cr_assert(dropped || is_accepted(str_of(event)), "%s confirmed but not stored", event);
        n++;
    }
    if (n) cr_assert_geq(fx.saved_offset, offset, "the offset was advanced before it was stored");
    memmove(fx.queue, fx.queue + n, (fx.n_queue - n) * sizeof(fx.queue[0]));
    memmove(fx.extra, fx.extra + n, (fx.n_queue - n) * sizeof(fx.extra[0]));
    fx.n_queue -= n;
}

static void fake_updates(struct op *op, const struct http_request *rq, struct http_reply *reply)
{
    struct json *doc;
    int64_t offset = 0, limit = 100, timeout = 0;
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
    cr_assert_eq(json_parse(rq->body, &doc, NULL), ERR_NONE);
    json_get_i64(doc, "offset", &offset);
    json_get_i64(doc, "limit", &limit);
    json_get_i64(doc, "timeout", &timeout);
    json_free(doc);
    cr_assert(timeout >= 10 && (uint64_t)timeout * 1000 < rq->first_byte_ms, "%s: %u", rq->body.p,
              rq->first_byte_ms);
    forget_below(offset);

    struct pending *p = mem_new(struct pending);
    p->op = op;
    p->reply = reply;
    op_begin(op, &pending_kind, p, rq->total_ms);
    if (!fx.n_queue) {
        p->timer.fire = on_poll_over;
        timer_set(&fx.loop, &p->timer, (uint64_t)timeout * 1000);
        return;
    }
    buf_add_cstr(&b, "{\"ok\":true,\"result\":[");
    for (size_t i = 0; i < fx.n_queue && i < (size_t)limit; i++)
        if (fx.extra[i])
            buf_addf(&b, "%s%s", i ? "," : "", fx.extra[i]);
        else
            buf_addf(&b,
                     "%s{\"update_id\":%lld,\"message\":{\"message_id\":%lld,\"chat\":{\"id\":7,"
                     "\"type\":\"private\"},\"from\":{\"id\":7},\"text\":\"m%lld\"}}",
                     i ? "," : "", (long long)fx.queue[i], (long long)fx.queue[i],
                     (long long)fx.queue[i]);
    buf_add_cstr(&b, "]}");
    answer(op, reply, 200, b.p);
    free(p);
}

static bool fake_scripted(struct op *op, const char *method, struct http_reply *reply)
{
    for (size_t i = 0; i < fx.n_next; i++) {
        if (strcmp(fx.next[i].method, method)) continue;
        op_begin(op, &fake_kind, NULL, 1000);
        reply->sent = fx.next[i].kind == ERR_UNKNOWN || fx.next[i].kind == ERR_TIMEOUT;
        if (fx.next[i].kind)
            op_failf(op, fx.next[i].kind, "injected");
        else
            answer(op, reply, fx.next[i].status, fx.next[i].body);
        memmove(&fx.next[i], &fx.next[i + 1], (--fx.n_next - i) * sizeof(fx.next[0]));
        return true;
    }
    return false;
}

static void fake_note(const char *method, struct str body)
{
    cr_assert_lt(fx.n_calls, CALLS_N);
    snprintf(fx.calls[fx.n_calls].method, 32, "%s", method);
    snprintf(fx.calls[fx.n_calls].body, 4096, "%.*s", STR_ARG(body));
    fx.calls[fx.n_calls++].at_ms = clock_ms();
}

void http_request(struct http_client *c, struct op *op, const struct http_request *rq,
                  struct http_reply *reply)
{
    (void)c;
    const char *base = "http://api.test/bot" TOKEN "/";
    cr_assert(str_starts(str_of(rq->url), str_of(base)), "%s", rq->url);
    const char *method = rq->url + strlen(base);
    fake_count();
    fake_note(method, rq->body);
    if (fake_fails(op) || fake_scripted(op, method, reply)) return;
    if (!strcmp(method, "getUpdates") && fx.webhook_set) {
        op_begin(op, &fake_kind, NULL, 1000);
        answer(op, reply, 409,
               "{\"ok\":false,\"error_code\":409,\"description\":\"Conflict: can't use "
               "getUpdates method while webhook is active\"}");
    } else if (!strcmp(method, "getUpdates")) {
        fake_updates(op, rq, reply);
    } else {
        if (!strcmp(method, "deleteWebhook")) fx.webhook_set = false;
        if (!strcmp(method, "setWebhook")) fx.webhook_set = true;
        bool me = !strcmp(method, "getMe"), message = strstr(method, "Message") != NULL;
        op_begin(op, &fake_kind, NULL, 1000);
        answer(op, reply, 200,
               me        ? "{\"ok\":true,\"result\":{\"id\":123456,\"username\":\"parley_bot\"}}"
               : message ? "{\"ok\":true,\"result\":{\"message_id\":42,\"chat\":{}}}"
                         : "{\"ok\":true,\"result\":true}");
    }
}

void http_reply_done(struct http_reply *r)
{
    buf_done(&r->body);
}

/* --- the HTTP server --- */

void http_route_add(struct http_server *s, struct http_route *route)
{
    (void)s;
    fx.route = route;
}

void http_route_drop(struct http_route *route)
{
    if (fx.route == route) fx.route = NULL;
}

struct str http_in_header(const struct http_in *in, const char *name)
{
    for (size_t i = 0; i < in->n_headers; i++)
        if (str_eq_nocase(in->headers[i].name, str_of(name))) return in->headers[i].value;
    return STR_NONE;
}

static void answered(struct http_in *in, int status)
{
    for (size_t i = 0; i < fx.n_hooks; i++) {
        if (&fx.hooks[i].in != in) continue;
        cr_assert_eq(fx.hooks[i].status, 0, "answered twice");
        fx.hooks[i].status = status;
        return;
    }
    cr_assert(false, "an answer to nobody");
}

void http_answer(struct http_in *in, int status, const char *content_type, struct str body)
{
    (void)content_type, (void)body;
    answered(in, status);
}

void http_answer_with(struct http_in *in, int status, const struct http_header *headers, size_t n,
                      struct str body)
{
    (void)body;
    answered(in, status);
    if (n) snprintf(fx.retry_after, sizeof(fx.retry_after), "%.*s", STR_ARG(headers[0].value));
}

void http_answer_error(struct http_in *in, int status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(fx.error, sizeof(fx.error), fmt, args);
    va_end(args);
    answered(in, status);
}

/* --- for tests --- */

static void on_log(struct str line, void *ctx)
{
    (void)ctx;
    size_t n = strlen(fx.log);
    cr_assert(str_find(line, STR("secret_0123456789")) == SIZE_MAX, "the token is in the log");
    snprintf(fx.log + n, sizeof(fx.log) - n, "%.*s\n", STR_ARG(line));
}

static inline size_t count_calls(const char *method)
{
    size_t n = 0;
    for (size_t i = 0; i < fx.n_calls; i++) n += !strcmp(fx.calls[i].method, method);
    return n;
}

static inline void script(const char *method, int status, const char *body, enum err_kind kind)
{
    fx.next[fx.n_next].method = method;
    fx.next[fx.n_next].status = status;
    fx.next[fx.n_next].body = body;
    fx.next[fx.n_next++].kind = kind;
}

static inline void push(int64_t update_id, const char *text)
{
    fx.extra[fx.n_queue] = text;
    fx.queue[fx.n_queue++] = update_id;
}

static struct telegram *bot_new(enum telegram_mode mode)
{
    struct telegram *t = mem_new(struct telegram);
    t->channel.type = &telegram_type;
    t->channel.name = "support";
    t->channel.host = &fx.host;
    t->token = TOKEN;
    t->api_url = "http://api.test/";
    t->public_url = "";
    t->poll_ms = 20000;
    t->secret_token = mode == TELEGRAM_WEBHOOK ? "hook-secret_1" : "";
    t->mode = (int)mode;
    fx.bot = t;
    return t;
}

static void fakes_open(void)
{
    memset(&fx, 0, sizeof(fx));
    clock_virtual(1000);
    loop_open(&fx.loop);
    fx.chat.loop = &fx.loop;
    fx.host = (struct channel_host){
        .loop = &fx.loop, .chat = &fx.chat, .store = &fx.store, .owner = "host:1:aa"
    };
    log_sink(on_log, NULL);
}

static void bot_open(enum telegram_mode mode)
{
    struct err why = ERR_INIT;
    struct telegram *t = bot_new(mode);
    cr_assert_eq(telegram_type.open(&t->channel, &why), ERR_NONE, "%s", why.msg);
}

static void bot_close(void)
{
    telegram_type.close(&fx.bot->channel);
    loop_run_for(&fx.loop, 1000);
    free(fx.bot);
    fx.bot = NULL;
}

static void fakes_close(void)
{
    if (fx.bot) bot_close();
    loop_close(&fx.loop);
    log_sink(NULL, NULL);
    clock_real();
}
