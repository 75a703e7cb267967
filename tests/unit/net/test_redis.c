/*
 * The Redis driver against a real server: commands, scripts, and everything that can happen to a
 * connection.
 */
#include "core/base/clock.h"
#include "tests/support/redis_fixture.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static struct redis_fixture fx;

static void setup(void)
{
    fixture_open(&fx);
}
static void teardown(void)
{
    fixture_close(&fx);
}

/* Instead of the fixture's driver: another one, which begins to connect. */
static void reopen(const struct redis_conf *conf)
{
    redis_close(fx.redis);
    fx.redis = NULL;
    fx.up = false;
    fx.n_up = fx.n_down = 0;
    cr_assert_eq(fixture_dial(&fx, conf), ERR_NONE);
}

TestSuite(redis, .init = setup, .fini = teardown, .timeout = 30);

Test(redis, every_type_of_reply)
{
    struct redis_reply r = { .type = REDIS_NIL };

    cr_assert_eq(fixture_cmd(&fx, "SET a 42", &r), ERR_NONE);
    cr_expect_eq(r.type, REDIS_STATUS);
    cr_expect(str_eq(r.s, STR("OK")));
    redis_reply_done(&r);
    cr_assert_eq(fixture_cmd(&fx, "GET a", &r), ERR_NONE);
    cr_expect_eq(r.type, REDIS_STRING);
    cr_expect(str_eq(r.s, STR("42")));
    redis_reply_done(&r);
    redis_reply_done(&r);
    cr_assert_eq(fixture_cmd(&fx, "INCR a", &r), ERR_NONE);
    cr_expect_eq(r.type, REDIS_INT);
    cr_expect_eq(r.i, 43);
    redis_reply_done(&r);
    cr_assert_eq(fixture_cmd(&fx, "GET none", &r), ERR_NONE);
    cr_expect_eq(r.type, REDIS_NIL);
    redis_reply_done(&r);
    cr_assert_eq(fixture_cmd(&fx, "RPUSH l one 2 three", NULL), ERR_NONE);
    cr_assert_eq(fixture_cmd(&fx, "LRANGE l 0 -1", &r), ERR_NONE);
    cr_expect_eq(r.type, REDIS_ARRAY);
    cr_expect_eq(r.n, 3);
    cr_expect(str_eq(redis_reply_str(&r, 0), STR("one")));
    cr_expect_eq(redis_reply_int(&r, 1, -1), 2);
    cr_expect_eq(redis_reply_int(&r, 2, -1), -1);
    cr_expect_eq(redis_reply_int(&r, 3, -1), -1);
    redis_reply_done(&r);
    cr_assert_eq(fixture_cmd(&fx, "LRANGE none 0 -1", &r), ERR_NONE);
    cr_expect(r.type == REDIS_ARRAY && r.n == 0);
    redis_reply_done(&r);
}

static struct redis_script nested = {
    .name = "test.nested",
    .lua = "return {1, {'two', {err = 'ERR three'}}, false, KEYS[1] .. ARGV[1]}",
};

static enum err_kind run_nested(struct redis_reply *ret)
{
    const struct str key = STR("k"), arg = STR("\x00v");
    struct waiter w;

    waiter_init(&w, &fx.loop);
    redis_eval(fx.redis, &w.op, &nested, &key, 1, &arg, 1, ret);
    return waiter_run(&w, 30000);
}

static void expect_nested(void)
{
    struct redis_reply r = { .type = REDIS_NIL };

    cr_assert_eq(run_nested(&r), ERR_NONE);
    cr_assert_eq(r.n, 4);
    cr_expect_eq(redis_reply_int(&r, 0, 0), 1);
    cr_assert_eq(r.v[1].n, 2);
    cr_expect(str_eq(r.v[1].v[0].s, STR("two")));
    cr_expect_eq(r.v[1].v[1].type, REDIS_ERROR);
    cr_expect_eq(r.v[2].type, REDIS_NIL);
    cr_expect(str_eq(r.v[3].s, STR("k\x00v")));
    redis_reply_done(&r);
}

