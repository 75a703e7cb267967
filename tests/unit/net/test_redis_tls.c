/*
 * rediss://: where hiredis has TLS, only a server with the right name and a trusted certificate is
 * spoken to; where it has none, the configuration is refused with the reason.
 */
#include "tests/support/redis_fixture.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <unistd.h>

static struct redis_fixture fx;
static char ca_file[96], key_file[96];

static bool has_tls(void)
{
    struct redis_conf conf = fixture_conf("rediss://localhost");
    struct redis *r;
    struct err why = ERR_INIT;

    if (redis_open(&fx.loop, &conf, &r, &why)) {
        cr_assert_eq(why.kind, ERR_CONF);
        cr_assert_not_null(strstr(why.msg, "hiredis 1.0"), "%s", why.msg);
        return false;
    }
    redis_close(r);
    return true;
}

/* A certificate for "localhost" alone, and a TLS port in place of the plain one. */
static void serve_tls(void)
{
    char command[600];

    snprintf(ca_file, sizeof(ca_file), "%s/cert.pem", fx.server.dir);
    snprintf(key_file, sizeof(key_file), "%s/key.pem", fx.server.dir);
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
             " -subj /CN=redis -addext subjectAltName=DNS:localhost -out %s -keyout %s 2>/dev/null",
             ca_file, key_file);
    cr_assert_eq(system(command), 0);
    snprintf(command, sizeof(command),
             "config set tls-cert-file %s tls-key-file %s tls-ca-cert-file %s"
             " tls-auth-clients no port 0 tls-port %d",
             ca_file, key_file, ca_file, fx.server.port);
    cr_assert_str_eq(redis_server_cli(&fx.server, command), "OK");
}

static void setup(void)
{
    fixture_open(&fx);
}

static void teardown(void)
{
    unlink(ca_file);
    unlink(key_file);
    fixture_close(&fx);
}

TestSuite(redis_tls, .init = setup, .fini = teardown, .timeout = 30);

static bool connects(const char *host, const char *ca)
{
    char url[96];

    snprintf(url, sizeof(url), "rediss://%s:%d", host, fx.server.port);
    struct redis_conf conf = fixture_conf(url);
    conf.ca_file = ca;
    conf.connect_timeout_ms = conf.command_timeout_ms = 3000;
    redis_close(fx.redis);
    fx.redis = NULL;
    fx.up = false;
    fx.n_down = 0;
    cr_assert_eq(fixture_dial(&fx, &conf), ERR_NONE);
    for (int i = 0; i < 500 && !fx.up && fx.n_down < 3; i++) loop_run_for(&fx.loop, 20);
    return fx.up;
}

Test(redis_tls, name_and_certificate_are_checked)
{
    if (!has_tls()) return;
    serve_tls();
    cr_assert(connects("localhost", ca_file), "%s", fx.why.msg);
    cr_expect_eq(fixture_cmd(&fx, "SET a b", NULL), ERR_NONE);
    cr_expect_str_eq(redis_server_cli(&fx.server, "get a"), "b");
    cr_expect_not(connects("127.0.0.1", ca_file), "not the certificate's name");
    cr_expect_not(connects("localhost", ""), "not a certificate that the system trusts");
}

Test(redis_tls, a_large_value_and_a_lost_server)
{
    static char big[2 << 20];
    const struct str args[] = { STR("SET"), STR("big"), str_from(big, sizeof(big)) };
    struct redis_reply r = { .type = REDIS_NIL };
    struct waiter w;

    if (!has_tls()) return;
    serve_tls();
    cr_assert(connects("localhost", ca_file), "%s", fx.why.msg);
    waiter_init(&w, &fx.loop);
    redis_cmd(fx.redis, &w.op, args, 3, NULL);
    cr_assert_eq(waiter_run(&w, 30000), ERR_NONE, "%s", w.op.err.msg);
    cr_assert_eq(fixture_cmd(&fx, "GET big", &r), ERR_NONE);
    cr_expect(str_eq(r.s, args[2]));
    redis_reply_done(&r);
    redis_server_kill(&fx.server);
    fx.n_down = 0;
    for (int i = 0; i < 500 && fx.n_down < 2; i++) loop_run_for(&fx.loop, 20);
    cr_expect_eq(fixture_cmd(&fx, "PING", NULL), ERR_IO);
}
