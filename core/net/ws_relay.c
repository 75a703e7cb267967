/*
 * A WebSocket under TLS: libwebsockets can adopt a socket, but not our TLS. So it gets one end of a
 * socket pair with plain text, and the connection carries the bytes between the other end and TLS.
 * Each side stops being read while the other does not take its bytes.
 */
#include "core/base/mem.h"
#include "core/net/http_server_impl.h"
#include <sys/socket.h>
#include <unistd.h>

#define WAITING_MAX 65536

struct ws_relay {
    uv_pipe_t pipe;
    struct http_conn *conn; /* NULL: closing */
    struct http_server *server;
    size_t n_unsent;
    bool reading;
};

struct relay_write {
    uv_write_t req;
    struct ws_relay *relay;
    size_t n;
    char bytes[];
};

static void on_closed(uv_handle_t *h)
{
    struct ws_relay *r = h->data;

    http_server_release(r->server);
    free(r);
}

static void on_alloc(uv_handle_t *h, size_t wanted, uv_buf_t *ret)
{
    struct ws_relay *r = h->data;
    (void)wanted;
    *ret = uv_buf_init(r->server->read, HTTP_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b);

static void read_pipe(struct ws_relay *r, bool on)
{
    if (r->reading == on) return;
    r->reading = on;
    if (on)
        uv_read_start((uv_stream_t *)&r->pipe, on_alloc, on_read);
    else
        uv_read_stop((uv_stream_t *)&r->pipe);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
    struct ws_relay *r = stream->data;
    struct http_conn *c = r->conn;

    if (n < 0) { /* libwebsockets has closed its end */
        ws_relay_close(c);
        http_conn_end(c);
        return;
    }
    if (n == 0) return;
    uv_buf_t plain = { .base = b->base, .len = (size_t)n };
    http_conn_send(c, &plain, 1);
    if (r->conn && c->n_unsent > WAITING_MAX) read_pipe(r, false);
}

static void on_written(uv_write_t *req, int status)
{
    struct relay_write *w = container_of(req, struct relay_write, req);
    struct ws_relay *r = w->relay;

    r->n_unsent -= w->n;
    free(w);
    if (!r->conn) return;
    if (status < 0)
        http_conn_close(r->conn);
    else if (r->n_unsent <= WAITING_MAX)
        http_conn_hold(r->conn, false);
}

static void queue(struct ws_relay *r, struct str rest)
{
    struct relay_write *w = mem_grow(NULL, sizeof *w + rest.n);

    w->relay = r;
    w->n = rest.n;
    memcpy(w->bytes, rest.p, rest.n);
    uv_buf_t b = { .base = w->bytes, .len = rest.n };
    r->n_unsent += rest.n;
    if (uv_write(&w->req, (uv_stream_t *)&r->pipe, &b, 1, on_written)) {
        r->n_unsent -= rest.n;
        free(w);
        http_conn_close(r->conn);
    } else if (r->n_unsent > WAITING_MAX) {
        http_conn_hold(r->conn, true);
    }
}

int ws_relay_open(struct http_conn *c)
{
    int fds[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds)) return -1;
    struct ws_relay *r = mem_new(struct ws_relay);
    r->conn = c;
    r->server = c->server;
    uv_pipe_init(&c->server->loop->uv, &r->pipe, 0);
    r->pipe.data = r;
    http_server_hold(c->server);
    c->server->n_relays++;
    c->relay = r;
    if (uv_pipe_open(&r->pipe, fds[0])) {
        close(fds[0]);
        close(fds[1]);
        ws_relay_close(c);
        return -1;
    }
    c->phase = CONN_RELAY;
    read_pipe(r, true);
    return fds[1];
}

void ws_relay_feed(struct http_conn *c, struct str plain)
{
    struct ws_relay *r = c->relay;
    uv_buf_t b = { .base = (char *)(uintptr_t)plain.p, .len = plain.n };

    if (!plain.n) return;
    int n = r->n_unsent ? 0 : uv_try_write((uv_stream_t *)&r->pipe, &b, 1);
    if (n == UV_EAGAIN) n = 0;
    if (n < 0)
        http_conn_close(c);
    else if ((size_t)n < plain.n)
        queue(r, str_skip(plain, (size_t)n));
}

void ws_relay_drained(struct http_conn *c)
{
    if (c->n_unsent <= WAITING_MAX) read_pipe(c->relay, true);
}

void ws_relay_close(struct http_conn *c)
{
    struct ws_relay *r = c->relay;

    c->relay = NULL;
    c->server->n_relays--;
    r->conn = NULL;
    uv_close((uv_handle_t *)&r->pipe, on_closed);
}
