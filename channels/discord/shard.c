/*
 * shard - one flow as long as the channel is open: lease, the limits on new sessions, the socket;
 * whatever ends rests a while and goes back to the lease, which says where to go on.
 *
 * A session that can be resumed costs nothing and loses nothing, so it is kept as long as Discord
 * keeps it: over lost sockets, restarts, and from one process to the next. New ones are counted by
 * Discord: who begins too many loses the token.
 */
#include "channels/discord/shard.h"

#include "channels/discord/gap.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/retry.h"
#include "core/chat/chat.h"
#include "core/store/store.h"

#define STOP_MS            900000 /* a human has to act */
#define STABLE_MS          30000
#define RESUMES_MAX        3
#define RESUMING_MAX_MS    60000
#define GRACE_MS           15000  /* short troubles are not worth a word */
#define IDENTIFY_WINDOW_MS 5250   /* 5 s there; what is sent may come a moment less apart */
#define BREAKER_MS         600000 /* so many new sessions within that are a loop */
#define LOW                20     /* percent of the day's sessions */

enum step { LEASE, LIMIT, PACE, LIVE, REST, N_STEPS };

static const struct retry backoff = { 1000, 60000 };

static struct discord_shard *of_flow(struct flow *f)
{
    return container_of(f, struct discord_shard, flow);
}

static const char *who(const struct discord_shard *s)
{
    return s->bot->channel.name;
}

static enum flow_rc rest(struct discord_shard *s, uint32_t ms)
{
    s->rest_ms = ms;
    flow_goto(&s->flow, REST);
    return FLOW_NEXT;
}

static enum flow_rc trouble(struct discord_shard *s, const struct err *why)
{
    if (!s->attempt++) s->failing_since_ms = clock_ms();
    uint64_t grace_ms = s->bot->channel.up ? GRACE_MS : 0;
    if (clock_ms() - s->failing_since_ms >= grace_ms) channel_down(&s->bot->channel, why);
    return rest(s, retry_delay_ms(&backoff, s->attempt, why->retry_after_ms));
}

/* --- the state, kept with the lease --- */

/* Nothing before this moment is missing, unless something waits to be stored. */
static void note_known(struct discord_shard *s)
{
    if (s->socket.phase == DISCORD_LIVE && discord_inbox_seq(&s->inbox) == s->inbox.seen)
        s->known_ms = clock_wall_ms();
}

static void state_write(struct discord_shard *s)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(sizeof(s->state) - 1);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    json_field_str(&o, "session", str_of(s->session));
    json_field_str(&o, "url", str_of(s->url));
    json_field_i64(&o, "seq", s->session[0] ? discord_inbox_seq(&s->inbox) : 0);
    json_field_i64(&o, "known", s->known_ms);
    json_field_i64(&o, "gap", s->gap_ms);
    json_close(&o, '}');
    snprintf(s->state, sizeof(s->state), "%.*s", STR_ARG(buf_str(&b)));
}

static void get_text(struct json *state, const char *key, char *ret, size_t max)
{
    struct str v = STR_NONE;
    json_get_str(state, key, &v);
    snprintf(ret, max, "%.*s", STR_ARG(v));
}

/* Somebody else has had it since: what we know is old. */
static void begin_anew(struct discord_shard *s)
{
    struct json *state = NULL;
    int64_t seq = 0;
    s->fence = s->lease.fence;
    s->known_ms = s->gap_ms = 0;
    if (s->lease.state[0]) json_parse(str_of(s->lease.state), &state, NULL);
    get_text(state, "session", s->session, sizeof(s->session));
    get_text(state, "url", s->url, sizeof(s->url));
    json_get_i64(state, "seq", &seq);
    json_get_i64(state, "known", &s->known_ms);
    json_get_i64(state, "gap", &s->gap_ms);
    json_free(state);
    if (!s->url[0]) s->session[0] = '\0';
    discord_inbox_begin(&s->inbox, true, seq);
    s->resume_failures = 0;
    log_info(who(s), "gateway is ours", "shard=%lld/%lld fence=%lld session=%s seq=%lld",
             (long long)s->number, (long long)s->count, (long long)s->fence,
             s->session[0] ? "known" : "new", (long long)seq);
}

