/*
 * http_site - a server on a loop with a virtual clock, and raw sockets to talk to it from the same
 * thread. Shared by the tests of the HTTP and the WebSocket server.
 */
#pragma once
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/net/http_server.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct site {
    struct loop loop;
    struct http_server_conf conf;
    struct http_server *server;
};

static const struct http_server_conf site_conf = {
    .address = "127.0.0.1",
    .tls_cert = "",
    .tls_key = "",
    .connections_max = 100,
    .head_max = 2048,
    .body_max = 65536,
    .idle_timeout_ms = 60000,
    .head_timeout_ms = 10000,
    .body_timeout_ms = 20000,
    .answer_timeout_ms = 30000,
};

static inline void site_open(struct site *s)
{
    struct err why = ERR_INIT;

    clock_virtual(1000);
    loop_open(&s->loop);
    if (!s->conf.address) s->conf = site_conf;
    cr_assert_eq(http_server_open(&s->loop, &s->conf, &s->server, &why), ERR_NONE, "%s", why.msg);
}

static inline void site_wait(struct site *s, uint64_t ms)
{
    loop_run_for(&s->loop, ms);
}

static inline void site_close(struct site *s)
{
    if (s->server) http_server_close(s->server);
    site_wait(s, 0);
    loop_close(&s->loop);
    clock_real();
}

/* A client: its socket and what it has received. */
struct client {
    struct site *site;
    int fd;
    bool tracked; /* the server counts what it receives of us one for one */
    bool eof, reset;
    struct buf got;
};

static inline struct client client_open(struct site *s)
{
    struct client c = { .site = s,
                        .tracked = !http_server_tls(s->server),
                        .got = BUF_INIT(64 << 20) };
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)http_server_port(s->server)),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

    c.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(c.fd, (struct sockaddr *)&to, sizeof to), 0);
    fcntl(c.fd, F_SETFL, O_NONBLOCK);
    return c;
}

static inline void client_close(struct client *c)
{
    if (c->fd >= 0) close(c->fd);
    c->fd = -1;
    buf_done(&c->got);
}

/* Loopback may take its time on a busy machine: give `cond` two seconds of real time. */
#define SITE_UNTIL(site, cond)                                                          \
    do {                                                                                \
        for (uint64_t end_ = uv_hrtime() + 20000000000; !(cond) && uv_hrtime() < end_;) \
            site_wait((site), 0);                                                       \
    } while (0)

/* Bytes that HTTP connections have received so far. */
static inline double site_received(void)
{
    static const char name[] = "\nparley_http_received_bytes_total ";
    _cleanup_(buf_done) struct buf text = BUF_INIT(1 << 20);

    metric_render(&text);
    char *at = text.p ? strstr(text.p, name) : NULL;
    return at ? atof(at + sizeof name - 1) : 0;
}

/* Take what has come: false = nothing. */
static inline bool client_take(struct client *c)
{
    char bytes[65536];
    ssize_t n;
    bool some = false;

    site_wait(c->site, 0);
    while ((n = recv(c->fd, bytes, sizeof bytes, 0)) > 0) {
        buf_add(&c->got, str_from(bytes, (size_t)n));
        some = true;
    }
    c->eof = n == 0;
    c->reset = n < 0 && errno != EAGAIN;
    return some;
}

static inline bool client_gone(const struct client *c)
{
    return c->eof || c->reset;
}

static inline bool client_got(const struct client *c, const char *text)
{
    return str_find(buf_str(&c->got), str_of(text)) != SIZE_MAX;
}

/* Wait for `text`. */
static inline void client_await(struct client *c, const char *text)
{
    SITE_UNTIL(c->site, client_got(c, text) || (!client_take(c) && client_gone(c)));
}

/* Wait for an answer (whole, if it is small) or the end, and for what follows at once. */
static inline void client_read(struct client *c)
{
    SITE_UNTIL(c->site, client_take(c) || client_gone(c));
    while (client_take(c)) continue;
}

static inline void client_await_end(struct client *c)
{
    SITE_UNTIL(c->site, !client_take(c) && client_gone(c));
}

/* All of it, however slowly the server reads; stops when the server has closed. */
static inline size_t client_send(struct client *c, struct str s)
{
    size_t sent = 0;
    double before = site_received();

    for (int idle = 0; sent < s.n && idle < 50;) {
        ssize_t n = send(c->fd, s.p + sent, s.n - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return sent;
        idle = n > 0 ? 0 : idle + 1;
        if (n > 0)
            sent += (size_t)n;
        else
            site_wait(c->site, 0);
    }
    /* So that the virtual clock does not run ahead of the bytes. */
    if (c->tracked && sent == s.n)
        SITE_UNTIL(c->site, site_received() >= before + (double)s.n || client_gone(c));
    return sent;
}

static inline void client_say(struct client *c, const char *text)
{
    client_send(c, str_of(text));
    client_read(c);
}

/* The status of the first answer; 0 = none. */
static inline int client_status(const struct client *c)
{
    return c->got.n > 12 && memcmp(c->got.p, "HTTP/1.1 ", 9) == 0 ? atoi(c->got.p + 9) : 0;
}
