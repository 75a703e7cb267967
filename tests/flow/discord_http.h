/*
 * discord_http - an account whose HTTP calls are answered from a list, on the virtual clock.
 */
#pragma once
#include "channels/discord/budget.h"
#include "channels/discord/rest.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/cache/rate.h"
#include "core/chat/chat.h"
#include "core/chat/command.h"
#include "core/net/http_client.h"

#include <criterion/criterion.h>
#include <stdio.h>

const struct command commands[] = { { .name = NULL } };

#define HTTP_N        128
#define HTTP_START_MS UINT64_C(1790000000000) /* so that ids have an age */

struct answer {
    const char *method, *path; /* which call it is for; path: a part of it */
    int status;
    const char *headers, *body;
    enum err_kind kind; /* instead of an answer */
    bool hangs;
};

static struct http_fakes {
    struct loop loop;
    struct channel_host host;
    struct chat chat;
    struct discord bot;
    struct {
        char method[8], url[1024], body[8192], auth[64];
        uint64_t at_ms;
    } calls[HTTP_N];
    size_t n_calls;
    struct answer next[HTTP_N]; /* each for the next call that it fits; else 200 {"id":"NUMBER"} */
    size_t n_next;
    int64_t last_id;
    size_t n_rates, n_refused; /* questions about the global limit; so many are refused first */
    char log[65536];
} fx;

static const struct op_kind http_kind = { "fake.http", NULL };

/* --- what the code under test calls --- */

static bool fits(const struct answer *a, const struct http_request *rq)
{
    return a->method && !strcmp(a->method, rq->method) && strstr(rq->url, a->path);
}

static void answer_with(struct op *op, struct http_reply *ret, const struct answer *a)
{
    if (a->hangs) return;
    if (a->kind) {
        ret->sent = a->kind != ERR_IO;
        op_failf(op, a->kind, "injected");
        return;
    }
    buf_init(&ret->body, 1 << 20);
    buf_init(&ret->head, 1 << 16);
    ret->status = a->status;
    buf_add_cstr(&ret->body, a->body ? a->body : "");
    buf_add_cstr(&ret->head, a->headers ? a->headers : "Via: 1.1 google\r\n");
    struct str after = http_reply_header(ret, "Retry-After");
    snprintf(ret->retry_after, sizeof(ret->retry_after), "%.*s", STR_ARG(after));
    op_finish(op);
}

void http_request(struct http_client *c, struct op *op, const struct http_request *rq,
                  struct http_reply *ret)
{
    (void)c;
    cr_assert_lt(fx.n_calls, HTTP_N);
    size_t i = fx.n_calls++;
    snprintf(fx.calls[i].method, sizeof(fx.calls[i].method), "%s", rq->method);
    snprintf(fx.calls[i].url, sizeof(fx.calls[i].url), "%s", rq->url);
    snprintf(fx.calls[i].body, sizeof(fx.calls[i].body), "%.*s", STR_ARG(rq->body));
    for (size_t k = 0; k < rq->n_headers; k++)
        if (str_eq(rq->headers[k].name, STR("Authorization")))
            snprintf(fx.calls[i].auth, sizeof(fx.calls[i].auth), "%.*s",
                     STR_ARG(rq->headers[k].value));
    fx.calls[i].at_ms = clock_ms();
    op_begin(op, &http_kind, NULL, 60000);
    for (size_t k = 0; k < fx.n_next; k++) {
        if (!fits(&fx.next[k], rq)) continue;
        struct answer a = fx.next[k];
        fx.next[k].method = NULL;
        answer_with(op, ret, &a);
        return;
    }
    char body[64];
    snprintf(body, sizeof(body), "{\"id\":\"%lld\"}", (long long)++fx.last_id);
    answer_with(op, ret, &(struct answer){ .status = 200, .body = body });
}

void cache_rate_take(struct cache_rate *rate, struct op *op, const struct rate_ask *ask,
                     struct rate_answer *ret)
{
    (void)rate;
    cr_assert_eq(ask->scope, RATE_BOT);
    cr_assert_leq(ask->max, 50);
    cr_assert_eq(ask->window_ms, 1000);
    cr_assert(str_eq(ask->id, STR("discord:0123456789abcdef")), "no token in a key");
    bool allowed = fx.n_rates++ >= fx.n_refused;
    *ret = (struct rate_answer){ .allowed = allowed, .retry_after_ms = allowed ? 0 : 300 };
    op_begin(op, &http_kind, NULL, 1000);
    op_finish(op);
}

/* --- for tests --- */

static inline void next(struct answer a)
{
    fx.next[fx.n_next++] = a;
}

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
    clock_virtual(HTTP_START_MS);
    loop_open(&fx.loop);
    fx.chat.loop = &fx.loop;
    fx.host = (struct channel_host){ .loop = &fx.loop, .chat = &fx.chat };
    fx.bot = (struct discord){ .channel = { .type = &type, .name = "bot", .host = &fx.host },
                               .token = "TOKEN.secret",
                               .api_url = "https://discord.test/api/v10/",
                               .buttons = true,
                               .id = "900",
                               .application = "901" };
    list_init(&fx.bot.leaving);
    list_init(&fx.bot.notes);
    memcpy(fx.bot.lease, "discord:0123456789abcdef", 25);
    log_sink(on_log, NULL);
    log_setup(LOG_DEBUG, LOG_TEXT);
    discord_budget_reset();
    discord_rest_open(&fx.bot);
}

static void fakes_close(void)
{
    discord_rest_close(&fx.bot);
    loop_close(&fx.loop);
    clock_real();
}
