/*
 * picture - two calls. The address of a file holds the token, like those of methods.
 */
#include "channels/telegram/picture.h"

#include "channels/telegram/api.h"
#include "core/base/mem.h"
#include "core/chat/chat.h"
#include "core/chat/fetch.h"

#define BODY_MAX 1024
#define URL_MAX  2048

struct getting {
    struct op inner, *outer;
    struct telegram *bot;
    struct telegram_call call;
    struct telegram_reply reply;
    struct buf body, *ret;
};

static void getting_free(struct getting *g)
{
    op_cancel(&g->inner);
    telegram_reply_done(&g->reply);
    buf_done(&g->body);
    free(g);
}

static void getting_drop(struct op *op)
{
    getting_free(op->impl);
}

static const struct op_kind getting_kind = { "telegram.picture", getting_drop };

static void on_fetched(struct op *inner)
{
    struct getting *g = container_of(inner, struct getting, inner);
    if (inner->err.kind)
        op_fail(g->outer, &inner->err);
    else
        op_finish(g->outer);
    getting_free(g);
}

/* It becomes part of an address with our token in it, which must not lead anywhere else. */
static bool is_path(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && !strchr("_-./", c)) return false;
    }
    return s.n && s.p[0] != '/' && str_find(s, STR("..")) == SIZE_MAX;
}

static void on_named(struct op *inner)
{
    struct getting *g = container_of(inner, struct getting, inner);
    struct str path = STR_NONE, base = str_of(g->bot->api_url);
    _cleanup_(buf_done) struct buf url = BUF_INIT(URL_MAX);
    if (!inner->err.kind) json_get_str(g->reply.result, "file_path", &path);
    if (!is_path(path)) {
        op_failf(g->outer, ERR_REFUSED, "Telegram does not hand it out");
        getting_free(g);
        return;
    }
    while (str_ends(base, STR("/"))) base.n--;
    buf_addf(&url, "%.*s/file/bot%s/%.*s", STR_ARG(base), g->bot->token, STR_ARG(path));
    const struct fetch f = { .url = buf_str(&url),
                             .bytes_max = (size_t)g->bot->channel.host->chat->conf.picture_max };
    op_init(&g->inner, g->outer->loop, on_fetched);
    fetch_file(g->bot->channel.host->http, &g->inner, &f, g->ret);
}

void telegram_picture(struct channel *ch, struct op *op, struct str ref, struct buf *ret)
{
    struct getting *g = mem_new(struct getting);
    g->outer = op;
    g->bot = telegram_of(ch);
    g->ret = ret;
    g->body = (struct buf)BUF_INIT(BODY_MAX);
    struct json_out o = JSON_OUT(&g->body);
    json_open(&o, '{');
    json_field_str(&o, "file_id", ref);
    json_close(&o, '}');
    g->call = (struct telegram_call){ .method = "getFile",
                                      .body = buf_str(&g->body),
                                      .wait_ms = FETCH_MS };
    op_init(&g->inner, op->loop, on_named);
    op_begin(op, &getting_kind, g, 4 * FETCH_MS);
    telegram_call(g->bot, &g->inner, &g->call, &g->reply);
}
