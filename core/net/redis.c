/*
 * Commands and scripts: each is a record of its own in the order of sending, which is the order of
 * the replies. The waiter may leave (cancel, timeout); the record stays until its reply is through.
 */
#include "core/net/redis.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/net/redis_impl.h"
#include "core/net/redis_reply.h"
#include <assert.h>
#include <hiredis/async.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <openssl/evp.h>

/* Unsent and unanswered commands together: a wedged server must not eat our memory. */
#define IN_FLIGHT_BYTES_MAX (64u << 20)

/* EVAL or EVALSHA, the script and the number of keys stand before a script's own arguments. */
#define EVAL_HEAD 3

#define FIELD(name) offsetof(struct redis_conf, name)
const struct conf_field redis_conf_fields[] = {
    { .key = "url",
      .type = CONF_STR,
      .offset = FIELD(url),
      .def = "redis://127.0.0.1:6379/0",
      .help = "redis://[user@]host[:port][/db], rediss:// (TLS), or unix:///path/to.sock[?db=N]." },
    { .key = "password",
      .type = CONF_SECRET,
      .offset = FIELD(password),
      .help = "The password for AUTH, when the server wants one." },
    { .key = "ca_file",
      .type = CONF_STR,
      .offset = FIELD(ca_file),
      .help = "Certificates to trust with rediss://; empty: the system's." },
    { .key = "client_cert",
      .type = CONF_STR,
      .offset = FIELD(client_cert),
      .help = "Our own certificate chain with rediss:// (PEM)." },
    { .key = "client_key",
      .type = CONF_STR,
      .offset = FIELD(client_key),
      .help = "The key of client_cert (PEM)." },
    { .key = "connect_timeout",
      .type = CONF_DURATION,
      .offset = FIELD(connect_timeout_ms),
      .def = "2s",
      .min = 10,
      .max = 60000,
      .help = "From dialing to the answer of the first PING." },
    { .key = "command_timeout",
      .type = CONF_DURATION,
      .offset = FIELD(command_timeout_ms),
      .def = "1s",
      .min = 10,
      .max = 60000,
      .help = "A command without an answer for this long drops the connection." },
    { .key = "queue_max",
      .type = CONF_INT,
      .offset = FIELD(queue_max),
      .def = "10000",
      .min = 1,
      .max = 1000000,
      .help = "Commands in flight; more are refused." },
    CONF_END,
};
#undef FIELD

enum outcome { OUT_OK, OUT_REFUSED, OUT_LOST, OUT_AWAY, OUT_FULL, OUT_ORPHAN, OUT_N };

#define COMMANDS(outcome)                                                            \
    METRIC(METRIC_COUNTER, "parley_redis_commands_total", "outcome=\"" outcome "\"", \
           "Commands for Redis by outcome; orphan = the answer came after its waiter had left.")
static struct metric commands[OUT_N] = {
    [OUT_OK] = COMMANDS("ok"),     [OUT_REFUSED] = COMMANDS("refused"),
    [OUT_LOST] = COMMANDS("lost"), [OUT_AWAY] = COMMANDS("unavailable"),
    [OUT_FULL] = COMMANDS("full"), [OUT_ORPHAN] = COMMANDS("orphan"),
};
static struct metric in_flight_gauge =
    METRIC(METRIC_GAUGE, "parley_redis_in_flight", "", "Commands sent to Redis and not answered.");

/* One command. With a script, what it takes to send it again as EVAL follows in args. */
struct call {
    struct list link;
    struct redis *r;
    struct op *op; /* NULL: the waiter has left, or there never was one */
    bool waited;
    struct redis_reply *ret;
    uint64_t deadline_ms;
    size_t n_bytes;
    struct redis_script *script;
    size_t n_keys, n_args;
    struct str args[]; /* keys, then arguments; their bytes behind */
};

/* The words of one command as hiredis wants them. */
struct words {
    const char *p[REDIS_ARGS_MAX + EVAL_HEAD];
    size_t n_bytes[REDIS_ARGS_MAX + EVAL_HEAD];
    int n;
    size_t total_bytes;
};