Test(redis, script_survives_a_flush)
{
    expect_nested();
    expect_nested();
    cr_assert_eq(fixture_cmd(&fx, "SCRIPT FLUSH", NULL), ERR_NONE);
    expect_nested();
}

Test(redis, script_without_waiter)
{
    static struct redis_script set = { .name = "test.set",
                                       .lua = "return redis.call('SET', KEYS[1], ARGV[1])" };
    const struct str key = STR("a"), arg = STR("b");
    struct redis_reply r = { .type = REDIS_NIL };

    redis_eval(fx.redis, NULL, &set, &key, 1, &arg, 1, NULL);
    /* The text of the script goes out a round trip later, perhaps behind the first of these. */
    cr_assert_eq(fixture_cmd(&fx, "PING", NULL), ERR_NONE);
    cr_assert_eq(fixture_cmd(&fx, "GET a", &r), ERR_NONE);
    cr_expect(str_eq(r.s, STR("b")));
    redis_reply_done(&r);
}

Test(redis, error_reply)
{
    struct redis_reply r = { .type = REDIS_NIL };
    const struct str args[] = { STR("LPUSH"), STR("s"), STR("x") };
    struct waiter w;

    cr_assert_eq(fixture_cmd(&fx, "SET s x", NULL), ERR_NONE);
    waiter_init(&w, &fx.loop);
    redis_cmd(fx.redis, &w.op, args, 3, &r);
    cr_expect_eq(waiter_run(&w, 30000), ERR_REFUSED);
    cr_expect_not_null(strstr(w.op.err.msg, "WRONGTYPE"), "%s", w.op.err.msg);
    cr_expect_null(r.owner);
    cr_expect_eq(fixture_cmd(&fx, "NOSUCHCOMMAND", NULL), ERR_REFUSED);
    cr_expect(redis_is_up(fx.redis));
}

Test(redis, large_values_both_ways)
{
    static char big[3 << 20];
    struct redis_reply r = { .type = REDIS_NIL };
    const struct str args[] = { STR("SET"), STR("big"), str_from(big, sizeof(big)) };
    struct waiter w;

    struct redis_conf conf = fixture_conf(fx.server.unix_url);

    conf.command_timeout_ms = 5000;
    reopen(&conf);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    for (size_t i = 0; i < sizeof(big); i++) big[i] = (char)(i * 7);
    waiter_init(&w, &fx.loop);
    redis_cmd(fx.redis, &w.op, args, 3, NULL);
    cr_assert_eq(waiter_run(&w, 30000), ERR_NONE);
    cr_assert_eq(fixture_cmd(&fx, "GET big", &r), ERR_NONE);
    cr_expect(str_eq(r.s, str_from(big, sizeof(big))));
    redis_reply_done(&r);
}

Test(redis, many_in_flight_keep_their_order)
{
    enum { N = 500 };
    static struct waiter w[N];
    static struct redis_reply r[N];
    const struct str args[] = { STR("INCR"), STR("n") };

    for (size_t i = 0; i < N; i++) {
        waiter_init(&w[i], &fx.loop);
        redis_cmd(fx.redis, &w[i].op, args, 2, &r[i]);
        cr_assert(op_busy(&w[i].op));
    }
    for (size_t i = 0; i < N; i++) {
        cr_assert_eq(waiter_run(&w[i], 30000), ERR_NONE);
        cr_expect_eq(r[i].i, (int64_t)i + 1);
        redis_reply_done(&r[i]);
    }
}

Test(redis, cancel_is_silent_and_counted)
{
    struct redis_reply r = { .type = REDIS_NIL };
    const struct str args[] = { STR("INCR"), STR("n") };
    uint64_t orphans = op_orphans;
    struct waiter w;

    waiter_init(&w, &fx.loop);
    redis_cmd(fx.redis, &w.op, args, 2, &r);
    op_cancel(&w.op);
    cr_assert_eq(fixture_cmd(&fx, "PING", NULL), ERR_NONE);
    cr_expect_eq(w.n_done, 0);
    cr_expect_eq(op_orphans, orphans + 1);
    cr_expect_null(r.owner);
    redis_cmd(fx.redis, &w.op, args, 2, &r);
    cr_expect_eq(waiter_run(&w, 30000), ERR_NONE);
    cr_expect_eq(r.i, 2);
    redis_reply_done(&r);
}

