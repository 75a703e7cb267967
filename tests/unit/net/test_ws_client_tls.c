/*
 * Outgoing WebSockets against our own server, with and without TLS. Certificates are made on the
 * spot by the openssl command.
 */
#include "core/net/ws.h"
#include "core/net/ws_client.h"
#include "tests/support/http_site.h"
#include <signal.h>
#include <stdio.h>

static char dir[] = "/tmp/parley-wss-XXXXXX";
static char cert[64], key[64], other[64], other_key[64];

static void make(const char *name, const char *alt, char *cert_file, char *key_file)
{
    char cmd[400];

    snprintf(cert_file, 64, "%s/%s.crt", dir, name);
    snprintf(key_file, 64, "%s/%s.key", dir, name);
    snprintf(cmd, sizeof cmd,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=%s -addext subjectAltName=%s -keyout %s -out %s 2>/dev/null",
             name, alt, key_file, cert_file);
    cr_assert_eq(system(cmd), 0);
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN);
    cr_assert(mkdtemp(dir));
    make("right", "DNS:localhost,IP:127.0.0.1", cert, key);
    make("other", "DNS:other.example", other, other_key);
}

static void teardown(void)
{
    char cmd[100];
    snprintf(cmd, sizeof cmd, "rm -r %s", dir);
    cr_assert_eq(system(cmd), 0);
}

TestSuite(ws_client_tls, .init = setup, .fini = teardown, .timeout = 30);

/* ---- the server: echoes, closes on "bye" ---- */

static struct ws_conn *server_conn;
static int on_accept(struct http_route *r, const struct http_in *in, void **ret_user)
{
    (void)r, (void)ret_user;
    cr_expect(str_starts(http_in_header(in, "Host"), STR("localhost:")) ||
              str_starts(http_in_header(in, "Host"), STR("127.0.0.1:")));
    cr_expect(str_eq(http_in_header(in, "X-Mine"), STR("yes")));
    return 0;
}
static void on_server_open(struct ws_conn *conn, void *user)
{
    (void)user;
    server_conn = conn;
}
static void on_message(struct ws_conn *conn, void *user, struct str text)
{
    (void)user;
    if (str_eq(text, STR("bye")))
        ws_close(conn, 4001, "as you wish");
    else
        ws_send(conn, text);
}
static void on_server_closed(void *user)
{
    (void)user;
    server_conn = NULL;
}
static const struct ws_handler server_handler = { on_accept, on_server_open, on_message,
                                                  on_server_closed };
static struct ws_route route;

/* ---- the client ---- */

static struct ws_clients *clients;
static struct ws_client *conn;
static unsigned n_open, n_closed, n_messages;
static int code;
static struct err closed_why;
static struct buf got;

static void on_open(struct ws_client *c, void *user)
{
    (void)user;
    cr_expect_eq(c, conn);
    n_open++;
}
static void on_data(struct ws_client *c, void *user, struct str piece, bool binary, bool first,
                    bool last)
{
    (void)c, (void)user, (void)first;
    cr_expect(!binary);
    buf_add(&got, piece);
    n_messages += last;
}
static void on_closed(void *user, int peer_code, const struct err *why)
{
    (void)user;
    n_closed++;
    code = peer_code;
    closed_why = *why;
}
static const struct ws_client_handler handler = { on_open, on_data, on_closed };

/* server: "" = without TLS; ca: what the client trusts. Until it is open or closed. */
static void meet(struct site *s, const char *server_cert, const char *server_key, const char *ca,
                 const char *where)
{
    static const struct http_header mine = { STR("X-Mine"), STR("yes") };
    struct err why = ERR_INIT;
    char url[100];

    s->conf = site_conf;
    s->conf.tls_cert = server_cert;
    s->conf.tls_key = server_key;
    site_open(s);
    route =
        (struct ws_route){ .http = { .method = "WS", .path = "/ws" }, .handler = &server_handler };
    ws_route_add(s->server, &route);
    n_open = n_closed = n_messages = 0;
    buf_init(&got, 4 << 20);
    cr_assert_eq(ws_clients_open(&s->loop, &(struct ws_client_conf){ ca }, &clients, &why),
                 ERR_NONE, "%s", why.msg);
    snprintf(url, sizeof url, "%s:%d/ws?a=b", where, http_server_port(s->server));
    conn = ws_client_dial(
        clients, &(struct ws_dial){ .url = url, .headers = &mine, .n_headers = 1 }, &handler, NULL);
    SITE_UNTIL(s, n_open || n_closed);
}

static void part(struct site *s)
{
    ws_clients_close(clients);
    site_close(s);
    buf_done(&got);
}

