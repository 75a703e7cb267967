/*
 * socket - apps.connections.open, the WebSocket, hello, envelopes, acknowledgements.
 */
#include "channels/slack/socket.h"

#include "channels/slack/api.h"
#include "channels/slack/take.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/loop/work_json.h"
#include "core/net/ws_client.h"

#define CONNECT_MS  15000
#define HELLO_MS    15000
#define RETIRE_MS   5000
#define MESSAGE_MAX ((size_t)4 << 20)
#define ENVELOPE_ID 128
#define CLOSE_CODE  1000

struct slack_socket {
    struct list link;
    struct slack *bot;
    const struct slack_socket_handler *handler; /* NULL: retired */
    void *user;
    struct op op; /* apps.connections.open */
    struct slack_reply reply;
    struct ws_client *ws;
    bool live, closing, too_long;
    struct timer patience; /* for hello; when retired, for the last acknowledgements */
    struct buf message;
    struct list envelopes; /* struct envelope */
};

struct envelope {
    struct list link;
    struct slack_socket *socket; /* NULL: the connection is gone */
    struct op op;                /* the parse, then the take */
    struct slack *bot;
    struct buf text;
    struct json *doc;
    char id[ENVELOPE_ID];
    bool takes_payload;
    struct slack_ack ack;
};

static struct metric m_redelivered =
    METRIC(METRIC_COUNTER, "parley_slack_retries_total", "", "Calls that Slack repeated");

static struct loop *loop_of(const struct slack_socket *k)
{
    return k->bot->channel.host->loop;
}

/* --- the end --- */

static void envelope_free(struct envelope *e)
{
    op_cancel(&e->op);
    list_drop(&e->link);
    json_free(e->doc);
    buf_done(&e->text);
    free(e);
}

/* What is under way goes on without us: Slack will deliver it again, which then is a duplicate. */
static void socket_free(struct slack_socket *k)
{
    op_cancel(&k->op);
    timer_clear(loop_of(k), &k->patience);
    if (k->ws) ws_client_drop(k->ws);
    list_each (it, next, &k->envelopes) {
        struct envelope *e = container_of(it, struct envelope, link);
        e->socket = NULL;
        list_drop(&e->link);
        list_push(&k->bot->orphans, &e->link);
    }
    slack_reply_done(&k->reply);
    buf_done(&k->message);
    list_drop(&k->link);
    free(k);
}

void slack_socket_drop(struct slack_socket *k)
{
    socket_free(k);
}

static void over(struct slack_socket *k, const struct err *why)
{
    const struct slack_socket_handler *handler = k->handler;
    const struct err copy = *why;
    void *user = k->user;
    socket_free(k);
    if (handler) handler->over(user, k, &copy);
}

static void on_patience(struct timer *t)
{
    struct slack_socket *k = container_of(t, struct slack_socket, patience);
    struct err why;
    err_set(&why, ERR_TIMEOUT, "no hello came");
    over(k, &why);
}

static void close_if_done(struct slack_socket *k)
{
    if (k->handler || k->closing || !k->ws || !list_empty(&k->envelopes)) return;
    k->closing = true;
    ws_client_close(k->ws, CLOSE_CODE, "");
}

void slack_socket_retire(struct slack_socket *k)
{
    k->handler = NULL;
    if (!k->live) {
        socket_free(k);
        return;
    }
    timer_set(loop_of(k), &k->patience, RETIRE_MS);
    close_if_done(k);
}

/* --- envelopes --- */

static void acknowledge(struct envelope *e)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(4096), payload = BUF_INIT(2048);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    json_field_str(&o, "envelope_id", str_of(e->id));
    if (e->takes_payload && e->ack.say[0]) {
        slack_ack_body(&e->ack, &payload);
        json_key(&o, "payload");
        json_put_raw(&o, buf_str(&payload));
    }
    json_close(&o, '}');
    if (!ws_client_send(e->socket->ws, buf_str(&b)))
        log_warn(e->bot->channel.name, "an envelope could not be acknowledged", "");
}

