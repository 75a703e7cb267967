/*
 * The HTTP client against a server on the same loop: reuse, every deadline, every way to be cut
 * off, and cancelling at each stage.
 */
#include "core/base/clock.h"
#include "core/net/http_client.h"
#include "tests/support/stub_http.h"
#include <criterion/criterion.h>
#include <zlib.h>

static struct loop loop;
static struct http_client *client;
static struct stub stub;
static struct op op;
static struct http_reply reply;
static struct buf got;
static unsigned n_done, n_pieces;
static char url[64];

static void on_done(struct op *o)
{
    (void)o;
    n_done++;
    loop_stop(&loop);
}

static enum err_kind on_data(void *ctx, struct str piece, struct err *why)
{
    (void)ctx, (void)why;
    n_pieces++;
    buf_add(&got, piece);
    return ERR_NONE;
}

static void setup(void)
{
    struct http_client_conf conf = { "", "", "", "", "test/1", 8 };
    struct err why;
    loop_open(&loop);
    cr_assert_eq(http_client_open(&loop, &conf, &client, &why), ERR_NONE);
    op_init(&op, &loop, on_done);
    buf_init(&got, 64 * 1024 * 1024);
}

static void teardown(void)
{
    http_client_close(client);
    http_reply_done(&reply);
    buf_done(&got);
    if (stub.loop) stub_shut(&stub);
    loop_run_for(&loop, 20);
    cr_expect_eq(stub.n_open, 0);
    loop_close(&loop);
}

TestSuite(http_client, .init = setup, .fini = teardown, .timeout = 20);

static void serve(void (*on_request)(struct stub_conn *c, unsigned nth))
{
    stub_open(&stub, &loop, on_request);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/path", stub.port);
}

/* Begin and wait for the end. */
static void ask(struct http_request *rq)
{
    if (!rq->method) rq->method = "GET";
    if (!rq->url) rq->url = url;
    http_reply_done(&reply);
    reply = (struct http_reply){ 0 };
    n_done = 0;
    http_request(client, &op, rq, &reply);
    cr_assert_eq(n_done, 0, "finished inside the call");
    loop_run(&loop);
    cr_assert_eq(n_done, 1);
    cr_assert(!op_busy(&op));
}

static void hello(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 200, "text/plain", "", STR("hello"));
}

Test(http_client, gets_and_reuses_the_connection)
{
    serve(hello);
    struct http_header h[] = { { STR("X-One"), STR("1") }, { STR("X-None"), STR("") } };
    for (int i = 0; i < 5; i++) {
        struct http_request rq = { .headers = h, .n_headers = 2 };
        ask(&rq);
        cr_assert_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
        cr_expect_eq(reply.status, 200);
        cr_expect(reply.sent);
        cr_expect_str_eq(reply.body.p, "hello");
        cr_expect_str_eq(reply.content_type, "text/plain");
    }
    cr_expect_eq(stub.n_accepted, 1);
    struct str head = buf_str(&stub.last_head);
    cr_expect(str_starts(head, STR("GET /path HTTP/1.1\r\n")));
    cr_expect_neq(str_find(head, STR("\r\nX-One: 1\r\n")), SIZE_MAX);
    cr_expect_neq(str_find(head, STR("\r\nX-None:\r\n")), SIZE_MAX);
    cr_expect_neq(str_find(head, STR("\r\nUser-Agent: test/1\r\n")), SIZE_MAX);
}

/* A handle is used again: nothing of the last request may show in the next. */
Test(http_client, every_method_after_every_other)
{
    serve(hello);
    static const char *const methods[] = { "GET", "POST", "PUT", "DELETE", "PATCH", "GET", "POST" };
    for (size_t i = 0; i < 7; i++) {
        bool body = strcmp(methods[i], "GET") != 0 && strcmp(methods[i], "DELETE") != 0;
        struct http_request rq = { .method = methods[i],
                                   .body = body ? STR("{\"a\":1}") : STR_NONE };
        ask(&rq);
        cr_assert_eq(op.err.kind, ERR_NONE, "%s: %s", methods[i], op.err.msg);
        cr_expect(str_starts(buf_str(&stub.last_head), str_of(methods[i])), "%s", stub.last_head.p);
        cr_expect(str_eq(buf_str(&stub.last_body), rq.body), "%s", methods[i]);
        cr_expect_eq(str_find(buf_str(&stub.last_head), STR("Expect")), SIZE_MAX);
    }
    struct http_request empty = { .method = "POST" };
    ask(&empty);
    cr_expect_neq(str_find(buf_str(&stub.last_head), STR("Content-Length: 0\r\n")), SIZE_MAX);
}

