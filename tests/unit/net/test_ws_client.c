/*
 * Outgoing WebSockets against a peer that says whatever it likes.
 */
#include "core/base/log.h"
#include "core/net/ws_client.h"
#include "tests/support/ws_peer.h"
#include <signal.h>

static struct loop loop;
static struct ws_clients *clients;
static struct ws_peer peer;

/* What a callback does to the connection. */
enum act { ACT_NONE, ACT_DROP, ACT_CLOSE, ACT_SEND, ACT_CLOSE_ALL };
static struct {
    struct ws_client *conn;
    enum act in_open, in_data, in_closed;
    unsigned n_open, n_closed, n_pieces, n_messages;
    size_t n_bytes, max_piece;
    bool binary, inside;
    int code;
    struct err why;
    struct buf text;
} seen;

static void act(struct ws_client *c, enum act what)
{
    switch (what) {
    case ACT_DROP: ws_client_drop(c); break;
    case ACT_CLOSE: ws_client_close(c, 4321, "enough"); break;
    case ACT_SEND: cr_expect(ws_client_send(c, STR("sent"))); break;
    case ACT_CLOSE_ALL:
        ws_clients_close(clients);
        clients = NULL;
        break;
    default: return;
    }
    if (what == ACT_DROP || what == ACT_CLOSE_ALL) seen.conn = NULL;
}

static void on_open(struct ws_client *c, void *user)
{
    cr_assert_eq(user, &seen);
    cr_expect_eq(c, seen.conn);
    seen.n_open++;
    act(c, seen.in_open);
}

static void on_data(struct ws_client *c, void *user, struct str piece, bool binary, bool first,
                    bool last)
{
    cr_assert_eq(user, &seen);
    cr_expect_eq(first, !seen.inside);
    seen.inside = !last;
    seen.binary = binary;
    seen.n_pieces++;
    seen.n_messages += last;
    seen.n_bytes += piece.n;
    if (piece.n > seen.max_piece) seen.max_piece = piece.n;
    buf_add(&seen.text, piece);
    act(c, seen.in_data);
}

static void on_closed(void *user, int code, const struct err *why)
{
    cr_assert_eq(user, &seen);
    seen.conn = NULL;
    seen.n_closed++;
    seen.code = code;
    seen.why = *why;
    cr_expect(!strstr(why->msg, "secret"), "%s", why->msg);
    cr_expect_neq(why->kind, ERR_NONE);
    act(NULL, seen.in_closed == ACT_CLOSE_ALL ? ACT_CLOSE_ALL : ACT_NONE);
}

static const struct ws_client_handler handler = { on_open, on_data, on_closed };

static void forget(void)
{
    buf_done(&seen.text);
    memset(&seen, 0, sizeof seen);
    buf_init(&seen.text, 64 << 10);
}

static void begin(void)
{
    struct err why = ERR_INIT;

    signal(SIGPIPE, SIG_IGN);
    clock_virtual(1000);
    loop_open(&loop);
    peer_open(&peer, &loop);
    forget();
    cr_assert_eq(ws_clients_open(&loop, &(struct ws_client_conf){ "" }, &clients, &why), ERR_NONE);
}

/* In the test itself: Criterion passes over what fails behind it. */
static void end(void)
{
    if (clients) ws_clients_close(clients);
    clients = NULL;
    loop_run_for(&loop, 0);
    peer_close(&peer);
    loop_close(&loop);
    clock_real();
    buf_done(&seen.text);
}

static char url[200];
static void dial_to(const char *where, struct ws_dial dial)
{
    if (!dial.url) {
        snprintf(url, sizeof url, "ws://%s:%u/way/in?ticket=secret", where, peer.port);
        dial.url = url;
    }
    seen.conn = ws_client_dial(clients, &dial, &handler, &seen);
    cr_expect_eq(seen.n_closed, 0, "called back inside");
}

static void dial(void)
{
    dial_to("127.0.0.1", (struct ws_dial){ .connect_ms = 0 });
}

static void until_closed(enum err_kind kind)
{
    LOOP_UNTIL(&loop, seen.n_closed);
    cr_assert_eq(seen.n_closed, 1);
    cr_expect_eq(seen.why.kind, kind, "%s: %s", err_rule(seen.why.kind)->name, seen.why.msg);
}

