/*
 * socket - frames in, a few out. Every wait has a deadline: Discord confirms neither a resume nor
 * an identify by anything but its success.
 */
#include "channels/discord/socket.h"

#include "channels/discord/shard.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/metric.h"
#include "core/base/rand.h"
#include "core/net/inflate.h"
#include "core/net/ws_client.h"

#define CONNECT_MS  30000
#define HELLO_MS    60000
#define PLAIN_MAX   ((size_t)64 << 20) /* of one payload, inflated: more is a bomb */
#define SEND_MAX    4096               /* docs: a larger payload closes the connection */
#define BEAT_MIN_MS 50
#define BEAT_MAX_MS 3600000
#define LIVE_MS     86400000 /* an op needs a deadline; every heartbeat sets it anew */
#define LEAVE_CODE  4000     /* 1000 and 1001 would end the session */

enum {
    OP_DISPATCH,
    OP_BEAT,
    OP_IDENTIFY,
    OP_RESUME = 6,
    OP_RECONNECT,
    OP_INVALID = 9,
    OP_HELLO,
    OP_ACK
};

/* docs.discord.com/developers/events/gateway#list-of-intents */
#define INTENTS         (1 | 1 << 9 | 1 << 10 | 1 << 12 | 1 << 13)
#define MESSAGE_CONTENT (1 << 15)

static struct metric m_sessions[] = {
    METRIC(METRIC_COUNTER, "parley_discord_sessions_total", "how=\"resumed\"",
           "Sessions of the gateway"),
    METRIC(METRIC_COUNTER, "parley_discord_sessions_total", "how=\"begun\"",
           "Sessions of the gateway"),
};

static struct discord_shard *shard_of(struct discord_socket *k)
{
    return container_of(k, struct discord_shard, socket);
}

static struct loop *loop_of(struct discord_socket *k)
{
    return shard_of(k)->bot->channel.host->loop;
}

/* --- the end --- */

static void forget(struct discord_socket *k)
{
    timer_clear(loop_of(k), &k->beat);
    timer_clear(loop_of(k), &k->patience);
    inflate_free(k->inflate);
    k->inflate = NULL;
    discord_frames_done(&k->frames);
    k->phase = DISCORD_CLOSED;
}

static void over(struct discord_socket *k, const struct err *why)
{
    struct op *outer = k->outer;
    forget(k);
    k->outer = NULL;
    if (outer) op_fail(outer, why);
}

static void on_closed(void *user, int code, const struct err *why)
{
    struct discord_socket *k = user;
    k->ws = NULL;
    if (!k->decided) {
        k->next = discord_close_rule(code, &k->why);
        if (!code) k->why = *why;
        if (k->why.kind == ERR_NONE) err_set(&k->why, ERR_IO, "the connection was lost");
        k->soon = k->phase == DISCORD_LIVE && k->next == DISCORD_RESUME;
    }
    const struct err reason = k->why;
    over(k, &reason);
}

void discord_socket_leave(struct discord_shard *s, enum discord_next next, const struct err *why)
{
    struct discord_socket *k = &s->socket;
    if (!k->ws || k->decided) return;
    k->decided = true;
    k->next = next;
    k->why = *why;
    timer_clear(loop_of(k), &k->beat);
    timer_clear(loop_of(k), &k->patience);
    ws_client_close(k->ws, LEAVE_CODE, "");
}

static void leave(struct discord_socket *k, enum discord_next next, enum err_kind kind,
                  const char *text)
{
    struct err why;
    err_set(&why, kind, "%s", text);
    discord_socket_leave(shard_of(k), next, &why);
}

/* Nobody there to say goodbye to. */
static void give_up(struct discord_socket *k, const char *text)
{
    ws_client_drop(k->ws);
    k->ws = NULL;
    k->next = DISCORD_RESUME;
    k->soon = k->phase == DISCORD_LIVE;
    err_set(&k->why, ERR_TIMEOUT, "%s", text);
    const struct err reason = k->why;
    over(k, &reason);
}

static void on_patience(struct timer *t)
{
    struct discord_socket *k = container_of(t, struct discord_socket, patience);
    give_up(k, k->phase == DISCORD_ASKED ? "Discord confirms neither session nor resume"
                                         : "no hello came");
}

/* --- out --- */

static void send_text(struct discord_socket *k, struct buf *b)
{
    if (b->full || !ws_client_send(k->ws, buf_str(b)))
        leave(k, DISCORD_RESUME, ERR_IO, "Discord does not read what we send");
}

static void beat(struct discord_socket *k)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(64);
    int64_t seq = discord_inbox_seq(&shard_of(k)->inbox);
    if (seq > 0)
        buf_addf(&b, "{\"op\":%d,\"d\":%lld}", OP_BEAT, (long long)seq);
    else
        buf_addf(&b, "{\"op\":%d,\"d\":null}", OP_BEAT);
    send_text(k, &b);
}