Test(redis, frozen_server_times_out_and_heals)
{
    const struct str args[] = { STR("INCR"), STR("n") };
    struct redis_reply r = { .type = REDIS_NIL };
    struct waiter first, second;

    redis_server_freeze(&fx.server);
    waiter_init(&first, &fx.loop);
    waiter_init(&second, &fx.loop);
    redis_cmd(fx.redis, &first.op, args, 2, NULL);
    loop_run_for(&fx.loop, REDIS_FIXTURE_TIMEOUT_MS / 2);
    redis_cmd(fx.redis, &second.op, args, 2, NULL);
    uint64_t began = clock_ms();
    cr_expect_eq(waiter_run(&first, 30000), ERR_TIMEOUT);
    cr_expect_eq(waiter_run(&second, 30000), ERR_UNKNOWN, "%s", second.op.err.msg);
    cr_expect_lt(clock_ms() - began, REDIS_FIXTURE_TIMEOUT_MS);
    cr_expect_not(redis_is_up(fx.redis));
    began = clock_ms();
    cr_expect_eq(fixture_cmd(&fx, "PING", NULL), ERR_IO, "fails fast while it is away");
    cr_expect_lt(clock_ms() - began, REDIS_FIXTURE_TIMEOUT_MS / 2);
    /* A stopped server accepts connections, the kernel does it: that must not count as up. */
    unsigned n_down = fx.n_down;
    for (int i = 0; i < 100 && fx.n_down == n_down; i++) loop_run_for(&fx.loop, 20);
    cr_expect_gt(fx.n_down, n_down);
    cr_expect_not(fx.up);
    redis_server_thaw(&fx.server);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    cr_assert_eq(fixture_cmd(&fx, "GET n", &r), ERR_NONE);
    redis_reply_done(&r);
}

Test(redis, killed_in_flight_comes_back)
{
    const struct str args[] = { STR("BLPOP"), STR("none"), STR("1") };
    struct waiter w;

    waiter_init(&w, &fx.loop);
    redis_cmd(fx.redis, &w.op, args, 3, NULL);
    loop_run_for(&fx.loop, 20);
    redis_server_kill(&fx.server);
    cr_expect_eq(waiter_run(&w, 30000), ERR_UNKNOWN, "%s", w.op.err.msg);
    cr_expect_eq(fixture_cmd(&fx, "PING", NULL), ERR_IO);
    redis_server_start(&fx.server);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    cr_expect_eq(fx.n_up, 2);
    cr_expect_eq(fixture_cmd(&fx, "PING", NULL), ERR_NONE);
    expect_nested();
}

Test(redis, connection_killed_by_the_server)
{
    cr_assert_eq(fixture_cmd(&fx, "CLIENT KILL TYPE normal SKIPME no", NULL), ERR_NONE);
    for (int i = 0; i < 100 && fx.n_up < 2; i++) loop_run_for(&fx.loop, 20);
    cr_expect_eq(fx.n_up, 2);
    cr_expect_eq(fixture_cmd(&fx, "PING", NULL), ERR_NONE);
}

Test(redis, full_queue_refuses)
{
    struct redis_conf conf = fixture_conf(fx.server.unix_url);
    const struct str args[] = { STR("PING") };
    struct waiter w[3];

    conf.queue_max = 2;
    reopen(&conf);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000));
    for (size_t i = 0; i < 3; i++) {
        waiter_init(&w[i], &fx.loop);
        redis_cmd(fx.redis, &w[i].op, args, 1, NULL);
    }
    cr_expect_eq(waiter_run(&w[2], 30000), ERR_LIMIT);
    cr_expect_eq(waiter_run(&w[0], 30000), ERR_NONE);
    cr_expect_eq(waiter_run(&w[1], 30000), ERR_NONE);
    cr_expect_eq(fixture_cmd(&fx, "PING", NULL), ERR_NONE);
}

