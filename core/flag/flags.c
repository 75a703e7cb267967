/*
 * flags: see flags.h. Before the first look the registry is written. A long answer is read on
 * another thread.
 */
#include "core/flag/flags.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/cache/feature.h"
#include "core/cache/watch.h"
#include "core/flag/json.h"
#include "core/flag/rule.h"
#include "core/loop/work.h"
#include "core/loop/work_json.h"
#include "core/store/flag.h"
#include <inttypes.h>

#define LOOK_MS      60000
#define READ_MS      60000
#define REGISTRY_MAX 65536
#define HASHES_MAX   ((size_t)1024 * 1024)

/* A document on its way to be a table; the thread's while it is read there. */
struct reading {
    struct buf text;
    int64_t revision;
    struct flag_table *table;
    struct err why;
};

struct live {
    struct flags flags; /* what look-ups see; table NULL: nothing is set */
    struct store *store;
    struct redis *redis;
    int64_t revision; /* 0: nothing is known */
    struct watch watch;
    struct op op, work; /* of the look under way */
    struct pg_rows rows;
    struct reading *reading;
    struct buf registry; /* JSON, on its way to the database */
    bool registered;
};

static struct metric m_revision = METRIC(METRIC_GAUGE, "parley_flags_revision", "",
                                         "Which change of the flags is in force here.");
static struct metric m_pushed =
    METRIC(METRIC_COUNTER, "parley_flags_loads_total", "cause=\"push\"",
           "Changes of the flags that were loaded, by what told of them.");
static struct metric m_polled =
    METRIC(METRIC_COUNTER, "parley_flags_loads_total", "cause=\"poll\"",
           "Changes of the flags that were loaded, by what told of them.");

/* ---- what others read ---- */

static void write_hashes(struct live *f)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(HASHES_MAX);
    flag_json_features(f->flags.table, &b);
    if (!b.full)
        cache_features_put(f->redis, f->revision, flag_table_since(f->flags.table, clock_wall_ms()),
                           buf_str(&b));
}

static void write_registry(struct live *f)
{
    buf_init(&f->registry, REGISTRY_MAX);
    flag_json_registry(&f->registry);
    store_flags_register(f->store, &f->op, buf_str(&f->registry), STR(PARLEY_VERSION));
}

/* ---- loading ---- */

static void reading_free(void *arg)
{
    struct reading *r = arg;
    buf_done(&r->text);
    flag_table_free(r->table);
    free(r);
}

/* The look is through, well or not. */
static void look_end(struct live *f, const struct err *why)
{
    if (why->kind)
        op_fail(&f->watch.op, why);
    else
        op_finish(&f->watch.op);
}

static void take_table(struct live *f)
{
    struct reading *r = f->reading;
    if (r->table) {
        flag_table_free(f->flags.table);
        f->flags.table = r->table;
        f->revision = r->revision;
        r->table = NULL;
        metric_set(&m_revision, (double)f->revision);
        log_info("flags", "loaded", "revision=%" PRId64 " ignored=%u", f->revision,
                 f->flags.table->n_ignored);
    }
    f->reading = NULL;
    look_end(f, &r->why);
    reading_free(r);
}

static void read_table(void *arg)
{
    struct reading *r = arg;
    r->table = flag_table_parse(buf_str(&r->text), &r->why);
}

static void on_read(struct op *op)
{
    struct live *f = container_of(op, struct live, work);
    if (op->err.kind == ERR_NONE) {
        take_table(f);
        return;
    }
    if (op->err.kind != ERR_TIMEOUT) reading_free(f->reading); /* else it is freed by the thread */
    f->reading = NULL;
    look_end(f, &op->err);
}

static void on_rows(struct op *op)
{
    struct live *f = container_of(op, struct live, op);
    if (op->err.kind || f->rows.n == 0 || pg_rows_null(&f->rows, 0, 1)) {
        pg_rows_done(&f->rows);
        look_end(f, &op->err);
        return;
    }
    struct str text = pg_rows_str(&f->rows, 0, 1);
    struct reading *r = f->reading = mem_new(struct reading);
    r->revision = pg_rows_i64(&f->rows, 0, 0);
    buf_init(&r->text, text.n + 1);
    buf_add(&r->text, text);
    pg_rows_done(&f->rows);
    metric_add(f->watch.told ? &m_pushed : &m_polled, 1);
    if (r->text.n >= WORK_JSON_BYTES) {
        work_run(&f->work, read_table, r, reading_free, READ_MS);
    } else {
        read_table(r);
        take_table(f);
    }
}

static void ask(struct live *f)
{
    store_flags(f->store, &f->op, f->revision, &f->rows);
}

static void on_op(struct op *op)
{
    struct live *f = container_of(op, struct live, op);
    buf_done(&f->registry);
    if (f->registered || op->err.kind) {
        on_rows(op);
        return;
    }
    f->registered = true;
    ask(f);
}

static void look_drop(struct op *op)
{
    struct live *f = op->impl;
    op_cancel(&f->op);
    op_cancel(&f->work); /* which frees what is being read */
    f->reading = NULL;
    buf_done(&f->registry);
    pg_rows_done(&f->rows);
}

static const struct op_kind look_kind = { "flags.look", look_drop };

static void look(struct watch *w)
{
    struct live *f = container_of(w, struct live, watch);
    op_begin(&w->op, &look_kind, f, LOOK_MS);
    if (f->registered)
        ask(f);
    else
        write_registry(f);
}

static void seen(struct watch *w)
{
    struct live *f = container_of(w, struct live, watch);
    if (f->flags.table) write_hashes(f);
}

/* ---- public ---- */

static struct live *live_of(const struct flags *flags)
{
    return container_of(flags, struct live, flags);
}

struct flags *flags_open(struct loop *loop, struct store *store, struct redis *redis)
{
    struct live *f = mem_new(struct live);
    f->store = store;
    f->redis = redis;
    f->watch = (struct watch){ .name = "flags", .look = look, .seen = seen };
    op_init(&f->op, loop, on_op);
    op_init(&f->work, loop, on_read);
    return &f->flags;
}

void flags_start(struct flags *flags, struct op *op)
{
    struct live *f = live_of(flags);
    watch_start(&f->watch, f->redis, FLAGS_CHANNEL, WATCH_EVERY_MS);
    watch_load(&f->watch, op);
}

void flags_close(struct flags *flags)
{
    struct live *f = flags ? live_of(flags) : NULL;
    if (!f) return;
    watch_stop(&f->watch);
    flag_table_free(f->flags.table);
    free(f);
}

int64_t flags_revision(const struct flags *flags)
{
    return live_of(flags)->revision;
}
