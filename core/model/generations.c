/*
 * generations - which models there are, and when they go: a generation is read from the
 * configuration, or from what discover.c finds when that names none; the last who holds it frees
 * it.
 */
#include "core/base/mem.h"
#include "core/model/factor.h"
#include "core/model/gate.h"
#include "core/model/health.h"
#include "core/model/hedge.h"
#include "core/model/models.h"
#include "core/model/prices.h"
#include "core/model/types.h"
#include <assert.h>

/* ---- the end ---- */

void model_drop(struct models_common *common, struct model *m)
{
    if (--m->n_generations > 0) return;
    factor_forget(&common->factors, m);
    gate_forget(&common->gates, m);
    health_forget(common->health, m);
    prices_forget(common->prices, m);
    arena_done(&m->strings);
    free(m);
}

static void common_drop(struct models_common *common)
{
    if (--common->n_generations > 0) return;
    for (size_t i = 0; i < common->n_found; i++) model_drop(common, common->found[i]);
    health_free(common->health);
    gates_free(common->gates);
    prices_free(common->prices);
    free(common);
}

struct models *models_hold(struct models *models)
{
    models->n_holders++;
    return models;
}

void models_close(struct models *models)
{
    if (!models || --models->n_holders > 0) return;
    op_cancel(&models->probe);
    http_reply_done(&models->probe_reply);
    hedges_free(models->hedges);
    for (size_t i = 0; i < models->n_made; i++) model_drop(models->common, models->made[i]);
    common_drop(models->common);
    arena_done(&models->strings);
    free(models);
}

/* ---- the beginning ---- */

/* Those that answer while nothing is configured are kept for when nothing is again. */
static void keep_found(const struct models *models)
{
    struct models_common *common = models->common;
    if (!models->are_found || common->n_found) return;
    for (size_t i = 0; i < models->n_made; i++) {
        struct model *m = models->made[i];
        if (!models_knows(models, str_of(m->name))) continue; /* the demo that gave way */
        m->n_generations++;
        common->found[common->n_found++] = m;
    }
}

static enum err_kind find(struct models *models, const struct conf_item *nothing, struct err *why)
{
    struct models_common *common = models->common;
    models->are_found = true;
    for (size_t i = 0; i < common->n_found; i++) {
        common->found[i]->n_generations++;
        models->made[models->n_made++] = common->found[i];
        models_add(models, common->found[i]);
    }
    if (models->n > 0 || models_from_environment(models)) return ERR_NONE;
    struct model *demo = models_make(models, &model_demo, nothing, why);
    if (!demo) return ERR_CONF;
    demo->name = "demo";
    models_add(models, demo);
    models->probing_useful = !models->before;
    return ERR_NONE;
}

static enum err_kind read_all(struct models *models, struct conf_doc *const *docs, size_t n_docs,
                              struct err *why)
{
    struct conf_item items[MODELS_MAX];
    const struct conf_item nothing = { docs[0], NULL };
    size_t n = conf_layers(docs, n_docs, "models", items, MODELS_MAX);
    if (n > MODELS_MAX) return err_set(why, ERR_CONF, "more than %d models", MODELS_MAX);
    for (size_t i = 0; i < n; i++)
        if (models_configure(models, &items[i], why)) return why->kind;
    if (!models->n && find(models, &nothing, why)) return why->kind;
    return routes_read(models, docs, n_docs, why);
}

static struct models *generation_new(struct models_common *common, struct loop *loop,
                                     struct http_client *http)
{
    struct models *models = mem_new(struct models);
    *models = (struct models){ .common = common, .n_holders = 1, .loop = loop, .http = http };
    common->n_generations++;
    arena_init(&models->strings);
    op_init(&models->probe, loop, NULL);
    return models;
}

enum err_kind models_open(struct loop *loop, struct http_client *http, struct conf_doc *doc,
                          struct models **ret, struct err *why)
{
    struct models_common *common = mem_new(struct models_common);
    common->health = health_new(loop);
    common->prices = prices_new(loop);
    struct models *models = generation_new(common, loop, http);
    models->doc = doc;
    enum err_kind kind = read_all(models, &doc, 1, why);
    if (kind != ERR_NONE)
        models_close(models);
    else
        *ret = models;
    return kind;
}

enum err_kind models_renew(struct models *before, struct conf_doc *const *docs, size_t n_docs,
                           struct models **ret, struct err *why)
{
    struct models *models = generation_new(before->common, before->loop, before->http);
    assert(!op_busy(&before->probe));
    keep_found(before);
    models->before = before;
    models->doc = docs[0];
    enum err_kind kind = read_all(models, docs, n_docs, why);
    models->before = NULL;
    if (kind != ERR_NONE) {
        models_close(models);
        return kind;
    }
    health_expect(models);
    prices_expect(models);
    *ret = models;
    return ERR_NONE;
}
