#include "core/base/log.h"
#include "tests/support/http_site.h"

static struct http_in *parked[8];
static size_t n_parked, n_gone;

static void on_hello(struct http_route *route, struct http_in *in)
{
    (void)route;
    http_answer(in, 200, "text/plain", STR("hello"));
}

static void on_echo(struct http_route *route, struct http_in *in)
{
    (void)route;
    http_answer(in, 200, "application/octet-stream", in->body);
}

/* "path|query|peer" */
static void on_show(struct http_route *route, struct http_in *in)
{
    char text[500];
    (void)route;
    int n = snprintf(text, sizeof text, "%.*s|%.*s|%.*s", STR_ARG(in->path), STR_ARG(in->query),
                     STR_ARG(in->peer));
    http_answer(in, 200, "text/plain", str_from(text, (size_t)n));
}

static void on_gone(struct http_in *in)
{
    for (size_t i = 0; i < n_parked; i++)
        if (parked[i] == in) parked[i] = NULL;
    n_gone++;
}

static void on_late(struct http_route *route, struct http_in *in)
{
    (void)route;
    in->on_gone = on_gone;
    parked[n_parked++] = in;
}

static void on_late_deaf(struct http_route *route, struct http_in *in)
{
    (void)route;
    parked[n_parked++] = in;
}

static void on_large(struct http_route *route, struct http_in *in)
{
    (void)route;
    struct buf body = BUF_INIT(32 << 20);
    memset(buf_room(&body, 32 << 20), 'x', 32 << 20);
    buf_grew(&body, 32 << 20);
    http_answer(in, 200, "text/plain", buf_str(&body));
    buf_done(&body);
}

static void on_header(struct http_route *route, struct http_in *in)
{
    struct http_header h = { STR("X-Echo"), http_in_header(in, "x-break").n
                                                ? STR("a\r\nSet-Cookie: b")
                                                : http_in_header(in, "X-IN") };
    (void)route;
    http_answer_with(in, 201, &h, 1, STR(""));
}

static void on_query(struct http_route *route, struct http_in *in)
{
    _cleanup_(buf_done) struct buf v = BUF_INIT(20);
    (void)route;
    bool found = http_in_query(in, "q", &v);
    http_answer(in, found ? 200 : 400, "text/plain", buf_str(&v));
}

static void on_nothing(struct http_route *route, struct http_in *in)
{
    (void)route;
    http_answer(in, 204, NULL, STR("never sent"));
}

static struct http_route routes[] = {
    { .method = "GET", .path = "/hello", .handle = on_hello },
    { .method = "POST", .path = "/echo", .handle = on_echo },
    { .method = "POST", .path = "/small", .handle = on_echo, .body_max = 10 },
    { .method = "GET", .path = "/show/*", .handle = on_show },
    { .method = "GET", .path = "/show/here", .handle = on_hello },
    { .method = "GET", .path = "/late", .handle = on_late },
    { .method = "GET", .path = "/deaf", .handle = on_late_deaf },
    { .method = "GET", .path = "/large", .handle = on_large },
    { .method = "GET", .path = "/header", .handle = on_header },
    { .method = "GET", .path = "/query", .handle = on_query },
    { .method = "GET", .path = "/nothing", .handle = on_nothing },
};

static void open_site(struct site *s)
{
    n_parked = n_gone = 0;
    site_open(s);
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        http_route_add(s->server, &routes[i]);
}

#define GET(path)          "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define GET_CLOSE(path)    "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define POST_HEAD(path, n) "POST " path " HTTP/1.1\r\nHost: x\r\nContent-Length: " n "\r\n"

#define CHUNKED(path) "POST " path " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