/* The session is gone: what came since then has to be looked for. */
static void forget_session(struct discord_shard *s)
{
    if (s->session[0] && !s->gap_ms) s->gap_ms = s->known_ms;
    s->session[0] = s->url[0] = '\0';
    s->resume_failures = 0;
}

static void save_now(struct discord_shard *s)
{
    if (!s->fence) return;
    if (op_busy(&s->save)) {
        s->save_again = true;
        return;
    }
    s->save_again = false;
    note_known(s);
    state_write(s);
    store_lease_save(s->bot->channel.host->store, &s->save, str_of(s->name), s->fence,
                     str_of(s->state), s->bot->takeover_ms);
}

static void save_arm(struct discord_shard *s)
{
    timer_set(s->bot->channel.host->loop, &s->save_timer, (uint64_t)s->bot->takeover_ms / 3);
}

static void on_save_timer(struct timer *t)
{
    struct discord_shard *s = container_of(t, struct discord_shard, save_timer);
    save_arm(s);
    save_now(s);
}

/* Another process has it: Discord shall hear from that one alone. */
static void lost(struct discord_shard *s)
{
    log_warn(who(s), "another process has taken over", "shard=%lld/%lld fence=%lld",
             (long long)s->number, (long long)s->count, (long long)s->fence);
    s->fence = 0;
    discord_gap_stop(s);
    timer_clear(s->bot->channel.host->loop, &s->save_timer);
    op_cancel(&s->flow.op);
    s->socket.soon = true;
    s->socket.next = DISCORD_RESUME;
    op_sleep(&s->flow.op, 0); /* whatever the flow waits for: its step goes on, to the lease */
}

static void on_saved(struct op *op)
{
    struct discord_shard *s = container_of(op, struct discord_shard, save);
    if (op->err.kind == ERR_REFUSED) {
        lost(s);
        return;
    }
    if (op->err.kind)
        log_warn(who(s), "session not saved yet, trying again", "kind=%s text=%s",
                 err_rule(op->err.kind)->name, log_quote(str_of(op->err.msg)));
    if (s->save_again) save_now(s);
}

/* --- lease --- */

static enum flow_rc lease_start(struct flow *f)
{
    struct discord_shard *s = of_flow(f);
    const struct channel_host *host = s->bot->channel.host;
    store_lease_take(host->store, &f->op, str_of(s->name), str_of(host->owner), s->bot->takeover_ms,
                     &s->lease);
    return FLOW_WAIT;
}

static enum flow_rc lease_done(struct flow *f)
{
    struct discord_shard *s = of_flow(f);
    if (!s->lease.mine) {
        if (!s->told)
            log_info(who(s), "another process holds the gateway, standing by",
                     "shard=%lld/%lld owner=%s", (long long)s->number, (long long)s->count,
                     s->lease.owner);
        s->told = true;
        s->fence = 0;
        s->attempt = 0;
        channel_up(&s->bot->channel); /* standing by is as good as it gets */
        return rest(s, (uint32_t)s->bot->takeover_ms / 5);
    }
    s->told = false;
    if (s->fence != s->lease.fence) begin_anew(s);
    if (!timer_armed(&s->save_timer)) save_arm(s);
    if (s->session[0]) flow_goto(f, LIVE);
    return FLOW_NEXT;
}

static enum flow_rc lease_failed(struct flow *f)
{
    return trouble(of_flow(f), &f->op.err);
}

/* --- limit: may we begin a session? --- */

