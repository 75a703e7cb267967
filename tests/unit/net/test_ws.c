/*
 * WebSockets against a small client of our own.
 */
#include "core/base/log.h"
#include "core/net/ws.h"
#include "tests/support/http_site.h"

static struct ws_conn *conn_now;
static unsigned n_accepted, n_opened, n_closed;
static size_t n_messages, n_bytes;
static char last[200000];
static size_t last_n;
static int refuse_with;

static int on_accept(struct http_route *route, const struct http_in *in, void **ret_user)
{
    (void)route;
    if (str_eq(http_in_header(in, "Origin"), STR("https://evil.example"))) return 403;
    if (refuse_with) return refuse_with;
    n_accepted++;
    *ret_user = &n_accepted;
    return 0;
}

static void on_open(struct ws_conn *conn, void *user)
{
    cr_assert_eq(user, &n_accepted);
    conn_now = conn;
    n_opened++;
}

/* A word is a command, anything else is echoed. */
static void on_message(struct ws_conn *conn, void *user, struct str text)
{
    cr_assert_eq(user, &n_accepted);
    n_messages++;
    n_bytes += text.n;
    if (text.n < sizeof last) memcpy(last, text.p, last_n = text.n);
    if (str_eq(text, STR("bye"))) {
        ws_send(conn, STR("last words"));
        ws_close(conn, 4001, "as you wish");
        ws_close(conn, 4002, "not twice");
        cr_expect(!ws_send(conn, STR("too late")));
    } else if (str_eq(text, STR("fill"))) {
        static char block[10000];
        memset(block, 'x', sizeof block);
        while (ws_send(conn, str_from(block, sizeof block))) continue;
    } else if (!str_starts(text, STR("quiet"))) {
        ws_send(conn, text);
    }
}

static void on_closed(void *user)
{
    cr_assert_eq(user, &n_accepted);
    conn_now = NULL;
    n_closed++;
}

static const struct ws_handler handler = { on_accept, on_open, on_message, on_closed };
static struct ws_route route;

static void on_hello(struct http_route *r, struct http_in *in)
{
    (void)r;
    http_answer(in, 200, "text/plain", STR("hello"));
}
static struct http_route hello = { .method = "GET", .path = "/hello", .handle = on_hello };

static void open_site(struct site *s)
{
    conn_now = NULL;
    n_accepted = n_opened = n_closed = 0;
    n_messages = n_bytes = 0;
    refuse_with = 0;
    site_open(s);
    route = (struct ws_route){ .http = { .method = "WS", .path = "/ws" },
                               .handler = &handler,
                               .conf = { .message_max = 100000,
                                         .send_queue_max = 500000,
                                         .ping_ms = 30000,
                                         .pong_timeout_ms = 10000,
                                         .connections_max = 5 } };
    ws_route_add(s->server, &route);
    http_route_add(s->server, &hello);
}

#define UPGRADE                                                            \
    "Host: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

static struct client ws_open(struct site *s)
{
    struct client c = client_open(s);