static void expect_tcp(const char *host)
{
    char url[96];

    snprintf(url, sizeof(url), "redis://%s:%d/5", host, fx.server.port);
    struct redis_conf conf = fixture_conf(url);
    reopen(&conf);
    cr_assert(wait_until(&fx.loop, &fx.up, 30000), "%s: %s", host, fx.why.msg);
    cr_assert_eq(fixture_cmd(&fx, "SET where five", NULL), ERR_NONE);
    cr_expect_str_eq(redis_server_cli(&fx.server, "-n 5 get where"), "five");
}

Test(redis, tcp_by_address_and_by_name)
{
    expect_tcp("127.0.0.1");
    expect_tcp("localhost"); /* perhaps ::1 first, where nobody listens */
}

Test(redis, refused_connect_is_noticed)
{
    struct redis_conf conf = fixture_conf(fx.server.tcp_url);

    redis_server_kill(&fx.server);
    reopen(&conf);
    cr_expect_eq(fixture_cmd(&fx, "PING", NULL), ERR_IO);
    for (int i = 0; i < 100 && fx.n_down < 2; i++) loop_run_for(&fx.loop, 20);
    cr_assert_geq(fx.n_down, 2, "a second try follows the first");
    cr_expect_not_null(strstr(fx.why.msg, "refused"), "%s", fx.why.msg);
    redis_server_start(&fx.server);
    cr_expect(wait_until(&fx.loop, &fx.up, 30000));
}

Test(redis, unknown_name_is_noticed)
{
    struct redis_conf conf = fixture_conf("redis://no-such-host.invalid");

    reopen(&conf);
    for (int i = 0; i < 400 && fx.n_down < 1; i++) loop_run_for(&fx.loop, 20);
    cr_expect_geq(fx.n_down, 1);
    cr_expect_not_null(strstr(fx.why.msg, "no-such-host.invalid"), "%s", fx.why.msg);
}

Test(redis, missing_socket_is_noticed)
{
    struct redis_conf conf = fixture_conf("unix:///nonexistent/redis.sock");

    reopen(&conf);
    for (int i = 0; i < 100 && fx.n_down < 2; i++) loop_run_for(&fx.loop, 20);
    cr_expect_geq(fx.n_down, 2);
    cr_expect_eq(fixture_cmd(&fx, "PING", NULL), ERR_IO);
}

/* A listener that takes connections into its backlog and never says a word. */
static int mute_listener(char *url, size_t n)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    cr_assert(bind(fd, (struct sockaddr *)&a, size) == 0 && listen(fd, 8) == 0);
    cr_assert(getsockname(fd, (struct sockaddr *)&a, &size) == 0);
    snprintf(url, n, "redis://127.0.0.1:%d", ntohs(a.sin_port));
    return fd;
}

Test(redis, mute_server_is_not_up)
{
    char url[64];
    int fd = mute_listener(url, sizeof(url));
    struct redis_conf conf = fixture_conf(url);

    reopen(&conf);
    for (int i = 0; i < 100 && fx.n_down < 1; i++) loop_run_for(&fx.loop, 20);
    cr_expect_geq(fx.n_down, 1);
    cr_expect_eq(fx.n_up, 0);
    cr_expect_eq(fx.why.kind, ERR_TIMEOUT);
    close(fd);
}