static void talk(struct site *s)
{
    static char big[60000];

    cr_assert_eq(n_open, 1, "%s", closed_why.msg);
    cr_expect(ws_client_send(conn, STR("hello")));
    SITE_UNTIL(s, n_messages == 1);
    cr_expect(str_eq(buf_str(&got), STR("hello")));
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 15; i++) cr_expect(ws_client_send(conn, str_from(big, sizeof big)));
    SITE_UNTIL(s, n_messages == 16);
    cr_expect_eq(got.n, 5 + 15 * sizeof big);
    ws_client_send(conn, STR("bye"));
    SITE_UNTIL(s, n_closed);
    cr_expect_eq(n_closed, 1);
    cr_expect_eq(code, 4001);
    cr_expect(strstr(closed_why.msg, "as you wish"), "%s", closed_why.msg);
}

Test(ws_client_tls, plain_and_secure)
{
    struct site s = { 0 };

    meet(&s, "", "", "", "ws://localhost");
    talk(&s);
    part(&s);
    meet(&s, cert, key, cert, "wss://localhost");
    talk(&s);
    part(&s);
    meet(&s, cert, key, cert, "wss://127.0.0.1");
    talk(&s);
    part(&s);
}

Test(ws_client_tls, closed_by_either_side)
{
    struct site s = { 0 };

    meet(&s, cert, key, cert, "wss://localhost");
    cr_assert_eq(n_open, 1);
    ws_client_close(conn, 4000, "done");
    SITE_UNTIL(&s, n_closed && !server_conn);
    cr_expect_eq(closed_why.kind, ERR_CANCELLED);
    cr_expect_eq(server_conn, NULL);
    part(&s);

    meet(&s, cert, key, cert, "wss://localhost");
    cr_assert_eq(n_open, 1);
    ws_client_drop(conn);
    SITE_UNTIL(&s, !server_conn);
    cr_expect_eq(server_conn, NULL);
    cr_expect_eq(n_closed, 0);
    part(&s);

    meet(&s, cert, key, cert, "wss://localhost");
    cr_assert_eq(n_open, 1);
    http_server_close(s.server);
    s.server = NULL;
    SITE_UNTIL(&s, n_closed);
    cr_expect_eq(closed_why.kind, ERR_IO);
    part(&s);
}

static void expect_refused(struct site *s, enum err_kind kind)
{
    cr_expect_eq(n_open, 0);
    cr_expect_eq(n_closed, 1);
    cr_expect_eq(closed_why.kind, kind, "%s", closed_why.msg);
    part(s);
}

Test(ws_client_tls, refuses_certificates)
{
    struct site s = { 0 };

    meet(&s, cert, key, other, "wss://localhost");
    expect_refused(&s, ERR_AUTH);
    cr_expect(strstr(closed_why.msg, "self"), "%s", closed_why.msg);
    meet(&s, cert, key, "", "wss://localhost");
    expect_refused(&s, ERR_AUTH);
    /* A good one, of somebody else. */
    meet(&s, other, other_key, other, "wss://localhost");
    expect_refused(&s, ERR_AUTH);
    cr_expect(strstr(closed_why.msg, "ostname mismatch"), "%s", closed_why.msg);
    meet(&s, other, other_key, other, "wss://127.0.0.1");
    expect_refused(&s, ERR_AUTH);
    cr_expect(strstr(closed_why.msg, "IP address mismatch"), "%s", closed_why.msg);
}

Test(ws_client_tls, one_side_without_tls)
{
    struct site s = { 0 };

    meet(&s, "", "", cert, "wss://localhost");
    expect_refused(&s, ERR_IO);
    cr_expect(strcasestr(closed_why.msg, "tls"), "%s", closed_why.msg);
    meet(&s, cert, key, cert, "ws://localhost");
    expect_refused(&s, ERR_IO);
}

Test(ws_client_tls, system_authorities)
{
    struct site s = { 0 };

    setenv("SSL_CERT_FILE", cert, 1);
    meet(&s, cert, key, "", "wss://localhost");
    talk(&s);
    part(&s);
    meet(&s, cert, key, other, "wss://localhost"); /* besides, not instead */
    talk(&s);
    part(&s);
    unsetenv("SSL_CERT_FILE");
}

Test(ws_client_tls, bad_ca_file)
{
    struct ws_client_conf conf = { "/nowhere" };
    struct err why = ERR_INIT;
    struct loop loop;

    loop_open(&loop);
    cr_expect_eq(ws_clients_open(&loop, &conf, &clients, &why), ERR_CONF);
    cr_expect(strstr(why.msg, "/nowhere"), "%s", why.msg);
    conf.ca_file = key;
    cr_expect_eq(ws_clients_open(&loop, &conf, &clients, &why), ERR_CONF);
    loop_close(&loop);
}

/* The environment's proxy is not asked. */
Test(ws_client_tls, no_proxy)
{
    struct site s = { 0 };

    setenv("http_proxy", "127.0.0.1:1", 1);
    meet(&s, cert, key, cert, "wss://localhost");
    talk(&s);
    part(&s);
    unsetenv("http_proxy");
}
