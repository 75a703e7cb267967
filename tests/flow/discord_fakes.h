/*
 * discord_fakes - what a shard talks to, in memory and on the virtual clock: a gateway that behaves
 * as Discord's does, the lease, the core's intake, REST, the limits. Every asynchronous call is
 * counted, so that a test can fail the first, the second, the third ...
 *
 * The fakes also check the promises: no sequence number is told to Discord, or saved, before
 * everything up to it is stored.
 */
#pragma once
#include "channels/discord/bot.h"
#include "channels/discord/interaction.h"
#include "channels/discord/send.h"
#include "channels/discord/shard.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/chat.h"
#include "core/chat/command.h"
#include "core/net/ws_client.h"
#include "core/store/conversation.h"
#include "core/store/store.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define ME       "1000000000000000001"
#define APP      "1000000000000000002"
#define ALICE    "1000000000000000007"
#define CHANNEL  "1000000000000000100"
#define GUILD    "1000000000000000010"
#define THREAD   "1000000000000000101"
#define EVENTS_N 512
#define BEAT_MS  40000

const struct command commands[] = { { .name = "help", .args = "", .help = "What I can do" },
                                    { .name = "model", .args = "[name]", .help = "The model" },
                                    { .name = NULL } };
/* A connection to the gateway. */
struct ws_client {
    const struct ws_client_handler *handler;
    void *user;
    struct timer step;
    enum { WIRE_OPENS, WIRE_IDLE, WIRE_ANSWERS, WIRE_REPLAYS, WIRE_CLOSES } state;
    int64_t at; /* WIRE_REPLAYS: the next event */
    bool resumes, dead;
};

static struct fakes {
    struct loop loop;
    struct channel_host host;
    struct store store;
    struct chat chat;
    struct discord bot;
    struct discord_shard *shard;

    unsigned n_ops, fail_at, stop_at; /* 1-based; 0 = never */
    enum err_kind fail_kind;
    bool fail_after; /* the effect happens, and the answer is lost */

    /* the gateway */
    char *events[EVENTS_N + 1]; /* by sequence number of the session: the text of a frame */
    int64_t n_events;
    int session; /* the number of the session that lives; 0 = none */
    int n_sessions;
    struct ws_client *wire;
    unsigned n_dials, n_identifies, n_resumes, n_beats;
    int64_t resumed_from, beat_seq; /* what Discord was told */
    char dialled[512], identify[4096];
    bool refuse_dials, no_hello, no_ready, no_resumed, no_acks, refuse_resume;
    int close_code;  /* the next identify or resume is answered by it */
    int closed_with; /* our last close frame */
    int64_t remaining, reset_after;

    /* PostgreSQL */
    bool db_away, lease_taken;
    int64_t fence;
    char lease_state[2048], lease_owner[64];
    char accepted[EVENTS_N][64]; /* event ids, in order, each once */
    struct inbound in[EVENTS_N]; /* kind, late_ms; texts below */
    char texts[EVENTS_N][64], tickets[EVENTS_N][32];
    size_t n_accepted, n_accepts;
    const char *refuse_event; /* ERR_PROTO */
    bool slow_accepts;        /* they hang until `accepts_go` */
    struct list hanging;

    /* REST */
    char calls[64][200];
    size_t n_calls;
    const char *parent; /* of THREAD */
    const char *pages[8];
    size_t n_pages;
    unsigned n_acks;
    int last_ack;

    unsigned n_up, n_down;
    struct err last_down;
    char log[262144];
} fx;

/* --- one asynchronous call --- */

static const struct op_kind fake_kind = { "fake", NULL };

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
    if (fx.stop_at && fx.n_ops == fx.stop_at) loop_stop(&fx.loop);
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

/* --- PostgreSQL: leases, places, intake --- */

static int64_t saved(const char *key)
{
    struct json *state = NULL;
    int64_t v = 0;
    if (fx.lease_state[0]) cr_assert_eq(json_parse(str_of(fx.lease_state), &state, NULL), ERR_NONE);
    json_get_i64(state, key, &v);
    json_free(state);
    return v;
}

static bool is_accepted(const char *event)
{
    for (size_t i = 0; i < fx.n_accepted; i++)
        if (!strcmp(fx.accepted[i], event)) return true;
    return false;
}

/* Invariant 1: everything of the session up to `seq` is stored (messages have their number as id).
 */
