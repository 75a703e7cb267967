/*
 * One connection, and our adapter between hiredis and libuv. The adapter differs from the one in
 * hiredis' package in three ways: a poll error reaches hiredis (theirs is swallowed, so a refused
 * connect hangs for ever), names are resolved off the loop (hiredis resolves blocking, so it only
 * gets addresses), and commands of one turn leave in one write just before the loop sleeps, without
 * asking epoll first.
 */
#include "core/net/redis_conn.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/retry.h"
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>

/* A connection that lived this long was a good one: the back-off begins anew after it. */
#define STABLE_MS 5000

static const struct retry backoff = { .base_ms = 100, .max_ms = 5000 };

static struct metric connects =
    METRIC(METRIC_COUNTER, "parley_redis_connects_total", "result=\"ok\"",
           "Tries to connect to Redis (commands and subscriber), by result.");
static struct metric connects_failed =
    METRIC(METRIC_COUNTER, "parley_redis_connects_total", "result=\"failed\"",
           "Tries to connect to Redis (commands and subscriber), by result.");

struct redis_conn_poll {
    uv_poll_t handle;
    struct redis_conn *conn;
    redisAsyncContext *ac; /* NULL: freed by hiredis */
    int events;
};

static void conn_dial(struct redis_conn *c);

static void conn_unref(struct redis_conn *c)
{
    if (--c->refs == 0) c->on_closed(c);
}

/* --- adapter --- */

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct redis_conn_poll *p = handle->data;

    if (!p->ac) return;
    if (status < 0) {
        /* libuv has stopped the handle; what came before the end may be all that is read now. */
        uv_poll_start(handle, p->events, on_poll);
        events = p->ac->c.flags & REDIS_CONNECTED ? UV_READABLE : UV_WRITABLE;
    }
    if (events & UV_READABLE) redisAsyncHandleRead(p->ac);
    if (p->ac && (events & UV_WRITABLE)) redisAsyncHandleWrite(p->ac);
}

static void poll_set(struct redis_conn_poll *p, int events)
{
    if (events == p->events) return;
    p->events = events;
    if (events)
        uv_poll_start(&p->handle, events, on_poll);
    else
        uv_poll_stop(&p->handle);
}

static void on_add_read(void *arg)
{
    struct redis_conn_poll *p = arg;
    poll_set(p, p->events | UV_READABLE);
}

static void on_del_read(void *arg)
{
    struct redis_conn_poll *p = arg;
    poll_set(p, p->events & ~UV_READABLE);
}

static void on_add_write(void *arg)
{
    struct redis_conn_poll *p = arg;
    struct redis_conn *c = p->conn;

    if (c->writing || !(p->ac->c.flags & REDIS_CONNECTED)) {
        poll_set(p, p->events | UV_WRITABLE);
    } else if (!c->unsent) {
        c->unsent = true;
        /* Whoever asks after our hook has run would otherwise wait for the next event. */
        loop_wake(c->loop);
    }
}

static void on_del_write(void *arg)
{
    struct redis_conn_poll *p = arg;
    poll_set(p, p->events & ~UV_WRITABLE);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct redis_conn_poll *p = handle->data;
    struct redis_conn *c = p->conn;

    free(p);
    conn_unref(c);
}

static void flush(struct loop_hook *h)
{
    struct redis_conn *c = container_of(h, struct redis_conn, flush);

    if (!c->unsent || !c->ac) return;
    c->unsent = false;
    c->writing = true;
    redisAsyncHandleWrite(c->ac); /* may end the connection: c->ac is NULL then */
    c->writing = false;
}

/* --- life --- */

static void conn_wait(struct redis_conn *c)
{
    if (c->up_at_ms && clock_ms() - c->up_at_ms >= STABLE_MS) c->attempt = 0;
    c->up_at_ms = 0;
    c->state = REDIS_CONN_WAITING;
    /* A name has several addresses (localhost: ::1, then 127.0.0.1): the next one at once. */
    if (c->next_addr < c->n_addrs) {
        timer_set(c->loop, &c->timer, 0);
        return;
    }
    c->n_addrs = c->next_addr = 0;
    if (c->attempt < UINT8_MAX) c->attempt++;
    timer_set(c->loop, &c->timer, retry_delay_ms(&backoff, c->attempt, 0));
}

