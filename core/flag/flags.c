/*
 * flags: see flags.h. One question to PostgreSQL at a time; a change that is told while one is
 * under way is asked for once more. A long answer is read on another thread.
 */
#include "core/flag/flags.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/cache/feature.h"
#include "core/flag/rule.h"
#include "core/loop/work.h"
#include "core/loop/work_json.h"
#include "core/store/flag.h"
#include <inttypes.h>

#define POLL_MS      5000
#define READ_MS      60000
#define START_MS     60000
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
    struct loop *loop;
    struct store *store;
    struct redis *redis;
    int64_t revision; /* 0: nothing is known */
    struct op op, work;
    struct op *starting; /* the caller's, of flags_start; NULL = done */
    struct pg_rows rows;
    struct reading *reading;
    struct timer poll;
    struct redis_sub pushes;
    struct buf registry; /* JSON, for the database */
    bool again;          /* changed while it was being asked for */
    bool told;           /* this look is because somebody said so */
    bool failing;        /* said so */
    bool registering;    /* the op under way is not for what is set */
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

/* ---- loading ---- */

static void reading_free(void *arg)
{
    struct reading *r = arg;
    buf_done(&r->text);
    flag_table_free(r->table);
    free(r);
}

static void ask(struct live *f, bool told)
{
    f->again = false;
    f->told = told;
    timer_clear(f->loop, &f->poll);
    store_flags(f->store, &f->op, f->revision, &f->rows);
}

/* It is through, well or not: when to ask again. */
static void rest(struct live *f, const struct err *why)
{
    struct op *starting = f->starting;
    bool failed = why && why->kind;
    f->starting = NULL;
    if (starting && failed) {
        op_fail(starting, why);
        return;
    }
    if (failed && !f->failing)
        log_warn("flags", "not looked at, what is known stays in force", "text=%s",
                 log_quote(str_of(why->msg)));
    f->failing = failed;
    if (starting) {
        redis_subscribe(f->redis, &f->pushes);
        op_finish(starting);
    }
    if (f->flags.table) write_hashes(f);
    if (f->again && !failed)
        ask(f, true);
    else
        timer_set(f->loop, &f->poll, POLL_MS);
}

static void take_table(struct live *f)
{
    struct reading *r = f->reading;
    struct err why = r->why;
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
    reading_free(r);
    rest(f, &why);
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
    rest(f, &op->err);
}

static void on_rows(struct op *op)
{
    struct live *f = container_of(op, struct live, op);
    if (f->registering && op->err.kind == ERR_NONE) {
        f->registering = false;
        ask(f, false);
        return;
    }
    if (op->err.kind || f->rows.n == 0 || pg_rows_null(&f->rows, 0, 1)) {
        pg_rows_done(&f->rows);
        rest(f, &op->err);
        return;
    }
    struct str text = pg_rows_str(&f->rows, 0, 1);
    struct reading *r = f->reading = mem_new(struct reading);
    r->revision = pg_rows_i64(&f->rows, 0, 0);
    buf_init(&r->text, text.n + 1);
    buf_add(&r->text, text);
    pg_rows_done(&f->rows);
    metric_add(f->told ? &m_pushed : &m_polled, 1);
    if (r->text.n >= WORK_JSON_BYTES) {
        work_run(&f->work, read_table, r, reading_free, READ_MS);
    } else {
        read_table(r);
        take_table(f);
    }
}

static void on_poll(struct timer *timer)
{
    ask(container_of(timer, struct live, poll), false);
}

/* Also after each (re)connect: something may have been said meanwhile. */
static void on_push(struct redis_sub *sub, struct str payload)
{
    struct live *f = container_of(sub, struct live, pushes);
    (void)payload;
    if (op_busy(&f->op) || op_busy(&f->work))
        f->again = true;
    else
        ask(f, true);
}

/* ---- registering ---- */

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

static void write_registry(struct buf *to)
{
    struct json_out o = JSON_OUT(to);
    json_open(&o, '[');
    for (size_t i = 0; i < FLAG_N; i++) put_spec(&o, &flag_specs[i]);
    json_close(&o, ']');
}

/* ---- public ---- */

static struct live *live_of(const struct flags *flags)
{
    return container_of(flags, struct live, flags);
}

struct flags *flags_open(struct loop *loop, struct store *store, struct redis *redis)
{
    struct live *f = mem_new(struct live);
    f->loop = loop;
    f->store = store;
    f->redis = redis;
    f->poll.fire = on_poll;
    f->pushes = (struct redis_sub){ .channel = FLAGS_CHANNEL, .on_message = on_push };
    list_init(&f->pushes.link);
    op_init(&f->op, loop, on_rows);
    op_init(&f->work, loop, on_read);
    buf_init(&f->registry, REGISTRY_MAX);
    write_registry(&f->registry);
    return &f->flags;
}

static void stop(struct live *f)
{
    f->starting = NULL;
    timer_clear(f->loop, &f->poll);
    op_cancel(&f->op);
    op_cancel(&f->work); /* which frees what is being read */
    f->reading = NULL;
    pg_rows_done(&f->rows);
}

static void start_drop(struct op *op)
{
    stop(op->impl);
}

static const struct op_kind start_kind = { "flags.start", start_drop };

void flags_start(struct flags *flags, struct op *op)
{
    struct live *f = live_of(flags);
    f->starting = op;
    f->registering = true;
    op_begin(op, &start_kind, f, START_MS);
    store_flags_register(f->store, &f->op, buf_str(&f->registry), STR(PARLEY_VERSION));
}

void flags_close(struct flags *flags)
{
    struct live *f = flags ? live_of(flags) : NULL;
    if (!f) return;
    redis_unsubscribe(f->redis, &f->pushes);
    stop(f);
    flag_table_free(f->flags.table);
    buf_done(&f->registry);
    free(f);
}

int64_t flags_revision(const struct flags *flags)
{
    return live_of(flags)->revision;
}
