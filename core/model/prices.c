/* prices: see prices.h. */
#include "core/model/prices.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/model/models.h"
#include "core/store/price.h"

#define AGAIN_MS   60000
#define SOON_MS    1000 /* PostgreSQL is not there yet */
#define NAMES_MAX  65536
#define CONF_SCALE 9 /* dollars a million tokens -> nano */

struct prices {
    struct loop *loop;
    struct store *store;
    struct timer timer;
    struct op op;
    struct arena arena; /* of the op's arguments */
    struct pg_rows rows;
    bool read;
    bool incomplete; /* a model has come that the question under way does not name */
    struct list entries;
};

struct price_entry {
    struct list link;
    const struct model *model;
    struct price price;
};

static const struct price unknown = { .known = false };

/* ---- of the configuration ---- */

static bool read_own(const char *text, int64_t *to)
{
    return !*text || (price_decimal(str_of(text), CONF_SCALE, to) && *to <= PRICE_MAX);
}

enum err_kind prices_check(const struct model *m, const char **ret_key, struct err *why)
{
    const struct {
        const char *key, *text;
    } own[] = { { "input_price", m->input_price },
                { "output_price", m->output_price },
                { "cached_price", m->cached_price } };
    for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
        int64_t rate;
        *ret_key = own[i].key;
        if (!read_own(own[i].text, &rate))
            return err_set(why, ERR_CONF,
                           "not a number of dollars a million tokens, like \"2.50\"");
    }
    *ret_key = "output_price";
    if (!*m->input_price != !*m->output_price)
        return err_set(why, ERR_CONF, "input_price and output_price go together");
    return ERR_NONE;
}

static bool own_price(const struct model *m, struct price *ret)
{
    static const struct price_rates none = { 0, 0, PRICE_SAME, PRICE_SAME, PRICE_SAME };
    *ret = (struct price){ .known = true, .base = none, .version = "configuration" };
    if (*m->input_price) {
        read_own(m->input_price, &ret->base.input);
        read_own(m->output_price, &ret->base.output);
        read_own(m->cached_price, &ret->base.cached);
        return true;
    }
    snprintf(ret->version, sizeof(ret->version), "local");
    return m->type->is_local && !*m->price_as;
}

/* ---- of the list ---- */

/* The names under which a list may have it, the likeliest first. */
static size_t names_of(const struct model *m, struct arena *a, struct str ret[3])
{
    if (*m->price_as) {
        ret[0] = str_of(m->price_as);
        return 1;
    }
    ret[0] = str_of(m->name);
    ret[1] = str_of(model_id(m));
    ret[2] = arena_printf(a, "%s/%s", m->type->name, model_id(m));
    return 3;
}

static void add_name(struct buf *to, struct str name)
{
    buf_add_char(to, to->n ? ',' : '{');
    buf_add_char(to, '"');
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '"' || name.p[i] == '\\') buf_add_char(to, '\\');
        buf_add_char(to, name.p[i]);
    }
    buf_add_char(to, '"');
}

static struct str wanted_names(struct prices *p)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(NAMES_MAX);
    list_each (it, next, &p->entries) {
        const struct model *m = container_of(it, struct price_entry, link)->model;
        struct str names[3];
        struct price own;
        if (own_price(m, &own)) continue;
        size_t n = names_of(m, &p->arena, names);
        for (size_t j = 0; j < n; j++) add_name(&b, names[j]);
    }
    if (!b.n || b.full) return STR("{}");
    buf_add_char(&b, '}');
    return arena_dup(&p->arena, buf_str(&b));
}

static bool read_row(const struct pg_rows *rows, int i, struct price *ret)
{
    struct json *entry = NULL;
    bool ok = json_parse(pg_rows_str(rows, i, 1), &entry, NULL) == ERR_NONE &&
              price_read(entry, ret, NULL) == ERR_NONE;
    json_free(entry);
    if (ok) snprintf(ret->version, sizeof(ret->version), "%.*s", STR_ARG(pg_rows_str(rows, i, 2)));
    return ok;
}

static void find_price(struct prices *p, struct price_entry *e)
{
    struct str names[3];
    if (own_price(e->model, &e->price)) return;
    e->price = unknown;
    size_t n = names_of(e->model, &p->arena, names);
    for (size_t j = 0; j < n && !e->price.known; j++)
        for (int i = 0; i < p->rows.n; i++)
            if (str_eq(pg_rows_str(&p->rows, i, 0), names[j])) read_row(&p->rows, i, &e->price);
}

static void on_rows(struct op *op)
{
    struct prices *p = container_of(op, struct prices, op);
    bool failed = op->err.kind != ERR_NONE;
    list_each (it, next, &p->entries)
        if (!failed) find_price(p, container_of(it, struct price_entry, link));
    if (failed)
        log_debug("prices", "the list could not be read", "why=%s", log_quote(str_of(op->err.msg)));
    if (!failed) p->read = !p->incomplete;
    pg_rows_done(&p->rows);
    timer_set(p->loop, &p->timer, failed ? SOON_MS : p->incomplete ? 0 : AGAIN_MS);
}

static struct price_entry *entry_of(struct prices *p, const struct model *m)
{
    list_each (it, next, &p->entries) {
        struct price_entry *e = container_of(it, struct price_entry, link);
        if (e->model == m) return e;
    }
    struct price_entry *e = mem_new(struct price_entry);
    e->model = m;
    list_push(&p->entries, &e->link);
    if (own_price(m, &e->price)) return e;
    e->price = unknown;
    p->read = false;
    p->incomplete = true;
    if (p->store && !op_busy(&p->op)) timer_set(p->loop, &p->timer, 0);
    return e;
}

static void on_timer(struct timer *timer)
{
    struct prices *p = container_of(timer, struct prices, timer);
    arena_done(&p->arena);
    p->incomplete = false;
    store_prices(p->store, &p->op, wanted_names(p), &p->rows);
}

/* ---- public ---- */

const struct price *models_price(const struct models *models, const struct model *m)
{
    return &entry_of(models->common->prices, m)->price;
}

bool models_prices_known(const struct models *models)
{
    return models->common->prices->read;
}

struct prices *prices_new(struct loop *loop)
{
    struct prices *p = mem_new(struct prices);
    p->loop = loop;
    list_init(&p->entries);
    p->timer.fire = on_timer;
    arena_init(&p->arena);
    op_init(&p->op, loop, on_rows);
    return p;
}

void models_load_prices(struct models *models, struct store *store)
{
    struct prices *p = models->common->prices;
    p->store = store;
    prices_expect(models);
    timer_set(p->loop, &p->timer, 0);
}

void prices_expect(struct models *models)
{
    for (size_t i = 0; i < models->n_made; i++) entry_of(models->common->prices, models->made[i]);
}

static void entry_free(struct price_entry *e)
{
    list_drop(&e->link);
    free(e);
}

void prices_forget(struct prices *p, const struct model *m)
{
    list_each (it, next, &p->entries) {
        struct price_entry *e = container_of(it, struct price_entry, link);
        if (e->model == m) entry_free(e);
    }
}

void prices_free(struct prices *p)
{
    if (!p) return;
    timer_clear(p->loop, &p->timer);
    op_cancel(&p->op);
    pg_rows_done(&p->rows);
    arena_done(&p->arena);
    while (!list_empty(&p->entries)) entry_free(list_first(&p->entries, struct price_entry, link));
    free(p);
}
