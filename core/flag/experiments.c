/* experiments: see experiments.h. */
#include "core/flag/experiments.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/cache/ab_test.h"
#include "core/cache/watch.h"
#include "core/store/experiment.h"

struct experiments {
    struct store *store;
    struct redis *redis;
    struct experiment_set set;
    struct watch watch;
    struct op guard;
    struct pg_rows rows, ended;
};

static struct metric m_running = METRIC(METRIC_GAUGE, "parley_experiments_running", "",
                                        "Experiments that this process takes part in.");
static struct metric m_ended =
    METRIC(METRIC_COUNTER, "parley_experiments_ended_total", "",
           "Experiments that were ended because a variant was clearly worse.");

/* ---- loading ---- */

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
    bool ended = x->ended.n > 0;
    pg_rows_done(&x->ended);
    if (ended) watch_look(&x->watch); /* Redis may be away */
}

/* ---- looking ---- */

static void look(struct watch *w)
{
    struct experiments *x = container_of(w, struct experiments, watch);
    store_experiments(x->store, &w->op, &x->rows);
}

/* Every five seconds, but not at each push: whether one is to be ended. */
static void seen(struct watch *w)
{
    struct experiments *x = container_of(w, struct experiments, watch);
    take_rows(x);
    if (x->set.n && !w->told && !op_busy(&x->guard))
        store_experiments_guard(x->store, &x->guard, &x->ended);
}

/* ---- public ---- */

struct experiments *experiments_open(struct loop *loop, struct store *store, struct redis *redis)
{
    struct experiments *x = mem_new(struct experiments);
    x->store = store;
    x->redis = redis;
    x->watch = (struct watch){ .name = "experiments", .look = look, .seen = seen };
    arena_init(&x->set.arena);
    op_init(&x->guard, loop, on_guard);
    return x;
}

void experiments_start(struct experiments *x, struct op *op)
{
    watch_start(&x->watch, x->redis, EXPERIMENTS_CHANNEL, WATCH_EVERY_MS);
    watch_load(&x->watch, op);
}

void experiments_close(struct experiments *x)
{
    if (!x) return;
    watch_stop(&x->watch);
    op_cancel(&x->guard);
    pg_rows_done(&x->rows);
    pg_rows_done(&x->ended);
    arena_done(&x->set.arena);
    free(x);
}

const struct experiment_set *experiments_set(const struct experiments *x)
{
    return &x->set;
}