static void until_open(void)
{
    LOOP_UNTIL(&loop, seen.n_open || seen.n_closed);
    cr_assert_eq(seen.n_open, 1, "%s", seen.why.msg);
}

TestSuite(ws_client, .init = begin);

Test(ws_client, request)
{
    static const struct http_header headers[] = { { STR("User-Agent"), STR("Parley (x, 1)") },
                                                  { STR("X-Empty"), STR("") } };
    char host[60];

    dial_to("localhost", (struct ws_dial){ .headers = headers, .n_headers = 2 });
    peer_upgrade(&peer, STR_NONE);
    until_open();
    peer_hang_up(&peer);
    until_closed(ERR_IO);
    forget();

    dial_to("localhost", (struct ws_dial){ .headers = headers, .n_headers = 2 });
    peer_accept(&peer);
    peer_await(&peer, STR("\r\n\r\n"));
    snprintf(host, sizeof host, "\r\nHost: localhost:%u\r\n", peer.port);
    cr_expect(peer_got(&peer, str_of(host)), "%s", peer.got.p);
    cr_expect(str_starts(buf_str(&peer.got), STR("GET /way/in?ticket=secret HTTP/1.1\r\n")));
    cr_expect(peer_got(&peer, STR("\r\nUser-Agent: Parley (x, 1)\r\nX-Empty: \r\n")));
    cr_expect(peer_got(&peer, STR("\r\nSec-WebSocket-Version: 13\r\n")));
    cr_expect(!peer_got(&peer, STR("Sec-WebSocket-Extensions")));
    cr_expect(!peer_got(&peer, STR("Sec-WebSocket-Protocol")));
    cr_expect(!peer_got(&peer, STR("Origin")));
    end();
}

Test(ws_client, messages_both_ways)
{
    static char big[70000];

    dial();
    cr_expect(!ws_client_send(seen.conn, STR("too early")));
    peer_upgrade(&peer, STR("\x81\x05hello")); /* in the same segment */
    LOOP_UNTIL(&loop, seen.n_messages);
    cr_expect(str_eq(buf_str(&seen.text), STR("hello")));
    cr_expect(!seen.binary);

    cr_expect(ws_client_send(seen.conn, STR("one")));
    cr_expect(ws_client_send(seen.conn, STR("")));
    cr_expect(ws_client_send(seen.conn, STR("two")));
    peer_expect(&peer, 0x81, STR("one"));
    peer_expect(&peer, 0x81, STR(""));
    peer_expect(&peer, 0x81, STR("two"));
    cr_expect_eq(ws_client_queued_bytes(seen.conn), 0);

    /* In fragments, with a ping between them; the last one is empty. */
    buf_clear(&seen.text);
    peer_frame(&peer, 0x02, STR("frag"));
    peer_frame(&peer, 0x89, STR("are you there?"));
    peer_frame(&peer, 0x00, STR("ments"));
    peer_expect(&peer, 0x8a, STR("are you there?"));
    cr_expect_eq(seen.n_messages, 1);
    peer_frame(&peer, 0x80, STR(""));
    LOOP_UNTIL(&loop, seen.n_messages == 2);
    cr_expect(str_eq(buf_str(&seen.text), STR("fragments")));
    cr_expect(seen.binary);
    peer_frame(&peer, 0x81, STR(""));
    LOOP_UNTIL(&loop, seen.n_messages == 3);
    cr_expect_eq(seen.n_messages, 3);

    peer_frame(&peer, 0x81, str_from(big, sizeof big));
    LOOP_UNTIL(&loop, seen.n_messages == 4);
    cr_expect_eq(seen.n_bytes, 5 + 9 + sizeof big);
    cr_expect_eq(seen.n_closed, 0);
    end();
}

