/*
 * experiments: see experiments.h. One question to PostgreSQL at a time: what runs, then, when it
 * was time for it, whether one is to be ended.
 */
#include "core/flag/experiments.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/cache/ab_test.h"
#include "core/net/redis.h"
#include "core/store/experiment.h"

#define POLL_MS  5000
#define START_MS 60000

struct experiments {
    struct loop *loop;
    struct store *store;
    struct redis *redis;
    struct experiment_set set;
    struct op op, guard;
    struct op *starting; /* the caller's, of experiments_start; NULL = done */
    struct pg_rows rows, ended;
    struct timer poll;
    struct redis_sub pushes;
    bool again;   /* changed while it was being asked for */
    bool failing; /* said so */
};

static struct metric m_running = METRIC(METRIC_GAUGE, "parley_experiments_running", "",
                                        "Experiments that this process takes part in.");
static struct metric m_ended =
    METRIC(METRIC_COUNTER, "parley_experiments_ended_total", "",
           "Experiments that were ended because a variant was clearly worse.");

/* ---- loading ---- */

static void ask(struct experiments *x)
{
    x->again = false;
    timer_clear(x->loop, &x->poll);
    store_experiments(x->store, &x->op, &x->rows);
}

static void rest(struct experiments *x)
{
    if (x->again)
        ask(x);
    else
        timer_set(x->loop, &x->poll, POLL_MS);
}

static void take_row(struct experiments *x, int i)
{
    const struct pg_rows *rows = &x->rows;
    struct err why = ERR_INIT;
    const struct ab_test t = { .name = pg_rows_str(rows, i, 0),
                               .running = pg_rows_bool(rows, i, 1),
                               .unit = pg_rows_str(rows, i, 2),
                               .variants = pg_rows_str(rows, i, 3),
                               .salt = pg_rows_str(rows, i, 4),
                               .version = pg_rows_i64(rows, i, 5) };
    cache_ab_test_put(x->redis, &t);
    if (!t.running || x->set.n == EXPERIMENTS_MAX) return;
    if (experiment_read(&x->set.arena, t.name, t.salt, str_eq(t.unit, STR("person")), t.variants,
                        &x->set.v[x->set.n], &why))
        log_debug("experiments", "not understood, left to others", "experiment=%.*s text=%s",
                  STR_ARG(t.name), log_quote(str_of(why.msg)));
    else
        x->set.n++;
}

static void take_rows(struct experiments *x)
{
    arena_done(&x->set.arena);
    arena_init(&x->set.arena);
    x->set.n = 0;
    x->set.v = arena_new_array(&x->set.arena, struct experiment, EXPERIMENTS_MAX);
    for (int i = 0; i < x->rows.n; i++) take_row(x, i);
    metric_set(&m_running, (double)x->set.n);
    pg_rows_done(&x->rows);
}

static void on_rows(struct op *op)
{
    struct experiments *x = container_of(op, struct experiments, op);
    struct op *starting = x->starting;
    bool failed = op->err.kind != ERR_NONE;
    x->starting = NULL;
    if (failed && starting) {
        op_fail(starting, &op->err);
        return;
    }
    if (failed && !x->failing)
        log_warn("experiments", "not looked at, what is known goes on", "text=%s",
                 log_quote(str_of(op->err.msg)));
    x->failing = failed;
    if (!failed) take_rows(x);
    if (starting) {
        redis_unsubscribe(x->redis, &x->pushes); /* of an earlier start */
        redis_subscribe(x->redis, &x->pushes);
        op_finish(starting);
    }
    rest(x);
}

/* ---- the stop rule ---- */

static void on_guard(struct op *op)
{
    struct experiments *x = container_of(op, struct experiments, guard);
    if (op->err.kind)
        log_warn("experiments", "not guarded, trying again", "text=%s",
                 log_quote(str_of(op->err.msg)));
    for (int i = 0; op->err.kind == ERR_NONE && i < x->ended.n; i++) {
        metric_add(&m_ended, 1);
        log_warn("experiments", "a variant is clearly worse, everybody gets the control",
                 "experiment=%.*s variant=%.*s why=%s", STR_ARG(pg_rows_str(&x->ended, i, 0)),
                 STR_ARG(pg_rows_str(&x->ended, i, 1)), log_quote(pg_rows_str(&x->ended, i, 2)));
        redis_publish(x->redis, EXPERIMENTS_CHANNEL, pg_rows_str(&x->ended, i, 0));
    }
    pg_rows_done(&x->ended);
    ask(x);
}

static void on_poll(struct timer *timer)
{
    struct experiments *x = container_of(timer, struct experiments, poll);
    if (x->set.n)
        store_experiments_guard(x->store, &x->guard, &x->ended);
    else
        ask(x);
}

/* Also after each (re)connect: something may have been said meanwhile, and Redis may be empty. */
static void on_push(struct redis_sub *sub, struct str payload)
{
    struct experiments *x = container_of(sub, struct experiments, pushes);
    (void)payload;
    if (op_busy(&x->guard)) return; /* it is asked for after that */
    if (op_busy(&x->op))
        x->again = true;
    else
        ask(x);
}

/* ---- life ---- */

struct experiments *experiments_open(struct loop *loop, struct store *store, struct redis *redis)
{
    struct experiments *x = mem_new(struct experiments);
    x->loop = loop;
    x->store = store;
    x->redis = redis;
    x->poll.fire = on_poll;
    x->pushes = (struct redis_sub){ .channel = EXPERIMENTS_CHANNEL, .on_message = on_push };
    list_init(&x->pushes.link);
    arena_init(&x->set.arena);
    op_init(&x->op, loop, on_rows);
    op_init(&x->guard, loop, on_guard);
    return x;
}

static void stop(struct experiments *x)
{
    x->starting = NULL;
    timer_clear(x->loop, &x->poll);
    op_cancel(&x->op);
    op_cancel(&x->guard);
    pg_rows_done(&x->rows);
    pg_rows_done(&x->ended);
}

static void start_drop(struct op *op)
{
    stop(op->impl);
}

static const struct op_kind start_kind = { "experiments.start", start_drop };

void experiments_start(struct experiments *x, struct op *op)
{
    stop(x);
    x->starting = op;
    op_begin(op, &start_kind, x, START_MS);
    ask(x);
}

void experiments_close(struct experiments *x)
{
    if (!x) return;
    redis_unsubscribe(x->redis, &x->pushes);
    stop(x);
    arena_done(&x->set.arena);
    free(x);
}

const struct experiment_set *experiments_set(const struct experiments *x)
{
    return &x->set;
}
