/*
 * route - who is asked when the first model does not answer. A route is a named list of models; a
 * model's own name is a route of that model alone, so nothing goes to another provider unless the
 * configuration says so.
 *
 *   routes.c   which routes there are
 *   route.c    asking one: the next model takes over, also in the middle of an answer
 *   hedge.c    asking a second one while the first takes too long to begin
 *   health.c   models that rest because they failed, in all processes
 */
#pragma once
#include "core/model/model.h"

#define ROUTE_MODELS_MAX 8
#define ROUTE_LINES_MAX  (2 * ROUTE_MODELS_MAX)

/* What becomes of half an answer when its model fails. */
enum route_midway {
    ROUTE_REPLACE,  /* the next model answers anew, in the same message */
    ROUTE_CONTINUE, /* it goes on where the text ends */
    ROUTE_KEEP,     /* half an answer is what the person gets, marked as such */
};

struct route {
    const char *name;
    const char *help; /* for /models; "" = none */
    const struct model *v[ROUTE_MODELS_MAX];
    size_t n;
    int midway;      /* enum route_midway */
    bool on_refusal; /* also when a provider's content rules refuse */
    int64_t total_ms;
    bool hedge; /* see hedge.h */
    int64_t hedge_percentile, hedge_delay_ms, hedge_budget;
};

/* The list "routes" of the configuration, in layers as conf_layers; the models are there. Part of
 * models_open and models_renew. */
enum err_kind routes_read(struct models *models, struct conf_doc *const *docs, size_t n_docs,
                          struct err *why);
void routes_example(struct buf *to); /* the list "routes" of the example configuration */
/* A route, or the model of that name alone; NULL: there is none. The names of a route come first.
 */
const struct route *routes_find(const struct models *models, struct str name);
/* Who answers when nothing is chosen: the first route, else the first model alone. Never NULL. */
const struct route *routes_default(const struct models *models);
size_t routes_count(const struct models *models); /* of those with a name of their own */
const struct route *routes_at(const struct models *models, size_t i); /* i < routes_count */

/* What happened, for the receipt: a line a model. */
struct route_log {
    struct route_try {
        const struct model *model;
        struct err why; /* ERR_NONE: it answered */
        bool rested;    /* it was not asked: it rests */
        bool hedge;     /* it was asked beside the one before it */
        bool lost;      /* cancelled, for the other one was quicker; its usage is estimated */
        uint32_t first_token_ms, ms;
        unsigned tries, rounds; /* rounds: questions, where tools are called in between */
        size_t bytes;           /* of text */
        struct model_usage usage;
    } * v; /* at most ROUTE_LINES_MAX: few questions have more than one */
    size_t n;
    bool replaced, continued; /* half an answer */
    bool no_money;            /* another model was not asked, for the asker had no money for it */
};

/* One more line; log->n < ROUTE_LINES_MAX. Those before it may move. */
struct route_try *route_log_add(struct route_log *log, const struct model *m);
void route_log_done(struct route_log *log); /* it is empty, and can be used again */

/* Whether it is paid for: who refused, or never began, took no money. */
bool route_try_paid(const struct route_try *t);

/* How the asker takes part. All are called from the loop, never after the op's end. */
struct route_asker {
    /* The question for this model, whose window may differ. so_far: half an answer to go on with;
     * "" = none. The result lives until the op ends. */
    const struct model_ask *(*ask)(void *ctx, const struct model *m, struct str so_far);
    /* That question goes out to the model now; `ask` is also called to see how long it is. NULL =
     * no matter. */
    void (*on_ask)(void *ctx, const struct model *m);
    /* The question that `ask` gave last has so many tokens, by the model's own count: it will be
     * asked for anew. NULL = no matter, and nobody counts. */
    void (*on_count)(void *ctx, const struct model *m, int64_t tokens);
    /* The model said that the question is too long for it, and there is none with a larger window:
     * it is asked once more with what `ask` gives then. False: it cannot be made shorter. NULL =
     * never. */
    bool (*shorten)(void *ctx);
    void (*on_text)(void *ctx, struct str piece); /* as model_ask; may cancel the op */
    void (*on_restart)(void *ctx); /* what was shown is replaced from its beginning */
    void (*on_place)(void *ctx, size_t place, uint64_t wait_ms); /* as gate.h; NULL = no matter */
    /* What there was to be done or waited for beside the models' own time. NULL = no matter. */
    void (*on_took)(void *ctx, const char *step, uint64_t ms);
    /*
     * Money for one more question, after one that is paid for has failed, so_far as for ask; and
     * for another one at the same time, of the model `beside`, NULL = none. Begins `op`, and when
     * that has succeeded, `reserved` says whether there is room. False: nobody counts. NULL =
     * nobody does, then both are.
     */
    bool (*reserve)(void *ctx, struct op *op, struct str so_far, const struct model *beside);
    bool (*reserved)(void *ctx);
    void *ctx;
    bool keeps_half; /* no other model takes over in the middle, whatever the route says */
    bool waits;      /* none is asked as well because the first is late, whatever the route says */
    struct str channel, person; /* whose turn it is, see gate.h; alive until the op ends */
};

/* One more question was asked: the sum is known only if each is. */
void model_usage_add(struct model_usage *to, const struct model_usage *u);

/*
 * As model_ask, over the models of a route: one that rests is passed over, one that fails hands
 * over to the next, if there is money for it. The last resort is asked even if it rests.
 * asker      copied
 * ret        as model_ask; of the whole answer
 * ret_log    zero-initialised by the caller, alive until the op ends, freed with route_log_done;
 *            its last line answered, or failed as the op does
 */
void route_ask(struct models *models, const struct route *route, struct op *op,
               const struct route_asker *asker, struct model_answer *ret,
               struct route_log *ret_log);
