/*
 * One connection: what it waits for (enum http_phase) and for how long, bytes in to the parser,
 * answers out, TLS in between. Memory is given back in the close callback only, so every function
 * here may be on the stack when the connection closes.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/http_server_impl.h"
#include <sys/socket.h>

#define TAIL_MAX (HTTP_TAIL_STOP + 2 * HTTP_READ_BYTES)

struct conn_write {
    uv_write_t req;
    struct http_conn *conn;
    size_t n;
    char bytes[];
};

static bool takes_requests(const struct http_conn *c)
{
    return c->phase == CONN_IDLE || c->phase == CONN_HEAD || c->phase == CONN_BODY;
}

static int64_t phase_ms(const struct http_conn *c)
{
    const struct http_server_conf *conf = &c->server->conf;

    switch (c->phase) {
    case CONN_HEAD: return conf->head_timeout_ms;
    case CONN_BODY: return conf->body_timeout_ms;
    case CONN_ANSWER: return conf->answer_timeout_ms;
    case CONN_LINGER: return HTTP_LINGER_MS;
    case CONN_IDLE:
    case CONN_FLUSH:
    case CONN_RELAY:
    case CONN_CLOSED: break;
    }
    return conf->idle_timeout_ms;
}

/* Deadlines mostly move on: the armed timer is left alone unless it would come too late. */
static void set_deadline(struct http_conn *c, int64_t ms)
{
    c->deadline = clock_ms() + (uint64_t)ms;
    if (timer_armed(&c->timer) && c->armed_for <= c->deadline) return;
    c->armed_for = c->deadline;
    timer_set(c->server->loop, &c->timer, (uint64_t)ms);
}

static void enter(struct http_conn *c, enum http_phase phase)
{
    c->phase = phase;
    set_deadline(c, phase_ms(c));
}

/* Nobody waits for the request in hand any more; `was` tells whether a handler has it. */
static void drop_request(struct http_conn *c, enum http_phase was)
{
    struct http_rq *rq = c->rq;

    c->rq = NULL;
    if (!rq) return;
    rq->conn = NULL;
    if (was != CONN_ANSWER) {
        http_server_rq_back(c->server, rq);
    } else if (rq->in.on_gone) {
        rq->in.on_gone(&rq->in);
        http_server_rq_back(c->server, rq);
    } /* else http_answer will free it */
}

static void on_closed(uv_handle_t *h)
{
    struct http_conn *c = h->data;
    struct http_server *s = c->server;

    tls_conn_free(c->tls);
    buf_done(&c->tail);
    free(c);
    http_server_release(s);
}

/* All is written. */
static void finish(struct http_conn *c)
{
    uv_os_fd_t fd;

    if (c->tls && !c->said_goodbye) {
        c->said_goodbye = true;
        tls_goodbye(c->tls);
        http_conn_send(c, NULL, 0);
        if (c->phase == CONN_CLOSED) return;
        if (c->n_unsent) {
            enter(c, CONN_FLUSH);
            return;
        }
    }
    if (!c->linger || uv_fileno((uv_handle_t *)&c->tcp, &fd)) {
        http_conn_close(c);
        return;
    }
    /* Closing with unread bytes would reset the connection, and the reset may overtake our answer.
     */
    shutdown(fd, SHUT_WR);
    enter(c, CONN_LINGER);
    http_conn_hold(c, false);
}

static void go_on(struct http_conn *c)
{
    if (c->close_after) {
        finish(c);
        return;
    }
    enter(c, CONN_IDLE);
    if (!c->tail.n || c->parsing) return;
    /* Not from here: we may be inside a handler of somebody's, called by http_answer. */
    list_drop(&c->ready);
    list_push(&c->server->ready, &c->ready);
    loop_wake(c->server->loop);
}

