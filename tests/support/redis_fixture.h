/*
 * redis_fixture - a loop, a private Redis and a driver connected to it.
 */
#pragma once
#include "core/net/redis.h"
#include "tests/support/redis_server.h"
#include "tests/support/waiter.h"
#include <stdlib.h>

struct redis_fixture {
    struct loop loop;
    struct redis_server server;
    struct redis *redis;
    bool up;
    unsigned n_up, n_down;
    struct err why; /* of the last loss or failed try */
};

#define REDIS_FIXTURE_TIMEOUT_MS 1000

static inline void fixture_changed(void *ctx, const struct err *why)
{
    struct redis_fixture *f = ctx;

    f->up = !why;
    if (why) {
        f->why = *why;
        f->n_down++;
    } else {
        f->n_up++;
    }
}

static inline struct redis_conf fixture_conf(const char *url)
{
    return (struct redis_conf){
        .url = url,
        .password = "",
        .ca_file = "",
        .client_cert = "",
        .client_key = "",
        .connect_timeout_ms = REDIS_FIXTURE_TIMEOUT_MS,
        .command_timeout_ms = REDIS_FIXTURE_TIMEOUT_MS,
        .queue_max = 1000,
    };
}

/* The driver alone, for a server that may not be there. */
static inline enum err_kind fixture_dial(struct redis_fixture *f, const struct redis_conf *conf)
{
    struct err why = ERR_INIT;

    if (redis_open(&f->loop, conf, &f->redis, &why)) return why.kind;
    redis_watch(f->redis, fixture_changed, f);
    return ERR_NONE;
}

static inline void fixture_open(struct redis_fixture *f)
{
    redis_server_start(&f->server);
    loop_open(&f->loop);
    struct redis_conf conf = fixture_conf(f->server.unix_url);
    if (fixture_dial(f, &conf) || !wait_until(&f->loop, &f->up, 30000)) abort();
}

static inline void fixture_close(struct redis_fixture *f)
{
    if (f->redis) redis_close(f->redis);
    loop_run_for(&f->loop, 5);
    loop_close(&f->loop);
    redis_server_stop(&f->server);
}

/* Run one command, its words separated by blanks. */
static inline enum err_kind fixture_cmd(struct redis_fixture *f, const char *text,
                                        struct redis_reply *ret)
{
    struct str args[REDIS_ARGS_MAX];
    struct str rest = str_of(text);
    struct waiter w;
    size_t n = 0;

    while (rest.n) args[n++] = str_cut(&rest, ' ');
    waiter_init(&w, &f->loop);
    redis_cmd(f->redis, &w.op, args, n, ret);
    return waiter_run(&w, 30000);
}
