/*
 * The servers under TLS, with certificates made on the spot by the openssl command.
 */
#include "core/net/tls.h"
#include "core/net/ws.h"
#include "tests/support/http_site.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>

static char dir[] = "/tmp/parley-tls-XXXXXX";
static char cert[64], key[64], other_key[64];

static void make(const char *name, char *cert_file, char *key_file)
{
    char cmd[400];

    snprintf(cert_file, 64, "%s/%s.crt", dir, name);
    snprintf(key_file, 64, "%s/%s.key", dir, name);
    snprintf(cmd, sizeof cmd,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=%s -keyout %s -out %s 2>/dev/null",
             name, key_file, cert_file);
    cr_assert_eq(system(cmd), 0);
}

static void setup(void)
{
    cr_assert(mkdtemp(dir));
    make("first", cert, key);
}

static void teardown(void)
{
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -r %s", dir);
    cr_assert_eq(system(cmd), 0);
}

TestSuite(tls, .init = setup, .fini = teardown);

static void on_echo(struct http_route *r, struct http_in *in)
{
    (void)r;
    http_answer(in, 200, "text/plain", in->body.n ? in->body : STR("hello"));
}
static struct http_route get = { .method = "GET", .path = "/", .handle = on_echo };
static struct http_route post = {
    .method = "POST", .path = "/", .handle = on_echo, .body_max = 4 << 20
};

static unsigned n_closed;
static struct ws_conn *conn_now;
static int on_accept(struct http_route *r, const struct http_in *in, void **ret_user)
{
    (void)r, (void)in, (void)ret_user;
    return 0;
}
static void on_open(struct ws_conn *conn, void *user)
{
    (void)user;
    conn_now = conn;
}
static void on_message(struct ws_conn *conn, void *user, struct str text)
{
    (void)user;
    if (str_eq(text, STR("bye")))
        ws_close(conn, 4001, "");
    else
        ws_send(conn, text);
}
static void on_closed(void *user)
{
    (void)user;
    conn_now = NULL;
    n_closed++;
}
static const struct ws_handler handler = { on_accept, on_open, on_message, on_closed };
static struct ws_route ws;

static void open_site(struct site *s)
{
    s->conf = site_conf;
    s->conf.tls_cert = cert;
    s->conf.tls_key = key;
    n_closed = 0;
    site_open(s);
    cr_assert(http_server_tls(s->server));
    ws = (struct ws_route){ .http = { .method = "WS", .path = "/ws" }, .handler = &handler };
    http_route_add(s->server, &get);
    http_route_add(s->server, &post);
    ws_route_add(s->server, &ws);
}

struct secure {
    struct client c;
    SSL_CTX *ctx;
    SSL *ssl;
    struct buf got;
    bool end;
};

static bool secure_open(struct secure *t, struct site *s, int version_max)
{
    *t = (struct secure){ .c = client_open(s), .got = BUF_INIT(64 << 20) };
    t->ctx = SSL_CTX_new(TLS_client_method());
    if (version_max) {
        SSL_CTX_set_security_level(t->ctx, 0);
        SSL_CTX_set_min_proto_version(t->ctx, 0);
        SSL_CTX_set_max_proto_version(t->ctx, version_max);
    }
    SSL_CTX_set_alpn_protos(t->ctx, (const unsigned char *)"\x02h2\x08http/1.1", 12);
    t->ssl = SSL_new(t->ctx);
    SSL_set_fd(t->ssl, t->c.fd);
    SSL_set_connect_state(t->ssl);
    int rc = -1;
    SITE_UNTIL(s, (rc = SSL_do_handshake(t->ssl)) == 1 ||
                      SSL_get_error(t->ssl, rc) != SSL_ERROR_WANT_READ);
    ERR_clear_error();
    return rc == 1;
}

static bool secure_take(struct secure *t)
{
    static char bytes[16384];
    int n;
    bool some = false;

    site_wait(t->c.site, 0);
    while ((n = SSL_read(t->ssl, bytes, sizeof bytes)) > 0) {
        buf_add(&t->got, str_from(bytes, (size_t)n));
        some = true;
    }
    t->end = SSL_get_error(t->ssl, n) != SSL_ERROR_WANT_READ;
    ERR_clear_error();
    return some;
}