static void on_beat(struct timer *t)
{
    struct discord_socket *k = container_of(t, struct discord_socket, beat);
    if (!k->acked) {
        give_up(k, "Discord does not answer our heartbeats");
        return;
    }
    k->acked = false;
    timer_set(loop_of(k), t, k->beat_ms);
    beat(k);
}

static void put_presence(struct json_out *o, const struct discord *d)
{
    static const char *const words[] = { "online", "idle", "dnd", "invisible" };
    json_key(o, "presence");
    json_open(o, '{');
    json_key(o, "since");
    json_put_null(o);
    json_key(o, "activities");
    json_open(o, '[');
    if (*d->activity) { /* a custom status: type 4 shows `state` alone */
        json_open(o, '{');
        json_field_str(o, "name", STR("Custom Status"));
        json_field_i64(o, "type", 4);
        json_field_str(o, "state", str_of(d->activity));
        json_close(o, '}');
    }
    json_close(o, ']');
    json_field_str(o, "status", str_of(words[d->status]));
    json_field_bool(o, "afk", false);
    json_close(o, '}');
}

static void put_properties(struct json_out *o)
{
    json_key(o, "properties");
    json_open(o, '{');
    json_field_str(o, "os", STR("linux"));
    json_field_str(o, "browser", STR("parley"));
    json_field_str(o, "device", STR("parley"));
    json_close(o, '}');
}

static void identify(struct discord_socket *k)
{
    const struct discord_shard *s = shard_of(k);
    _cleanup_(buf_done) struct buf b = BUF_INIT(SEND_MAX);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    json_field_i64(&o, "op", OP_IDENTIFY);
    json_key(&o, "d");
    json_open(&o, '{');
    json_field_str(&o, "token", str_of(s->bot->token));
    json_field_i64(&o, "intents", INTENTS | (s->bot->message_content ? MESSAGE_CONTENT : 0));
    json_field_i64(&o, "large_threshold", 50);
    json_key(&o, "shard");
    json_open(&o, '[');
    json_put_i64(&o, s->number);
    json_put_i64(&o, s->count);
    json_close(&o, ']');
    put_properties(&o);
    put_presence(&o, s->bot);
    json_close(&o, '}');
    json_close(&o, '}');
    send_text(k, &b);
}

static void resume(struct discord_socket *k)
{
    struct discord_shard *s = shard_of(k);
    int64_t seq = discord_inbox_seq(&s->inbox);
    _cleanup_(buf_done) struct buf b = BUF_INIT(SEND_MAX);
    struct json_out o = JSON_OUT(&b);
    discord_inbox_begin(&s->inbox, false, seq);
    json_open(&o, '{');
    json_field_i64(&o, "op", OP_RESUME);
    json_key(&o, "d");
    json_open(&o, '{');
    json_field_str(&o, "token", str_of(s->bot->token));
    json_field_str(&o, "session_id", str_of(s->session));
    json_field_i64(&o, "seq", seq);
    json_close(&o, '}');
    json_close(&o, '}');
    send_text(k, &b);
}

/* --- in --- */

static void greeted(struct discord_socket *k, struct json *doc)
{
    int64_t ms = 0;
    if (k->phase != DISCORD_GREETED) return; /* a second hello */
    if (!json_get_i64(json_get(doc, "d"), "heartbeat_interval", &ms) || ms < BEAT_MIN_MS ||
        ms > BEAT_MAX_MS) {
        leave(k, DISCORD_RESUME, ERR_PROTO, "hello without a usable heartbeat_interval");
        return;
    }
    struct discord_shard *s = shard_of(k);
    k->beat_ms = (uint32_t)ms;
    k->acked = true;
    k->phase = DISCORD_ASKED;
    timer_set(loop_of(k), &k->beat, rand_below((uint64_t)ms));
    timer_set(loop_of(k), &k->patience, (uint64_t)s->bot->ready_ms);
    if (s->session[0])
        resume(k);
    else
        identify(k);
}

static void invalid_session(struct discord_socket *k, struct json *doc)
{
    bool resumable = false;
    json_get_bool(doc, "d", &resumable);
    leave(k, resumable ? DISCORD_RESUME : DISCORD_IDENTIFY, ERR_IO,
          resumable ? "Discord cannot go on with the session now" : "the session has ended");
}

static void live(struct discord_socket *k, bool resumed)
{
    k->phase = DISCORD_LIVE;
    k->live_since_ms = clock_ms();
    timer_clear(loop_of(k), &k->patience);
    metric_add(&m_sessions[resumed ? 0 : 1], 1);
}