struct words_int {
    char text[24];
};

static void op_dropped(struct op *op)
{
    struct call *call = op->impl;
    call->op = NULL;
}

static const struct op_kind op_cmd = { .name = "redis.cmd", .drop = op_dropped };

static void words_add(struct words *w, struct str s)
{
    w->p[w->n] = s.p;
    w->n_bytes[w->n++] = s.n;
    w->total_bytes += s.n;
}

static void words_add_all(struct words *w, const struct str *v, size_t n)
{
    for (size_t i = 0; i < n; i++) words_add(w, v[i]);
}

static struct words_int words_int(size_t value)
{
    struct words_int n;

    snprintf(n.text, sizeof(n.text), "%zu", value);
    return n;
}

static void call_unlink(struct call *call)
{
    struct redis *r = call->r;

    list_drop(&call->link);
    r->n_in_flight--;
    r->in_flight_bytes -= call->n_bytes;
    metric_set(&in_flight_gauge, (double)r->n_in_flight);
}

/* After a stall of ours the connection's timer may run before the op's own. */
static enum err_kind lost_kind(const struct call *call)
{
    bool late = call->r->cmd.why.kind == ERR_TIMEOUT && clock_ms() >= call->deadline_ms;
    return late ? ERR_TIMEOUT : ERR_UNKNOWN;
}

static void call_end(struct call *call, const redisReply *reply)
{
    enum outcome outcome = !reply                             ? OUT_LOST
                           : reply->type == REDIS_REPLY_ERROR ? OUT_REFUSED
                                                              : OUT_OK;

    if (!call->op) {
        if (call->waited) outcome = OUT_ORPHAN, op_orphans++;
    } else if (outcome == OUT_LOST) {
        op_failf(call->op, lost_kind(call), "%s", call->r->cmd.why.msg);
    } else if (outcome == OUT_REFUSED) {
        op_failf(call->op, ERR_REFUSED, "redis: %s", reply->str);
    } else {
        if (call->ret) redis_reply_copy(reply, call->ret);
        op_finish(call->op);
    }
    metric_add(&commands[outcome], 1);
    free(call);
}

static bool call_send(struct call *call, const struct words *w);

static bool is_noscript(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ERROR &&
           str_starts(str_from(reply->str, reply->len), STR("NOSCRIPT"));
}

static void words_add_eval(struct words *w, const char *verb, const char *script,
                           struct words_int *n_keys)
{
    words_add(w, str_of(verb));
    words_add(w, str_of(script));
    words_add(w, str_of(n_keys->text));
}

/* The server has forgotten the script: send its text, once. */
static bool call_resend(struct call *call)
{
    struct words_int n_keys = words_int(call->n_keys);
    struct words w = { .n = 0 };

    words_add_eval(&w, "EVAL", call->script->lua, &n_keys);
    words_add_all(&w, call->args, call->n_args);
    call->script = NULL;
    return call_send(call, &w);
}

static void on_reply(redisAsyncContext *ac, void *reply, void *arg)
{
    struct call *call = arg;

    (void)ac;
    call_unlink(call);
    if (call->script && is_noscript(reply) && call_resend(call)) return;
    call_end(call, reply);
}

/* False: the connection is being given up. */
static bool call_send(struct call *call, const struct words *w)
{
    struct redis *r = call->r;

    if (redisAsyncCommandArgv(r->cmd.ac, on_reply, call, w->n, (const char **)w->p, w->n_bytes))
        return false;
    call->n_bytes = w->total_bytes;
    call->deadline_ms = clock_ms() + r->command_timeout_ms;
    list_push(&r->in_flight, &call->link);
    r->n_in_flight++;
    r->in_flight_bytes += call->n_bytes;
    metric_set(&in_flight_gauge, (double)r->n_in_flight);
    /* One timer that runs out and looks again, instead of one a command. */
    if (!timer_armed(&r->oldest)) timer_set(r->loop, &r->oldest, r->command_timeout_ms);
    return true;
}

