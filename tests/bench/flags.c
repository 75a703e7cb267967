/*
 * flags: how long a look-up of a flag takes, and how long a change needs to be in force in another
 * process, for scripts/bench. Prints one line of JSON.
 *
 *   parley_flags POSTGRES_URL REDIS_URL CHANGES
 *
 * The child has the flags as a gateway has them; the parent changes one by the function that the
 * admin API calls, tells it on the channel of Redis, and waits until the child has seen it.
 */
#include "core/flag/flags.h"
#include "core/base/buf.h"
#include "core/base/log.h"
#include "core/flag/rule.h"
#include "core/net/redis.h"
#include "core/net/sign.h"
#include "core/store/store.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define LOOKUPS     2000000
#define CHANGES_MAX 100000

static struct {
    struct loop loop;
    struct pg *pg;
    struct store store;
    struct redis *redis;
    struct flags *flags;
    struct loop_hook hook;
    int to_parent;
    bool seen;
} p;

static void fail(const char *what, const struct err *why)
{
    fprintf(stderr, "parley_flags: %s: %s\n", what, why ? why->msg : "");
    exit(1);
}

/* ---- look-ups ---- */

#define PERSON "01890000-0000-7000-8000-00000000000a"

/* One rule of each level that is not about these people, and a percentage at last. */
static const char rules[] =
    "{\"streaming\": {\"rules\": ["
    "{\"id\": 1, \"value\": false, \"person\": \"01890000-0000-7000-8000-00000000000b\"},"
    "{\"id\": 2, \"value\": false, \"place\": \"C2\", \"thread\": \"1\"},"
    "{\"id\": 3, \"value\": false, \"place\": \"C2\"},"
    "{\"id\": 4, \"value\": false, \"workspace\": \"T2\"},"
    "{\"id\": 5, \"value\": false, \"channel\": \"other\"},"
    "{\"id\": 6, \"value\": false, \"channel_type\": \"discord\"},"
    "{\"id\": 7, \"value\": false, \"share\": 3000}]}}";

static struct str many_people(struct buf *to)
{
    buf_add_cstr(to, "{\"streaming\": {\"rules\": [");
    for (int i = 0; i < 2000; i++) {
        struct uuid id = uuid_v7();
        char text[UUID_TEXT_MAX];
        uuid_text(&id, text);
        buf_addf(to, "%s{\"id\": %d, \"value\": false, \"person\": \"%s\"}", i ? "," : "", i, text);
    }
    buf_add_cstr(to, "]}}");
    return buf_str(to);
}

static double ns_of(struct str doc)
{
    struct err why = ERR_INIT;
    struct flags flags = { .table = flag_table_parse(doc, &why) };
    struct flag_who who = { .channel_type = STR("slack"),
                            .channel = STR("team"),
                            .workspace = STR("T1"),
                            .place = STR("C1"),
                            .thread = STR("17.1") };
    volatile unsigned n_on = 0;
    if (!flags.table) fail("rules", &why);
    uuid_parse(STR(PERSON), &who.person);
    flag_who_ready(&who);
    uint64_t began = uv_hrtime();
    for (int i = 0; i < LOOKUPS; i++) n_on += flag_bool(&flags, FLAG_STREAMING, &who);
    uint64_t ended = uv_hrtime();
    flag_table_free(flags.table);
    return (double)(ended - began) / LOOKUPS;
}

/* ---- a change ---- */

static void on_done(struct op *op)
{
    loop_stop(op->loop);
}

static void wait_for(struct op *op, const char *what)
{
    while (op_busy(op)) loop_run(&p.loop);
    if (op->err.kind) fail(what, &op->err);
}

static void open_all(const char *pg_url, const char *redis_url)
{
    struct err why = ERR_INIT;
    const struct pg_conf pg = { .url = pg_url,
                                .pool_min = 1,
                                .pool_max = 2,
                                .statement_timeout_ms = 20000,
                                .connect_timeout_ms = 5000,
                                .queue_max = 1000 };
    const struct redis_conf redis = { .url = redis_url,
                                      .password = "",
                                      .ca_file = "",
                                      .client_cert = "",
                                      .client_key = "",
                                      .connect_timeout_ms = 5000,
                                      .command_timeout_ms = 5000,
                                      .queue_max = 1000 };
    loop_open(&p.loop);
    if (pg_open(&p.loop, &pg, &p.pg, &why)) fail("postgres", &why);
    store_open(&p.store, &p.loop, p.pg);
    if (redis_open(&p.loop, &redis, &p.redis, &why)) fail("redis", &why);
}