static void on_written(uv_write_t *req, int status)
{
    struct conn_write *w = container_of(req, struct conn_write, req);
    struct http_conn *c = w->conn;

    c->n_unsent -= w->n;
    free(w);
    if (c->phase == CONN_CLOSED) return;
    if (status < 0) {
        http_conn_close(c);
        return;
    }
    if (c->relay) ws_relay_drained(c);
    if (c->phase == CONN_FLUSH && !c->n_unsent) go_on(c);
}

/* What the kernel did not take at once. */
static void queue(struct http_conn *c, const uv_buf_t *bufs, unsigned n, size_t skip)
{
    size_t all = 0, at = 0;

    for (unsigned i = 0; i < n; i++) all += bufs[i].len;
    struct conn_write *w = mem_grow(NULL, sizeof *w + all - skip);
    for (unsigned i = 0; i < n; i++) {
        size_t off = skip < bufs[i].len ? skip : bufs[i].len;
        memcpy(w->bytes + at, bufs[i].base + off, bufs[i].len - off);
        at += bufs[i].len - off;
        skip -= off;
    }
    w->conn = c;
    w->n = at;
    uv_buf_t b = { .base = w->bytes, .len = at };
    c->n_unsent += at;
    if (uv_write(&w->req, (uv_stream_t *)&c->tcp, &b, 1, on_written) == 0) return;
    c->n_unsent -= at;
    free(w);
    http_conn_close(c);
}

static void send_raw(struct http_conn *c, const uv_buf_t *bufs, unsigned n)
{
    size_t all = 0;
    int sent = 0;

    for (unsigned i = 0; i < n; i++) all += bufs[i].len;
    if (!c->n_unsent) {
        sent = uv_try_write((uv_stream_t *)&c->tcp, bufs, n);
        if (sent == UV_EAGAIN) sent = 0;
        if (sent < 0) {
            http_conn_close(c);
            return;
        }
    }
    http_metric_sent(all);
    if ((size_t)sent < all) queue(c, bufs, n, (size_t)sent);
}

static void begin_request(struct http_conn *c)
{
    c->rq = http_server_rq(c->server);
    c->rq->conn = c;
    http_parse_begin(&c->parse, c->rq);
}

static void dispatch(struct http_conn *c)
{
    c->phase = CONN_ANSWER; /* its deadline only matters if the answer is late */
    http_route_dispatch(c, c->rq);
    if (c->phase == CONN_ANSWER) enter(c, CONN_ANSWER);
}

static void parse_step(struct http_conn *c, struct str *in)
{
    for (;;) {
        switch (http_parse_feed(&c->parse, in)) {
        case HTTP_PARSE_MORE:
            if (c->phase == CONN_IDLE && c->parse.at == HTTP_AT_HEAD) enter(c, CONN_HEAD);
            return;
        case HTTP_PARSE_HEAD:
            c->rest = *in;
            if (!http_route_head(c, c->rq)) return;
            if (c->rq->has_body) enter(c, CONN_BODY);
            break;
        case HTTP_PARSE_DONE: dispatch(c); return;
        case HTTP_PARSE_BAD:
            log_debug("http", "bad request", "peer=%s status=%d why=%s", c->peer, c->parse.status,
                      log_quote(str_of(c->parse.why)));
            http_answer_refuse(c->rq, c->parse.status, c->parse.why);
            return;
        }
    }
}

/* Until all is used, or a handler has a request, or the connection takes no more; the bytes used.
 */
static size_t parse(struct http_conn *c, struct str in)
{
    size_t all = in.n;

    c->parsing = true;
    while (in.n && takes_requests(c)) {
        if (!c->rq) begin_request(c);
        parse_step(c, &in);
    }
    c->parsing = false;
    if (c->phase == CONN_RELAY) {
        ws_relay_feed(c, in);
        return all;
    }
    return all - in.n;
}