static void on_oldest(struct timer *t)
{
    struct redis *r = container_of(t, struct redis, oldest);
    struct err why = ERR_INIT;

    if (list_empty(&r->in_flight)) return;
    uint64_t deadline = list_first(&r->in_flight, struct call, link)->deadline_ms;
    uint64_t now = clock_ms();
    if (now < deadline) {
        timer_set(r->loop, t, deadline - now);
        return;
    }
    err_set(&why, ERR_TIMEOUT, "redis: no answer within %" PRIu64 " ms", r->command_timeout_ms);
    redis_conn_drop(&r->cmd, &why);
}

static bool refused(struct redis *r, struct op *op, size_t n_bytes)
{
    struct err why = ERR_INIT;

    if (!redis_is_up(r))
        err_set(&why, ERR_IO, "%s", r->cmd.why.msg);
    else if (r->n_in_flight >= r->queue_max || r->in_flight_bytes + n_bytes > IN_FLIGHT_BYTES_MAX)
        err_set(&why, ERR_LIMIT, "redis: %" PRId64 " commands are in flight", r->n_in_flight);
    if (!why.kind) return false;
    metric_add(&commands[why.kind == ERR_IO ? OUT_AWAY : OUT_FULL], 1);
    if (op) {
        op_begin(op, &op_cmd, NULL, r->command_timeout_ms);
        op_fail(op, &why);
    }
    return true;
}

/* call: with script and args set, or all zero */
static void call_begin(struct redis *r, struct op *op, struct call *call, struct redis_reply *ret,
                       const struct words *w)
{
    call->r = r;
    call->ret = ret;
    if (op) {
        op_begin(op, &op_cmd, call, r->command_timeout_ms);
        call->op = op;
        call->waited = true;
    }
    if (!call_send(call, w)) call_end(call, NULL);
}

static void redis_run(struct redis *r, struct op *op, const struct str *args, size_t n,
                      struct redis_reply *ret)
{
    struct words w = { .n = 0 };

    assert(n > 0 && n <= REDIS_ARGS_MAX);
    words_add_all(&w, args, n);
    if (!refused(r, op, w.total_bytes)) call_begin(r, op, mem_new(struct call), ret, &w);
}

void redis_cmd(struct redis *r, struct op *op, const struct str *args, size_t n,
               struct redis_reply *ret)
{
    redis_run(r, op, args, n, ret);
}

void redis_send(struct redis *r, const struct str *args, size_t n)
{
    redis_run(r, NULL, args, n, NULL);
}

static void script_hash(struct redis_script *script)
{
    unsigned char sum[EVP_MAX_MD_SIZE];

    if (!EVP_Digest(script->lua, strlen(script->lua), sum, NULL, EVP_sha1(), NULL)) abort();
    for (size_t i = 0; i < 20; i++)
        snprintf(script->sha1 + 2 * i, sizeof(script->sha1) - 2 * i, "%02x", sum[i]);
}

/* A record with a copy of the words behind the head, should the server have forgotten the script.
 */
static struct call *call_with_script(struct redis_script *script, const struct words *w,
                                     size_t n_keys)
{
    size_t n = (size_t)w->n - EVAL_HEAD;
    struct call *call = mem_alloc(sizeof(*call) + n * sizeof(struct str) + w->total_bytes);
    char *bytes = (char *)&call->args[n];

    call->script = script;
    call->n_keys = n_keys;
    call->n_args = n;
    for (size_t i = 0; i < n; i++) {
        size_t n_bytes = w->n_bytes[EVAL_HEAD + i];
        if (n_bytes) memcpy(bytes, w->p[EVAL_HEAD + i], n_bytes);
        call->args[i] = str_from(bytes, n_bytes);
        bytes += n_bytes;
    }
    return call;
}

