/*
 * health - models that failed rest for a while, so that nobody waits for what will not answer. All
 * processes learn of it through Redis; PostgreSQL keeps the record (provider_health).
 *
 * Five failures in a row, in whichever processes, and it rests for 15 s, the next time twice as
 * long, up to 5 min; then one question of all processes is let through, and its outcome decides. A
 * limit lasts as long as the provider says, a refused key or a wrong name ten minutes.
 *
 * Redis away: each process counts for itself, and lets one question through.
 */
#pragma once
#include "core/model/model.h"

struct health;
struct redis;
struct store;

struct health *health_new(struct loop *loop); /* all are well, and no other process is known */
void health_free(struct health *h);           /* NULL is fine */
/* For model_drop. */
void health_forget(struct health *h, const struct model *m);
/* These may be asked: what others tell of them counts from now on. */
void health_expect(struct models *models);
/* From now on with the others. Both are borrowed until health_free. */
void models_share_health(struct models *models, struct redis *redis, struct store *store);

/* How long it still rests; 0 = it may be asked. Then, after a rest, only who asked first gets the 0
 * until the outcome is known. */
uint32_t health_rest_ms(struct models *models, const struct model *m);
/*
 * After a 0 of health_rest_ms: have the other processes agree, if it had rested.
 * models   held until the op ends
 * op       a failure means that Redis is away, and that it may be asked
 * ret_ms   0 = it may be asked; else another process asks it already, or it rests again, which
 *          health_rest_ms says, too, from then on
 * Cancel: nothing has happened, but that no other process asks for a minute.
 * False: there is nothing to wait for, it may be asked.
 */
bool health_probe(struct models *models, const struct model *m, struct op *op, uint32_t *ret_ms);
/* It does not rest, and no outcome after a rest is waited for: nothing changes by asking this. */
bool health_is_well(struct models *models, const struct model *m);
/* The outcome of a question. */
void health_worked(struct models *models, const struct model *m, uint32_t ms);
void health_failed(struct models *models, const struct model *m, const struct err *why);

/* How it fares, as this process sees it. */
struct health_view {
    const char *status; /* healthy, failing, resting */
    unsigned failures;  /* in a row */
    uint32_t rest_ms;   /* how long it still rests; 0 = it may be asked */
    const char *reason; /* why it rests; "" = it does not. Lives until the next outcome. */
};
/* *ret as it is now: nothing changes by looking. */
void health_look(struct models *models, const struct model *m, struct health_view *ret);
/* An admin says that it works again: every process asks it from now on. */
void health_wake(struct models *models, const struct model *m);