static void close_all(void)
{
    redis_close(p.redis);
    store_close(&p.store);
    pg_close(p.pg);
    loop_close(&p.loop);
}

/* The other process: says when it sees the flag change. */
static void on_turn(struct loop_hook *hook)
{
    bool now = flag_bool(p.flags, FLAG_STREAMING, NULL);
    uint64_t at = uv_hrtime();
    (void)hook;
    if (now == p.seen) return;
    p.seen = now;
    if (write(p.to_parent, &at, sizeof at) != sizeof at) loop_stop(&p.loop);
}

static void watch(const char *pg_url, const char *redis_url)
{
    struct op op;
    uint64_t ready = 0;
    open_all(pg_url, redis_url);
    p.flags = flags_open(&p.loop, &p.store, p.redis);
    op_init(&op, &p.loop, on_done);
    flags_start(p.flags, &op);
    wait_for(&op, "flags");
    p.seen = flag_bool(p.flags, FLAG_STREAMING, NULL);
    p.hook.run = on_turn;
    if (write(p.to_parent, &ready, sizeof ready) != sizeof ready) return;
    loop_hook_add(&p.loop, &p.hook);
    loop_run(&p.loop); /* until the parent ends it */
}

static const struct pg_stmt set_stmt = {
    "bench_flag", "SELECT admin_flags_set('{\"name\": \"bench\"}',"
                  " jsonb_build_object('name', 'streaming', 'value', $1::boolean))"
};

static uint64_t read_time(int from)
{
    uint64_t at;
    if (read(from, &at, sizeof at) != sizeof at) fail("the other process ended", NULL);
    return at;
}

static int by_size(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void change_flags(int from_child, int n, uint64_t *samples)
{
    struct op op;
    read_time(from_child); /* it is ready */
    op_init(&op, &p.loop, on_done);
    for (int i = 0; i < n; i++) {
        const struct pg_value v[] = { pg_bool(i % 2) };
        pg_query(p.pg, &op, &set_stmt, v, 1, NULL);
        wait_for(&op, "admin_flags_set");
        uint64_t committed = uv_hrtime();
        redis_publish(p.redis, FLAGS_CHANNEL, STR("bench"));
        op_sleep(&op, 1); /* a turn, in which it is sent */
        wait_for(&op, "publish");
        samples[i] = read_time(from_child) - committed;
    }
}

int main(int argc, char **argv)
{
    int fd[2], n = argc == 4 ? atoi(argv[3]) : 0;
    static uint64_t samples[CHANGES_MAX];
    _cleanup_(buf_done) struct buf b = BUF_INIT(1 << 20);
    if (n < 2 || n > CHANGES_MAX) {
        fprintf(stderr, "usage: parley_flags POSTGRES_URL REDIS_URL CHANGES\n");
        return 2;
    }
    log_setup(LOG_ERROR, LOG_TEXT);
    if (!sign_setup() || pipe(fd)) fail("start", NULL);
    pid_t child = fork();
    if (child == 0) {
        close(fd[0]);
        p.to_parent = fd[1];
        watch(argv[1], argv[2]);
        _exit(0);
    }
    close(fd[1]);
    open_all(argv[1], argv[2]);
    change_flags(fd[0], n, samples);
    kill(child, SIGKILL);
    close_all();
    qsort(samples, (size_t)n, sizeof *samples, by_size);
    printf("{\"lookup_ns\": %.1f, \"lookup_rules_ns\": %.1f, \"lookup_people_ns\": %.1f,"
           " \"effect_p50_ms\": %.3f, \"effect_p99_ms\": %.3f}\n",
           ns_of(STR("{}")), ns_of(str_of(rules)), ns_of(many_people(&b)),
           (double)samples[n / 2] / 1e6, (double)samples[n * 99 / 100] / 1e6);
    return 0;
}