static enum flow_rc limit_start(struct flow *f)
{
    struct discord_shard *s = of_flow(f);
    static const struct discord_call call = { .method = "GET",
                                              .route = "/gateway/bot",
                                              .path = { "/gateway/bot", 12 } };
    discord_reply_done(&s->reply);
    discord_call(s->bot, &f->op, &call, &s->reply);
    return FLOW_WAIT;
}

/* Beyond that, each new session is one of a loop: Discord would take the token away. */
static uint32_t breaker_ms(const struct discord_shard *s)
{
    size_t max = sizeof(s->identified_ms) / sizeof(s->identified_ms[0]);
    if (s->n_identified < max) return 0;
    uint64_t oldest = s->identified_ms[s->n_identified % max], now = clock_ms();
    return now - oldest < BREAKER_MS ? (uint32_t)(BREAKER_MS - (now - oldest)) : 0;
}

static enum flow_rc wait_for_limit(struct discord_shard *s, uint32_t ms, const char *text)
{
    struct err why;
    err_set(&why, ERR_LIMIT, "%s", text);
    channel_down(&s->bot->channel, &why);
    return rest(s, ms);
}

static enum flow_rc limit_done(struct flow *f)
{
    struct discord_shard *s = of_flow(f);
    struct json *limit = json_get(s->reply.doc, "session_start_limit");
    int64_t total = 1000, remaining = 1, after_ms = 0, concurrency = 1;
    get_text(s->reply.doc, "url", s->base_url, sizeof(s->base_url));
    json_get_i64(limit, "total", &total);
    json_get_i64(limit, "remaining", &remaining);
    json_get_i64(limit, "reset_after", &after_ms);
    json_get_i64(limit, "max_concurrency", &concurrency);
    snprintf(s->bucket, sizeof(s->bucket), "identify-%lld",
             (long long)(s->number % (concurrency > 0 ? concurrency : 1)));
    if (!s->base_url[0]) {
        struct err why;
        err_set(&why, ERR_PROTO, "/gateway/bot: no url");
        return trouble(s, &why);
    }
    if (remaining <= 0)
        return wait_for_limit(s, after_ms > 0 && after_ms < 86400000 ? (uint32_t)after_ms : STOP_MS,
                              "the day's new sessions are used up (session_start_limit)");
    uint32_t pause_ms = breaker_ms(s);
    if (pause_ms) return wait_for_limit(s, pause_ms, "too many new sessions in a short time");
    if (remaining * 100 < total * LOW)
        log_warn(who(s), "few new sessions are left today", "remaining=%lld total=%lld",
                 (long long)remaining, (long long)total);
    return FLOW_NEXT;
}

static enum flow_rc limit_failed(struct flow *f)
{
    struct discord_shard *s = of_flow(f);
    if (f->op.err.kind != ERR_AUTH) return trouble(s, &f->op.err);
    channel_down(&s->bot->channel, &f->op.err);
    return rest(s, STOP_MS);
}

/* --- pace: one new session in 5 s, whichever process begins it --- */

static enum flow_rc pace_start(struct flow *f)
{
    struct discord_shard *s = of_flow(f);
    const struct rate_ask ask = { .scope = RATE_BOT,
                                  .id = str_of(s->bot->lease),
                                  .endpoint = s->bucket,
                                  .max = 1,
                                  .window_ms = IDENTIFY_WINDOW_MS };
    cache_rate_take(s->bot->channel.host->chat->rate, &f->op, &ask, &s->rate);
    return FLOW_WAIT;
}

static enum flow_rc pace_done(struct flow *f)
{
    struct discord_shard *s = of_flow(f);
    size_t max = sizeof(s->identified_ms) / sizeof(s->identified_ms[0]);
    if (!s->fence) { /* lost meanwhile */
        flow_goto(f, LEASE);
        return FLOW_NEXT;
    }
    if (!s->rate.allowed) return rest(s, s->rate.retry_after_ms + (uint32_t)rand_below(250));
    s->identified_ms[s->n_identified++ % max] = clock_ms();
    discord_inbox_begin(&s->inbox, true, 0);
    return FLOW_NEXT;
}