static void dispatched(struct discord_socket *k, const struct discord_frame *f)
{
    struct discord_shard *s = shard_of(k);
    struct json *doc = NULL;
    struct str type = str_of(f->type);
    if (str_eq(type, STR("READY"))) {
        if (json_parse(f->text, &doc, NULL) != ERR_NONE || !json_get(doc, "d")) {
            leave(k, DISCORD_IDENTIFY, ERR_PROTO, "READY cannot be read");
        } else {
            live(k, false);
            discord_shard_ready(s, json_get(doc, "d"), f->seq);
        }
        json_free(doc);
        return;
    }
    discord_inbox_take(&s->inbox, f);
    if (str_eq(type, STR("RESUMED"))) {
        live(k, true);
        discord_shard_resumed(s);
    }
    if (discord_inbox_full(&s->inbox))
        leave(k, DISCORD_RESUME, ERR_LIMIT, "more events than can be stored; they come again");
}

static void controlled(struct discord_socket *k, const struct discord_frame *f)
{
    struct json *doc = NULL;
    if (json_parse(f->text, &doc, NULL) != ERR_NONE) return;
    switch (f->op) {
    case OP_BEAT: beat(k); break;
    case OP_RECONNECT:
        k->soon = true;
        leave(k, DISCORD_RESUME, ERR_IO, "Discord asks us to connect anew");
        break;
    case OP_INVALID: invalid_session(k, doc); break;
    case OP_HELLO: greeted(k, doc); break;
    case OP_ACK:
        k->acked = true;
        op_extend(k->outer, LIVE_MS);
        if (k->phase == DISCORD_LIVE) discord_shard_heard(shard_of(k));
        break;
    default:
        log_debug(shard_of(k)->bot->channel.name, "opcode is not for us", "op=%lld",
                  (long long)f->op);
        break;
    }
    json_free(doc);
}

static void frame_ended(struct discord_socket *k)
{
    struct discord_frame f;
    struct err why = ERR_INIT;
    if (discord_frames_end(&k->frames, &f, &why)) {
        log_warn(shard_of(k)->bot->channel.name, "payload cannot be understood, dropped", "why=%s",
                 log_quote(str_of(why.msg)));
        return;
    }
    channel_heard(&shard_of(k)->bot->channel);
    if (f.op == OP_DISPATCH)
        dispatched(k, &f);
    else
        controlled(k, &f);
}

static bool on_plain(void *ctx, struct str plain)
{
    struct discord_socket *k = ctx;
    discord_frames_feed(&k->frames, plain);
    return true;
}

static void on_data(struct ws_client *c, void *user, struct str piece, bool binary, bool first,
                    bool last)
{
    struct discord_socket *k = user;
    struct err why = ERR_INIT;
    (void)c, (void)first;
    if (k->decided) return;
    if (!binary) {
        discord_frames_feed(&k->frames, piece);
        if (last) frame_ended(k);
        return;
    }
    if (inflate_feed(k->inflate, piece, on_plain, k, &why)) {
        discord_socket_leave(shard_of(k), DISCORD_RESUME, &why);
        return;
    }
    if (!last || !inflate_at_boundary(k->inflate)) return;
    inflate_mark(k->inflate);
    frame_ended(k);
}

static void on_open(struct ws_client *c, void *user)
{
    struct discord_socket *k = user;
    (void)c;
    k->phase = DISCORD_GREETED;
    timer_set(loop_of(k), &k->patience, HELLO_MS);
}

/* --- begin --- */

static bool is_wanted(struct str type)
{
    return str_eq(type, STR("READY")) || str_eq(type, STR("RESUMED")) || discord_inbox_wants(type);
}

static void socket_drop(struct op *op)
{
    struct discord_socket *k = op->impl;
    if (k->ws) ws_client_drop(k->ws);
    k->ws = NULL;
    k->outer = NULL;
    forget(k);
}

static const struct op_kind socket_kind = { "discord.socket", socket_drop };
static const struct ws_client_handler handler = { on_open, on_data, on_closed };

void discord_socket_run(struct discord_shard *s, struct op *op)
{
    struct discord_socket *k = &s->socket;
    struct str base = str_of(s->session[0] ? s->url : s->base_url);
    size_t host = str_find(base, STR("://"));
    bool path = host != SIZE_MAX && str_find_char(str_skip(base, host + 3), '/') != SIZE_MAX;
    char url[DISCORD_URL_MAX + 64];
    snprintf(url, sizeof(url), "%.*s%s?v=10&encoding=json&compress=zlib-stream", STR_ARG(base),
             path ? "" : "/");

    *k = (struct discord_socket){ .phase = DISCORD_DIALS, .outer = op, .next = DISCORD_RESUME };
    k->beat.fire = on_beat;
    k->patience.fire = on_patience;
    k->inflate = inflate_new(PLAIN_MAX);
    discord_frames_init(&k->frames, is_wanted);
    op_begin(op, &socket_kind, k, LIVE_MS);
    const struct ws_dial dial = { .url = url,
                                  .connect_ms = CONNECT_MS,
                                  .send_queue_max = 64 * 1024 };
    k->ws = ws_client_dial(s->bot->channel.host->ws, &dial, &handler, k);
}