static void on_taken(struct op *op)
{
    struct envelope *e = container_of(op, struct envelope, op);
    struct slack_socket *k = e->socket;
    bool done = op->err.kind == ERR_NONE || op->err.kind == ERR_PROTO;
    if (!done)
        log_warn(e->bot->channel.name, "event not stored, Slack repeats it", "kind=%s text=%s",
                 err_rule(op->err.kind)->name, log_quote(str_of(op->err.msg)));
    if (done && k && k->ws) acknowledge(e);
    envelope_free(e);
    if (k) close_if_done(k);
}

static bool kind_of(struct str type, enum slack_kind *ret)
{
    static const char *const types[] = { "events_api", "slash_commands", "interactive" };
    static const enum slack_kind kinds[] = { SLACK_EVENT, SLACK_COMMAND, SLACK_ACTION };
    for (size_t i = 0; i < 3; i++)
        if (str_eq(type, str_of(types[i]))) {
            *ret = kinds[i];
            return true;
        }
    return false;
}

static void note_retry(const struct envelope *e)
{
    int64_t attempt = 0;
    struct str reason = STR_NONE;
    json_get_i64(e->doc, "retry_attempt", &attempt);
    if (attempt <= 0) return;
    json_get_str(e->doc, "retry_reason", &reason);
    metric_add(&m_redelivered, 1);
    log_info(e->bot->channel.name, "Slack repeats an envelope", "number=%lld reason=%s",
             (long long)attempt, log_quote(str_head(reason, 64)));
}

static void leave(struct slack_socket *k, struct json *doc)
{
    struct str reason = STR_NONE;
    enum slack_leave why = SLACK_LEAVE_REFRESH;
    json_get_str(doc, "reason", &reason);
    if (str_eq(reason, STR("link_disabled"))) why = SLACK_LEAVE_DISABLED;
    if (str_eq(reason, STR("too_many_websockets"))) why = SLACK_LEAVE_TOO_MANY;
    log_info(k->bot->channel.name, "Slack ends a connection", "reason=%s",
             log_quote(str_head(reason, 64)));
    if (k->handler) k->handler->leave(k->user, k, why);
}

static void greeted(struct slack_socket *k)
{
    if (k->live) return;
    k->live = true;
    timer_clear(loop_of(k), &k->patience);
    if (k->handler) k->handler->live(k->user, k);
}

/* Not an envelope: a word about the connection. */
static void heard_word(struct envelope *e, struct str type)
{
    struct slack_socket *k = e->socket;
    struct json *doc = e->doc;
    e->doc = NULL;
    envelope_free(e);
    if (!k)
        log_debug("slack", "a word of a connection that is gone", "");
    else if (str_eq(type, STR("hello")))
        greeted(k);
    else if (str_eq(type, STR("disconnect")))
        leave(k, doc);
    else
        log_debug(k->bot->channel.name, "a kind of message that we do not use", "type=%s",
                  log_quote(str_head(type, 64)));
    json_free(doc);
}

static void heard(struct envelope *e)
{
    struct str type = STR_NONE, id = STR_NONE;
    enum slack_kind kind;
    channel_heard(&e->bot->channel);
    json_get_str(e->doc, "type", &type);
    json_get_str(e->doc, "envelope_id", &id);
    if (!kind_of(type, &kind) || !id.n || id.n >= sizeof(e->id)) {
        heard_word(e, type);
        return;
    }
    snprintf(e->id, sizeof(e->id), "%.*s", STR_ARG(id));
    json_get_bool(e->doc, "accepts_response_payload", &e->takes_payload);
    note_retry(e);
    struct json *doc = e->doc;
    e->doc = NULL;
    op_init(&e->op, e->bot->channel.host->loop, on_taken);
    slack_take(e->bot, &e->op, kind, doc, json_get(doc, "payload"), &e->ack);
}

static void unreadable(struct envelope *e, const struct err *why)
{
    log_warn(e->bot->channel.name, "message of Slack cannot be read, dropped", "why=%s",
             log_quote(str_of(why->msg)));
    envelope_free(e);
}