static void check_stored(int64_t seq, const char *who)
{
    for (int64_t s = 1; s <= seq && s <= fx.n_events; s++) {
        char event[64];
        snprintf(event, sizeof(event), "m:%lld", 2000000000000000000LL + s);
        if (!fx.events[s] || !strstr(fx.events[s], event + 2)) continue;
        bool refused = fx.refuse_event && !strcmp(fx.refuse_event, event);
        cr_assert(refused || is_accepted(event), "%s has %lld, but %s is not stored", who,
                  (long long)seq, event);
    }
}

void store_lease_take(struct store *s, struct op *op, struct str name, struct str owner, int64_t ms,
                      struct lease *ret)
{
    (void)s, (void)ms;
    cr_assert(str_starts(name, STR("discord:")));
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
    cr_assert(str_find(state, STR("TOKEN")) == SIZE_MAX);
    if (!fx.fail_after && fake_fails(op)) return;
    if (fx.db_away) {
        fake_fail(op, ERR_IO, "no database");
    } else if (fence != fx.fence || fx.lease_taken) {
        fake_fail(op, ERR_REFUSED, "the lease has passed to another process");
    } else {
        snprintf(fx.lease_state, sizeof(fx.lease_state), "%.*s", STR_ARG(state));
        char session[32];
        snprintf(session, sizeof(session), "\"session-%d\"", fx.session);
        if (fx.session && strstr(fx.lease_state, session)) check_stored(saved("seq"), "the lease");
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

void store_places(struct store *s, struct op *op, struct str channel, int64_t days, int64_t limit,
                  struct pg_rows *rows)
{
    (void)s, (void)channel, (void)days, (void)limit;
    *rows = (struct pg_rows){ .n = 0 };
    fake_count();
    if (fake_fails(op)) return;
    fake_ok(op);
}

static void note_accepted(const struct inbound *in)
{
    char event[64];
    snprintf(event, sizeof(event), "%.*s", STR_ARG(in->event_id));
    if (is_accepted(event)) return;
    size_t i = fx.n_accepted++;
    memcpy(fx.accepted[i], event, sizeof(event));
    snprintf(fx.texts[i], sizeof(fx.texts[i]), "%.*s", STR_ARG(in->text));
    snprintf(fx.tickets[i], sizeof(fx.tickets[i]), "%.*s", STR_ARG(in->ticket));
    fx.in[i] = (struct inbound){ .kind = in->kind, .late_ms = in->late_ms, .vote = in->vote };
}

struct hanging {
    struct list link;
    struct op *op;
    char event[64], text[64];
};

static void hanging_drop(struct op *op)
{
    struct hanging *h = op->impl;
    list_drop(&h->link);
    free(h);
}

static const struct op_kind hanging_kind = { "fake.hanging", hanging_drop };

void chat_accept(struct chat *chat, struct op *op, struct channel *ch, const struct inbound *in,
                 struct accepted *ret)
{
    (void)chat, (void)ret;
    cr_assert_eq(ch, &fx.bot.channel);
    cr_assert(utf8_valid(in->text) && utf8_valid(in->from.display_name));
    fake_count();
    fx.n_accepts++;
    if (!fx.fail_after && fake_fails(op)) return;
    if (fx.db_away) {
        fake_fail(op, ERR_IO, "no database");
        return;
    }
    if (fx.refuse_event && str_eq(in->event_id, str_of(fx.refuse_event))) {
        fake_fail(op, ERR_PROTO, "cannot be stored");
        return;
    }
    if (fx.slow_accepts) {
        struct hanging *h = mem_new(struct hanging);
        snprintf(h->event, sizeof(h->event), "%.*s", STR_ARG(in->event_id));
        snprintf(h->text, sizeof(h->text), "%.*s", STR_ARG(in->text));
        h->op = op;
        list_push(&fx.hanging, &h->link);
        op_begin(op, &hanging_kind, h, 60000);
        return;
    }
    note_accepted(in);
    if (fx.fail_after && fake_fails(op)) return;
    fake_ok(op);
}

/* The database answers what hangs, in its order. */
static inline void accepts_go(void)
{
    while (!list_empty(&fx.hanging)) {
        struct hanging *h = list_first(&fx.hanging, struct hanging, link);
        const struct inbound in = { .event_id = str_of(h->event), .text = str_of(h->text) };
        struct op *op = h->op;
        note_accepted(&in);
        op_finish(op);
        hanging_drop(&(struct op){ .impl = h });
    }
}

void cache_rate_take(struct cache_rate *rate, struct op *op, const struct rate_ask *ask,
                     struct rate_answer *ret)
{
    (void)rate;
    cr_assert(str_starts(str_of(ask->endpoint), STR("identify-")));
    cr_assert_eq(ask->max, 1);
    fake_count();
    *ret = (struct rate_answer){ .allowed = true };
    fake_ok(op); /* it never fails */
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

/* --- REST --- */

void discord_reply_done(struct discord_reply *r)
{
    json_free(r->doc);
    *r = (struct discord_reply){ .status = 0 };
}

static void rest_answer(struct op *op, struct discord_reply *ret, const char *text)
{
    cr_assert_eq(json_parse(str_of(text), &ret->doc, NULL), ERR_NONE, "%s", text);
    ret->status = 200;
    fake_ok(op);
}

void discord_call(struct discord *d, struct op *op, const struct discord_call *call,
                  struct discord_reply *ret)
{
    char text[512];
    cr_assert_eq(d, &fx.bot);
    cr_assert_str_eq(call->method, "GET");
    *ret = (struct discord_reply){ .status = 0 };
    fake_count();
    snprintf(fx.calls[fx.n_calls++ % 64], 200, "%.*s", STR_ARG(call->path));
    if (fake_fails(op)) return;
    if (str_eq(call->path, STR("/gateway/bot"))) {
        snprintf(text, sizeof(text),
                 "{\"url\":\"wss://gateway.test\",\"shards\":1,\"session_start_limit\":{\"total\":"
                 "1000,\"remaining\":%lld,\"reset_after\":%lld,\"max_concurrency\":1}}",
                 (long long)fx.remaining, (long long)fx.reset_after);
        rest_answer(op, ret, text);
    } else if (str_eq(call->path, STR("/channels/" THREAD))) {
        snprintf(text, sizeof(text), "{\"id\":\"" THREAD "\",\"type\":11,\"parent_id\":\"%s\"}",
                 fx.parent);
        rest_answer(op, ret, text);
    } else if (str_starts(call->path, STR("/users/@me/guilds"))) {
        rest_answer(op, ret, "[{\"id\":\"" GUILD "\"}]");
    } else if (str_eq(call->path, STR("/guilds/" GUILD "/channels"))) {
        rest_answer(op, ret,
                    "[{\"id\":\"" CHANNEL "\",\"type\":0,\"last_message_id\":"
                    "\"9000000000000000000\"},{\"id\":\"3\",\"type\":4}]");
    } else if (str_starts(call->path, STR("/guilds/"))) {
        rest_answer(op, ret, "{\"threads\":[]}");
    } else if (str_starts(call->path, STR("/channels/" CHANNEL "/messages"))) {
        rest_answer(op, ret, fx.n_pages ? fx.pages[--fx.n_pages] : "[]");
    } else {
        fake_fail(op, ERR_NOT_FOUND, "no such path");
    }
}

void discord_acknowledge(struct discord *d, const struct discord_interaction *what, struct str text)
{
    (void)d, (void)text;
    fx.n_acks++;
    fx.last_ack = (int)what->ack;
}

/* --- the gateway --- */

static void wire_free(struct ws_client *c)
{
    timer_clear(&fx.loop, &c->step);
    if (fx.wire == c) fx.wire = NULL;
    free(c);
}

static void wire_say(struct ws_client *c, const char *text)
{
    c->handler->data(c, c->user, str_of(text), false, true, true);
}

/* The connection ends from Discord's side. */
static void wire_end(struct ws_client *c, int code)
{
    const struct ws_client_handler *handler = c->handler;
    void *user = c->user;
    struct err why = { .kind = ERR_IO, .msg = "closed" };
    wire_free(c);
    handler->closed(user, code, &why);
}

static void wire_ready(struct ws_client *c)
{
    char text[512];
    fx.session = ++fx.n_sessions;
    for (int64_t i = 1; i <= fx.n_events; i++) {
        free(fx.events[i]);
        fx.events[i] = NULL;
    }
    fx.n_events = 1; /* READY itself */
    snprintf(text, sizeof(text),
             "{\"t\":\"READY\",\"s\":1,\"op\":0,\"d\":{\"v\":10,\"user\":{\"id\":\"" ME
             "\",\"username\":\"parley\"},\"session_id\":\"session-%d\",\"resume_gateway_url\":"
             "\"wss://resume.test\",\"application\":{\"id\":\"" APP "\"},\"guilds\":[]}}",
             fx.session);
    wire_say(c, text);
}

static void on_wire_step(struct timer *t)
{
    struct ws_client *c = container_of(t, struct ws_client, step);
    if (c->state == WIRE_OPENS && fx.refuse_dials) {
        wire_end(c, 0);
    } else if (c->state == WIRE_OPENS) {
        c->state = WIRE_IDLE;
        c->handler->open(c, c->user);
        char hello[128];
        snprintf(hello, sizeof(hello),
                 "{\"t\":null,\"s\":null,\"op\":10,\"d\":{\"heartbeat_interval\":%d}}", BEAT_MS);
        if (!fx.no_hello) wire_say(c, hello);
    } else if (c->state == WIRE_CLOSES) {
        wire_end(c, 0);
    } else if (fx.close_code) {
        int code = fx.close_code;
        fx.close_code = 0;
        if (code == 4007 || code == 4006) fx.session = 0;
        wire_end(c, code);
    } else if (c->state == WIRE_ANSWERS && c->resumes && (!fx.session || fx.refuse_resume)) {
        c->state = WIRE_IDLE;
        fx.session = 0;
        wire_say(c, "{\"t\":null,\"s\":null,\"op\":9,\"d\":false}");
    } else if (c->state == WIRE_ANSWERS && c->resumes) {
        c->state = WIRE_REPLAYS;
        c->at = fx.resumed_from + 1;
        timer_set(&fx.loop, &c->step, 10);
    } else if (c->state == WIRE_ANSWERS) {
        c->state = WIRE_IDLE;
        if (!fx.no_ready) wire_ready(c);
    } else if (c->at <= fx.n_events) {
        timer_set(&fx.loop, &c->step, 1);
        int64_t at = c->at++;
        if (fx.events[at]) wire_say(c, fx.events[at]);
    } else {
        c->state = WIRE_IDLE;
        if (!fx.no_resumed) wire_say(c, "{\"t\":\"RESUMED\",\"s\":null,\"op\":0,\"d\":{}}");
    }
}

struct ws_client *ws_client_dial(struct ws_clients *w, const struct ws_dial *dial,
                                 const struct ws_client_handler *handler, void *user)
{
    (void)w;
    struct ws_client *c = mem_new(struct ws_client);
    cr_assert_eq(fx.wire, NULL, "two connections at once");
    c->handler = handler;
    c->user = user;
    c->step.fire = on_wire_step;
    fx.wire = c;
    fx.n_dials++;
    snprintf(fx.dialled, sizeof(fx.dialled), "%s", dial->url);
    timer_set(&fx.loop, &c->step, 20);
    return c;
}

bool ws_client_send(struct ws_client *c, struct str text)
{
    struct json *doc;
    int64_t op = -1;
    cr_assert_eq(json_parse(text, &doc, NULL), ERR_NONE);
    cr_assert_leq(text.n, 4096);
    json_get_i64(doc, "op", &op);
    if (op == 1) {
        fx.n_beats++;
        fx.beat_seq = 0;
        json_get_i64(doc, "d", &fx.beat_seq);
        if (fx.session) check_stored(fx.beat_seq, "Discord");
    }
    if (op == 2) {
        fx.n_identifies++;
        fx.session = 0;
        snprintf(fx.identify, sizeof(fx.identify), "%.*s", STR_ARG(text));
    }
    if (op == 6) {
        char session[32];
        struct str got = STR_NONE;
        fx.n_resumes++;
        fx.resumed_from = -1;
        json_get_i64(json_get(doc, "d"), "seq", &fx.resumed_from);
        json_get_str(json_get(doc, "d"), "session_id", &got);
        snprintf(session, sizeof(session), "session-%d", fx.session);
        if (!str_eq(got, str_of(session))) fx.session = 0;
        if (fx.session) check_stored(fx.resumed_from, "Discord");
    }
    json_free(doc);
    if (op == 2 || op == 6) {
        c->state = WIRE_ANSWERS;
        c->resumes = op == 6;
        timer_set(&fx.loop, &c->step, 20);
    } else if (op == 1 && !fx.no_acks) {
        wire_say(c, "{\"t\":null,\"s\":null,\"op\":11,\"d\":null}");
    }
    return true;
}

void ws_client_close(struct ws_client *c, int code, const char *reason)
{
    (void)reason;
    fx.closed_with = code;
    if (code == 1000 || code == 1001) fx.session = 0; /* that ends it */
    c->state = WIRE_CLOSES;
    timer_set(&fx.loop, &c->step, 20);
}

void ws_client_drop(struct ws_client *c)
{
    wire_free(c);
}

/* Discord has an event: it goes out now, or when the session is resumed. */
static inline void dispatch(const char *type, const char *fmt, ...)
{
    char data[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(data, sizeof(data), fmt, args);
    va_end(args);
    if (!fx.session) return; /* nobody is there: it is lost, but for REST */
    int64_t s = ++fx.n_events;
    cr_assert_lt(s, EVENTS_N);
    fx.events[s] = mem_alloc(4096);
    snprintf(fx.events[s], 4096, "{\"t\":\"%s\",\"s\":%lld,\"op\":0,\"d\":%s}", type, (long long)s,
             data);
    bool live = fx.wire && fx.wire->state == WIRE_IDLE && fx.session;
    if (live && fx.shard && fx.shard->socket.phase == DISCORD_LIVE) wire_say(fx.wire, fx.events[s]);
}

/* Somebody mentions us; the message's id ends with the event's number. */
static inline void message(const char *text)
{
    dispatch("MESSAGE_CREATE",
             "{\"id\":\"%lld\",\"channel_id\":\"" CHANNEL "\",\"guild_id\":\"" GUILD
             "\",\"type\":0,\"author\":{\"id\":\"" ALICE
             "\",\"username\":\"alice\"},\"content\":\"<@" ME "> %s\",\"mentions\":[{\"id\":\"" ME
             "\"}],\"attachments\":[]}",
             2000000000000000000LL + fx.n_events + 1, text);
}

/* --- for tests --- */

static void on_log(struct str line, void *ctx)
{
    (void)ctx;
    size_t n = strlen(fx.log);
    cr_assert(str_find(line, STR("TOKEN")) == SIZE_MAX, "the token is in the log");
    snprintf(fx.log + n, sizeof(fx.log) - n, "%.*s\n", STR_ARG(line));
}

static void fakes_open(void)
{
    static const struct channel_type type = { .name = "discord" };
    memset(&fx, 0, sizeof(fx));
    clock_virtual(UINT64_C(1896907700000)); /* some minutes after the messages of the tests */
    loop_open(&fx.loop);
    list_init(&fx.hanging);
    fx.remaining = 1000;
    fx.parent = CHANNEL;
    fx.chat.loop = &fx.loop;
    fx.host = (struct channel_host){
        .loop = &fx.loop, .chat = &fx.chat, .store = &fx.store, .owner = "host:1:aa"
    };
    fx.bot = (struct discord){ .channel = { .type = &type, .name = "bot", .host = &fx.host },
                               .token = "TOKEN.secret",
                               .public_key = "",
                               .activity = "",
                               .message_content = true,
                               .gap_ms = 3600000,
                               .gap_messages = 200,
                               .takeover_ms = 15000,
                               .ready_ms = 15000 };
    list_init(&fx.bot.leaving);
    snprintf(fx.bot.lease, sizeof(fx.bot.lease), "discord:0123456789abcdef");
    log_sink(on_log, NULL);
    log_setup(LOG_DEBUG, LOG_TEXT);
}

static void shard_open(void)
{
    fx.shard = discord_shard_start(&fx.bot, 0, 1);
}

static void shard_close(void)
{
    if (fx.shard) discord_shard_stop(fx.shard);
    fx.shard = NULL;
    loop_run_for(&fx.loop, 20000);
    while (!list_empty(&fx.bot.leaving))
        flow_stop(list_first(&fx.bot.leaving, struct flow, link), ERR_CANCELLED, "over");
}

static void fakes_close(void)
{
    shard_close();
    loop_run_for(&fx.loop, 1000);
    cr_expect_eq(fx.wire, NULL);
    for (int64_t i = 1; i <= EVENTS_N; i++) free(fx.events[i]);
    loop_close(&fx.loop);
    log_sink(NULL, NULL);
    clock_real();
}
