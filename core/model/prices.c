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
    struct models *models;
    struct store *store;
    struct timer timer;
    struct op op;
    struct arena arena; /* of the op's arguments */
    struct pg_rows rows;
    bool read;
    struct price_entry {
        const struct model *model;
        struct price price;
    } v[MODELS_MAX];
    size_t n;
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
    for (size_t i = 0; i < p->n; i++) {
        struct str names[3];
        struct price own;
        if (own_price(p->v[i].model, &own)) continue;
        size_t n = names_of(p->v[i].model, &p->arena, names);
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
    for (size_t i = 0; i < p->n && !failed; i++) find_price(p, &p->v[i]);
    if (failed)
        log_debug("prices", "the list could not be read", "why=%s", log_quote(str_of(op->err.msg)));
    p->read = p->read || !failed;
    pg_rows_done(&p->rows);
    timer_set(p->models->loop, &p->timer, failed ? SOON_MS : AGAIN_MS);
}

/* Models may have come since: an Ollama was found. */
static void gather(struct prices *p)
{
    p->n = 0;
    for (size_t i = 0; i < p->models->n_made; i++) {
        struct price_entry *e = &p->v[p->n++];
        if (e->model != p->models->made[i])
            *e = (struct price_entry){ .model = p->models->made[i] };
        if (!e->price.known && !own_price(e->model, &e->price)) e->price = unknown;
    }
}

static void on_timer(struct timer *timer)
{
    struct prices *p = container_of(timer, struct prices, timer);
    arena_done(&p->arena);
    gather(p);
    store_prices(p->store, &p->op, wanted_names(p), &p->rows);
}

/* ---- public ---- */

const struct price *models_price(const struct models *models, const struct model *m)
{
    struct prices *p = models->prices;
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].model == m) return &p->v[i].price;
    gather(p);
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].model == m) return &p->v[i].price;
    return &unknown;
}

bool models_prices_known(const struct models *models)
{
    return models->prices->read;
}

struct prices *prices_new(struct models *models)
{
    struct prices *p = mem_new(struct prices);
    p->models = models;
    p->timer.fire = on_timer;
    arena_init(&p->arena);
    op_init(&p->op, models->loop, on_rows);
    return p;
}

void models_load_prices(struct models *models, struct store *store)
{
    models->prices->store = store;
    timer_set(models->loop, &models->prices->timer, 0);
}

void prices_free(struct prices *p)
{
    if (!p) return;
    timer_clear(p->models->loop, &p->timer);
    op_cancel(&p->op);
    pg_rows_done(&p->rows);
    arena_done(&p->arena);
    free(p);
}