static void echo_size(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    char n[24];
    snprintf(n, sizeof(n), "%zu", c->stub->last_body.n);
    stub_answer(c, 200, NULL, "", str_of(n));
}

Test(http_client, large_bodies_go_out_whole)
{
    serve(echo_size);
    char *big = mem_alloc(3000000);
    memset(big, 'x', 3000000);
    struct http_request rq = { .method = "POST", .body = str_from(big, 3000000) };
    ask(&rq);
    cr_expect_str_eq(reply.body.p, "3000000");
    free(big);
}

/* ::1 is refused first, where there is one; then the next address may get the same descriptor. */
Test(http_client, a_name_with_two_addresses)
{
    serve(hello);
    snprintf(url, sizeof(url), "http://localhost:%u/", stub.port);
    for (int i = 0; i < 3; i++) {
        struct http_request rq = { 0 };
        ask(&rq);
        cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    }
    cr_expect_eq(stub.n_accepted, 1);
}

static void busy(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 429, "application/json",
                "Retry-After: 7\r\nretry-after-ms: 1500.5\r\nX-Should-Retry: true\r\n", STR("{}"));
}

Test(http_client, other_statuses_keep_their_body_even_when_streaming)
{
    serve(busy);
    struct http_request rq = { .on_data = on_data, .keep_head = true };
    ask(&rq);
    cr_assert_eq(op.err.kind, ERR_NONE);
    cr_expect_eq(reply.status, 429);
    cr_expect(str_eq(http_reply_header(&reply, "x-should-retry"), STR("true")));
    cr_expect(str_eq(http_reply_header(&reply, "RETRY-AFTER"), STR("7")));
    cr_expect_eq(http_reply_header(&reply, "x-should").n, 0);
    cr_expect_str_eq(reply.body.p, "{}");
    cr_expect_str_eq(reply.should_retry, "true");
    cr_expect_eq(n_pieces, 0);
    cr_expect_eq(http_retry_hint_ms(&reply), 1501);
}

static void busy_azure(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 429, "application/json", "Retry-After: 7\r\nx-ms-retry-after-ms: 2250\r\n",
                STR("{}"));
}

Test(http_client, the_hint_as_azure_writes_it)
{
    serve(busy_azure);
    struct http_request rq = { 0 };
    ask(&rq);
    cr_expect_eq(http_retry_hint_ms(&reply), 2250);
}

static void stream(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_drip(c,
              STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                  "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"),
              1, false);
}

Test(http_client, streams_pieces_and_reuses_the_connection)
{
    serve(stream);
    for (int i = 0; i < 2; i++) {
        buf_clear(&got);
        struct http_request rq = { .on_data = on_data };
        ask(&rq);
        cr_assert_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
        cr_expect_str_eq(got.p, "abcde");
        cr_expect_eq(reply.body.n, 0);
    }
    cr_expect_geq(n_pieces, 4);
    cr_expect_eq(stub.n_accepted, 1);
}

/* ---- a busy loop ---- */

#define BODY_BYTES 400

static void spin(struct timer *t)
{
    uint64_t until = uv_hrtime() + 2000000;
    while (uv_hrtime() < until) {}
    timer_set(&loop, t, 0);
}

static void be_busy(struct timer *t)
{
    loop_is_busy(&loop);
    timer_set(&loop, t, 0);
    loop_run_for(&loop, 600);
    cr_assert(loop_is_busy(&loop));
}

/* One byte a turn; the end of the connection is the end of the body. */
static void drip_body(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    char body[BODY_BYTES];
    memset(body, 'x', sizeof(body));
    stub_send(c, STR("HTTP/1.1 200 OK\r\n\r\n"));
    stub_drip(c, str_from(body, sizeof(body)), 1, true);
}

Test(http_client, a_busy_loop_reads_less_often_what_may_gather)
{
    struct timer busy = { .fire = spin };
    unsigned pieces[2];
    serve(drip_body);
    be_busy(&busy);
    for (int gathers = 0; gathers < 2; gathers++) {
        struct http_request rq = { .on_data = on_data, .gathers = gathers };
        n_pieces = 0;
        buf_clear(&got);
        ask(&rq);
        cr_assert_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
        cr_expect_eq(got.n, BODY_BYTES);
        pieces[gathers] = n_pieces;
    }
    timer_clear(&loop, &busy);
    cr_expect_gt(pieces[0], 100, "%u", pieces[0]);
    cr_expect_lt(pieces[1], pieces[0] / 4, "%u", pieces[1]);
}