Test(ws_client, huge_message, .timeout = 60)
{
    enum { HUGE = 5 << 20 };
    _cleanup_(buf_done) struct buf big = BUF_INIT(HUGE);

    memset(buf_room(&big, HUGE), 'x', HUGE);
    buf_grew(&big, HUGE);
    dial();
    peer_upgrade(&peer, STR_NONE);
    until_open();
    peer_frame(&peer, 0x82, buf_str(&big));
    LOOP_UNTIL(&loop, seen.n_messages);
    cr_expect_eq(seen.n_bytes, HUGE);
    cr_expect_eq(seen.n_messages, 1);
    cr_expect_leq(seen.max_piece, WS_CLIENT_PIECE_MAX);
    cr_expect_lt(seen.n_pieces, 200);
    end();
}

static const struct {
    const char *answer;
    enum err_kind kind;
    const char *text;
} answers[] = {
    { "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", ERR_PROTO, "404" },
    { "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", ERR_AUTH, "401" },
    { "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\nno", ERR_LIMIT, "429" },
    { "HTTP/1.1 503 Service Unavailable\r\n\r\n", ERR_IO, "503" },
    { "HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/secret\r\nContent-Length: 0\r\n\r\n",
      ERR_PROTO, "302" },
    { "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", ERR_PROTO, "200" },
    { "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
      ERR_PROTO, "ccept" },
    { "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n", ERR_PROTO, "" },
};

Test(ws_client, answers_that_are_no_websocket)
{
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        forget();
        dial();
        peer_accept(&peer);
        peer_await(&peer, STR("\r\n\r\n"));
        peer_send(&peer, str_of(answers[i].answer));
        until_closed(answers[i].kind);
        cr_expect(strstr(seen.why.msg, answers[i].text), "row %zu: %s", i, seen.why.msg);
        cr_expect_eq(seen.n_open, 0);
        cr_expect_eq(seen.code, 0);
        peer_await_end(&peer);
        peer_hang_up(&peer);
    }
    end();
}

Test(ws_client, hung_up_before_the_answer)
{
    dial();
    peer_accept(&peer);
    peer_await(&peer, STR("\r\n\r\n"));
    peer_hang_up(&peer);
    until_closed(ERR_IO);

    forget();
    dial();
    peer_accept(&peer);
    peer_await(&peer, STR("\r\n\r\n"));
    peer_send(&peer, STR("HTTP/1.1 101 Switching Pro"));
    setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    peer_hang_up(&peer);
    until_closed(ERR_IO);
    end();
}

Test(ws_client, refused)
{
    uint16_t port = peer.port;

    close(peer.listener);
    peer.listener = -1;
    for (int i = 0; i < 20; i++) { /* what is left behind each time would show at the end */
        forget();
        dial_to(i % 2 ? "127.0.0.1" : "localhost", (struct ws_dial){ .connect_ms = 0 });
        until_closed(ERR_IO);
        char text[20];
        snprintf(text, sizeof text, ":%u", port);
        cr_expect(strstr(seen.why.msg, text), "%s", seen.why.msg);
        cr_expect(strstr(seen.why.msg, "refused"), "%s", seen.why.msg);
        cr_expect_eq(seen.n_open, 0);
    }
    end();
}

/* Fails inside connect(): libwebsockets forgets what it has put into the loop for the socket. */
Test(ws_client, unreachable)
{
    for (int i = 0; i < 3; i++) {
        forget();
        dial_to(NULL, (struct ws_dial){ .url = "ws://255.255.255.255:1/secret" });
        until_closed(ERR_IO);
    }
    end();
}

Test(ws_client, bad_urls_and_headers)
{
    static const struct http_header bad[] = { { STR("X"), STR("a\r\nEvil: secret") } };

    dial_to(NULL, (struct ws_dial){ .url = "http://127.0.0.1/secret" });
    until_closed(ERR_CONF);
    forget();
    dial_to("127.0.0.1", (struct ws_dial){ .headers = bad, .n_headers = 1 });
    until_closed(ERR_CONF);
    forget();
    /* A label of more than 63 characters is no name that anybody could know. */
    dial_to(NULL,
            (struct ws_dial){ .url = "ws://abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz"
                                     "abcdefghijklmnop.invalid/" });
    until_closed(ERR_IO);
    forget();
    dial_to(NULL, (struct ws_dial){ .url = "ws://127.0.0.1:1/never" });
    ws_client_close(seen.conn, 1000, "");
    until_closed(ERR_CANCELLED);
    end();
}