void redis_eval(struct redis *r, struct op *op, struct redis_script *script, const struct str *keys,
                size_t n_keys, const struct str *args, size_t n_args, struct redis_reply *ret)
{
    bool known = script->known_to == r->connection;
    struct words_int n_keys_text = words_int(n_keys);
    struct words w = { .n = 0 };

    assert(n_keys + n_args <= REDIS_ARGS_MAX);
    if (!script->sha1[0]) script_hash(script);
    words_add_eval(&w, known ? "EVALSHA" : "EVAL", known ? script->sha1 : script->lua,
                   &n_keys_text);
    words_add_all(&w, keys, n_keys);
    words_add_all(&w, args, n_args);
    if (refused(r, op, w.total_bytes)) return;
    script->known_to = r->connection;
    call_begin(r, op, known ? call_with_script(script, &w, n_keys) : mem_new(struct call), ret, &w);
}

static void on_up(struct redis_conn *c)
{
    static uint64_t connections;
    struct redis *r = c->owner;

    r->connection = ++connections;
    if (r->on_change) r->on_change(r->ctx, NULL);
}

static void on_down(struct redis_conn *c)
{
    struct redis *r = c->owner;

    timer_clear(r->loop, &r->oldest);
    if (r->on_change) r->on_change(r->ctx, &c->why);
}

static void on_closed(struct redis_conn *c)
{
    struct redis *r = c->owner;

    if (--r->n_conns) return;
    redis_target_done(&r->target);
    redis_tls_free(r->tls);
    free(r);
}

static void conn_init(struct redis_conn *c, struct redis *r, const struct redis_conf *conf)
{
    c->loop = r->loop;
    c->target = &r->target;
    c->tls = r->tls;
    c->connect_timeout_ms = (uint64_t)conf->connect_timeout_ms;
    c->owner = r;
    c->on_closed = on_closed;
}

static enum err_kind read_conf(struct redis *r, const struct redis_conf *conf, struct err *why)
{
    if (redis_url_parse(conf->url, &r->target, why)) return ERR_CONF;
    if (conf->password && *conf->password) {
        free(r->target.password);
        r->target.password = mem_dup(str_of(conf->password));
    }
    log_secret(str_of(r->target.password));
    if (!r->target.tls) return ERR_NONE;
    return redis_tls_new(conf, r->target.host, &r->tls, why);
}

enum err_kind redis_open(struct loop *loop, const struct redis_conf *conf, struct redis **ret,
                         struct err *why)
{
    struct redis *r = mem_new(struct redis);

    if (read_conf(r, conf, why)) {
        redis_target_done(&r->target);
        free(r);
        return ERR_CONF;
    }
    r->loop = loop;
    r->command_timeout_ms = (uint64_t)conf->command_timeout_ms;
    r->queue_max = conf->queue_max;
    r->oldest.fire = on_oldest;
    list_init(&r->in_flight);
    conn_init(&r->cmd, r, conf);
    conn_init(&r->sub, r, conf);
    r->cmd.on_up = on_up;
    r->cmd.on_down = on_down;
    redis_sub_init(r);
    r->n_conns = 1;
    redis_conn_open(&r->cmd);
    for (size_t i = 0; i < OUT_N; i++) metric_add(&commands[i], 0);
    *ret = r;
    return ERR_NONE;
}

void redis_close(struct redis *r)
{
    r->on_change = NULL;
    redis_sub_close(r);
    timer_clear(r->loop, &r->oldest);
    redis_conn_close(&r->cmd); /* last: may free r */
}

bool redis_is_up(const struct redis *r)
{
    return redis_conn_is_up(&r->cmd);
}

uint64_t redis_timeout_ms(const struct redis *r)
{
    return r->command_timeout_ms;
}

struct loop *redis_loop(const struct redis *r)
{
    return r->loop;
}

void redis_watch(struct redis *r, void (*on_change)(void *ctx, const struct err *why), void *ctx)
{
    r->on_change = on_change;
    r->ctx = ctx;
}