    client_send(&c, STR("GET /ws?a=b HTTP/1.1\r\n" UPGRADE "\r\n"));
    c.tracked = false; /* libwebsockets reads from now on */
    client_await(&c, "\r\n\r\n");
    cr_assert(client_got(&c, "HTTP/1.1 101 "), "%s", c.got.p);
    cr_assert(client_got(&c, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    buf_clear(&c.got);
    return c;
}

/* One frame, masked as a client must. first: FIN and opcode. */
static void ws_frame(struct client *c, unsigned char first, struct str payload)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
    static const char mask[] = { 1, 2, 3, 4 };

    buf_add_char(&b, (char)first);
    if (payload.n < 126) {
        buf_add_char(&b, (char)(0x80 | payload.n));
    } else if (payload.n < 65536) {
        buf_add_char(&b, (char)(0x80 | 126));
        buf_add_char(&b, (char)(payload.n >> 8));
        buf_add_char(&b, (char)payload.n);
    } else {
        buf_add_char(&b, (char)(0x80 | 127));
        for (int i = 56; i >= 0; i -= 8) buf_add_char(&b, (char)((uint64_t)payload.n >> i));
    }
    buf_add(&b, str_from(mask, 4));
    for (size_t i = 0; i < payload.n; i++) buf_add_char(&b, (char)(payload.p[i] ^ mask[i % 4]));
    client_send(c, buf_str(&b));
}

static void ws_text(struct client *c, const char *text)
{
    ws_frame(c, 0x81, str_of(text));
}

/* The close code the server sent; 0 = none. Small frames only. */
static int ws_close_code(struct client *c)
{
    struct str s = buf_str(&c->got);

    while (s.n >= 2) {
        size_t n = (unsigned char)s.p[1];
        if (n >= 126) return -1;
        if ((s.p[0] & 15) == 8 && n >= 2) return (unsigned char)s.p[2] << 8 | (unsigned char)s.p[3];
        s = str_skip(s, n + 2);
    }
    return 0;
}

/* The server says goodbye with `code`; answer it and see it hang up. */
static void expect_close(struct client *c, int code)
{
    SITE_UNTIL(c->site, ws_close_code(c) || (!client_take(c) && client_gone(c)));
    cr_expect_eq(ws_close_code(c), code, "%d, not %d", ws_close_code(c), code);
    ws_frame(c, 0x88, str_from((char[]){ 3, (char)232 }, 2));
    client_await_end(c);
    cr_expect(client_gone(c));
    SITE_UNTIL(c->site, n_closed);
    cr_expect_eq(n_closed, 1);
}

static void finish(struct site *s, struct client *c)
{
    client_close(c);
    SITE_UNTIL(s, n_closed == n_accepted);
    cr_expect_eq(n_closed, n_accepted);
    site_close(s);
    cr_expect_eq(n_closed, n_accepted);
}

static const struct {
    const char *request;
    int status;
} refusals[] = {
    { "GET /ws HTTP/1.1\r\n" UPGRADE "Origin: https://evil.example\r\n\r\n", 403 },
    { "GET /ws HTTP/1.1\r\nHost: x\r\n\r\n", 426 },
    { "POST /ws HTTP/1.1\r\n" UPGRADE "\r\n", 426 },
    { "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
      426 },
    { "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\n\r\n",
      400 },
    { "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: c2hvcnQ=\r\n\r\n",
      400 },
    { "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBs\"SBub25jZQ==\r\n\r\n",
      400 },
    { "GET /ws HTTP/1.1\r\n" UPGRADE "Content-Length: 3\r\n\r\nabc", 400 },
    { "GET /ws HTTP/1.0\r\n" UPGRADE "\r\n", 400 },
    { "GET /other HTTP/1.1\r\n" UPGRADE "\r\n", 404 },
    { "GET /hello HTTP/1.1\r\n" UPGRADE "\r\n", 200 },
};

Test(ws, refused_upgrades)
{
    struct site s = { 0 };

    open_site(&s);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        struct client c = client_open(&s);
        client_say(&c, refusals[i].request);
        cr_expect_eq(client_status(&c), refusals[i].status, "row %zu: %s", i, c.got.p);
        client_close(&c);
    }
    cr_expect_eq(n_accepted, 0);
    cr_expect_eq(n_closed, 0);
    site_close(&s);
}

Test(ws, messages)
{
    struct site s = { 0 };
    static char big[70000];

    open_site(&s);
    struct client c = ws_open(&s);
    ws_text(&c, "hello");
    client_await(&c, "\x81\x05hello");
    cr_expect(client_got(&c, "\x81\x05hello"));

    /* In fragments, with a ping in between; one more message in the same segment. */
    buf_clear(&c.got);
    ws_frame(&c, 0x01, STR("frag"));
    ws_frame(&c, 0x89, STR("p"));
    ws_frame(&c, 0x00, STR(""));
    ws_frame(&c, 0x80, STR("ments"));
    client_await(&c, "fragments");
    cr_expect(client_got(&c, "\x81\x09"
                             "fragments"));
    cr_expect(client_got(&c, "\x8a\x01p"));
    /* A code point cut in two by fragments is still one. */
    ws_frame(&c, 0x01, STR("\xc3"));
    ws_frame(&c, 0x80, STR("\xa4"));
    client_await(&c, "\x81\x02\xc3\xa4");
    cr_expect(client_got(&c, "\x81\x02\xc3\xa4"));

    memset(big, 'b', sizeof big);
    ws_frame(&c, 0x81, str_from(big, sizeof big));
    SITE_UNTIL(&s, n_bytes >= sizeof big);
    cr_expect_eq(last_n, sizeof big);
    cr_expect_eq(memcmp(last, big, sizeof big), 0);
    SITE_UNTIL(&s, (client_take(&c), c.got.n > sizeof big));
    cr_expect_eq(n_messages, 4);
    finish(&s, &c);
}