Test(ws_client, ipv6)
{
    struct sockaddr_in6 at = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    socklen_t n = sizeof at;
    char host[60];

    close(peer.listener);
    peer.listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(peer.listener, (struct sockaddr *)&at, n)) cr_skip("no IPv6 here");
    cr_assert_eq(listen(peer.listener, 8), 0);
    getsockname(peer.listener, (struct sockaddr *)&at, &n);
    peer.port = ntohs(at.sin6_port);
    dial_to("[::1]", (struct ws_dial){ .connect_ms = 0 });
    peer_accept(&peer);
    peer_await(&peer, STR("\r\n\r\n"));
    snprintf(host, sizeof host, "\r\nHost: [::1]:%u\r\n", peer.port);
    cr_expect(peer_got(&peer, str_of(host)), "%s", peer.got.p);
    end();
}

Test(ws_client, deadline)
{
    /* Never accepted: the kernel has said yes. */
    dial_to("127.0.0.1", (struct ws_dial){ .connect_ms = 5000 });
    loop_run_for(&loop, 4900);
    cr_expect_eq(seen.n_closed, 0);
    loop_run_for(&loop, 200);
    until_closed(ERR_TIMEOUT);
    peer_accept(&peer);
    peer_await_end(&peer);
    peer_hang_up(&peer);

    /* Half an answer; by default 30 s. */
    forget();
    dial();
    peer_accept(&peer);
    peer_await(&peer, STR("\r\n\r\n"));
    peer_send(&peer, STR("HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs"));
    loop_run_for(&loop, 29000);
    cr_expect_eq(seen.n_closed, 0);
    loop_run_for(&loop, 1100);
    until_closed(ERR_TIMEOUT);
    peer_await_end(&peer);
    peer_hang_up(&peer);

    /* No HTTP at all: libwebsockets waits for something that it understands. */
    forget();
    dial();
    peer_accept(&peer);
    peer_send(&peer, STR("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
    loop_run_for(&loop, 30100);
    until_closed(ERR_TIMEOUT);
    end();
}

static void open_now(struct ws_dial with)
{
    forget();
    dial_to("127.0.0.1", with);
    peer_upgrade(&peer, STR_NONE);
    until_open();
}

static const struct {
    const char *payload;
    size_t n;
    int code;
    const char *text;
} codes[] = {
    { "\x0f\xa4who are you", 13, 4004, "4004 who are you" },
    { "\x0f\xa0", 2, 4000, "4000" },
    { "\x03\xe8", 2, 1000, "1000" },
    { "\x03\xe9\xff\xfe", 4, 1001, "1001" },
    { "", 0, 0, "closed by the peer" },
};

Test(ws_client, peer_closes)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct str payload = str_from(codes[i].payload, codes[i].n);
        open_now((struct ws_dial){ .connect_ms = 0 });
        peer_frame(&peer, 0x88, payload);
        until_closed(ERR_IO);
        cr_expect_eq(seen.code, codes[i].code, "row %zu: %d", i, seen.code);
        cr_expect(strstr(seen.why.msg, codes[i].text), "row %zu: %s", i, seen.why.msg);
        peer_expect(&peer, 0x88, payload);
        peer_await_end(&peer);
        peer_hang_up(&peer);
    }
    end();
}

Test(ws_client, peer_vanishes_or_breaks_rules)
{
    open_now((struct ws_dial){ .connect_ms = 0 });
    peer_hang_up(&peer);
    until_closed(ERR_IO);
    cr_expect_eq(seen.code, 0);

    open_now((struct ws_dial){ .connect_ms = 0 });
    peer_send(&peer, STR("\x82\x7f\0\0\0\0\0\x10\0\0half of it"));
    setsockopt(peer.fd, SOL_SOCKET, SO_LINGER, &(struct linger){ 1, 0 }, sizeof(struct linger));
    peer_hang_up(&peer);
    until_closed(ERR_IO);
    cr_expect_eq(seen.n_messages, 0);

    static const char *const garbage[] = { "\xf1\x02hi", "\x83\x02hi", "\x80\x02hi", "\x09\x02hi",
                                           "\x89\x7e\x01" };
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        open_now((struct ws_dial){ .connect_ms = 0 });
        peer_send(&peer, str_of(garbage[i]));
        until_closed(ERR_IO);
        cr_expect_eq(seen.n_messages, 0);
        peer_await_end(&peer);
        peer_hang_up(&peer);
    }
    end();
}

