/*
 * model - one model as it is configured, and finding one. Which ones there are: generations.c. The
 * first is the default.
 */
#include "core/base/mem.h"
#include "core/model/models.h"
#include "core/model/prices.h"
#include "core/model/types.h"

#define KEYS_MAX 48

const struct model_type *const model_types[] = {
    &model_openai, &model_responses, &model_anthropic, &model_gemini,
    &model_cohere, &model_ollama,    &model_demo,      NULL,
};

static const char *const count_words[] = { "estimate", "exact", NULL };

const struct conf_field model_fields[] = {
    { "name", CONF_STR, offsetof(struct model, name),
      .help = "What people call it: /model NAME. The first of the list is the default." },
    { "model", CONF_STR, offsetof(struct model, model),
      .help = "What the backend calls it. Empty = the name." },
    { "context_tokens", CONF_INT, offsetof(struct model, context_tokens), .def = "32768",
      .min = 256, .max = 100000000, .help = "Its window: question, history and answer together." },
    { "max_tokens", CONF_INT, offsetof(struct model, max_tokens), .def = "4096", .min = 0,
      .max = 10000000,
      .help = "The longest answer, what it thinks included; 0 = what the server allows." },
    { "count", CONF_ENUM, offsetof(struct model, count), .def = "estimate", .words = count_words,
      .help = "Tokens of a question: estimated, or counted by the server where it can and the "
              "window is nearly full. Of type openai, vLLM and llama.cpp can." },
    { "sees", CONF_BOOL, offsetof(struct model, sees), .def = "false",
      .help = "It can look at pictures." },
    { "tools", CONF_BOOL, offsetof(struct model, tools), .def = "true",
      .help = "It can call tools; false for one whose server refuses questions that offer some." },
    { "input_price", CONF_STR, offsetof(struct model, input_price),
      .help = "US dollars a million tokens that it reads. Empty = the price list's, see "
              "`parley prices`." },
    { "output_price", CONF_STR, offsetof(struct model, output_price),
      .help = "US dollars a million tokens that it writes." },
    { "cached_price", CONF_STR, offsetof(struct model, cached_price),
      .help = "The same for what it reads from its cache. Empty = input_price." },
    { "price_as", CONF_STR, offsetof(struct model, price_as),
      .help = "Its name in the price list. Empty = found by its own names." },
    { "connect_timeout", CONF_DURATION, offsetof(struct model, connect_ms), .def = "5s", .min = 100,
      .max = 60000, .help = "For a connection." },
    { "first_token_timeout", CONF_DURATION, offsetof(struct model, first_token_ms), .def = "60s",
      .min = 100, .max = 3600000,
      .help = "Until the answer begins. Local models may have to be loaded first." },
    { "idle_timeout", CONF_DURATION, offsetof(struct model, idle_ms), .def = "60s", .min = 100,
      .max = 3600000, .help = "Without a byte, once the answer has begun." },
    { "content_timeout", CONF_DURATION, offsetof(struct model, content_ms), .def = "2m", .min = 100,
      .max = 3600000,
      .help = "Without a piece of the answer, of what it thinks or of a tool call, though comments "
              "and pings still come; never shorter than idle_timeout." },
    { "total_timeout", CONF_DURATION, offsetof(struct model, total_ms), .def = "5m", .min = 100,
      .max = 3600000, .help = "For the whole answer, all tries included." },
    { "running_max", CONF_INT, offsetof(struct model, running_max), .def = "0", .min = 0,
      .max = 100000,
      .help = "Questions that a process asks it at once; others wait, and channels and people take "
              "turns. 0 = any number. Local models are best asked one or two at a time." },
    { "provider", CONF_STR, offsetof(struct model, provider),
      .help = "A name for who serves it. Models that have the same one share running_max, and who "
              "waits for them waits in one row. Empty = it stands alone." },
    { "tries", CONF_INT, offsetof(struct model, tries), .def = "3", .min = 1, .max = 10,
      .help = "How often to ask until the answer begins. Afterwards it is never asked again." },
    { "reply_max", CONF_SIZE, offsetof(struct model, reply_max), .def = "256KB", .min = 1024,
      .max = 16777216, .help = "A longer answer is cut here." },
    { "embeds", CONF_BOOL, offsetof(struct model, embeds), .def = "false",
      .help = "It makes vectors of texts and cannot chat: nobody can choose it." },
    { "dimensions", CONF_INT, offsetof(struct model, dimensions), .def = "0", .min = 0,
      .max = 16384, .help = "How long its vectors are, if it lets one choose; 0 = as it likes." },
    CONF_END,
};

static const struct model_type *type_find(const char *name)
{
    for (const struct model_type *const *t = model_types; *t; t++)
        if (strcmp((*t)->name, name) == 0) return *t;
    return NULL;
}

/* One table fills the common part and another the type's: each must know the other's keys. */
static const char *const *keys_of(const struct conf_field *fields, const char *keys[KEYS_MAX])
{
    size_t n = 0;
    keys[n++] = "type";
    for (; fields->key && n < KEYS_MAX - 1; fields++) keys[n++] = fields->key;
    keys[n] = NULL;
    return keys;
}