/* --- live --- */

static enum flow_rc live_start(struct flow *f)
{
    discord_socket_run(of_flow(f), &f->op);
    return FLOW_WAIT;
}

static enum flow_rc live_done(struct flow *f)
{
    flow_goto(f, LEASE); /* the lease is lost */
    return FLOW_NEXT;
}

/* Discord may keep a session and yet never confirm that it goes on. */
static void count_resume(struct discord_shard *s)
{
    if (s->socket.live_since_ms || !s->session[0]) return;
    s->resume_failures++;
    bool long_ago = s->attempt && clock_ms() - s->failing_since_ms > RESUMING_MAX_MS;
    if (s->resume_failures >= RESUMES_MAX || long_ago) s->socket.next = DISCORD_IDENTIFY;
}

static enum flow_rc live_failed(struct flow *f)
{
    struct discord_shard *s = of_flow(f);
    struct discord_socket *k = &s->socket;
    const struct err why = f->op.err;
    bool stable = k->live_since_ms && clock_ms() - k->live_since_ms > STABLE_MS;
    if (stable) s->attempt = 0;
    count_resume(s);
    log_info(who(s), "gateway connection ended", "shard=%lld/%lld next=%s text=%s",
             (long long)s->number, (long long)s->count,
             k->next == DISCORD_RESUME     ? "resume"
             : k->next == DISCORD_IDENTIFY ? "identify"
                                           : "stop",
             log_quote(str_of(why.msg)));
    if (k->next == DISCORD_STOP) {
        channel_down(&s->bot->channel, &why);
        return rest(s, STOP_MS);
    }
    if (k->next == DISCORD_IDENTIFY) {
        forget_session(s);
        save_now(s);
    }
    if (k->soon && (stable || !s->attempt)) {
        s->attempt++;
        s->failing_since_ms = clock_ms();
        return rest(s, 0);
    }
    return trouble(s, &why);
}

void discord_shard_ready(struct discord_shard *s, struct json *data, int64_t seq)
{
    struct discord *d = s->bot;
    get_text(data, "session_id", s->session, sizeof(s->session));
    get_text(data, "resume_gateway_url", s->url, sizeof(s->url));
    if (!s->url[0]) snprintf(s->url, sizeof(s->url), "%s", s->base_url);
    get_text(json_get(data, "user"), "id", d->id, sizeof(d->id));
    get_text(json_get(data, "user"), "username", d->username, sizeof(d->username));
    get_text(json_get(data, "application"), "id", d->application, sizeof(d->application));
    discord_inbox_begin(&s->inbox, true, seq);
    s->resume_failures = 0;
    log_info(d->channel.name, "gateway session begun", "shard=%lld/%lld", (long long)s->number,
             (long long)s->count);
    channel_up(&d->channel);
    if (s->gap_ms && !s->gap) discord_gap_start(s);
    if (!s->gap_ms) s->known_ms = clock_wall_ms();
    save_now(s);
}

void discord_shard_resumed(struct discord_shard *s)
{
    s->resume_failures = 0;
    log_info(who(s), "gateway session resumed", "shard=%lld/%lld seq=%lld", (long long)s->number,
             (long long)s->count, (long long)s->inbox.seen);
    channel_up(&s->bot->channel);
    if (s->gap_ms && !s->gap) discord_gap_start(s); /* left by a process that died */
    save_now(s);
}

void discord_shard_heard(struct discord_shard *s)
{
    if (clock_ms() - s->socket.live_since_ms > STABLE_MS) s->attempt = 0;
    channel_up(&s->bot->channel);
    note_known(s);
    if (s->gap_ms && !s->gap) discord_gap_start(s); /* the last try did not get through */
}