Test(http_client, an_idle_loop_reads_at_once_what_may_gather)
{
    serve(drip_body);
    struct http_request rq = { .on_data = on_data, .gathers = true };
    ask(&rq);
    cr_expect_eq(got.n, BODY_BYTES);
    cr_expect_gt(n_pieces, 100, "%u", n_pieces);
}

Test(http_client, cancelled_while_something_gathers)
{
    struct timer busy = { .fire = spin };
    serve(drip_body);
    be_busy(&busy);
    for (int i = 0; i < 3; i++) {
        struct http_request rq = {
            .method = "GET", .url = url, .on_data = on_data, .gathers = true
        };
        n_pieces = 0;
        http_request(client, &op, &rq, &reply);
        while (n_pieces < 2) loop_run_for(&loop, 5);
        op_cancel(&op);
        http_reply_done(&reply);
        reply = (struct http_reply){ 0 };
    }
    timer_clear(&loop, &busy);
    loop_run_for(&loop, 150);
    cr_expect_eq(stub.n_open, 0, "what nobody wants any more is not written on");
}

Test(http_client, refused_is_io_and_unsent)
{
    serve(hello);
    stub_shut(&stub);
    stub.loop = NULL;
    loop_run_for(&loop, 5);
    struct http_request rq = { .method = "POST", .body = STR("x") };
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_IO, "%s", op.err.msg);
    cr_expect(!reply.sent);
}

Test(http_client, nonsense_urls_and_headers_are_conf)
{
    static const char *const urls[] = { "", "nonsense://x/", "http://", "ftp://127.0.0.1/" };
    for (size_t i = 0; i < 4; i++) {
        struct http_request rq = { .url = urls[i] };
        ask(&rq);
        cr_expect_eq(op.err.kind, ERR_CONF, "%s: %u %s", urls[i], op.err.kind, op.err.msg);
    }
    struct http_header h = { STR("Authorization"), STR("x\r\nEvil: 1") };
    struct http_request rq = { .url = "http://127.0.0.1:1/", .headers = &h, .n_headers = 1 };
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_CONF);
}

static void no_answer(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_close(c);
}

static void reset(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_reset(c);
}

static void half(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
    stub_close(c);
}

static void half_chunk(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"));
    stub_close(c);
}

static void not_http(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR("SSH-2.0-OpenSSH_9.2\r\n"));
    stub_close(c);
}

Test(http_client, cut_after_sending_is_unknown)
{
    static const struct {
        void (*how)(struct stub_conn *c, unsigned nth);
        enum err_kind kind;
    } cases[] = { { no_answer, ERR_UNKNOWN },
                  { reset, ERR_UNKNOWN },
                  { half, ERR_UNKNOWN },
                  { half_chunk, ERR_UNKNOWN },
                  { not_http, ERR_PROTO } };
    serve(hello);
    for (size_t i = 0; i < 5; i++) {
        stub.on_request = cases[i].how;
        struct http_request rq = { .method = "POST", .body = STR("x") };
        ask(&rq);
        cr_expect_eq(op.err.kind, cases[i].kind, "%zu: %u %s", i, op.err.kind, op.err.msg);
        cr_expect(reply.sent, "%zu", i);
    }
}

/* The second request on a connection is lost. */
static void answer_once(struct stub_conn *c, unsigned nth)
{
    if (nth == 2)
        stub_close(c);
    else
        hello(c, nth);
}

Test(http_client, a_post_lost_on_a_reused_connection_is_not_sent_twice)
{
    serve(answer_once);
    struct http_request rq = { .method = "POST", .body = STR("x") };
    ask(&rq);
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_UNKNOWN, "%s", op.err.msg);
    cr_expect(reply.sent);
    cr_expect_eq(stub.n_requests, 2);
}

Test(http_client, a_get_lost_on_a_reused_connection_is_repeated)
{
    serve(answer_once);
    struct http_request rq = { .method = "GET" };
    ask(&rq);
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(stub.n_requests, 3);
}