static void secure_send(struct secure *t, struct str s)
{
    for (int idle = 0; s.n && idle < 500;) {
        int n = SSL_write(t->ssl, s.p, (int)(s.n < 16384 ? s.n : 16384));
        idle = n > 0 ? 0 : idle + 1;
        if (n > 0)
            s = str_skip(s, (size_t)n);
        else
            secure_take(t);
    }
}

static bool secure_got(struct secure *t, const char *text)
{
    return str_find(buf_str(&t->got), str_of(text)) != SIZE_MAX;
}

static void secure_await(struct secure *t, const char *text)
{
    SITE_UNTIL(t->c.site, secure_got(t, text) || (!secure_take(t) && t->end));
    cr_expect(secure_got(t, text), "no %s", text);
}

static void secure_close(struct secure *t)
{
    SSL_free(t->ssl);
    SSL_CTX_free(t->ctx);
    buf_done(&t->got);
    client_close(&t->c);
}

Test(tls, requests)
{
    struct site s = { 0 };
    struct secure t;
    _cleanup_(buf_done) struct buf body = BUF_INIT(3 << 20);
    const unsigned char *alpn;
    unsigned alpn_n;

    open_site(&s);
    cr_assert(secure_open(&t, &s, 0));
    SSL_get0_alpn_selected(t.ssl, &alpn, &alpn_n);
    cr_expect(str_eq(str_from((const char *)alpn, alpn_n), STR("http/1.1")));
    secure_send(&t, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    secure_await(&t, "\r\n\r\nhello");
    buf_clear(&t.got);

    memset(buf_room(&body, 2 << 20), 'b', 2 << 20);
    buf_grew(&body, 2 << 20);
    secure_send(&t, STR("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "Content-Length: 2097152\r\n\r\n"));
    secure_send(&t, buf_str(&body));
    SITE_UNTIL(&s, !secure_take(&t) && t.end);
    cr_expect_gt(t.got.n, 2u << 20);
    cr_expect_eq(SSL_get_shutdown(t.ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    secure_close(&t);
    site_close(&s);
}

Test(tls, refuses)
{
    struct site s = { 0 };
    struct secure t;

    open_site(&s);
    cr_expect(!secure_open(&t, &s, TLS1_1_VERSION));
    secure_close(&t);
    cr_expect(secure_open(&t, &s, TLS1_2_VERSION));
    secure_send(&t, STR("nonsense\r\n\r\n"));
    secure_await(&t, "HTTP/1.1 400 ");
    secure_close(&t);

    /* Not TLS at all, and a peer that leaves or stops in the handshake. */
    struct client c = client_open(&s);
    client_send(&c, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    client_await_end(&c);
    cr_expect(client_gone(&c));
    client_close(&c);
    c = client_open(&s);
    client_send(&c, str_from("\x16\x03\x01\x02\x00\x01", 6));
    client_close(&c);
    c = client_open(&s);
    client_send(&c, str_from("\x16\x03\x01\x02\x00\x01", 6));
    SITE_UNTIL(&s, http_server_busy(s.server) == 1);
    site_wait(&s, 11000);
    client_await_end(&c);
    cr_expect(client_gone(&c));
    client_close(&c);
    SITE_UNTIL(&s, !http_server_busy(s.server));
    cr_expect_eq(http_server_busy(s.server), 0);
    site_close(&s);
}

static void common_name(struct secure *t, char *ret)
{
    X509 *x = SSL_get1_peer_certificate(t->ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, ret, 40);
    X509_free(x);
}

Test(tls, renewed_certificate)
{
    struct site s = { 0 };
    struct secure t;
    struct err why = ERR_INIT;
    char name[40], cmd[300], second_cert[64], second_key[64];

    open_site(&s);
    make("second", second_cert, second_key);
    cr_assert(secure_open(&t, &s, 0));
    snprintf(cmd, sizeof cmd, "cp %s %s", second_cert, cert);
    cr_assert_eq(system(cmd), 0);
    cr_expect_eq(http_server_reload_tls(s.server, &why), ERR_CONF); /* the key is the old one */
    snprintf(cmd, sizeof cmd, "cp %s %s", second_key, key);
    cr_assert_eq(system(cmd), 0);
    cr_expect_eq(http_server_reload_tls(s.server, &why), ERR_NONE);
    common_name(&t, name);
    cr_expect_str_eq(name, "first");
    secure_send(&t, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    secure_await(&t, "hello");
    secure_close(&t);
    cr_assert(secure_open(&t, &s, 0));
    common_name(&t, name);
    cr_expect_str_eq(name, "second");
    secure_close(&t);
    site_close(&s);
}

Test(tls, bad_files)
{
    struct err why = ERR_INIT;
    struct tls *t;
    char other_cert[64];

    make("other", other_cert, other_key);
    cr_expect_eq(tls_open("/nowhere", key, &t, &why), ERR_CONF);
    cr_expect_eq(tls_open(cert, "/nowhere", &t, &why), ERR_CONF);
    cr_expect_eq(tls_open(key, key, &t, &why), ERR_CONF);
    cr_expect_eq(tls_open(cert, other_key, &t, &why), ERR_CONF);
    cr_expect(strstr(why.msg, "does not fit") || strstr(why.msg, "mismatch"), "%s", why.msg);
    cr_expect_eq(tls_open(cert, key, &t, &why), ERR_NONE);
    tls_close(t);
}

#define UPGRADE                                              \
    "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n" \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"    \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static void secure_upgrade(struct secure *t, struct site *s)
{
    cr_assert(secure_open(t, s, 0));
    secure_send(t, STR(UPGRADE));
    secure_await(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
    buf_clear(&t->got);
}

Test(tls, websocket)
{
    struct site s = { 0 };
    struct secure t;
    static char big[60010];

    open_site(&s);
    secure_upgrade(&t, &s);
    cr_expect_eq(http_server_busy(s.server), 0);
    secure_send(&t, str_from("\x81\x82\0\0\0\0hi", 8));
    secure_await(&t, "\x81\x02hi");

    /* A few MB there and back: both sides of the relay have to wait. */
    memset(big, 'x', sizeof big);
    memcpy(big, "\x81\xfe\xea\x60\0\0\0\0", 8);
    for (int i = 0; i < 50; i++) secure_send(&t, str_from(big, 60008));
    SITE_UNTIL(&s, (secure_take(&t), t.got.n >= 50u * 60004));
    cr_expect_eq(t.got.n, 4 + 50u * 60004);

    buf_clear(&t.got);
    secure_send(&t, str_from("\x81\x83\0\0\0\0"
                             "bye",
                             9));
    secure_await(&t, "\x88\x02\x0f\xa1");
    secure_send(&t, str_from("\x88\x82\0\0\0\0\x0f\xa1", 8));
    SITE_UNTIL(&s, !secure_take(&t) && t.end);
    cr_expect(t.end);
    cr_expect_eq(n_closed, 1);
    secure_close(&t);
    site_close(&s);
}

Test(tls, websocket_ends)
{
    struct site s = { 0 };
    struct secure t;
    static char block[100000];

    /* The peer leaves. */
    open_site(&s);
    secure_upgrade(&t, &s);
    secure_close(&t);
    SITE_UNTIL(&s, n_closed == 1);
    cr_expect_eq(n_closed, 1);

    /* The peer never reads: the relay is bounded, too. */
    secure_upgrade(&t, &s);
    SITE_UNTIL(&s, conn_now);
    for (int i = 0; i < 1000 && conn_now && ws_send(conn_now, str_from(block, sizeof block)); i++)
        site_wait(&s, 0);
    SITE_UNTIL(&s, n_closed == 2);
    cr_expect_eq(n_closed, 2);
    secure_close(&t);

    /* The server closes. */
    secure_upgrade(&t, &s);
    http_server_close(s.server);
    s.server = NULL;
    cr_expect_eq(n_closed, 3);
    SITE_UNTIL(&s, !secure_take(&t) && t.end);
    cr_expect(t.end);
    secure_close(&t);
    site_close(&s);
}