void discord_shard_filled(struct discord_shard *s)
{
    s->gap_ms = 0;
    save_now(s);
}

/* --- rest --- */

static enum flow_rc rest_start(struct flow *f)
{
    op_sleep(&f->op, of_flow(f)->rest_ms);
    return FLOW_WAIT;
}

static enum flow_rc rest_done(struct flow *f)
{
    flow_goto(f, LEASE);
    return FLOW_NEXT;
}

/* --- life --- */

static void shard_end(struct flow *f)
{
    struct discord_shard *s = of_flow(f);
    discord_gap_stop(s);
    op_cancel(&s->save);
    timer_clear(s->bot->channel.host->loop, &s->save_timer);
    discord_inbox_close(&s->inbox);
    discord_reply_done(&s->reply);
    list_drop(&s->link);
    free(s);
}

static const struct flow_step steps[N_STEPS] = {
    [LEASE] = { "lease", lease_start, lease_done, lease_failed },
    [LIMIT] = { "limit", limit_start, limit_done, limit_failed },
    [PACE] = { "pace", pace_start, pace_done, NULL },
    [LIVE] = { "live", live_start, live_done, live_failed },
    [REST] = { "rest", rest_start, rest_done, NULL },
};
static const struct flow_kind shard_flow = { "discord.shard", steps, N_STEPS, 0, shard_end };

struct discord_shard *discord_shard_start(struct discord *d, int64_t number, int64_t count)
{
    struct discord_shard *s = mem_new(struct discord_shard);
    s->bot = d;
    s->number = number;
    s->count = count;
    s->save_timer.fire = on_save_timer;
    snprintf(s->name, sizeof(s->name), "%s:%lld/%lld", d->lease, (long long)number,
             (long long)count);
    list_init(&s->link);
    op_init(&s->save, d->channel.host->loop, on_saved);
    discord_inbox_open(&s->inbox, d);
    flow_start(&s->flow, &shard_flow, d->channel.host->loop, NULL);
    return s;
}

/* What is left to say to the database when the shard is gone. */
struct leave {
    struct flow flow;
    struct store *store;
    char name[48], state[1024];
    int64_t fence, takeover_ms;
};

static struct leave *of_leave(struct flow *f)
{
    return container_of(f, struct leave, flow);
}

static enum flow_rc leave_save(struct flow *f)
{
    struct leave *l = of_leave(f);
    store_lease_save(l->store, &f->op, str_of(l->name), l->fence, str_of(l->state), l->takeover_ms);
    return FLOW_WAIT;
}

static enum flow_rc leave_drop(struct flow *f)
{
    struct leave *l = of_leave(f);
    store_lease_drop(l->store, &f->op, str_of(l->name), l->fence);
    return FLOW_WAIT;
}

static void leave_end(struct flow *f)
{
    if (f->err.kind) /* it runs out by itself */
        log_debug("discord", "lease was not given back", "why=%s", log_quote(str_of(f->err.msg)));
    list_drop(&f->link);
    free(of_leave(f));
}

static const struct flow_step leave_steps[] = { { "save", leave_save, NULL, NULL },
                                                { "drop", leave_drop, NULL, NULL } };
static const struct flow_kind leave_flow = { "discord.leave", leave_steps, 2, 10000, leave_end };

void discord_shard_stop(struct discord_shard *s)
{
    const struct channel_host *host = s->bot->channel.host;
    if (s->fence) {
        struct leave *l = mem_new(struct leave);
        note_known(s);
        state_write(s);
        l->store = host->store;
        l->fence = s->fence;
        l->takeover_ms = s->bot->takeover_ms;
        memcpy(l->name, s->name, sizeof(l->name));
        memcpy(l->state, s->state, sizeof(l->state));
        flow_start(&l->flow, &leave_flow, host->loop, &s->bot->leaving);
    }
    flow_stop(&s->flow, ERR_CANCELLED, "the channel pauses");
}
