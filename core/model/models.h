/*
 * models - the list of models from the inside: for the files of this folder only.
 */
#pragma once
#include "core/model/route.h"

#define MODELS_MAX 64
#define ROUTES_MAX 32

struct gate;
struct health;
struct hedges;
struct prices;

struct models {
    struct loop *loop;
    struct http_client *http;
    struct conf_doc *doc;
    struct arena strings;
    const struct model *list[MODELS_MAX];
    struct route alone[MODELS_MAX]; /* each of the list as a route */
    size_t n;
    struct route routes[ROUTES_MAX];
    size_t n_routes;
    struct gate *gates;
    struct health *health;
    struct hedges *hedges;
    struct prices *prices;
    const struct model *embedders[MODELS_MAX];
    size_t n_embedders;
    struct model *made[MODELS_MAX]; /* all of them, to be freed; a list that was replaced stays */
    size_t n_made;
    bool probing_useful; /* nothing is configured: Ollama may take demo's place */
    struct op probe;
    struct op *probe_waiter;
    char *probe_url;
    struct http_request probe_request;
    struct http_reply probe_reply;
};

/*
 * A model of `type`, filled from `g` (NULL = all defaults), not in the list yet. Owned by `models`.
 * NULL: ERR_CONF as conf_read, or one model too many.
 */
struct model *models_make(struct models *models, const struct model_type *type,
                          struct conf_group *g, struct err *why);
void models_add(struct models *models, const struct model *m);
/* Chatting or not. */
bool models_knows(const struct models *models, struct str name);

/* discover.c: without configuration. False: the environment names no model. */
bool models_from_environment(struct models *models);
