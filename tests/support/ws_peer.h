/*
 * ws_peer - a WebSocket server made of one raw socket, driven from the same thread as the loop:
 * says exactly what a test wants said. Virtual clock.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/clock.h"
#include "core/loop/loop.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

struct ws_peer {
    struct loop *loop;
    int listener, fd; /* fd -1: nobody is connected */
    uint16_t port;
    bool eof, reset;
    struct buf got;
};

/* Loopback may take its time on a busy machine: give `cond` two seconds of real time. */
#define LOOP_UNTIL(loop, cond)                                                          \
    do {                                                                                \
        for (uint64_t end_ = uv_hrtime() + 20000000000; !(cond) && uv_hrtime() < end_;) \
            loop_run_for((loop), 0);                                                    \
    } while (0)

static inline void peer_open(struct ws_peer *p, struct loop *loop)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof at;

    *p = (struct ws_peer){ .loop = loop, .fd = -1, .got = BUF_INIT(64 << 20) };
    p->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(p->listener, (struct sockaddr *)&at, n), 0);
    cr_assert_eq(listen(p->listener, 8), 0);
    cr_assert_eq(getsockname(p->listener, (struct sockaddr *)&at, &n), 0);
    p->port = ntohs(at.sin_port);
}

static inline void peer_hang_up(struct ws_peer *p)
{
    if (p->fd >= 0) close(p->fd);
    p->fd = -1;
    p->eof = p->reset = false;
    buf_clear(&p->got);
}

static inline void peer_close(struct ws_peer *p)
{
    peer_hang_up(p);
    if (p->listener >= 0) close(p->listener);
    p->listener = -1;
    buf_done(&p->got);
}

static inline void peer_accept(struct ws_peer *p)
{
    LOOP_UNTIL(p->loop,
               (p->fd = accept4(p->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0);
    cr_assert_geq(p->fd, 0, "nobody connects");
}

/* Take what has come: false = nothing. */
static inline bool peer_take(struct ws_peer *p)
{
    char bytes[65536];
    ssize_t n;
    bool some = false;

    loop_run_for(p->loop, 0);
    while ((n = recv(p->fd, bytes, sizeof bytes, 0)) > 0) {
        buf_add(&p->got, str_from(bytes, (size_t)n));
        some = true;
    }
    p->eof = n == 0;
    p->reset = n < 0 && errno != EAGAIN;
    return some;
}

static inline bool peer_gone(const struct ws_peer *p)
{
    return p->eof || p->reset;
}

static inline bool peer_got(const struct ws_peer *p, struct str s)
{
    return str_find(buf_str(&p->got), s) != SIZE_MAX;
}

static inline void peer_await(struct ws_peer *p, struct str s)
{
    LOOP_UNTIL(p->loop, peer_got(p, s) || (!peer_take(p) && peer_gone(p)));
    cr_assert(peer_got(p, s), "the peer never heard %.*s", STR_ARG(s));
}

static inline void peer_await_end(struct ws_peer *p)
{
    LOOP_UNTIL(p->loop, !peer_take(p) && peer_gone(p));
    cr_expect(peer_gone(p));
}

static inline void peer_send(struct ws_peer *p, struct str s)
{
    for (uint64_t end = uv_hrtime() + 20000000000; s.n && uv_hrtime() < end;) {
        ssize_t n = send(p->fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) break;
        if (n > 0)
            s = str_skip(s, (size_t)n);
        else
            loop_run_for(p->loop, 0);
    }
    loop_run_for(p->loop, 0);
}

/* The answer to the handshake that was received, without its last empty line. */
static inline void peer_format_101(struct ws_peer *p, char ret[200])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char hash[20], base64[32];
    char key[64];
    size_t at = str_find(buf_str(&p->got), STR("Sec-WebSocket-Key: "));

    cr_assert_neq(at, SIZE_MAX);
    snprintf(key, sizeof key, "%.24s%s", p->got.p + at + 19, guid);
    SHA1((unsigned char *)key, strlen(key), hash);
    EVP_EncodeBlock(base64, hash, sizeof hash);
    snprintf(ret, 200,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Accept: %s\r\n",
             base64);
}

/* Accept, hear the request and upgrade; `more` in the same segment. */
static inline void peer_upgrade(struct ws_peer *p, struct str more)
{
    _cleanup_(buf_done) struct buf answer = BUF_INIT(65536);
    char head[200];

    peer_accept(p);
    peer_await(p, STR("\r\n\r\n"));
    peer_format_101(p, head);
    buf_addf(&answer, "%s\r\n", head);
    buf_add(&answer, more);
    buf_clear(&p->got);
    peer_send(p, buf_str(&answer));
}

/* One frame, not masked, as a server's must be. first: FIN and opcode. */
static inline void peer_frame(struct ws_peer *p, unsigned char first, struct str payload)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(16 << 20);

    buf_add_char(&b, (char)first);
    if (payload.n < 126) {
        buf_add_char(&b, (char)payload.n);
    } else if (payload.n < 65536) {
        buf_add_char(&b, 126);
        buf_add_char(&b, (char)(payload.n >> 8));
        buf_add_char(&b, (char)payload.n);
    } else {
        buf_add_char(&b, 127);
        for (int i = 56; i >= 0; i -= 8) buf_add_char(&b, (char)((uint64_t)payload.n >> i));
    }
    buf_add(&b, payload);
    peer_send(p, buf_str(&b));
}

/* The next small frame the client has sent, unmasked in place, if it is complete. */
static inline bool peer_next(struct ws_peer *p, unsigned char *ret_first, char ret[126])
{
    if (p->got.n < 6) peer_take(p);
    if (p->got.n < 6) return false;
    size_t n = (unsigned char)p->got.p[1] & 127;
    cr_assert(p->got.p[1] & 0x80, "a client masks");
    if (n >= 126 || p->got.n < n + 6) return false;
    for (size_t i = 0; i < n; i++) ret[i] = (char)(p->got.p[6 + i] ^ p->got.p[2 + i % 4]);
    ret[n] = '\0';
    *ret_first = (unsigned char)p->got.p[0];
    buf_drop_front(&p->got, n + 6);
    return true;
}

/* The client sends this frame next. */
static inline void peer_expect(struct ws_peer *p, unsigned char first, struct str payload)
{
    unsigned char got_first = 0;
    char got[126] = "";
    bool some = false;

    LOOP_UNTIL(p->loop, (some = peer_next(p, &got_first, got)) || peer_gone(p));
    cr_expect(some, "no frame %02x", first);
    cr_expect_eq(got_first, first, "%02x, not %02x", got_first, first);
    cr_expect(some && memcmp(got, payload.p, payload.n) == 0 && got[payload.n] == '\0', "%s", got);
}