static void conn_lost(struct redis_conn *c)
{
    /* After a working connection every address is worth a new try. */
    if (c->up_at_ms)
        c->n_addrs = c->next_addr = 0;
    else
        metric_add(&connects_failed, 1);
    if (c->closing) {
        c->state = REDIS_CONN_CLOSED;
        return;
    }
    log_debug("redis", "connection lost", "why=%s", log_quote(str_of(c->why.msg)));
    conn_wait(c);
    c->on_down(c);
}

/* hiredis calls this on every way a context ends, after the pending replies. */
static void on_cleanup(void *arg)
{
    struct redis_conn_poll *p = arg;
    struct redis_conn *c = p->conn;

    if (c->state != REDIS_CONN_DROPPING && p->ac->c.err)
        err_set(&c->why, ERR_IO, "redis: %s", p->ac->c.errstr);
    p->ac = NULL;
    c->ac = NULL;
    c->poll = NULL;
    c->unsent = false;
    timer_clear(c->loop, &c->timer);
    uv_close((uv_handle_t *)&p->handle, on_poll_closed);
    conn_lost(c);
}

static enum err_kind refusal_kind(const char *text)
{
    static const char *const auth[] = { "NOAUTH", "WRONGPASS", "NOPERM", "ERR AUTH",
                                        "ERR invalid password" };

    for (size_t i = 0; i < sizeof(auth) / sizeof(auth[0]); i++)
        if (str_starts(str_of(text), str_of(auth[i]))) return ERR_AUTH;
    return ERR_IO;
}

/* True: the greeting was answered well. */
static bool hello_answer(struct redis_conn *c, const redisReply *reply)
{
    struct err why = ERR_INIT;

    if (!reply || c->state != REDIS_CONN_HELLO) return false;
    if (reply->type != REDIS_REPLY_ERROR) return true;
    err_set(&why, refusal_kind(reply->str), "redis: %s", reply->str);
    redis_conn_drop(c, &why);
    return false;
}

static void on_hello(redisAsyncContext *ac, void *reply, void *arg)
{
    (void)ac;
    hello_answer(arg, reply);
}

/* PING is the last greeting: a server that still loads its data refuses it. */
static void on_hello_last(redisAsyncContext *ac, void *reply, void *arg)
{
    struct redis_conn *c = arg;

    (void)ac;
    if (!hello_answer(c, reply)) return;
    timer_clear(c->loop, &c->timer);
    c->state = REDIS_CONN_UP;
    c->up_at_ms = clock_ms();
    metric_add(&connects, 1);
    log_debug("redis", "connected", "attempt=%u", c->attempt);
    c->on_up(c);
}

static void hello_send(struct redis_conn *c, redisCallbackFn *fn, int n, const char **args)
{
    redisAsyncCommandArgv(c->ac, fn, c, n, args, NULL);
}

static void on_connect(const redisAsyncContext *ac, int status)
{
    struct redis_conn *c = ac->data;
    const struct redis_target *t = c->target;
    char db[24];

    if (status != REDIS_OK) return; /* on_cleanup follows */
    c->state = REDIS_CONN_HELLO;
    if (*t->user && *t->password)
        hello_send(c, on_hello, 3, (const char *[]){ "AUTH", t->user, t->password });
    else if (*t->password)
        hello_send(c, on_hello, 2, (const char *[]){ "AUTH", t->password });
    snprintf(db, sizeof(db), "%" PRId64, t->db);
    if (t->db) hello_send(c, on_hello, 2, (const char *[]){ "SELECT", db });
    hello_send(c, on_hello_last, 1, (const char *[]){ "PING" });
}

static void dial_failed(struct redis_conn *c, redisAsyncContext *ac)
{
    err_set(&c->why, ERR_IO, "redis: %s", ac->c.err ? ac->c.errstr : "TLS could not begin");
    redisAsyncFree(ac); /* not attached yet: no on_cleanup */
    conn_lost(c);
}