static void input(struct http_conn *c, struct str in)
{
    if (c->phase == CONN_RELAY) {
        ws_relay_feed(c, in);
        return;
    }
    if (takes_requests(c) && !c->tail.n) in = str_skip(in, parse(c, in));
    if (!in.n || c->close_after || c->phase == CONN_CLOSED || c->phase == CONN_LINGER) return;
    if (!buf_add(&c->tail, in))
        http_conn_close(c); /* reading stopped long ago: TLS holds more than it may */
    else if (c->tail.n >= HTTP_TAIL_STOP)
        http_conn_hold(c, true);
}

static void on_eof(struct http_conn *c)
{
    if (c->phase != CONN_FLUSH) {
        http_conn_close(c);
        return;
    }
    /* It may still read what it asked for. */
    c->close_after = true;
    c->linger = false;
    http_conn_hold(c, true);
}

static void read_tls(struct http_conn *c, struct str cipher)
{
    struct http_server *s = c->server;
    char text[120];
    size_t n;

    tls_feed(c->tls, cipher);
    for (;;) {
        enum tls_read how = tls_read(c->tls, s->plain, sizeof s->plain, &n);
        if (how == TLS_READ_SOME) {
            input(c, str_from(s->plain, n));
            if (c->phase == CONN_CLOSED) return;
            continue;
        }
        if (how == TLS_READ_BAD)
            log_debug("http", "TLS failed", "peer=%s why=%s", c->peer,
                      log_quote(str_of(tls_reason(text))));
        http_conn_send(c, NULL, 0); /* the handshake's, or an alert */
        if (how == TLS_READ_END) on_eof(c);
        if (how == TLS_READ_BAD) http_conn_close(c);
        return;
    }
}