/* Its strings are its own: it may outlive what it was read from. */
static enum err_kind model_read(const struct conf_item *from, struct model *m, struct err *why)
{
    const char *keys[KEYS_MAX];
    conf_strings_to(from->doc, &m->strings);
    enum err_kind kind = conf_read(from->doc, from->group, "models", model_fields,
                                   keys_of(m->type->fields, keys), m, why);
    if (kind == ERR_NONE)
        kind = conf_read(from->doc, from->group, "models", m->type->fields,
                         keys_of(model_fields, keys), m, why);
    conf_strings_to(from->doc, NULL);
    return kind;
}

struct model *models_make(struct models *models, const struct model_type *type,
                          const struct conf_item *from, struct err *why)
{
    if (models->n_made == MODELS_MAX) {
        err_set(why, ERR_CONF, "more than %d models", MODELS_MAX);
        return NULL;
    }
    struct model *m = mem_alloc(type->size);
    models->made[models->n_made++] = m;
    m->type = type;
    m->n_generations = 1;
    arena_init(&m->strings);
    return model_read(from, m, why) == ERR_NONE ? m : NULL;
}

static bool same(const struct model *a, const struct model *b)
{
    const char *key;
    return a->type == b->type && !conf_differs(model_fields, a, b, &key) &&
           !conf_differs(a->type->fields, a, b, &key);
}

/* The one of the generation before, if it is just like the one that was made last. */
static const struct model *adopt(struct models *models, struct model *m)
{
    for (size_t i = 0; models->before && i < models->before->n_made; i++) {
        struct model *old = models->before->made[i];
        if (!same(old, m)) continue;
        model_drop(models->common, m);
        old->n_generations++;
        return models->made[models->n_made - 1] = old;
    }
    return m;
}

void models_add(struct models *models, const struct model *m)
{
    if (m->embeds) {
        models->embedders[models->n_embedders++] = m;
        return;
    }
    models->alone[models->n] = (struct route){ .name = m->name,
                                               .help = "",
                                               .v = { m },
                                               .n = 1,
                                               .midway = ROUTE_KEEP,
                                               .total_ms = m->total_ms };
    models->list[models->n++] = m;
}

static enum err_kind name_check(const struct models *models, const struct model *m, struct err *why)
{
    struct str name = str_of(m->name);
    if (!name.n) return err_set(why, ERR_CONF, "a model must have a name");
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] <= ' ')
            return err_set(why, ERR_CONF, "a name without spaces, please: people type it");
    if (models_knows(models, name))
        return err_set(why, ERR_CONF, "another model is named \"%s\"", m->name);
    return ERR_NONE;
}

enum err_kind models_configure(struct models *models, const struct conf_item *from, struct err *why)
{
    const char *type_name = conf_peek(from->group, "type");
    const struct model_type *type = type_find(type_name);
    if (!type) {
        err_set(why, ERR_CONF, "no model type is named \"%s\"", type_name);
        return conf_blame(from->doc, from->group, "type", why);
    }
    struct model *m = models_make(models, type, from, why);
    if (!m) return ERR_CONF;
    const char *key = "name";
    enum err_kind kind = name_check(models, m, why);
    if (kind == ERR_NONE) kind = prices_check(m, &key, why);
    if (kind == ERR_NONE && type->check) kind = type->check(m, &key, why);
    if (kind == ERR_NONE && m->embeds && !type->embed_encode) {
        key = "embeds";
        kind = err_set(why, ERR_CONF, "the type \"%s\" makes no vectors", type->name);
    }
    if (kind == ERR_NONE && m->count == MODEL_COUNTS && !type->count_encode) {
        key = "count";
        kind = err_set(why, ERR_CONF, "the type \"%s\" does not count", type->name);
    }
    if (kind != ERR_NONE) return conf_blame(from->doc, from->group, key, why);
    models_add(models, adopt(models, m));
    return ERR_NONE;
}

const struct model *models_find(const struct models *models, struct str name)
{
    for (size_t i = 0; i < models->n; i++)
        if (str_eq_nocase(str_of(models->list[i]->name), name)) return models->list[i];
    return NULL;
}

size_t models_count(const struct models *models)
{
    return models->n;
}

const struct model *models_at(const struct models *models, size_t i)
{
    return i < models->n ? models->list[i] : NULL;
}

const struct model *models_embedder(const struct models *models, struct str name)
{
    for (size_t i = 0; i < models->n_embedders; i++)
        if (!name.n || str_eq_nocase(str_of(models->embedders[i]->name), name))
            return models->embedders[i];
    return NULL;
}

const struct model *models_embedder_at(const struct models *models, size_t i)
{
    return i < models->n_embedders ? models->embedders[i] : NULL;
}

bool models_knows(const struct models *models, struct str name)
{
    return models_find(models, name) || (name.n && models_embedder(models, name));
}

void models_example(struct buf *to)
{
    buf_add_cstr(to, "# The language models. Without any: OPENAI_API_KEY (and OPENAI_BASE_URL, "
                     "OPENAI_MODEL) of the\n# environment, else an Ollama on this machine, else a "
                     "demo.\n# models = (\n");
    for (const struct model_type *const *t = model_types; *t; t++) {
        struct conf_field all[KEYS_MAX];
        size_t n = 0;
        for (const struct conf_field *f = model_fields; f->key; f++) all[n++] = *f;
        for (const struct conf_field *f = (*t)->fields; f->key && n < KEYS_MAX - 1; f++)
            all[n++] = *f;
        all[n] = (struct conf_field)CONF_END;
        conf_example_item(to, (*t)->name, (*t)->help, all, !t[1]);
    }
    buf_add_cstr(to, "# );\n\n");
}