static void on_parsed(struct op *op)
{
    struct envelope *e = container_of(op, struct envelope, op);
    const struct err why = op->err;
    if (why.kind)
        unreadable(e, &why);
    else
        heard(e);
}

static void message_ended(struct slack_socket *k)
{
    struct envelope *e = mem_new(struct envelope);
    struct err why = ERR_INIT;
    e->socket = k;
    e->bot = k->bot;
    buf_init(&e->text, MESSAGE_MAX);
    list_push(&k->envelopes, &e->link);
    op_init(&e->op, loop_of(k), on_parsed);
    if (k->message.n > WORK_JSON_BYTES) {
        buf_add(&e->text, buf_str(&k->message));
        work_json_parse(&e->op, &e->text, &e->doc);
    } else if (slack_json(buf_str(&k->message), &e->doc, &why)) {
        unreadable(e, &why);
    } else {
        heard(e);
    }
}

/* --- the connection --- */

static void on_data(struct ws_client *c, void *user, struct str piece, bool binary, bool first,
                    bool last)
{
    struct slack_socket *k = user;
    (void)c;
    if (first) {
        buf_clear(&k->message);
        k->too_long = binary;
    }
    if (!buf_add(&k->message, piece)) k->too_long = true;
    if (!last) return;
    if (k->too_long)
        log_warn(k->bot->channel.name, "message of Slack is too long or not text, dropped", "");
    else
        message_ended(k);
}

static void on_closed(void *user, int code, const struct err *why)
{
    struct slack_socket *k = user;
    struct err copy = *why;
    k->ws = NULL;
    if (code && copy.kind == ERR_IO) err_set(&copy, ERR_IO, "closed by Slack with code %d", code);
    over(k, &copy);
}

static void on_open(struct ws_client *c, void *user)
{
    struct slack_socket *k = user;
    (void)c;
    timer_set(loop_of(k), &k->patience, HELLO_MS);
}

static void on_address(struct op *op)
{
    static const struct ws_client_handler handler = { on_open, on_data, on_closed };
    struct slack_socket *k = container_of(op, struct slack_socket, op);
    struct str url = STR_NONE;
    struct err why = op->err;
    json_get_str(k->reply.doc, "url", &url);
    if (!why.kind && !url.n) err_set(&why, ERR_PROTO, "apps.connections.open: no url");
    if (why.kind) {
        over(k, &why);
        return;
    }
    _cleanup_(buf_done) struct buf address = BUF_INIT(4096);
    buf_add(&address, url);
    const struct ws_dial dial = { .url = address.p ? address.p : "",
                                  .connect_ms = CONNECT_MS,
                                  .ping_ms = (uint32_t)k->bot->ping_ms,
                                  .pong_timeout_ms = (uint32_t)k->bot->ping_ms };
    k->ws = ws_client_dial(k->bot->channel.host->ws, &dial, &handler, k);
    slack_reply_done(&k->reply);
}

struct slack_socket *slack_socket_open(struct slack *s, const struct slack_socket_handler *handler,
                                       void *user)
{
    struct slack_socket *k = mem_new(struct slack_socket);
    const struct slack_call call = { .method = "apps.connections.open",
                                     .token = str_of(s->app_token),
                                     .form = true };
    k->bot = s;
    k->handler = handler;
    k->user = user;
    k->patience.fire = on_patience;
    list_init(&k->envelopes);
    buf_init(&k->message, MESSAGE_MAX);
    list_push(&s->open_sockets, &k->link);
    op_init(&k->op, s->channel.host->loop, on_address);
    slack_call(s, &k->op, &call, &k->reply);
    return k;
}

bool slack_socket_is_live(const struct slack_socket *k)
{
    return k && k->live;
}

void slack_sockets_drop(struct slack *s)
{
    while (!list_empty(&s->open_sockets))
        socket_free(list_first(&s->open_sockets, struct slack_socket, link));
    while (!list_empty(&s->orphans)) envelope_free(list_first(&s->orphans, struct envelope, link));
}