Test(ws_client, we_close)
{
    static const struct {
        int code;
        const char *reason, *payload;
    } rows[] = { { 4000, "", "\x0f\xa0" },
                 { 1000, "bye",
                   "\x03\xe8"
                   "bye" },
                 { 4999, "", "\x13\x87" } };

    for (size_t i = 0; i < 3; i++) {
        open_now((struct ws_dial){ .connect_ms = 0 });
        ws_client_send(seen.conn, STR("last words"));
        ws_client_close(seen.conn, rows[i].code, rows[i].reason);
        ws_client_close(seen.conn, 4444, "not twice");
        cr_expect(!ws_client_send(seen.conn, STR("too late")));
        peer_expect(&peer, 0x81, STR("last words"));
        peer_expect(&peer, 0x88, str_of(rows[i].payload));
        cr_expect_eq(seen.n_closed, 0);
        peer_frame(&peer, 0x81, STR("not heard"));
        peer_frame(&peer, 0x88, str_of(rows[i].payload));
        until_closed(ERR_CANCELLED);
        cr_expect_eq(seen.n_messages, 0);
        peer_await_end(&peer);
        peer_hang_up(&peer);
    }

    /* Nobody answers. */
    open_now((struct ws_dial){ .connect_ms = 0 });
    ws_client_close(seen.conn, 4000, "");
    peer_expect(&peer, 0x88, STR("\x0f\xa0"));
    loop_run_for(&loop, 4800);
    cr_expect_eq(seen.n_closed, 0);
    loop_run_for(&loop, 300);
    until_closed(ERR_CANCELLED);
    peer_await_end(&peer);
    end();
}

Test(ws_client, ping_and_pong)
{
    open_now((struct ws_dial){ .ping_ms = 30000, .pong_timeout_ms = 10000 });
    loop_run_for(&loop, 29000);
    cr_expect(!peer_take(&peer));
    loop_run_for(&loop, 2000);
    peer_expect(&peer, 0x89, STR("ping"));
    peer_frame(&peer, 0x8a, STR("ping"));
    peer_frame(&peer, 0x89, STR("seen?")); /* its answer proves that the pong was, too */
    peer_expect(&peer, 0x8a, STR("seen?"));
    loop_run_for(&loop, 15000);
    peer_frame(&peer, 0x81, STR("data is a sign of life, too"));
    LOOP_UNTIL(&loop, seen.n_messages);
    loop_run_for(&loop, 29000);
    cr_expect(!peer_take(&peer));
    loop_run_for(&loop, 2000);
    peer_expect(&peer, 0x89, STR("ping"));
    loop_run_for(&loop, 8000);
    cr_expect_eq(seen.n_closed, 0);
    loop_run_for(&loop, 3000);
    until_closed(ERR_TIMEOUT);
    peer_await_end(&peer);
    peer_hang_up(&peer);

    /* Not asked for: silence is fine. */
    open_now((struct ws_dial){ .ping_ms = 0 });
    loop_run_for(&loop, 3600000);
    cr_expect_eq(seen.n_closed, 0);
    cr_expect(!peer_take(&peer));
    end();
}

Test(ws_client, peer_that_never_reads)
{
    static char block[50000];
    int n = 0;

    open_now((struct ws_dial){ .send_queue_max = 120000 });
    while (n < 1000 && ws_client_send(seen.conn, str_from(block, sizeof block))) {
        cr_expect_leq(ws_client_queued_bytes(seen.conn), 120000);
        loop_run_for(&loop, 0);
        n++;
    }
    cr_expect_lt(n, 1000);
    ws_client_close(seen.conn, 4000, "");
    loop_run_for(&loop, 5100);
    until_closed(ERR_CANCELLED);
    end();
}

