/*
 * hedge - a question asked a second time, when the model takes longer to begin than it usually
 * does: another model of the route is asked as well (of a route with one model, that one again),
 * who begins first answers, and the other one is cancelled.
 *
 * "Longer than usually" is a percentile of the model's latest times to the first piece, which this
 * process has seen. At most so many percent of a route's questions are asked twice, so that an
 * outage, which makes everybody slow, does not double the load. Nobody is asked in second place who
 * rests, has a row of its own (running_max), or whom there is no money for.
 */
#pragma once
#include "core/model/gate.h"
#include "core/model/route.h"

/* ---- the arithmetic ---- */

#define HEDGE_TIMES     128 /* the latest ones count */
#define HEDGE_TIMES_MIN 20  /* with fewer a percentile says nothing */

struct hedge_times {
    uint32_t ms[HEDGE_TIMES];
    size_t n, at; /* n: ever */
};
/* One more; it takes the place of the oldest of HEDGE_TIMES. */
void hedge_times_add(struct hedge_times *t, uint32_t ms);
/* The smallest time that `percentile` percent of them do not exceed. False: too few are known. */
bool hedge_times_at(const struct hedge_times *t, int64_t percentile, uint32_t *ret_ms);

/* A bucket: every question puts a part of a hedge into it, and a hedge takes a whole one. */
struct hedge_budget {
    int64_t hundredths;
};
void hedge_budget_earn(struct hedge_budget *b, int64_t percent); /* a question was asked */
/* Is there a whole one? Nothing is taken. */
bool hedge_budget_has(const struct hedge_budget *b);
bool hedge_budget_spend(struct hedge_budget *b); /* false: it is empty */

/* ---- asking ---- */

/* The model has begun to answer after so long, or has not yet. */
void hedge_saw(struct models *models, const struct model *m, uint32_t ms);

struct hedges;                      /* what a process knows */
void hedges_free(struct hedges *h); /* NULL is fine; nobody is being asked */

struct hedge_plan {
    const struct route *route;
    const struct model *first;
    size_t *next; /* of the route: who may be second; moved on behind the one who is */
    struct route_asker asker;
    void (*on_text)(void *ctx, struct str piece);
    void *ctx;
    struct gate_ticket *ticket; /* of the first one, given back when it is out */
    uint64_t *began_ms;         /* when the one was asked who answers */
    /*
     * Its last line is of the first one, still open. If a second one is asked, it has a line of its
     * own; the one who is out is noted, and the last line stays that of the one who answers.
     */
    struct route_log *log;
};
/*
 * As model_ask.
 * plan   copied; what it points to is the caller's until the op ends
 * ret    of the one who answers
 */
void hedge_ask(struct models *models, const struct hedge_plan *plan, struct op *op,
               struct model_answer *ret);
