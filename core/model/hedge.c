/*
 * hedge: see hedge.h. This is the one place where two ops race. op_join waits for all of its
 * children, and what decides here is no end of an op but its first piece.
 */
#include "core/model/hedge.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/model/health.h"
#include "core/model/models.h"
#include <stdlib.h>

#define HEDGE        100          /* hundredths */
#define BUDGET_FIRST HEDGE        /* before anything is earned */
#define BUDGET_MAX   (10 * HEDGE) /* what a quiet day saves up */
#define SLACK_MS     10000        /* each model has deadlines of its own, which know more */

/* ---- the arithmetic ---- */

void hedge_times_add(struct hedge_times *t, uint32_t ms)
{
    t->ms[t->at] = ms;
    t->at = (t->at + 1) % HEDGE_TIMES;
    t->n++;
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

bool hedge_times_at(const struct hedge_times *t, int64_t percentile, uint32_t *ret_ms)
{
    uint32_t sorted[HEDGE_TIMES];
    size_t n = t->n < HEDGE_TIMES ? t->n : HEDGE_TIMES;
    if (n < HEDGE_TIMES_MIN) return false;
    memcpy(sorted, t->ms, n * sizeof *sorted);
    qsort(sorted, n, sizeof *sorted, by_size);
    size_t rank = (n * (size_t)percentile + 99) / 100;
    *ret_ms = sorted[rank ? rank - 1 : 0];
    return true;
}

void hedge_budget_earn(struct hedge_budget *b, int64_t percent)
{
    b->hundredths += percent;
    if (b->hundredths > BUDGET_MAX) b->hundredths = BUDGET_MAX;
}

bool hedge_budget_has(const struct hedge_budget *b)
{
    return b->hundredths >= HEDGE;
}

bool hedge_budget_spend(struct hedge_budget *b)
{
    if (!hedge_budget_has(b)) return false;
    b->hundredths -= HEDGE;
    return true;
}

/* ---- what a process knows: times a model, a budget a route ---- */

struct hedges {
    struct hedge_model {
        const struct model *model;
        struct hedge_times times;
    } * models[MODELS_MAX];
    struct hedge_route {
        const struct route *route;
        struct hedge_budget budget;
    } routes[ROUTES_MAX];
    size_t n_models, n_routes;
};

static struct hedges *hedges_of(struct models *models)
{
    if (!models->hedges) models->hedges = mem_new(struct hedges);
    return models->hedges;
}

void hedges_free(struct hedges *h)
{
    if (!h) return;
    for (size_t i = 0; i < h->n_models; i++) free(h->models[i]);
    free(h);
}

/* NULL: there are too many. */
static struct hedge_times *times_of(struct models *models, const struct model *m)
{
    struct hedges *h = hedges_of(models);
    for (size_t i = 0; i < h->n_models; i++)
        if (h->models[i]->model == m) return &h->models[i]->times;
    if (h->n_models == MODELS_MAX) return NULL;
    struct hedge_model *new = mem_new(struct hedge_model);
    new->model = m;
    h->models[h->n_models++] = new;
    return &new->times;
}

/* Routes that hedge are of the configuration, which has no more of them. */
static struct hedge_budget *budget_of(struct models *models, const struct route *route)
{
    struct hedges *h = hedges_of(models);
    for (size_t i = 0; i < h->n_routes; i++)
        if (h->routes[i].route == route) return &h->routes[i].budget;
    struct hedge_route *new = &h->routes[h->n_routes++];
    *new = (struct hedge_route){ route, { BUDGET_FIRST } };
    return &new->budget;
}

void hedge_saw(struct models *models, const struct model *m, uint32_t ms)
{
    struct hedge_times *t = times_of(models, m);
    if (t) hedge_times_add(t, ms);
}

/* ---- the race ---- */

#define HEDGED(outcome)                                                      \
    METRIC(METRIC_COUNTER, "parley_hedges_total", "outcome=\"" outcome "\"", \
           "Questions asked a second time, and those that might have been, by outcome.")
static struct metric m_won = HEDGED("won"), m_lost = HEDGED("lost"),
                     m_no_budget = HEDGED("no_budget"), m_no_money = HEDGED("no_money");

struct racer {
    struct race *race;
    const struct model *model; /* NULL: not asked */
    const struct model_ask *ask;
    struct model_answer *answer;
    struct op op;
    uint64_t began_ms;
    size_t line; /* of the log */
};

struct race {
    struct models *models;
    struct hedge_plan plan;
    struct op *op; /* the caller's */
    struct model_answer *ret, second_answer;
    struct racer first, second;
    struct racer *winner; /* who has begun, or is left; NULL = not decided */
    struct timer late;
    struct op money;
};

static struct racer *other_of(struct racer *r)
{
    struct race *race = r->race;
    return r == &race->first ? &race->second : &race->first;
}

static struct route_try *line_of(const struct racer *r)
{
    return &r->race->plan.log->v[r->line];
}

static void race_free(struct race *race)
{
    timer_clear(race->models->loop, &race->late);
    op_cancel(&race->money);
    op_cancel(&race->first.op);
    op_cancel(&race->second.op);
    model_answer_done(&race->second_answer);
    free(race);
}

static void on_piece(void *ctx, struct str piece);

static void racer_ask(struct racer *r, const struct model *m, struct model_answer *answer)
{
    struct race *race = r->race;
    r->model = m;
    r->answer = answer;
    r->began_ms = clock_ms();
    r->ask = race->plan.asker.ask(race->plan.asker.ctx, m, STR_NONE);
    if (race->plan.asker.on_ask) race->plan.asker.on_ask(race->plan.asker.ctx, m);
    model_ask(race->models, m, &r->op, r->ask, on_piece, r, answer);
}

/* Its line stands before the winner's, which is the last one. */
static void line_last(struct racer *winner)
{
    struct racer *loser = other_of(winner);
    size_t last = loser->line;
    if (winner->line > last) return;
    struct route_try line = *line_of(winner);
    *line_of(winner) = *line_of(loser);
    *line_of(loser) = line;
    loser->line = winner->line;
    winner->line = last;
}

/* From here on there is one: the caller sees what would be there without the other. */
static void win(struct racer *r)
{
    struct race *race = r->race;
    race->winner = r;
    timer_clear(race->models->loop, &race->late);
    op_cancel(&race->money);
    if (!race->second.model) return;
    metric_add(r == &race->second ? &m_won : &m_lost, 1);
    line_last(r);
    *race->plan.began_ms = r->began_ms;
    if (r == &race->first) { /* the asker takes the last one asked for the one who answers */
        race->plan.asker.ask(race->plan.asker.ctx, r->model, STR_NONE);
        return;
    }
    gate_leave(race->plan.ticket, 0);
    model_answer_done(race->ret);
    *race->ret = (struct model_answer){ .finish = MODEL_CUT };
    buf_init(&race->ret->text, (size_t)r->model->reply_max);
}

/*
 * Cancelled before its first piece: it has read the question, as far as anybody knows. That it took
 * at least so long counts among its times; else each hedge would make the next one earlier.
 */
static void lose(struct racer *r)
{
    uint32_t ms = (uint32_t)(clock_ms() - r->began_ms);
    op_cancel(&r->op);
    hedge_saw(r->race->models, r->model, ms);
    struct route_try *line = line_of(r);
    *line = (struct route_try){ .model = r->model,
                                .why = ERR_INIT,
                                .hedge = line->hedge,
                                .lost = true,
                                .ms = ms,
                                .tries = 1,
                                .usage = { .prompt_tokens = tokens_of_ask(r->ask) } };
}

/* While the other one has not begun either: that one is left. */
static void drop_out(struct racer *r)
{
    const struct model_answer *a = r->answer;
    const struct err *why = &r->op.err;
    log_warn("model", "failed, waiting for the other one", "model=%s other=%s kind=%s why=%s",
             r->model->name, other_of(r)->model->name, err_rule(why->kind)->name,
             log_quote(str_of(why->msg)));
    health_failed(r->race->models, r->model, why);
    struct route_try *line = line_of(r);
    line->why = *why;
    line->ms = (uint32_t)(clock_ms() - r->began_ms);
    line->tries = a->tries;
    line->usage = a->usage;
    win(other_of(r));
}

static void on_piece(void *ctx, struct str piece)
{
    struct racer *r = ctx;
    struct race *race = r->race;
    if (!race->winner) {
        if (other_of(r)->model) lose(other_of(r));
        win(r);
    }
    if (r == &race->second) buf_add(&race->ret->text, piece);
    race->plan.on_text(race->plan.ctx, piece); /* who may end all this */
}

static void race_end(struct racer *r)
{
    struct race *race = r->race;
    struct op *op = race->op;
    if (r == &race->second) {
        model_answer_done(race->ret);
        *race->ret = race->second_answer;
        race->second_answer = (struct model_answer){ .tries = 0 };
    }
    if (r->op.err.kind)
        op_fail(op, &r->op.err);
    else
        op_finish(op);
    race_free(race);
}

static void on_racer_done(struct op *op)
{
    struct racer *r = container_of(op, struct racer, op), *other = other_of(r);
    bool alone = r->race->winner || !other->model;
    if (!alone && op->err.kind) {
        drop_out(r);
        return;
    }
    if (!alone) { /* calls of tools only, without a word */
        lose(other);
        win(r);
    }
    race_end(r);
}

/* ---- the second one ---- */

static bool may_be_second(const struct race *race, const struct model *m)
{
    return gate_is_open(m) && health_is_well(race->models, m);
}

/* NULL: nobody. */
static const struct model *find_second(const struct race *race, size_t *ret_next)
{
    const struct route *route = race->plan.route;
    *ret_next = *race->plan.next;
    if (route->n == 1) return may_be_second(race, route->v[0]) ? route->v[0] : NULL;
    while (*ret_next < route->n) {
        const struct model *m = route->v[(*ret_next)++];
        if (may_be_second(race, m)) return m;
    }
    return NULL;
}

/* Looked for anew: money takes its time, and somebody may have begun to rest. */
static void ask_second(struct race *race)
{
    size_t next;
    const struct model *m = find_second(race, &next);
    struct route_log *log = race->plan.log;
    if (!m || log->n == ROUTE_LINES_MAX) return;
    if (!hedge_budget_spend(budget_of(race->models, race->plan.route))) {
        metric_add(&m_no_budget, 1);
        return;
    }
    *race->plan.next = next;
    log_info("model", "slow to begin, asking a second one", "model=%s second=%s ms=%u",
             race->first.model->name, m->name, (unsigned)(clock_ms() - race->first.began_ms));
    race->first.line = log->n - 1;
    race->second.line = log->n;
    route_log_add(log, m)->hedge = true;
    racer_ask(&race->second, m, &race->second_answer);
}

static void on_money(struct op *op)
{
    struct race *race = container_of(op, struct race, money);
    const struct route_asker *asker = &race->plan.asker;
    if (op->err.kind == ERR_NONE && asker->reserved(asker->ctx))
        ask_second(race);
    else
        metric_add(&m_no_money, 1);
}

static void on_late(struct timer *timer)
{
    struct race *race = container_of(timer, struct race, late);
    const struct route_asker *asker = &race->plan.asker;
    size_t next;
    const struct model *m = find_second(race, &next);
    if (!m) return;
    if (!hedge_budget_has(budget_of(race->models, race->plan.route)))
        metric_add(&m_no_budget, 1);
    else if (!asker->reserve || !asker->reserve(asker->ctx, &race->money, STR_NONE, m))
        ask_second(race);
}

/* How long to wait for the first one; 0 = for ever. */
static uint64_t patience_ms(struct models *models, const struct route *route,
                            const struct model *first)
{
    const struct hedge_times *t = times_of(models, first);
    uint32_t ms;
    if (!t || !hedge_times_at(t, route->hedge_percentile, &ms))
        return (uint64_t)route->hedge_delay_ms;
    return (uint64_t)ms + 1;
}

static void race_drop(struct op *op)
{
    race_free(op->impl);
}

static const struct op_kind kind = { "model.hedge", race_drop };

void hedge_ask(struct models *models, const struct hedge_plan *plan, struct op *op,
               struct model_answer *ret)
{
    struct race *race = mem_new(struct race);
    uint64_t patience = patience_ms(models, plan->route, plan->first), total_ms = SLACK_MS;
    *race = (struct race){ .models = models, .plan = *plan, .op = op, .ret = ret };
    race->first.race = race->second.race = race;
    race->late.fire = on_late;
    op_init(&race->first.op, op->loop, on_racer_done);
    op_init(&race->second.op, op->loop, on_racer_done);
    op_init(&race->money, op->loop, on_money);
    for (size_t i = 0; i < plan->route->n; i++) total_ms += (uint64_t)plan->route->v[i]->total_ms;
    op_begin(op, &kind, race, 2 * total_ms);
    hedge_budget_earn(budget_of(models, plan->route), plan->route->hedge_budget);
    racer_ask(&race->first, plan->first, ret);
    if (patience) timer_set(models->loop, &race->late, patience);
}
