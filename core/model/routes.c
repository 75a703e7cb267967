/* routes: the list "routes" of the configuration. */
#include "core/base/mem.h"
#include "core/model/models.h"

static const char *const midway_words[] = { "replace", "continue", "keep", NULL };

struct route_conf {
    struct route route;
    struct conf_list models;
};

#define FIELD(name) offsetof(struct route_conf, name)
static const struct conf_field route_fields[] = {
    { "name", CONF_STR, FIELD(route.name),
      .help = "What people call it: /model NAME. The first route is the default." },
    { "help", CONF_STR, FIELD(route.help), .help = "What it is good for, for /models." },
    { "models", CONF_LIST, FIELD(models),
      .help =
          "Names of models. The next one is asked when one fails, rests or is over its limit." },
    { "midway", CONF_ENUM, FIELD(route.midway), .def = "replace", .words = midway_words,
      .help = "When one fails in the middle of its answer: the next one answers anew in the same "
              "message, goes on where the text ends, or half an answer is kept." },
    { "on_refusal", CONF_BOOL, FIELD(route.on_refusal), .def = "false",
      .help = "Ask the next one, too, when a provider's content rules refuse." },
    { "total_timeout", CONF_DURATION, FIELD(route.total_ms), .def = "5m", .min = 1000,
      .max = 3600000, .help = "After so long no further model is asked." },
    { "hedge", CONF_BOOL, FIELD(route.hedge), .def = "false",
      .help = "Ask the next one, too, when the first word takes longer than it usually does: the "
              "quicker one answers. Of a route with one model, that one is asked again. Both are "
              "paid for." },
    { "hedge_percentile", CONF_INT, FIELD(route.hedge_percentile), .def = "95", .min = 50,
      .max = 99, .help = "Longer than so many percent of the model's latest answers." },
    { "hedge_delay", CONF_DURATION, FIELD(route.hedge_delay_ms), .def = "0s", .min = 0,
      .max = 3600000,
      .help = "How long to wait while fewer than 20 answers were seen; 0 = for ever." },
    { "hedge_budget", CONF_INT, FIELD(route.hedge_budget), .def = "5", .min = 1, .max = 100,
      .help = "At most so many percent of the questions are asked twice." },
    CONF_END,
};
#undef FIELD

static enum err_kind route_check(const struct models *models, const struct route_conf *c,
                                 const char **ret_key, struct err *why)
{
    struct str name = str_of(c->route.name);
    *ret_key = "name";
    if (!name.n) return err_set(why, ERR_CONF, "a route must have a name");
    if (str_find_char(name, ' ') != SIZE_MAX)
        return err_set(why, ERR_CONF, "a name without spaces, please: people type it");
    if (routes_find(models, name))
        return err_set(why, ERR_CONF, "another route or model is named \"%s\"", c->route.name);
    *ret_key = "models";
    if (c->models.n == 0 || c->models.n > ROUTE_MODELS_MAX)
        return err_set(why, ERR_CONF, "between 1 and %d models, please", ROUTE_MODELS_MAX);
    return ERR_NONE;
}

static enum err_kind route_link(const struct models *models, const struct route_conf *c,
                                struct route *to, struct err *why)
{
    *to = c->route;
    for (size_t i = 0; i < c->models.n; i++) {
        const struct model *m = models_find(models, str_of(c->models.v[i]));
        if (!m) return err_set(why, ERR_CONF, "no model is named \"%s\"", c->models.v[i]);
        for (size_t j = 0; j < to->n; j++)
            if (to->v[j] == m) return err_set(why, ERR_CONF, "\"%s\" is there twice", m->name);
        to->v[to->n++] = m;
    }
    return ERR_NONE;
}

static enum err_kind route_read(struct models *models, const struct conf_item *from,
                                struct err *why)
{
    struct route_conf c = { .route = { .name = "" } };
    const char *key = "name";
    conf_strings_to(from->doc, &models->strings);
    enum err_kind kind = conf_read(from->doc, from->group, "routes", route_fields, NULL, &c, why);
    conf_strings_to(from->doc, NULL);
    if (kind != ERR_NONE) return kind;
    kind = route_check(models, &c, &key, why);
    if (kind == ERR_NONE) kind = route_link(models, &c, &models->routes[models->n_routes], why);
    if (kind != ERR_NONE) return conf_blame(from->doc, from->group, key, why);
    models->n_routes++;
    return ERR_NONE;
}

enum err_kind routes_read(struct models *models, struct conf_doc *const *docs, size_t n_docs,
                          struct err *why)
{
    struct conf_item items[ROUTES_MAX];
    size_t n = conf_layers(docs, n_docs, "routes", items, ROUTES_MAX);
    if (n > ROUTES_MAX) return err_set(why, ERR_CONF, "more than %d routes", ROUTES_MAX);
    for (size_t i = 0; i < n; i++)
        if (route_read(models, &items[i], why)) return why->kind;
    return ERR_NONE;
}

void routes_example(struct buf *to)
{
    buf_add_cstr(to, "# Who is asked when the first model does not answer. Without any, each model "
                     "is asked alone.\n# routes = (\n");
    conf_example_item(to, NULL, "Some models, one after the other.", route_fields, true);
    buf_add_cstr(to, "# );\n\n");
}

const struct route *routes_find(const struct models *models, struct str name)
{
    for (size_t i = 0; i < models->n_routes; i++)
        if (str_eq_nocase(str_of(models->routes[i].name), name)) return &models->routes[i];
    const struct model *m = models_find(models, name);
    for (size_t i = 0; i < models->n; i++)
        if (models->list[i] == m) return &models->alone[i];
    return NULL;
}

const struct route *routes_default(const struct models *models)
{
    return models->n_routes ? &models->routes[0] : &models->alone[0];
}

size_t routes_count(const struct models *models)
{
    return models->n_routes;
}

const struct route *routes_at(const struct models *models, size_t i)
{
    return i < models->n_routes ? &models->routes[i] : NULL;
}