/* What was sent on a former request of the handle must not count for this one. */
Test(http_client, unsent_after_a_sent_one_on_the_same_handle)
{
    serve(hello);
    struct http_request rq = { .method = "POST", .body = STR("x") };
    ask(&rq);
    cr_expect(reply.sent);
    rq.url = "http://127.0.0.1:1/";
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_IO);
    cr_expect(!reply.sent);
}

Test(http_client, an_idle_connection_closed_by_the_peer_is_replaced)
{
    serve(hello);
    struct http_request rq = { .method = "POST", .body = STR("x") };
    ask(&rq);
    stub_close(list_first(&stub.conns, struct stub_conn, link));
    loop_run_for(&loop, 10);
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(stub.n_accepted, 2);
}

static void silence(struct stub_conn *c, unsigned nth)
{
    (void)c, (void)nth;
}

static void stall(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_send(c, STR("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"));
}

static void drip_for_ever(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    char body[2000];
    memset(body, 'x', sizeof(body));
    stub_send(c, STR("HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"));
    stub_drip(c, str_from(body, sizeof(body)), 5, false);
}

Test(http_client, deadlines)
{
    static const struct {
        void (*how)(struct stub_conn *c, unsigned nth);
        uint32_t first, idle, total;
        const char *text;
    } cases[] = {
        { silence, 40, 5000, 5000, "no answer within 40 ms" },
        { stall, 5000, 40, 5000, "the answer stalled within 40 ms" },
        { drip_for_ever, 5000, 5000, 60, "not finished within 60 ms" },
        { silence, 5000, 5000, 50, "not finished within 50 ms" },
    };
    serve(silence);
    for (size_t i = 0; i < 4; i++) {
        stub.on_request = cases[i].how;
        struct http_request rq = { .first_byte_ms = cases[i].first,
                                   .idle_ms = cases[i].idle,
                                   .total_ms = cases[i].total };
        uint64_t began = clock_ms();
        ask(&rq);
        cr_expect_eq(op.err.kind, ERR_TIMEOUT);
        cr_expect_str_eq(op.err.msg, cases[i].text);
        cr_expect(reply.sent);
        cr_expect_lt(clock_ms() - began, 4900, "not by one of the others");
    }
}

/* A socket that listens but accepts nobody: the kernel's queue is full. */
Test(http_client, connect_deadline_is_unsent)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof(a);
    int s = socket(AF_INET, SOCK_STREAM, 0), filler[4];
    cr_assert_eq(bind(s, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(listen(s, 0), 0);
    getsockname(s, (struct sockaddr *)&a, &n);
    for (int i = 0; i < 4; i++) {
        filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)!connect(filler[i], (struct sockaddr *)&a, sizeof(a));
    }
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", ntohs(a.sin_port));
    struct http_request rq = { .method = "POST", .body = STR("x"), .connect_ms = 50 };
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_TIMEOUT);
    cr_expect_str_eq(op.err.msg, "no connection within 50 ms");
    cr_expect(!reply.sent);
    for (int i = 0; i < 4; i++) close(filler[i]);
    close(s);
}

static void huge(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    static char body[300000];
    memset(body, 'x', sizeof(body));
    stub_answer(c, c->stub->ctx ? 500 : 200, NULL, "", str_from(body, sizeof(body)));
}

Test(http_client, a_body_over_the_maximum_is_limit)
{
    serve(huge);
    struct http_request rq = { .reply_max = 299999 };
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_LIMIT, "%s", op.err.msg);
    rq.on_data = on_data;
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_LIMIT);
    rq.reply_max = 300000;
    buf_clear(&got);
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_NONE);
    cr_expect_eq(got.n, 300000);
}

Test(http_client, of_an_error_page_the_beginning_is_kept)
{
    serve(huge);
    stub.ctx = &stub;
    struct http_request rq = { .on_data = on_data };
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(reply.status, 500);
    cr_expect_eq(reply.body.n, 64 * 1024);
}

static void packed(struct stub_conn *c, unsigned nth)
{
    static unsigned char plain[300000], small[3000];
    unsigned long n = sizeof(small);
    memset(plain, 'x', sizeof(plain));
    cr_assert_eq(compress(small, &n, plain, sizeof(plain)), Z_OK);
    if (nth == 4) memset(small, 0xff, 10);
    stub_answer(c, 200, NULL,
                nth == 5 ? "Content-Encoding: rot13\r\n" : "Content-Encoding: deflate\r\n",
                str_from((char *)small, n));
}