Test(ws, early_frames)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = client_open(&s);
    client_send(&c, STR("GET /ws HTTP/1.1\r\n" UPGRADE "\r\n\x81\x82\0\0\0\0hi"));
    client_await(&c, "\x81\x02hi");
    cr_expect(client_got(&c, "\r\n\r\n\x81\x02hi"));
    finish(&s, &c);
}

Test(ws, server_closes)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = ws_open(&s);
    ws_text(&c, "bye");
    client_await(&c, "as you wish");
    cr_expect(client_got(&c, "last words"));
    expect_close(&c, 4001);
    finish(&s, &c);

    /* A peer that does not answer the close frame. */
    open_site(&s);
    c = ws_open(&s);
    ws_text(&c, "bye");
    client_await(&c, "as you wish");
    site_wait(&s, 4000);
    cr_expect_eq(n_closed, 0);
    site_wait(&s, 2000);
    cr_expect_eq(n_closed, 1);
    client_await_end(&c);
    cr_expect(client_gone(&c));
    finish(&s, &c);
}

Test(ws, client_closes)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = ws_open(&s);
    ws_frame(&c, 0x88, str_from((char[]){ 3, (char)232, 'o', 'k' }, 4));
    SITE_UNTIL(&s, n_closed);
    cr_expect_eq(n_closed, 1);
    client_await_end(&c);
    cr_expect_eq(ws_close_code(&c), 1000);
    finish(&s, &c);

    open_site(&s);
    c = ws_open(&s);
    client_close(&c);
    SITE_UNTIL(&s, n_closed);
    cr_expect_eq(n_closed, 1);
    finish(&s, &c);
}

static const struct {
    unsigned char first;
    const char *payload;
    size_t n;
    int code;
} rules[] = {
    { 0x81, "\xff\xfe", 2, 1007 },     { 0x81, "\xc3", 1, 1007 },   { 0x81, "a\0b", 3, 1007 },
    { 0x81, "\xed\xa0\x80", 3, 1007 }, { 0x82, "binary", 6, 1003 },
};

Test(ws, rules)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        struct site s = { 0 };
        open_site(&s);
        struct client c = ws_open(&s);
        ws_frame(&c, rules[i].first, str_from(rules[i].payload, rules[i].n));
        ws_text(&c, "dropped");
        expect_close(&c, rules[i].code);
        cr_expect_eq(n_messages, 0, "row %zu", i);
        finish(&s, &c);
    }
}

Test(ws, too_large)
{
    struct site s = { 0 };
    static char big[60000];

    open_site(&s);
    struct client c = ws_open(&s);
    ws_frame(&c, 0x01, str_from(big, sizeof big));
    ws_frame(&c, 0x80, str_from(big, sizeof big));
    expect_close(&c, 1009);
    finish(&s, &c);

    /* Announced only: it is not waited for. */
    open_site(&s);
    c = ws_open(&s);
    client_send(&c, str_from("\x81\xff\0\0\0\0\x10\0\0\0\0\0\0\0abc", 17));
    SITE_UNTIL(&s, ws_close_code(&c) || (!client_take(&c) && client_gone(&c)));
    cr_expect_eq(ws_close_code(&c), 1009);
    finish(&s, &c);
}

/* Reserved bits, unknown opcodes, continuation of nothing, fragmented control frames, noise. */
static const struct {
    const char *bytes;
    size_t n;
} garbage[] = {
    { "\xf1\x82\0\0\0\0hi", 8 },
    { "\x83\x82\0\0\0\0hi", 8 },
    { "\x80\x82\0\0\0\0hi", 8 },
    { "\x09\x82\0\0\0\0hi", 8 },
    { "\x89\xfe\x01\x00\0\0\0\0", 8 },
    { "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27 },
    { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 16 },
};

Test(ws, garbage)
{
    struct site s = { 0 };

    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        open_site(&s);
        struct client c = ws_open(&s);
        client_send(&c, str_from(garbage[i].bytes, garbage[i].n));
        SITE_UNTIL(&s, ws_close_code(&c) || (!client_take(&c) && client_gone(&c)));
        cr_expect(client_gone(&c) || ws_close_code(&c) == 1002, "row %zu", i);
        cr_expect_eq(n_messages, 0, "row %zu", i);
        finish(&s, &c);
    }
}