static void on_alloc(uv_handle_t *h, size_t wanted, uv_buf_t *ret)
{
    struct http_conn *c = h->data;
    (void)wanted;
    *ret = uv_buf_init(c->server->read, HTTP_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct http_conn *c = stream->data;

    if (n < 0) {
        on_eof(c);
        return;
    }
    if (n == 0) return;
    http_metric_received((size_t)n);
    struct str bytes = str_from(b->base, (size_t)n);
    if (c->tls)
        read_tls(c, bytes);
    else
        input(c, bytes);
}

/* The handler is too slow: tell it, then the peer. */
static void answer_timeout(struct http_conn *c)
{
    bool is_head = c->rq->is_head;

    log_warn("http", "no answer in time, sending 504", "peer=%s", c->peer);
    drop_request(c, CONN_ANSWER);
    if (c->phase == CONN_CLOSED) return;
    begin_request(c);
    c->rq->is_head = is_head;
    http_answer_refuse(c->rq, 504, "no answer in time");
}

static void on_deadline(struct timer *t)
{
    struct http_conn *c = container_of(t, struct http_conn, timer);
    uint64_t now = clock_ms();

    if (c->phase == CONN_RELAY) return; /* ws.c has its own */
    if (now < c->deadline) {
        c->armed_for = c->deadline;
        timer_set(c->server->loop, &c->timer, c->deadline - now);
        return;
    }
    switch (c->phase) {
    case CONN_HEAD:
    case CONN_BODY: http_answer_refuse(c->rq, 408, "the request took too long"); return;
    case CONN_ANSWER: answer_timeout(c); return;
    case CONN_FLUSH: {
        size_t left = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
        if (left < c->flush_left) { /* slow, but it reads */
            c->flush_left = left;
            enter(c, CONN_FLUSH);
            return;
        }
        break;
    }
    case CONN_IDLE:
    case CONN_LINGER:
    case CONN_RELAY:
    case CONN_CLOSED: break;
    }
    http_conn_close(c);
}

static bool conn_accept(struct http_conn *c)
{
    struct sockaddr_storage sa;
    int n = sizeof sa;

    if (uv_accept((uv_stream_t *)&c->server->listener, (uv_stream_t *)&c->tcp)) return false;
    if (uv_tcp_getpeername(&c->tcp, (struct sockaddr *)&sa, &n)) return false;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&sa;
    if (sa.ss_family == AF_INET)
        uv_ip4_name((const struct sockaddr_in *)&sa, c->peer, sizeof c->peer);
    else
        uv_ip6_name(v6, c->peer, sizeof c->peer);
    /* A dual-stack socket shows IPv4 peers so. */
    if (strncmp(c->peer, "::ffff:", 7) == 0 && strchr(c->peer, '.'))
        memmove(c->peer, c->peer + 7, strlen(c->peer + 7) + 1);
    uv_tcp_nodelay(&c->tcp, 1);
    return true;
}

void http_conn_open(struct http_server *s)
{
    struct http_conn *c = mem_new(struct http_conn);
    size_t max = (size_t)s->conf.connections_max, open = http_server_busy(s);
    bool over = open >= max;

    c->server = s;
    c->timer.fire = on_deadline;
    buf_init(&c->tail, TAIL_MAX);
    list_init(&c->ready);
    uv_tcp_init(&s->loop->uv, &c->tcp);
    c->tcp.data = c;
    list_push(&s->conns, &c->link);
    s->n_conns++;
    http_metric_connections(1);
    http_server_hold(s);

    if (over) http_metric_refused();
    if (!conn_accept(c) || (over && (s->tls || open >= max + HTTP_REFUSE_MAX))) {
        http_conn_close(c);
        return;
    }
    if (s->tls) c->tls = tls_conn_new(s->tls);
    /* A client that connects and says nothing is not worth a whole idle_timeout. */
    set_deadline(c, s->conf.head_timeout_ms);
    http_conn_hold(c, false);
    if (over) {
        uv_buf_t b = { .base = (char *)(uintptr_t)http_busy_answer,
                       .len = strlen(http_busy_answer) };
        c->linger = true;
        http_conn_send(c, &b, 1);
        http_conn_end(c);
    }
}

void http_conn_close(struct http_conn *c)
{
    enum http_phase was = c->phase;

    if (was == CONN_CLOSED) return;
    c->phase = CONN_CLOSED;
    drop_request(c, was);
    if (c->relay) ws_relay_close(c);
    timer_clear(c->server->loop, &c->timer);
    list_drop(&c->ready);
    list_drop(&c->link);
    c->server->n_conns--;
    http_metric_connections(-1);
    uv_close((uv_handle_t *)&c->tcp, on_closed);
}

void http_conn_run_tail(struct http_conn *c)
{
    if (!takes_requests(c)) return;
    size_t used = parse(c, buf_str(&c->tail));
    if (c->phase == CONN_CLOSED || c->phase == CONN_LINGER) return;
    buf_drop_front(&c->tail, used);
    if (!c->tail.n) buf_done(&c->tail);
    if (c->tail.n < HTTP_TAIL_STOP) http_conn_hold(c, false);
}

void http_conn_send(struct http_conn *c, const uv_buf_t *bufs, unsigned n)
{
    if (c->phase == CONN_CLOSED) return;
    if (!c->tls) {
        send_raw(c, bufs, n);
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        if (tls_write(c->tls, str_from(bufs[i].base, bufs[i].len))) continue;
        http_conn_close(c);
        return;
    }
    struct str cipher = tls_pending(c->tls);
    if (!cipher.n) return;
    uv_buf_t b = { .base = (char *)(uintptr_t)cipher.p, .len = cipher.n };
    send_raw(c, &b, 1);
    tls_sent(c->tls);
}

void http_conn_answered(struct http_conn *c)
{
    if (c->phase == CONN_CLOSED) return;
    if (!c->n_unsent) {
        go_on(c);
        return;
    }
    c->flush_left = uv_stream_get_write_queue_size((uv_stream_t *)&c->tcp);
    enter(c, CONN_FLUSH);
}

void http_conn_end(struct http_conn *c)
{
    c->close_after = true;
    http_conn_answered(c);
}

void http_conn_hold(struct http_conn *c, bool hold)
{
    if (c->phase == CONN_CLOSED || c->reading != hold) return;
    c->reading = !hold;
    if (hold)
        uv_read_stop((uv_stream_t *)&c->tcp);
    else
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read);
}