Test(http_client, what_is_compressed_is_unpacked_up_to_the_maximum)
{
    serve(packed);
    struct http_request rq = { .reply_max = 300000 };
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(reply.body.n, 300000);
    cr_expect_neq(str_find(buf_str(&stub.last_head), STR("\r\nAccept-Encoding: gzip, deflate\r\n")),
                  SIZE_MAX);
    rq.reply_max = 299999;
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_LIMIT, "%s", op.err.msg);
    rq.on_data = on_data;
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_LIMIT, "%s", op.err.msg);
    for (int i = 0; i < 2; i++) { /* damaged, and of a kind that nobody asked for */
        ask(&rq);
        cr_expect_eq(op.err.kind, ERR_PROTO, "%u: %s", op.err.kind, op.err.msg);
    }
}

static enum err_kind refuse(void *ctx, struct str piece, struct err *why)
{
    (void)ctx, (void)piece;
    return err_set(why, ERR_REFUSED, "not this");
}

Test(http_client, on_data_ends_the_transfer_with_its_own_error)
{
    serve(stall);
    struct http_request rq = { .on_data = refuse };
    ask(&rq);
    cr_expect_eq(op.err.kind, ERR_REFUSED);
    cr_expect_str_eq(op.err.msg, "not this");
}

static enum err_kind cancel_self(void *ctx, struct str piece, struct err *why)
{
    (void)ctx, (void)piece, (void)why;
    n_pieces++;
    op_cancel(&op);
    return ERR_NONE;
}

static void run_until_requests(unsigned n)
{
    for (int i = 0; i < 1000 && stub.n_requests < n; i++) loop_run_for(&loop, 1);
    cr_assert_geq(stub.n_requests, n);
}

Test(http_client, cancel_at_each_stage)
{
    serve(drip_for_ever);
    struct http_request rq = { .method = "POST", .url = url, .body = STR("x"), .on_data = on_data };

    http_request(client, &op, &rq, &reply); /* before anything happened */
    op_cancel(&op);
    loop_run_for(&loop, 5);

    stub.on_request = silence; /* while waiting for the answer */
    unsigned before = stub.n_requests;
    http_request(client, &op, &rq, &reply);
    run_until_requests(before + 1);
    op_cancel(&op);
    loop_run_for(&loop, 5);
    cr_expect_eq(stub.n_open, 0, "the connection is still there");

    stub.on_request = drip_for_ever; /* while the body comes */
    http_request(client, &op, &rq, &reply);
    for (int i = 0; i < 1000 && !n_pieces; i++) loop_run_for(&loop, 1);
    op_cancel(&op);
    unsigned pieces = n_pieces;
    loop_run_for(&loop, 20);
    cr_expect_eq(n_pieces, pieces, "called after the cancel");
    cr_expect_eq(stub.n_open, 0);

    rq.on_data = cancel_self; /* from inside its own on_data */
    n_pieces = 0;
    http_request(client, &op, &rq, &reply);
    loop_run_for(&loop, 50);
    cr_expect_eq(n_pieces, 1);
    cr_expect_eq(stub.n_open, 0);

    stub.on_request = hello; /* and the client is none the worse */
    struct http_request again = { .method = "GET" };
    ask(&again);
    cr_expect_eq(op.err.kind, ERR_NONE);
}

/* A name that nobody answers for: the resolver's thread must not be waited for. */
Test(http_client, cancel_while_resolving_does_not_block)
{
    struct http_request rq = { .method = "GET", .url = "http://no.such.name.invalid/" };
    http_request(client, &op, &rq, &reply);
    loop_run_for(&loop, 3);
    uint64_t began = clock_ms();
    op_cancel(&op);
    cr_expect_lt(clock_ms() - began, 2000);
}

Test(http_client, closing_the_client_ends_what_is_under_way)
{
    serve(silence);
    struct http_request rq = { .method = "GET", .url = url };
    http_request(client, &op, &rq, &reply);
    run_until_requests(1);
    http_client_close(client);
    loop_run_for(&loop, 5);
    cr_expect_eq(n_done, 1);
    cr_expect_eq(op.err.kind, ERR_CANCELLED);
    struct http_client_conf conf = { "", "", "", "", "test/1", 8 };
    http_client_open(&loop, &conf, &client, NULL);
}

#define MANY 100
static struct op ops[MANY];
static struct http_reply replies[MANY];
static unsigned n_many;