Test(ws, flood)
{
    struct site s = { 0 };
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);

    open_site(&s);
    struct client c = ws_open(&s);
    for (int i = 0; i < 20000; i++) buf_add(&b, str_from("\x81\x85\0\0\0\0quiet", 11));
    client_send(&c, buf_str(&b));
    SITE_UNTIL(&s, n_messages == 20000);
    cr_expect_eq(n_messages, 20000);
    finish(&s, &c);
}

Test(ws, peer_that_never_reads)
{
    struct site s = { 0 };
    static char block[100000];

    open_site(&s);
    struct client c = ws_open(&s);
    SITE_UNTIL(&s, conn_now);
    for (int i = 0; i < 1000 && conn_now && ws_send(conn_now, str_from(block, sizeof block)); i++) {
        cr_expect_leq(ws_queued_bytes(conn_now), 500000);
        site_wait(&s, 0);
    }
    SITE_UNTIL(&s, n_closed);
    cr_expect_eq(n_closed, 1);
    finish(&s, &c);

    open_site(&s);
    c = ws_open(&s);
    ws_text(&c, "fill"); /* from inside a callback */
    SITE_UNTIL(&s, n_closed);
    cr_expect_eq(n_closed, 1);
    finish(&s, &c);
}

Test(ws, ping_and_pong)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = ws_open(&s);
    site_wait(&s, 29000);
    cr_expect(!client_take(&c));
    site_wait(&s, 2000);
    client_await(&c, "\x89\x04ping");
    cr_expect_eq(c.got.n, 6);
    ws_frame(&c, 0x8a, STR("ping"));
    ws_frame(&c, 0x89, STR("seen?")); /* its answer proves that the pong was, too */
    client_await(&c, "seen?");
    site_wait(&s, 15000);
    cr_expect_eq(n_closed, 0);
    site_wait(&s, 16000);
    cr_expect_eq(n_closed, 0);
    site_wait(&s, 11000); /* no pong to the second ping */
    cr_expect_eq(n_closed, 1);
    client_await_end(&c);
    cr_expect(client_gone(&c));
    finish(&s, &c);
}

Test(ws, connection_maximum_and_drain)
{
    struct site s = { 0 };
    struct client c[5];

    open_site(&s);
    for (int i = 0; i < 5; i++) c[i] = ws_open(&s);
    cr_expect_eq(route.n_open, 5);
    cr_expect_eq(http_server_busy(s.server), 0);
    struct client more = client_open(&s);
    client_say(&more, "GET /ws HTTP/1.1\r\n" UPGRADE "\r\n");
    cr_expect_eq(client_status(&more), 503);
    client_close(&more);
    client_close(&c[0]);
    SITE_UNTIL(&s, route.n_open == 4);
    c[0] = ws_open(&s);

    more = client_open(&s);
    client_say(&more, "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    client_close(&c[1]);
    SITE_UNTIL(&s, route.n_open == 4);
    http_server_drain(s.server);
    ws_text(&c[2], "still here");
    client_await(&c[2], "still here");
    cr_expect(client_got(&c[2], "still here"));
    for (int i = 2; i < 5; i++) client_close(&c[i]);
    client_close(&more);
    finish(&s, &c[0]);
}

Test(ws, route_dropped)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = ws_open(&s);
    ws_route_drop(&route);
    cr_expect_eq(n_closed, 1);
    client_await_end(&c);
    cr_expect(client_gone(&c));
    client_close(&c);
    c = client_open(&s);
    client_say(&c, "GET /ws HTTP/1.1\r\n" UPGRADE "\r\n");
    cr_expect_eq(client_status(&c), 404);
    finish(&s, &c);
}

Test(ws, server_closed_under_connections)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = ws_open(&s), d = ws_open(&s);
    ws_text(&d, "bye");
    client_await(&d, "as you wish");
    http_server_close(s.server);
    s.server = NULL;
    cr_expect_eq(n_closed, 2);
    client_await_end(&c);
    cr_expect(client_gone(&c));
    client_close(&d);
    finish(&s, &c);
}