Test(redis, garbage_from_the_server)
{
    char url[64];
    int fd = mute_listener(url, sizeof(url));
    struct redis_conf conf = fixture_conf(url);

    reopen(&conf);
    loop_run_for(&fx.loop, 50);
    int peer = accept(fd, NULL, NULL);
    cr_assert_geq(peer, 0);
    cr_assert_eq(write(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
    for (int i = 0; i < 100 && fx.n_down < 1; i++) loop_run_for(&fx.loop, 20);
    cr_expect_geq(fx.n_down, 1);
    cr_expect_eq(fx.n_up, 0);
    close(peer);
    close(fd);
}

Test(redis, password_and_user)
{
    struct redis_conf conf = fixture_conf(fx.server.unix_url);

    cr_assert_eq(fixture_cmd(&fx, "ACL SETUSER me on >sesame ~* &* +@all", NULL), ERR_NONE);
    cr_assert_eq(fixture_cmd(&fx, "CONFIG SET requirepass open", NULL), ERR_NONE);
    reopen(&conf);
    for (int i = 0; i < 100 && fx.n_down < 1; i++) loop_run_for(&fx.loop, 20);
    cr_expect_eq(fx.why.kind, ERR_AUTH, "%s", fx.why.msg);
    conf.password = "wrong password";
    reopen(&conf);
    for (int i = 0; i < 100 && fx.n_down < 1; i++) loop_run_for(&fx.loop, 20);
    cr_expect_eq(fx.why.kind, ERR_AUTH, "%s", fx.why.msg);
    conf.password = "open";
    reopen(&conf);
    cr_expect(wait_until(&fx.loop, &fx.up, 30000));
    char url[128];
    snprintf(url, sizeof(url), "redis://me:sesame@127.0.0.1:%d/1", fx.server.port);
    conf = fixture_conf(url);
    reopen(&conf);
    cr_expect(wait_until(&fx.loop, &fx.up, 30000), "%s", fx.why.msg);
}

Test(redis, bad_configuration_is_refused)
{
    struct redis_conf conf = fixture_conf("localhost");
    struct redis *r;
    struct err why = ERR_INIT;

    cr_expect_eq(redis_open(&fx.loop, &conf, &r, &why), ERR_CONF);
    conf = fixture_conf("rediss://localhost");
    conf.ca_file = "/nonexistent/ca.pem";
    cr_expect_eq(redis_open(&fx.loop, &conf, &r, &why), ERR_CONF);
    cr_expect_not_null(strstr(why.msg, "redis"));
}

/* --- closing at any time --- */

Test(redis, close_with_commands_in_flight)
{
    const struct str args[] = { STR("PING") };
    struct waiter w;

    waiter_init(&w, &fx.loop);
    redis_cmd(fx.redis, &w.op, args, 1, NULL);
    redis_send(fx.redis, args, 1);
    redis_close(fx.redis);
    fx.redis = NULL;
    cr_expect_eq(waiter_run(&w, 30000), ERR_UNKNOWN);
}

Test(redis, close_at_any_turn_of_connecting)
{
    char name[64];

    snprintf(name, sizeof(name), "redis://localhost:%d", fx.server.port);
    const char *urls[] = { fx.server.unix_url, fx.server.tcp_url, name, "unix:///nonexistent",
                           "redis://127.0.0.1:1" };
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        for (int turns = 0; turns < 12; turns++) {
            struct redis_conf conf = fixture_conf(urls[i]);
            reopen(&conf);
            for (int t = 0; t < turns; t++) {
                uv_run(&fx.loop.uv, UV_RUN_NOWAIT);
                usleep(200);
            }
        }
    }
    redis_close(fx.redis);
    fx.redis = NULL;
}

static void close_on_change(void *ctx, const struct err *why)
{
    (void)why;
    redis_close(fx.redis);
    fx.redis = NULL;
    *(bool *)ctx = true;
}

Test(redis, close_inside_the_watcher_when_up)
{
    struct redis_conf conf = fixture_conf(fx.server.unix_url);
    bool closed = false;

    reopen(&conf);
    redis_watch(fx.redis, close_on_change, &closed);
    cr_expect(wait_until(&fx.loop, &closed, 30000));
}

Test(redis, close_inside_the_watcher_when_lost)
{
    const char *urls[] = { fx.server.unix_url, "redis://127.0.0.1:1", "unix:///nonexistent" };

    for (size_t i = 0; i < 3; i++) {
        struct redis_conf conf = fixture_conf(urls[i]);
        bool closed = false;
        reopen(&conf);
        if (i == 0) cr_assert(wait_until(&fx.loop, &fx.up, 30000));
        redis_watch(fx.redis, close_on_change, &closed);
        if (i == 0) redis_server_kill(&fx.server);
        cr_expect(wait_until(&fx.loop, &closed, 30000));
        if (i < 2) fixture_dial(&fx, &conf);
    }
}
