/*
 * stub_http - an HTTP server for tests, on the loop of the test itself. It reads requests with a
 * Content-Length and leaves the answer, byte for byte, to the test.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/list.h"
#include "core/base/mem.h"
#include "core/loop/loop.h"
#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

struct stub_conn;
struct stub {
    uv_tcp_t listener;
    struct loop *loop;
    unsigned port, n_accepted, n_open, n_requests;
    struct list conns;
    struct buf last_head, last_body;
    void (*on_request)(struct stub_conn *c, unsigned nth); /* nth: from 1, of all connections */
    void *ctx;
};

struct stub_conn {
    uv_tcp_t tcp;
    struct stub *stub;
    struct list link;
    struct buf in;
    bool closing;
    unsigned drip_ms; /* stub_drip */
    struct timer drip;
    struct buf drip_rest;
    bool drip_close;
};

static inline void stub_on_closed(uv_handle_t *h)
{
    struct stub_conn *c = container_of(h, struct stub_conn, tcp);
    list_drop(&c->link);
    c->stub->n_open--;
    buf_done(&c->in);
    buf_done(&c->drip_rest);
    free(c);
}

static inline void stub_close(struct stub_conn *c)
{
    if (c->closing) return;
    c->closing = true;
    timer_clear(c->stub->loop, &c->drip);
    uv_close((uv_handle_t *)&c->tcp, stub_on_closed);
}

/* Close with an RST: what a crash of the server looks like. */
static inline void stub_reset(struct stub_conn *c)
{
    if (c->closing) return;
    c->closing = true;
    timer_clear(c->stub->loop, &c->drip);
    uv_tcp_close_reset(&c->tcp, stub_on_closed);
}

static inline void stub_on_written(uv_write_t *w, int status)
{
    (void)status;
    free(w);
}

static inline void stub_send(struct stub_conn *c, struct str s)
{
    if (c->closing) return;
    uv_write_t *w = mem_alloc(sizeof(*w) + s.n);
    char *copy = (char *)(w + 1);
    memcpy(copy, s.p, s.n);
    uv_buf_t b = uv_buf_init(copy, (unsigned)s.n);
    uv_write(w, (uv_stream_t *)&c->tcp, &b, 1, stub_on_written);
}

/* A whole answer. type NULL: none. extra: more header lines, each with its \r\n. */
static inline void stub_answer(struct stub_conn *c, int status, const char *type, const char *extra,
                               struct str body)
{
    struct buf b = BUF_INIT(64 * 1024 * 1024);
    buf_addf(&b, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s", status, body.n, extra);
    if (type) buf_addf(&b, "Content-Type: %s\r\n", type);
    buf_add_cstr(&b, "\r\n");
    buf_add(&b, body);
    stub_send(c, buf_str(&b));
    buf_done(&b);
}

static inline void stub_drip_next(struct timer *t)
{
    struct stub_conn *c = container_of(t, struct stub_conn, drip);
    if (!c->drip_rest.n) {
        if (c->drip_close) stub_close(c);
        return;
    }
    stub_send(c, str_head(buf_str(&c->drip_rest), 1));
    buf_drop_front(&c->drip_rest, 1);
    timer_set(c->stub->loop, &c->drip, c->drip_ms);
}

/* One byte each `ms`; then close, or leave the connection open. */
static inline void stub_drip(struct stub_conn *c, struct str s, unsigned ms, bool close_after)
{
    c->drip_ms = ms;
    c->drip_close = close_after;
    c->drip.fire = stub_drip_next;
    buf_add(&c->drip_rest, s);
    timer_set(c->stub->loop, &c->drip, ms);
}

static inline size_t stub_content_length(struct str head)
{
    size_t at = str_find(head, STR("Content-Length: "));
    return at == SIZE_MAX ? 0 : strtoul(head.p + at + 16, NULL, 10);
}

static inline void stub_requests(struct stub_conn *c)
{
    for (size_t end; (end = str_find(buf_str(&c->in), STR("\r\n\r\n"))) != SIZE_MAX;) {
        struct str head = str_head(buf_str(&c->in), end + 2);
        size_t n = stub_content_length(head), all = end + 4 + n;
        if (c->in.n < all) return;
        struct stub *s = c->stub;
        buf_clear(&s->last_head);
        buf_clear(&s->last_body);
        buf_add(&s->last_head, head);
        buf_add(&s->last_body, str_head(str_skip(buf_str(&c->in), end + 4), n));
        buf_drop_front(&c->in, all);
        s->on_request(c, ++s->n_requests);
        if (c->closing) return;
    }
}

static inline void stub_on_alloc(uv_handle_t *h, size_t n, uv_buf_t *ret)
{
    (void)n;
    struct stub_conn *c = container_of(h, struct stub_conn, tcp);
    *ret = uv_buf_init(buf_room(&c->in, 65536), 65536);
}

static inline void stub_on_read(uv_stream_t *h, ssize_t n, const uv_buf_t *b)
{
    (void)b;
    struct stub_conn *c = container_of(h, struct stub_conn, tcp);
    if (n < 0) {
        stub_close(c);
        return;
    }
    buf_grew(&c->in, (size_t)n);
    stub_requests(c);
}

static inline void stub_on_connection(uv_stream_t *h, int status)
{
    assert(status == 0);
    struct stub *s = container_of(h, struct stub, listener);
    struct stub_conn *c = mem_new(struct stub_conn);
    c->stub = s;
    buf_init(&c->in, 64 * 1024 * 1024);
    buf_init(&c->drip_rest, 1024 * 1024);
    list_push(&s->conns, &c->link);
    s->n_accepted++;
    s->n_open++;
    uv_tcp_init(h->loop, &c->tcp);
    uv_accept(h, (uv_stream_t *)&c->tcp);
    uv_tcp_nodelay(&c->tcp, 1);
    uv_read_start((uv_stream_t *)&c->tcp, stub_on_alloc, stub_on_read);
}

static inline void stub_open(struct stub *s, struct loop *l,
                             void (*on_request)(struct stub_conn *c, unsigned nth))
{
    *s = (struct stub){ .loop = l, .on_request = on_request };
    list_init(&s->conns);
    buf_init(&s->last_head, 1024 * 1024);
    buf_init(&s->last_body, 64 * 1024 * 1024);
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int n = sizeof(a);
    uv_tcp_init(&l->uv, &s->listener);
    uv_tcp_bind(&s->listener, (struct sockaddr *)&a, 0);
    int failed = uv_listen((uv_stream_t *)&s->listener, 128, stub_on_connection);
    assert(!failed);
    (void)failed;
    uv_tcp_getsockname(&s->listener, (struct sockaddr *)&a, &n);
    s->port = ntohs(a.sin_port);
}

/* Also its connections; then run the loop for a moment. */
static inline void stub_shut(struct stub *s)
{
    uv_close((uv_handle_t *)&s->listener, NULL);
    list_each (it, next, &s->conns) stub_close(container_of(it, struct stub_conn, link));
    buf_done(&s->last_head);
    buf_done(&s->last_body);
}
