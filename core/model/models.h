/*
 * models - the list of models from the inside: for the files of this folder only.
 *
 * A struct models is one generation: what is configured at one time. It never changes once it
 * answers; another configuration is another generation. A model whose settings are the same in both
 * is the same struct model in both, so that whatever is known of it by its address (its gate, its
 * health, its price) goes on. Counted: a generation by those who hold it, a model by its
 * generations.
 */
#pragma once
#include "core/model/route.h"

#define MODELS_MAX 64
#define ROUTES_MAX 32

struct factor;
struct gate;
struct health;
struct hedges;
struct prices;

/* What all generations share. */
struct models_common {
    unsigned n_generations;
    struct factor *factors;
    struct gate *gates;
    struct health *health;
    struct prices *prices;
    /* Of the environment, an Ollama, or demo: they answer whenever nothing is configured. */
    struct model *found[MODELS_MAX];
    size_t n_found;
};

struct models {
    struct models_common *common;
    unsigned n_holders;
    struct loop *loop;
    struct http_client *http;
    struct conf_doc *doc;        /* of models_open: for what is found later; it has no settings */
    const struct models *before; /* while this one is read */
    struct arena strings;        /* of routes */
    const struct model *list[MODELS_MAX];
    struct route alone[MODELS_MAX]; /* each of the list as a route */
    size_t n;
    struct route routes[ROUTES_MAX];
    size_t n_routes;
    struct hedges *hedges; /* what was learned of these models and routes */
    const struct model *embedders[MODELS_MAX];
    size_t n_embedders;
    struct model *made[MODELS_MAX]; /* all that it counts; a list that was replaced stays */
    size_t n_made;
    bool are_found;      /* nothing is configured */
    bool probing_useful; /* an Ollama may take demo's place */
    struct op probe;
    struct op *probe_waiter;
    char *probe_url;
    struct http_request probe_request;
    struct http_reply probe_reply;
};

/*
 * A model of `type`, filled from `from` (its group NULL = all defaults), not in the list yet.
 * Counted by `models`. NULL: ERR_CONF as conf_read, or one model too many.
 */
struct model *models_make(struct models *models, const struct model_type *type,
                          const struct conf_item *from, struct err *why);
/* Put it into the list of those that chat, or that make vectors; its name is not taken. */
void models_add(struct models *models, const struct model *m);
/* model.c: make, check and add what a group of the configuration says. */
enum err_kind models_configure(struct models *models, const struct conf_item *from,
                               struct err *why);
/* One generation less has it; nobody who does not hold one of its generations may know it. */
void model_drop(struct models_common *common, struct model *m);
/* Chatting or not. */
bool models_knows(const struct models *models, struct str name);

/* discover.c: without configuration. False: the environment names no model. */
bool models_from_environment(struct models *models);