static void conn_attach(struct redis_conn *c, redisAsyncContext *ac)
{
    struct redis_conn_poll *p = mem_new(struct redis_conn_poll);

    p->conn = c;
    p->ac = ac;
    p->handle.data = p;
    if (uv_poll_init_socket(&c->loop->uv, &p->handle, ac->c.fd)) abort(); /* a fresh socket */
    c->refs++;
    c->ac = ac;
    c->poll = p;
    ac->data = c;
    ac->ev.data = p;
    ac->ev.addRead = on_add_read;
    ac->ev.delRead = on_del_read;
    ac->ev.addWrite = on_add_write;
    ac->ev.delWrite = on_del_write;
    ac->ev.cleanup = on_cleanup;
    if (!*c->target->path) redisEnableKeepAlive(&ac->c); /* an error on a unix socket */
    redisAsyncSetConnectCallback(ac, on_connect);
}

static void on_resolved(uv_getaddrinfo_t *rq, int status, struct addrinfo *found)
{
    struct redis_conn *c = rq->data;

    for (const struct addrinfo *a = found; a && c->n_addrs < REDIS_ADDRS_MAX; a = a->ai_next)
        if (uv_ip_name(a->ai_addr, c->addrs[c->n_addrs], REDIS_ADDR_TEXT) == 0) c->n_addrs++;
    uv_freeaddrinfo(found);
    if (!c->closing && c->n_addrs) {
        conn_dial(c);
    } else if (!c->closing) {
        err_set(&c->why, ERR_IO, "redis: %s: %s", c->target->host,
                uv_strerror(status ? status : UV_EAI_NODATA));
        conn_lost(c);
    }
    conn_unref(c);
}

static void conn_resolve(struct redis_conn *c)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };

    c->state = REDIS_CONN_RESOLVING;
    c->resolver.data = c;
    int rc = uv_getaddrinfo(&c->loop->uv, &c->resolver, on_resolved, c->target->host, NULL, &hints);
    if (rc == 0) {
        c->refs++;
        return;
    }
    err_set(&c->why, ERR_IO, "redis: %s: %s", c->target->host, uv_strerror(rc));
    conn_lost(c);
}

static void conn_dial(struct redis_conn *c)
{
    const struct redis_target *t = c->target;

    if (!*t->path && c->next_addr == c->n_addrs) {
        conn_resolve(c);
        return;
    }
    redisAsyncContext *ac = *t->path ? redisAsyncConnectUnix(t->path)
                                     : redisAsyncConnect(c->addrs[c->next_addr++], t->port);
    if (!ac) abort(); /* only out of memory */
    if (ac->err || (c->tls && !redis_tls_start(c->tls, ac))) {
        dial_failed(c, ac);
        return;
    }
    c->state = REDIS_CONN_DIALING;
    timer_set(c->loop, &c->timer, c->connect_timeout_ms);
    conn_attach(c, ac);
}

static void on_timer(struct timer *t)
{
    struct redis_conn *c = container_of(t, struct redis_conn, timer);
    struct err why = ERR_INIT;

    if (c->state == REDIS_CONN_WAITING) {
        conn_dial(c);
        return;
    }
    err_set(&why, ERR_TIMEOUT, "redis: not connected within %" PRIu64 " ms", c->connect_timeout_ms);
    redis_conn_drop(c, &why);
}

void redis_conn_open(struct redis_conn *c)
{
    c->timer.fire = on_timer;
    c->flush.run = flush;
    c->refs = 1;
    c->state = REDIS_CONN_WAITING;
    err_set(&c->why, ERR_IO, "redis: not connected yet");
    loop_hook_add(c->loop, &c->flush);
    timer_set(c->loop, &c->timer, 0);
}

void redis_conn_drop(struct redis_conn *c, const struct err *why)
{
    if (!c->ac || c->state == REDIS_CONN_DROPPING) return;
    c->why = *why;
    c->state = REDIS_CONN_DROPPING;
    redisAsyncFree(c->ac);
}

void redis_conn_close(struct redis_conn *c)
{
    if (c->closing || c->refs == 0) return;
    c->closing = true;
    err_set(&c->why, ERR_IO, "redis: closed");
    timer_clear(c->loop, &c->timer);
    loop_hook_drop(&c->flush);
    if (c->state == REDIS_CONN_RESOLVING) uv_cancel((uv_req_t *)&c->resolver);
    if (c->ac && c->state != REDIS_CONN_DROPPING) {
        c->state = REDIS_CONN_DROPPING;
        redisAsyncFree(c->ac);
    }
    conn_unref(c);
}
