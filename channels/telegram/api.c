/*
 * api - one record a call: HTTP, then the parse, on another thread when it is long.
 */
#include "channels/telegram/api.h"

#include "core/base/mem.h"
#include "core/loop/work_json.h"
#include "core/net/http_client.h"

#define CONNECT_MS   10000
#define ANSWER_MS    30000
#define SLACK_MS     5000 /* our own deadline comes last: the client's know more */
#define PARSE_MAX_MS 61000
#define URL_MAX      2048

struct call {
    struct op inner; /* HTTP, or the parse */
    struct op *outer;
    struct telegram *bot;
    struct str chat;
    struct telegram_reply *ret;
    struct http_request rq;
    struct http_reply http;
    struct json *doc; /* of a long answer */
    char url[URL_MAX];
};

static void call_free(struct call *c)
{
    op_cancel(&c->inner);
    http_reply_done(&c->http);
    free(c);
}

static void call_drop(struct op *op)
{
    call_free(op->impl);
}

static const struct op_kind call_kind = { "telegram.call", call_drop };

static void call_end(struct call *c, const struct err *why)
{
    if (why->kind == ERR_NONE)
        op_finish(c->outer);
    else
        op_fail(c->outer, why);
    call_free(c);
}

static void call_answered(struct call *c, struct str body, struct json *doc)
{
    struct err why = ERR_INIT;
    telegram_reply_read(c->http.status, doc, c->ret, &why);
    if (!doc) c->ret->unreadable_id = telegram_reply_unreadable_id(body);
    if (why.kind == ERR_LIMIT && c->chat.n)
        telegram_pause(&c->bot->pauses, c->chat, why.retry_after_ms);
    call_end(c, &why);
}

static void on_parsed(struct op *inner)
{
    struct call *c = container_of(inner, struct call, inner);
    if (inner->err.kind == ERR_TIMEOUT)
        call_end(c, &inner->err);
    else
        call_answered(c, buf_str(&c->http.body), c->doc);
}

static void parse_elsewhere(struct call *c)
{
    op_init(&c->inner, c->outer->loop, on_parsed);
    work_json_parse(&c->inner, &c->http.body, &c->doc);
}

/* What a lost exchange means depends on whether the request went out. */
static void call_lost(struct call *c, struct err why)
{
    if (why.kind == ERR_TIMEOUT) why.kind = c->http.sent ? ERR_UNKNOWN : ERR_IO;
    if (why.kind == ERR_PROTO) why.kind = ERR_UNKNOWN;
    call_end(c, &why);
}

static void on_http(struct op *inner)
{
    struct call *c = container_of(inner, struct call, inner);
    struct str body = buf_str(&c->http.body);
    struct json *doc = NULL;
    int64_t message_id;
    if (inner->err.kind) {
        call_lost(c, inner->err);
    } else if (c->http.status == 200 && telegram_reply_message_id(body, &message_id)) {
        *c->ret = (struct telegram_reply){ .message_id = message_id };
        call_end(c, &(struct err)ERR_INIT);
    } else if (body.n > WORK_JSON_BYTES) {
        parse_elsewhere(c);
    } else {
        json_parse(body, &doc, NULL);
        call_answered(c, body, doc);
    }
}

static void request_fill(struct call *c, const struct telegram_call *call)
{
    static const struct http_header json = { { "Content-Type", 12 }, { "application/json", 16 } };
    uint32_t wait_ms = call->wait_ms ? call->wait_ms : ANSWER_MS;
    struct str base = str_of(c->bot->api_url);
    while (str_ends(base, STR("/"))) base.n--;
    snprintf(c->url, sizeof(c->url), "%.*s/bot%s/%s", STR_ARG(base), c->bot->token, call->method);
    c->rq = (struct http_request){
        .method = "POST",
        .url = c->url,
        .headers = &json,
        .n_headers = 1,
        .body = call->body,
        .connect_ms = CONNECT_MS,
        .first_byte_ms = wait_ms,
        .idle_ms = wait_ms,
        .total_ms = CONNECT_MS + wait_ms,
        .reply_max = call->reply_max,
    };
}

void telegram_call(struct telegram *t, struct op *op, const struct telegram_call *call,
                   struct telegram_reply *ret)
{
    struct call *c = mem_new(struct call);
    c->outer = op;
    c->bot = t;
    c->chat = call->chat;
    c->ret = ret;
    *ret = (struct telegram_reply){ .problem = TELEGRAM_FINE };
    op_init(&c->inner, op->loop, on_http);
    request_fill(c, call);
    op_begin(op, &call_kind, c, c->rq.total_ms + PARSE_MAX_MS + SLACK_MS);

    uint32_t pause_ms = c->chat.n ? telegram_pause_left(&t->pauses, c->chat) : 0;
    if (pause_ms) {
        struct err why;
        err_set(&why, ERR_LIMIT, "Telegram has asked for silence in this chat");
        why.retry_after_ms = pause_ms;
        call_end(c, &why);
        return;
    }
    http_request(t->channel.host->http, &c->inner, &c->rq, &c->http);
}
