/* URLs, and whom we believe to be the server. */
#include "tests/support/pg_calls.h"
#include "tests/support/port.h"
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct pg_stmt encrypted_stmt = {
    "encrypted", "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
};

static int port;

/* A server on 127.0.0.1 whose certificate is for "localhost". */
static void setup(void)
{
    static char args[400];
    char make[600];

    log_setup(LOG_ERROR, LOG_TEXT);
    pg_server_start(&server);
    pg_server_shut(&server, SIGQUIT);
    snprintf(make, sizeof(make),
             "cd %s && openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
             " -addext subjectAltName=DNS:localhost -keyout tls.key -out tls.crt 2>/dev/null &&"
             " chown --reference=data tls.key && chmod 600 tls.key",
             server.dir);
    cr_assert_eq(system(make), 0);
    port = port_free();
    snprintf(args, sizeof(args),
             "-c listen_addresses=127.0.0.1 -c port=%d -c ssl=on -c ssl_cert_file=%s/tls.crt"
             " -c ssl_key_file=%s/tls.key",
             port, server.dir, server.dir);
    server.args = args;
    pg_server_start(&server);
    loop_open(&loop);
    conf.statement_timeout_ms = 2000;
}

TestSuite(pg_tls, .init = setup, .fini = pg_teardown, .timeout = 60);

/* True: connected, and *ret_encrypted. False: pg_down_reason says why. */
static bool connect_by(const char *query, bool *ret_encrypted)
{
    char url[400];
    struct call c = { 0 };
    struct err why;

    snprintf(url, sizeof(url), "postgresql://postgres@:%d/postgres?%s", port, query);
    conf.url = url;
    cr_assert_eq(pg_open(&loop, &conf, &pg, &why), ERR_NONE, "%s", why.msg);
    if (call(&c, &encrypted_stmt, 0)) return false;
    *ret_encrypted = pg_rows_bool(&c.rows, 0, 0);
    pg_rows_done(&c.rows);
    return true;
}

Test(pg_tls, verified)
{
    char query[200];
    bool encrypted = false;

    snprintf(query, sizeof(query), "host=localhost&sslmode=verify-full&sslrootcert=%s/tls.crt",
             server.dir);
    cr_expect(connect_by(query, &encrypted), "%s", pg_down_reason(pg));
    cr_expect(encrypted);
}

Test(pg_tls, another_name)
{
    char query[200];
    bool encrypted;

    snprintf(query, sizeof(query), "host=127.0.0.1&sslmode=verify-full&sslrootcert=%s/tls.crt",
             server.dir);
    cr_expect_not(connect_by(query, &encrypted));
    cr_expect(strstr(pg_down_reason(pg), "does not match"), "%s", pg_down_reason(pg));
}

Test(pg_tls, over_the_network_unknown_authorities_are_refused)
{
    bool encrypted;

    cr_expect_not(connect_by("host=db.example&hostaddr=127.0.0.1", &encrypted));
    cr_expect(strstr(pg_down_reason(pg), "certificate"), "%s", pg_down_reason(pg));
}

Test(pg_tls, over_the_network_on_ones_own_word)
{
    bool encrypted = true;

    cr_expect(connect_by("host=db.example&hostaddr=127.0.0.1&sslmode=disable", &encrypted));
    cr_expect_not(encrypted);
}

static struct buf lines = BUF_INIT(1 << 16);

static void keep(struct str line, void *ctx)
{
    (void)ctx;
    buf_add(&lines, line);
}

Test(pg_url, bad_ones_are_refused_without_quoting_secrets)
{
    static const char *const urls[] = {
        "postgresql://u:hunter2@[h/x",
        "user=u password=hunter2 nonsense=1",
        "postgresql://u:hunter2@h/x?nonsense=1",
        "host='unfinished",
    };
    struct err why;

    loop_open(&loop);
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        conf.url = urls[i];
        cr_expect_eq(pg_open(&loop, &conf, &pg, &why), ERR_CONF, "%s", urls[i]);
        cr_expect_null(strstr(why.msg, "hunter2"), "%s", why.msg);
    }
    conf.url = "postgresql:///x";
    conf.pool_min = 5;
    conf.pool_max = 2;
    cr_expect_eq(pg_open(&loop, &conf, &pg, &why), ERR_CONF);
    loop_close(&loop);
}

Test(pg_url, passwords_do_not_reach_the_log)
{
    struct err why;

    loop_open(&loop);
    log_sink(keep, NULL);
    conf.url = "postgresql://user:hunter22@127.0.0.1:1/x";
    conf.password = "hunter33";
    cr_assert_eq(pg_open(&loop, &conf, &pg, &why), ERR_NONE);
    log_warn("test", "secrets", "a=hunter22 b=hunter33");
    cr_expect_null(strstr(lines.p, "hunter"), "%s", lines.p);
    pg_close(pg);
    loop_close(&loop);
    buf_done(&lines);
    log_sink(NULL, NULL);
}