static void on_many(struct op *o)
{
    cr_expect_eq(o->err.kind, ERR_NONE, "%s", o->err.msg);
    if (++n_many == MANY) loop_stop(&loop);
}

Test(http_client, more_requests_than_connections_wait)
{
    serve(hello);
    struct http_request rq = { .method = "GET", .url = url };
    for (size_t i = 0; i < MANY; i++) {
        op_init(&ops[i], &loop, on_many);
        http_request(client, &ops[i], &rq, &replies[i]);
    }
    loop_run(&loop);
    for (size_t i = 0; i < MANY; i++) {
        cr_expect_str_eq(replies[i].body.p, "hello");
        http_reply_done(&replies[i]);
    }
    cr_expect_leq(stub.n_accepted, 8);
}

Test(http_hint, what_a_reply_asks_for)
{
    static const struct {
        const char *after_ms, *after;
        uint32_t want;
    } cases[] = {
        { "", "", 0 },
        { "250", "", 250 },
        { "0", "3", 3000 },
        { "-5", "", 0 },
        { "", "1.5", 1500 },
        { "", "soon", 0 },
        { "", "99999999", 0 },
        { "nan", "2", 2000 },
        { "", "Thu, 01 Jan 1970 00:00:09 GMT", 4000 },
        { "1e99", "", 0 },
        { "", "Thu, 01 Jan 1970 00:00:01 GMT", 0 },
    };
    clock_virtual(5000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct http_reply r = { 0 };
        strcpy(r.retry_after_ms, cases[i].after_ms);
        strcpy(r.retry_after, cases[i].after);
        cr_expect_eq(http_retry_hint_ms(&r), cases[i].want, "%zu: %u", i, http_retry_hint_ms(&r));
    }
    clock_real();
}

Test(http_conf, an_unreadable_file_is_refused)
{
    struct http_client_conf conf = { "/nonexistent.pem", "", "", "", "t", 8 };
    struct http_client *c;
    struct err why;
    cr_expect_eq(http_client_open(NULL, &conf, &c, &why), ERR_CONF);
    cr_expect_str_eq(why.msg, "/nonexistent.pem: cannot be read");
}

static unsigned n_guarded;
static bool allow;

static bool guard(const struct sockaddr *to)
{
    cr_expect_eq(to->sa_family, AF_INET);
    n_guarded++;
    return allow;
}

Test(http_client, guard_refuses_before_connecting)
{
    serve(hello);
    ask(&(struct http_request){ .guard = guard });
    cr_expect_eq(op.err.kind, ERR_REFUSED, "%s", op.err.msg);
    cr_expect_eq(n_guarded, 1);
    cr_expect_eq(stub.n_accepted, 0, "nothing may reach the host, not even a connection");
    cr_expect(!reply.sent);

    allow = true;
    ask(&(struct http_request){ .guard = guard });
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(reply.status, 200);
}

Test(http_client, guard_is_asked_about_a_connection_of_others)
{
    serve(hello);
    ask(&(struct http_request){ 0 });
    cr_assert_eq(op.err.kind, ERR_NONE);
    ask(&(struct http_request){ .guard = guard });
    cr_expect_eq(op.err.kind, ERR_REFUSED, "%s", op.err.msg);
    cr_expect_eq(stub.n_requests, 1);
    ask(&(struct http_request){ 0 });
    cr_expect_eq(op.err.kind, ERR_NONE, "a refusal leaves nothing behind");
}

/* Also what is on this machine, which goes past the proxy otherwise. */
Test(http_client, guarded_requests_go_through_the_proxy)
{
    char proxy[64];
    struct err why;
    serve(hello);
    snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%u", stub.port);
    http_client_close(client);
    struct http_client_conf conf = { "", "", "", proxy, "test/1", 8 };
    cr_assert_eq(http_client_open(&loop, &conf, &client, &why), ERR_NONE);
    ask(&(struct http_request){ .guard = guard, .url = "http://127.0.0.1:1/elsewhere" });
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect(
        str_starts(buf_str(&stub.last_head), STR("GET http://127.0.0.1:1/elsewhere HTTP/1.1")));
    cr_expect_eq(n_guarded, 0, "the proxy's address is not the host's");
    ask(&(struct http_request){ .url = "http://127.0.0.1:1/elsewhere" });
    cr_expect_eq(op.err.kind, ERR_IO, "%s", op.err.msg);
}