/* One request on a connection of its own: the status, and whether the connection stays open. */
static const struct {
    const char *request;
    int status;
    bool stays;
} table[] = {
    { GET("/hello"), 200, true },
    { GET_CLOSE("/hello"), 200, false },
    { "\r\n\r\n" GET("/hello"), 200, true },
    { "GET /hello HTTP/1.0\r\n\r\n", 200, false },
    { "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 200, true },
    { "GET http://host:80/hello HTTP/1.1\r\nHost: x\r\n\r\n", 200, true },
    { "GET /hello HTTP/1.1\r\nHost:\r\n\r\n", 200, true },
    { GET("/h%65llo"), 200, true },
    { GET("/hello?a=%"), 200, true },
    { GET("/nothing"), 204, true },
    { "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
      "HTTP2-Settings: AAMAAABk\r\n\r\n",
      200, true },
    { GET("/nowhere"), 404, true },
    { GET("/hello/"), 404, true },
    { "DELETE /hello HTTP/1.1\r\nHost: x\r\n\r\n", 405, true },
    { "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400, false },
    { "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400, false },
    { POST_HEAD("/hello", "3") "\r\nabc", 405, false },
    /* targets */
    { GET("/%zz"), 400, false },
    { GET("/%"), 400, false },
    { GET("/%c3%28"), 400, false },
    { GET("/%00"), 400, false },
    { GET("/hello#x"), 400, false },
    { GET("ftp2000://x/"), 400, false },
    { "GET  HTTP/1.1\r\nHost: x\r\n\r\n", 400, false },
    { "GET /hel lo HTTP/1.1\r\nHost: x\r\n\r\n", 400, false },
    /* heads */
    { "GET /hello HTTP/1.1\r\n\r\n", 400, false },
    { "GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, false },
    { "GET /hello HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400, false },
    { "GET /hello HTTP/1.1\r\nHost: x\r\nA:\r\n\tc\r\n\r\n", 400, false },
    { "GET /hello HTTP/1.1\r\n Host: x\r\n\r\n", 400, false },
    { "GET /hello HTTP/1.1\r\nHost : x\r\n\r\n", 400, false },
    { "GET /hello HTTP/1.1\r\nHost: x\r\nno colon\r\n\r\n", 400, false },
    { "GET /hello HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400, false },
    { "GET /hello HTTP/1.1\nHost: x\n\n", 400, false },
    { "GET /hello HTTP/2.0\r\nHost: x\r\n\r\n", 505, false },
    { "GET /hello HTTP/0.9\r\nHost: x\r\n\r\n", 505, false },
    { "GET /hello HTTP/9.9\r\nHost: x\r\n\r\n", 505, false },
    { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, false },
    { "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, false },
    { "HELO mail.example.org\r\n", 400, false },
    { "get /hello HTTP/1.1\r\nHost: x\r\n\r\n", 400, false },
    { "GET /hello HTTP/1.1\r\nHost: x\r\nExpect: magic\r\n\r\n", 417, false },
    /* bodies */
    { POST_HEAD("/echo", "5") "\r\nabcde", 200, true },
    { POST_HEAD("/echo", "0") "\r\n", 200, true },
    { POST_HEAD("/echo", "5abc") "\r\nabcde", 400, false },
    { POST_HEAD("/echo", "-5") "\r\nabcde", 400, false },
    { POST_HEAD("/echo", "5, 5") "\r\nabcde", 400, false },
    { POST_HEAD("/echo", "5") "Content-Length: 5\r\n\r\nabcde", 400, false },
    { POST_HEAD("/echo", "18446744073709551616") "\r\n", 400, false },
    { POST_HEAD("/echo", "5") "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false },
    { "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n"
      "0\r\n\r\n",
      400, false },
    { "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501,
      false },
    { "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501, false },
    { "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400,
      false },
    { "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, false },
    { "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, false },
    { "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5;x=y\r\nabcde\r\n3\r\nfgh\r\n0\r\nTrailer: t\r\n\r\n",
      200, true },
    { POST_HEAD("/small", "10") "\r\n0123456789", 200, true },
    { POST_HEAD("/small", "11") "\r\n", 413, false },
    { POST_HEAD("/echo", "65537") "\r\n", 413, false },
};

Test(http_server, one_request)
{
    struct site s = { 0 };

    open_site(&s);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct client c = client_open(&s);
        client_say(&c, table[i].request);
        cr_expect_eq(client_status(&c), table[i].status, "row %zu: %.80s -> %.80s", i,
                     table[i].request, c.got.p);
        if (!table[i].stays) client_await_end(&c);
        cr_expect_eq(client_gone(&c), !table[i].stays, "row %zu: %.80s", i, table[i].request);
        client_close(&c);
    }
    site_close(&s);
}

/* However the bytes are cut, the answer is the same. */
Test(http_server, byte_by_byte)
{
    static const char *const requests[] = {
        GET("/hello"),
        POST_HEAD("/echo", "5") "\r\nhello",
        CHUNKED("/echo") "2\r\nhe\r\n3\r\nllo\r\n0\r\nT: t\r\n\r\n",
    };
    struct site s = { 0 };

    open_site(&s);
    struct client c = client_open(&s);
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        for (const char *p = requests[i]; *p; p++) {
            cr_assert(!client_take(&c));
            client_send(&c, str_from(p, 1));
        }
        client_read(&c);
        cr_expect_eq(client_status(&c), 200);
        cr_expect(client_got(&c, "\r\n\r\nhello"));
        buf_clear(&c.got);
    }
    /* A fold that is cut in two is still one. */
    client_send(&c, STR("GET /hello HTTP/1.1\r\nHost: x\r\nA: b\r\n"));
    client_say(&c, " c\r\n\r\n");
    cr_expect_eq(client_status(&c), 400, "%s", c.got.p);
    client_close(&c);
    site_close(&s);
}

Test(http_server, head_request)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = client_open(&s);
    client_send(&c, STR("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n" GET("/nothing") GET("/hello")));
    client_await(&c, "\r\n\r\nhello");
    cr_expect(client_got(&c, "Content-Length: 5\r\n"));
    /* Neither HEAD nor 204 have a body, or the third answer would not stand at its place. */
    cr_expect(client_got(&c, "\r\n\r\nHTTP/1.1 204 No Content\r\n"));
    cr_expect(!client_got(&c, "never sent"));
    cr_expect(str_ends(buf_str(&c.got), STR("\r\n\r\nhello")));
    client_close(&c);
    site_close(&s);
}

Test(http_server, routes)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = client_open(&s);
    client_say(&c, GET("/show/a%20b?c=d&e"));
    cr_expect(client_got(&c, "/show/a b|c=d&e|127.0.0.1"));
    buf_clear(&c.got);
    client_say(&c, GET("/show/here"));
    cr_expect(client_got(&c, "hello"));
    buf_clear(&c.got);
    client_say(&c, "PUT /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    cr_expect(client_got(&c, "Allow: GET, HEAD\r\n"));
    cr_expect(client_got(&c, "{\"error\":\"method not allowed\"}"));
    buf_clear(&c.got);

    http_route_drop(&routes[0]);
    http_route_drop(&routes[0]);
    client_say(&c, GET("/hello"));
    cr_expect_eq(client_status(&c), 404);
    buf_clear(&c.got);

    /* Dropped while the body is on its way. */
    client_send(&c, STR(POST_HEAD("/echo", "3") "\r\na"));
    http_route_drop(&routes[1]);
    client_say(&c, "bc");
    cr_expect_eq(client_status(&c), 404, "%s", c.got.p);
    client_close(&c);
    site_close(&s);
}

Test(http_server, headers_and_query)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = client_open(&s);
    client_say(&c, "GET /header HTTP/1.1\r\nHost: x\r\nx-in: \t yes \t\r\n\r\n");
    cr_expect_eq(client_status(&c), 201);
    cr_expect(client_got(&c, "X-Echo: yes\r\n"));
    buf_clear(&c.got);
    log_setup(LOG_ERROR, LOG_TEXT);
    client_say(&c, "GET /header HTTP/1.1\r\nHost: x\r\nX-Break: 1\r\n\r\n");
    cr_expect_eq(client_status(&c), 500);
    cr_expect(!client_got(&c, "Set-Cookie"));
    buf_clear(&c.got);
    client_say(&c, GET("/query?p=1&q=a%2Bb+c&q=2"));
    cr_expect(client_got(&c, "\r\n\r\na+b c"));
    buf_clear(&c.got);
    client_send(&c, STR(GET("/query?q=%f") GET("/query") GET("/query?q=012345678901234567890")));
    client_send(&c, STR(GET_CLOSE("/query?q=%00")));
    client_await_end(&c);
    cr_expect(!client_got(&c, " 200 "));
    client_close(&c);
    site_close(&s);
}

/* Requests of one connection wait for each other, those of another do not. */
Test(http_server, pipelining_in_order)
{
    struct site s = { 0 };

    open_site(&s);
    struct client a = client_open(&s), b = client_open(&s);
    client_send(
        &a, STR(GET("/late") POST_HEAD("/echo", "3") "\r\ntwo" GET("/late") GET_CLOSE("/hello")));
    client_send(&b, STR(GET("/late")));
    cr_assert_eq(n_parked, 2);
    http_answer(parked[1], 200, "text/plain", STR("other"));
    client_read(&b);
    cr_expect(client_got(&b, "other"));
    cr_expect(!client_take(&a));

    http_answer(parked[0], 200, "text/plain", STR("one"));
    client_await(&a, "two");
    cr_expect(client_got(&a, "one"));
    SITE_UNTIL(&s, n_parked == 3);
    cr_assert_eq(n_parked, 3);
    cr_expect(!client_got(&a, "hello"));
    http_answer(parked[2], 200, "text/plain", STR("three"));
    client_await_end(&a);
    cr_expect(str_ends(buf_str(&a.got), STR("hello")));
    cr_expect(str_find(buf_str(&a.got), STR("two")) < str_find(buf_str(&a.got), STR("three")));
    client_close(&a);
    client_close(&b);
    site_close(&s);
}

/* What is pipelined behind a late answer is bounded: reading stops, nothing is lost. */
Test(http_server, pipelined_flood)
{
    enum { N = 20000 };
    struct site s = { 0 };
    _cleanup_(buf_done) struct buf flood = BUF_INIT(4 << 20);

    open_site(&s);
    struct client c = client_open(&s);
    buf_add_cstr(&flood, GET("/late"));
    for (int i = 0; i < N; i++) buf_add_cstr(&flood, GET("/nothing"));
    buf_add_cstr(&flood, GET("/hello"));
    c.tracked = false;
    size_t sent = client_send(&c, buf_str(&flood));
    SITE_UNTIL(&s, n_parked == 1);
    cr_assert_eq(n_parked, 1);
    cr_expect_leq(site_received(), 200000);
    http_answer(parked[0], 200, "text/plain", STR("go"));
    for (int i = 0; i < 1000 && sent < flood.n; i++) {
        client_take(&c);
        sent += client_send(&c, str_skip(buf_str(&flood), sent));
    }
    client_await(&c, "hello");
    size_t n = 0;
    struct str rest = buf_str(&c.got);
    for (size_t at; (at = str_find(rest, STR("204 No Content"))) != SIZE_MAX; n++)
        rest = str_skip(rest, at + 1);
    cr_expect_eq(n, N, "%zu", n);
    client_close(&c);
    site_close(&s);
}

Test(http_server, large_body_refused_early)
{
    struct site s = { 0 };
    _cleanup_(buf_done) struct buf body = BUF_INIT(11 << 20);

    open_site(&s);
    memset(buf_room(&body, 10 << 20), 'x', 10 << 20);
    buf_grew(&body, 10 << 20);

    struct client c = client_open(&s);
    client_say(&c, POST_HEAD("/echo", "10485760") "Expect: 100-continue\r\n\r\n");
    cr_expect_eq(client_status(&c), 413);
    client_close(&c);

    /* A client that sends on regardless sees the answer, and no reset before it. */
    c = client_open(&s);
    client_send(&c, STR(POST_HEAD("/echo", "10485760") "\r\n"));
    client_send(&c, buf_str(&body));
    client_read(&c);
    cr_expect_eq(client_status(&c), 413);
    client_close(&c);

    c = client_open(&s);
    client_send(&c, STR("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
    client_send(&c, STR("a00000\r\n"));
    client_send(&c, buf_str(&body));
    client_read(&c);
    cr_expect_eq(client_status(&c), 413);
    client_close(&c);
    site_close(&s);
}

Test(http_server, head_maxima)
{
    struct site s = { 0 };
    _cleanup_(buf_done) struct buf head = BUF_INIT(1 << 20);

    open_site(&s);
    buf_add_cstr(&head, "GET /");
    for (int i = 0; i < 3000; i++) buf_add_char(&head, 'a');
    struct client c = client_open(&s);
    client_say(&c, head.p);
    cr_expect_eq(client_status(&c), 414);
    client_close(&c);

    buf_clear(&head);
    buf_add_cstr(&head, "GET /hello HTTP/1.1\r\nHost: x\r\nA: ");
    for (int i = 0; i < 3000; i++) buf_add_char(&head, 'a');
    c = client_open(&s);
    client_say(&c, head.p);
    cr_expect_eq(client_status(&c), 431);
    client_close(&c);

    buf_clear(&head);
    buf_add_cstr(&head, "GET /hello HTTP/1.1\r\nHost: x\r\n");
    for (int i = 0; i < 101; i++) buf_add_cstr(&head, "A: b\r\n");
    c = client_open(&s);
    client_say(&c, head.p);
    cr_expect_eq(client_status(&c), 431);
    client_close(&c);

    c = client_open(&s);
    client_send(&c,
                STR("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"));
    client_send(&c, str_of(head.p + 21)); /* as trailers */
    for (int i = 0; i < 10; i++) client_send(&c, str_of(head.p + 30));
    client_await_end(&c);
    cr_expect_eq(client_status(&c), 431);
    client_close(&c);
    site_close(&s);
}

Test(http_server, expect_continue)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = client_open(&s);
    client_say(&c, POST_HEAD("/echo", "5") "Expect: 100-Continue\r\n\r\n");
    cr_expect(str_eq(buf_str(&c.got), STR("HTTP/1.1 100 Continue\r\n\r\n")));
    buf_clear(&c.got);
    client_say(&c, "hello");
    cr_expect_eq(client_status(&c), 200);
    client_close(&c);
    site_close(&s);
}

Test(http_server, timeouts)
{
    struct site s = { 0 };

    open_site(&s);
    /* Half a head, with a byte now and then. */
    struct client c = client_open(&s);
    client_send(&c, STR("GET /hello HTTP/1.1\r\n"));
    for (int i = 0; i < 4; i++) {
        site_wait(&s, 2000);
        client_send(&c, STR("A"));
    }
    cr_expect(!client_take(&c));
    site_wait(&s, 2500);
    client_await_end(&c);
    cr_expect_eq(client_status(&c), 408);
    client_close(&c);

    c = client_open(&s);
    client_send(&c, STR(POST_HEAD("/echo", "5") "\r\nhell"));
    site_wait(&s, 19000);
    cr_expect(!client_take(&c));
    site_wait(&s, 2000);
    client_await_end(&c);
    cr_expect_eq(client_status(&c), 408);
    client_close(&c);

    /* An idle connection is closed without a word, one that never said anything sooner. */
    c = client_open(&s);
    client_say(&c, GET("/nothing"));
    buf_clear(&c.got);
    struct client mute = client_open(&s);
    SITE_UNTIL(&s, http_server_busy(s.server) == 2);
    site_wait(&s, 11000);
    client_await_end(&mute);
    cr_expect(mute.eof);
    cr_expect(!client_take(&c) && !client_gone(&c));
    site_wait(&s, 50000);
    client_await_end(&c);
    cr_expect(c.eof);
    cr_expect_eq(c.got.n, 0);
    client_close(&c);
    client_close(&mute);

    log_setup(LOG_ERROR, LOG_TEXT);
    c = client_open(&s);
    client_send(&c, STR(GET("/late")));
    site_wait(&s, 29000);
    cr_expect_eq(n_gone, 0);
    site_wait(&s, 2000);
    cr_expect_eq(n_gone, 1);
    client_await_end(&c);
    cr_expect_eq(client_status(&c), 504);
    client_close(&c);
    site_close(&s);
}

Test(http_server, peer_leaves)
{
    struct site s = { 0 };

    open_site(&s);
    struct client c = client_open(&s);
    client_send(&c, STR(GET("/late") GET("/hello")));
    cr_assert_eq(n_parked, 1);
    client_close(&c);
    SITE_UNTIL(&s, n_gone);
    cr_expect_eq(n_gone, 1);
    cr_expect_eq(http_server_busy(s.server), 0);

    /* A handler that does not care may still answer. */
    c = client_open(&s);
    client_send(&c, STR(GET("/deaf")));
    client_close(&c);
    SITE_UNTIL(&s, !http_server_busy(s.server));
    http_answer(parked[1], 200, "text/plain", STR("to nobody"));

    /* In the middle of a head, of a body, of an answer. */
    c = client_open(&s);
    client_send(&c, STR("GET /he"));
    client_close(&c);
    c = client_open(&s);
    client_send(&c, STR(POST_HEAD("/echo", "5") "\r\nhe"));
    client_close(&c);
    c = client_open(&s);
    client_send(&c, STR(GET("/large")));
    client_close(&c);
    SITE_UNTIL(&s, !http_server_busy(s.server));
    cr_expect_eq(http_server_busy(s.server), 0);
    site_close(&s);
}

Test(http_server, slow_reader)
{
    struct site s = { 0 };
    char bytes[100000];

    open_site(&s);
    struct client c = client_open(&s);
    client_send(&c, STR(GET("/large")));
    /* While it reads a little now and then, it is left alone. */
    for (int i = 0; i < 5; i++) {
        site_wait(&s, 50000);
        for (int k = 0; k < 40; k++) {
            SITE_UNTIL(&s, recv(c.fd, bytes, sizeof bytes, 0) > 0);
        }
        cr_expect_eq(http_server_busy(s.server), 1);
    }
    site_wait(&s, 130000);
    cr_expect_eq(http_server_busy(s.server), 0);
    client_close(&c);

    c = client_open(&s);
    client_send(&c, STR(GET("/large") GET("/hello")));
    for (int i = 0; i < 20000 && !client_got(&c, "hello"); i++) client_take(&c);
    cr_expect_gt(c.got.n, 32u << 20);
    client_close(&c);
    site_close(&s);
}

Test(http_server, connection_maximum)
{
    struct site s = { .conf = site_conf };

    s.conf.connections_max = 2;
    open_site(&s);
    struct client a = client_open(&s), b = client_open(&s), c = client_open(&s);
    client_say(&c, GET("/hello"));
    cr_expect_eq(client_status(&c), 503);
    client_say(&a, GET("/hello"));
    cr_expect_eq(client_status(&a), 200);
    client_close(&b);
    client_close(&c);
    site_wait(&s, 3000);
    SITE_UNTIL(&s, http_server_busy(s.server) == 1);
    b = client_open(&s);
    client_say(&b, GET("/hello"));
    cr_expect_eq(client_status(&b), 200);
    client_close(&a);
    client_close(&b);
    site_close(&s);
}

Test(http_server, drain)
{
    struct site s = { 0 };

    open_site(&s);
    struct client idle = client_open(&s), busy = client_open(&s), half = client_open(&s);
    client_say(&idle, GET("/hello"));
    client_send(&half, STR("GET /hello HT"));
    client_send(&busy, STR(GET("/late")));
    int port = http_server_port(s.server);
    http_server_drain(s.server);
    client_await_end(&idle);
    cr_expect(idle.eof);
    cr_expect_eq(http_server_busy(s.server), 2);

    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons((uint16_t)port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_expect_eq(connect(fd, (struct sockaddr *)&to, sizeof to), -1);
    close(fd);

    http_answer(parked[0], 200, "text/plain", STR("done"));
    client_await_end(&busy);
    cr_expect(client_got(&busy, "Connection: close\r\n"));
    cr_expect(client_got(&busy, "done"));
    cr_expect(busy.eof);
    client_say(&half, "TP/1.1\r\nHost: x\r\n\r\n");
    cr_expect_eq(client_status(&half), 200);
    SITE_UNTIL(&s, !http_server_busy(s.server));
    cr_expect_eq(http_server_busy(s.server), 0);
    client_close(&idle);
    client_close(&busy);
    client_close(&half);
    site_close(&s);
}

Test(http_server, close_with_requests_in_flight)
{
    struct site s = { 0 };

    open_site(&s);
    struct client a = client_open(&s), b = client_open(&s), c = client_open(&s);
    client_send(&a, STR(GET("/late")));
    client_send(&b, STR(GET("/deaf")));
    client_send(&c, STR(POST_HEAD("/echo", "5") "\r\nhe"));
    http_server_close(s.server);
    s.server = NULL;
    cr_expect_eq(n_gone, 1);
    site_wait(&s, 0);
    http_answer(parked[1], 200, "text/plain", STR("too late"));
    client_close(&a);
    client_close(&b);
    client_close(&c);
    site_close(&s);
}

/* Who asks, given the peer 127.0.0.1 and these trusted proxies. */
static const struct {
    const char *trusted[3];
    const char *headers;
    const char *peer;
} forwarded[] = {
    { { NULL }, "X-Forwarded-For: 9.9.9.9\r\n", "127.0.0.1" },
    { { "10.0.0.1" }, "X-Forwarded-For: 9.9.9.9\r\n", "127.0.0.1" },
    { { "127.0.0.1" }, "", "127.0.0.1" },
    { { "127.0.0.1" }, "X-Forwarded-For: 9.9.9.9\r\n", "9.9.9.9" },
    { { "127.0.0.0/8" }, "X-Forwarded-For: 8.8.8.8, 9.9.9.9\r\n", "9.9.9.9" },
    { { "127.0.0.1", "10.0.0.0/8" }, "X-Forwarded-For: 1.1.1.1,9.9.9.9,10.1.2.3\r\n", "9.9.9.9" },
    { { "127.0.0.1", "10.0.0.0/8" }, "X-Forwarded-For: 10.1.2.3\r\n", "10.1.2.3" },
    { { "127.0.0.1" }, "X-Forwarded-For: 9.9.9.9:1234\r\n", "9.9.9.9" },
    { { "127.0.0.1" }, "X-Forwarded-For: [2001:db8::1]:443\r\n", "2001:db8::1" },
    { { "127.0.0.1" }, "X-Forwarded-For: 2001:DB8:0::1\r\n", "2001:db8::1" },
    { { "127.0.0.1" }, "X-Forwarded-For: ::ffff:1.2.3.4\r\n", "1.2.3.4" },
    { { "127.0.0.1" }, "X-Forwarded-For: 1.1.1.1, unknown\r\n", "127.0.0.1" },
    { { "127.0.0.1" }, "X-Forwarded-For: 1.1.1.1, ,\r\n", "127.0.0.1" },
    { { "127.0.0.1" }, "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\n", "2.2.2.2" },
    { { "::ffff:127.0.0.1/128" }, "X-Forwarded-For: 3.3.3.3\r\n", "3.3.3.3" },
};

Test(http_server, forwarded_for)
{
    for (size_t i = 0; i < sizeof forwarded / sizeof forwarded[0]; i++) {
        struct site s = { .conf = site_conf };
        const char *trusted[3];
        char request[300], expected[80];

        memcpy(trusted, forwarded[i].trusted, sizeof trusted);
        s.conf.trusted_proxies.v = trusted;
        while (s.conf.trusted_proxies.n < 3 && trusted[s.conf.trusted_proxies.n])
            s.conf.trusted_proxies.n++;
        open_site(&s);
        struct client c = client_open(&s);
        snprintf(request, sizeof request, "GET /show/ HTTP/1.1\r\nHost: x\r\n%s\r\n",
                 forwarded[i].headers);
        snprintf(expected, sizeof expected, "/show/||%s", forwarded[i].peer);
        client_say(&c, request);
        cr_expect(str_ends(buf_str(&c.got), str_of(expected)), "row %zu: %s", i, c.got.p);
        client_close(&c);
        site_close(&s);
    }
}

Test(http_server, bad_configuration)
{
    static const struct {
        const char *address, *cert, *key, *proxy;
        enum err_kind kind;
    } rows[] = {
        { "localhost", "", "", NULL, ERR_CONF },   { "1.2.3", "", "", NULL, ERR_CONF },
        { "203.0.113.7", "", "", NULL, ERR_IO },   { "127.0.0.1", "x", "", NULL, ERR_CONF },
        { "127.0.0.1", "", "x", NULL, ERR_CONF },  { "127.0.0.1", "/no", "/no", NULL, ERR_CONF },
        { "127.0.0.1", "", "", "a", ERR_CONF },    { "127.0.0.1", "", "", "1.1.1.1/33", ERR_CONF },
        { "127.0.0.1", "", "", "::/x", ERR_CONF },
    };
    struct loop loop;

    loop_open(&loop);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_server_conf conf = site_conf;
        struct http_server *server;
        struct err why = ERR_INIT;
        const char *proxy = rows[i].proxy;
        conf.address = rows[i].address;
        conf.tls_cert = rows[i].cert;
        conf.tls_key = rows[i].key;
        conf.trusted_proxies = (struct conf_list){ proxy ? 1 : 0, &proxy };
        cr_expect_eq(http_server_open(&loop, &conf, &server, &why), rows[i].kind, "row %zu", i);
        cr_expect_neq(why.msg[0], '\0', "row %zu", i);
    }
    loop_close(&loop);
}
