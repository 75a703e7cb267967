/*
 * flags: see flags.h. Before the first look the registry is written. A long answer is read on
 * another thread.
 */
#include "core/flag/flags.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/cache/feature.h"
#include "core/cache/watch.h"
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

/* ---- for other programs ---- */

static void put_flags(struct json_out *o, const struct flag_table *t, const struct flag_who *who)
{
    json_open(o, '{');
    for (enum flag_id id = 0; id < FLAG_N; id++) {
        struct flag_why why;
        const struct flag_value *v = flag_table_find(t, id, who, &why);
        char number[24];
        if (!v->set || (who && why.by != FLAG_BY_TYPE)) continue;
        snprintf(number, sizeof number, "%" PRId64, v->number);
        const char *word = flag_specs[id].type == FLAG_TEXT     ? v->text
                           : flag_specs[id].type == FLAG_NUMBER ? number
                           : v->number                          ? "true"
                                                                : "false";
        json_field_str(o, flag_specs[id].name, str_of(word));
    }
    json_close(o, '}');
}

/* Whether no rule before this one is about the same type of channel. */
static bool is_first(const struct flag_table *t, unsigned id, size_t i)
{
    const unsigned level = FLAG_BY_TYPE - FLAG_BY_PERSON;
    struct str type = t->v[id].level[level].v[i].channel_type;
    for (unsigned k = 0; k <= id; k++)
        for (size_t j = 0; j < (k < id ? t->v[k].level[level].n : i); j++)
            if (str_eq(t->v[k].level[level].v[j].channel_type, type)) return false;
    return true;
}

static void put_types(struct json_out *o, const struct flag_table *t)
{
    const unsigned level = FLAG_BY_TYPE - FLAG_BY_PERSON;
    json_open(o, '{');
    for (unsigned id = 0; id < FLAG_N; id++)
        for (size_t i = 0; i < t->v[id].level[level].n; i++) {
            struct flag_who who = { .channel_type = t->v[id].level[level].v[i].channel_type };
            if (!is_first(t, id, i)) continue;
            flag_who_ready(&who);
            json_key(o, who.channel_type.p); /* a C string, too */
            put_flags(o, t, &who);
        }
    json_close(o, '}');
}

static void write_hashes(struct live *f)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(HASHES_MAX);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    json_key(&o, "global");
    put_flags(&o, f->flags.table, NULL);
    json_key(&o, "channel");
    put_types(&o, f->flags.table);
    json_close(&o, '}');
    if (!b.full)
        cache_features_put(f->redis, f->revision, flag_table_since(f->flags.table, clock_wall_ms()),
                           buf_str(&b));
}

/* ---- the registry ---- */

static void put_value(struct json_out *o, const struct flag_spec *s)
{
    if (!s->def.set) return;
    json_key(o, "def");
    if (s->type == FLAG_BOOLEAN)
        json_put_bool(o, s->def.number);
    else if (s->type == FLAG_NUMBER)
        json_put_i64(o, s->def.number);
    else
        json_put_str(o, str_of(s->def.text));
}

static void put_spec(struct json_out *o, const struct flag_spec *s)
{
    json_open(o, '{');
    json_field_str(o, "name", str_of(s->name));
    json_field_str(o, "type", str_of(flag_type_words[s->type]));
    json_field_str(o, "reach", str_of(flag_reach_words[s->reach]));
    json_field_str(o, "help", str_of(s->help));
    put_value(o, s);
    if (s->min || s->max) {
        json_field_i64(o, "min", s->min);
        json_field_i64(o, "max", s->max);
    }
    if (s->words) {
        json_key(o, "words");
        json_open(o, '[');
        for (size_t i = 0; s->words[i]; i++) json_put_str(o, str_of(s->words[i]));
        json_close(o, ']');
    }
    json_close(o, '}');
}

static void put_registry(struct buf *to)
{
    struct json_out o = JSON_OUT(to);
    json_open(&o, '[');
    for (size_t i = 0; i < FLAG_N; i++) put_spec(&o, &flag_specs[i]);
    json_close(&o, ']');
}

static void write_registry(struct live *f)
{
    buf_init(&f->registry, REGISTRY_MAX);
    put_registry(&f->registry);
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