/* Each callback times each thing that can be done in it. */
Test(ws_client, acts_inside_callbacks, .timeout = 30)
{
    for (int where = 0; where < 2; where++) {
        for (enum act what = ACT_DROP; what <= ACT_SEND; what++) {
            forget();
            dial();
            *(where ? &seen.in_data : &seen.in_open) = what;
            peer_upgrade(&peer, STR("\x81\x01"
                                    "a"
                                    "\x82\x01"
                                    "b"));
            if (what == ACT_SEND) {
                peer_expect(&peer, 0x81, STR("sent"));
                peer_hang_up(&peer);
                until_closed(ERR_IO);
            } else if (what == ACT_CLOSE) {
                peer_expect(&peer, 0x88,
                            STR("\x10\xe1"
                                "enough"));
                peer_frame(&peer, 0x88, STR("\x10\xe1"));
                until_closed(ERR_CANCELLED);
                cr_expect_eq(seen.n_messages, (unsigned)where);
            } else {
                peer_await_end(&peer);
                cr_expect_eq(seen.n_closed, 0);
                cr_expect_eq(seen.n_messages, (unsigned)where);
                cr_expect_eq(peer.got.n, 0, "without a close frame");
            }
            peer_hang_up(&peer);
        }
    }
    end();
}

Test(ws_client, all_closed_in_open)
{
    dial();
    seen.in_open = ACT_CLOSE_ALL;
    peer_upgrade(&peer, STR("\x81\x01"
                            "a"));
    peer_await_end(&peer);
    cr_expect_eq(seen.n_open, 1);
    cr_expect_eq(seen.n_messages + seen.n_closed, 0);
    end();
}

Test(ws_client, all_closed_in_data)
{
    dial();
    seen.in_data = ACT_CLOSE_ALL;
    peer_upgrade(&peer, STR("\x81\x01"
                            "a"
                            "\x81\x01"
                            "b"));
    peer_await_end(&peer);
    cr_expect_eq(seen.n_messages, 1);
    cr_expect_eq(seen.n_closed, 0);
    end();
}

Test(ws_client, all_closed_in_closed)
{
    open_now((struct ws_dial){ .connect_ms = 0 });
    seen.in_closed = ACT_CLOSE_ALL;
    peer_hang_up(&peer);
    until_closed(ERR_IO);
    end();
}

Test(ws_client, dropped_at_every_stage)
{
    dial(); /* nothing has begun */
    ws_client_drop(seen.conn);
    dial_to("localhost", (struct ws_dial){ .connect_ms = 0 });
    uv_run(&loop.uv, UV_RUN_NOWAIT); /* the name */
    ws_client_drop(seen.conn);
    dial();
    peer_accept(&peer);
    ws_client_drop(seen.conn);
    peer_await_end(&peer);
    peer_hang_up(&peer);
    dial();
    peer_accept(&peer);
    peer_await(&peer, STR("\r\n\r\n"));
    peer_send(&peer, STR("HTTP/1.1 101 Switching"));
    ws_client_drop(seen.conn);
    peer_await_end(&peer);
    peer_hang_up(&peer);
    open_now((struct ws_dial){ .connect_ms = 0 });
    ws_client_send(seen.conn, STR("never sent"));
    ws_client_drop(seen.conn);
    peer_await_end(&peer);
    cr_expect_eq(seen.n_closed, 0);
    end();
}

Test(ws_client, all_closed_at_every_stage)
{
    struct ws_peer other;

    peer_open(&other, &loop);
    open_now((struct ws_dial){ .connect_ms = 0 });
    dial_to("localhost", (struct ws_dial){ .connect_ms = 0 });
    uv_run(&loop.uv, UV_RUN_NOWAIT);
    dial();
    peer.port = other.port;
    dial();
    peer_accept(&other);
    dial();
    ws_clients_close(clients);
    clients = NULL;
    peer_await_end(&other);
    peer_await_end(&peer);
    peer_close(&other);
    cr_expect_eq(seen.n_closed, 0);
    end();
}

Test(ws_client, opened_and_never_used)
{
    cr_expect_eq(seen.n_closed, 0);
    end();
}
