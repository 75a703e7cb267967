/* route: a flow that asks one model after the other. */
#include "core/model/route.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/loop/flow.h"
#include "core/model/factor.h"
#include "core/model/gate.h"
#include "core/model/health.h"
#include "core/model/hedge.h"
#include "core/model/policy.h"

#define NEARLY_FULL       70    /* percent of the window */
#define DEADLINE_SLACK_MS 10000 /* each model has deadlines of its own, which know more */

enum { STEP_MONEY, STEP_PICK, STEP_COUNT, STEP_GATE, STEP_ASK, STEP_N };

struct routing {
    struct flow flow;
    struct models *models;
    const struct route *route;
    struct op *op; /* the caller's; NULL = dropped */
    struct route_asker asker;
    struct model_answer *answer, rest; /* rest: of a model that goes on with another's half */
    struct route_log *log;
    uint64_t began_ms, try_began_ms, longest_ms;
    struct gate_ticket ticket;
    const struct model_ask *ask; /* the last one; NULL = of two that were asked side by side */
    int64_t n_tokens;            /* of the question, counted */
    struct err failure;          /* of the last one asked */
    size_t next;                 /* of the route */
    uint32_t probed_ms;          /* how long another process' question to `next` is waited for */
    bool resting;                /* who rests is asked, too: there is nobody else */
    bool shortened;              /* the question is */
    bool showing;                /* a piece is on its way to the asker, who may cancel */
};

static struct metric failovers[] = {
    METRIC(METRIC_COUNTER, "parley_failovers_total", "when=\"before\"",
           "Answers that another model took over, before or after their first piece."),
    METRIC(METRIC_COUNTER, "parley_failovers_total", "when=\"midway\"",
           "Answers that another model took over, before or after their first piece."),
};

static struct routing *of_flow(struct flow *f)
{
    return container_of(f, struct routing, flow);
}

static enum flow_rc try_failed(struct routing *r, const struct model_answer *a,
                               const struct err *failure);

static struct route_try *last_try(struct routing *r)
{
    return &r->log->v[r->log->n - 1];
}

static struct str so_far(const struct routing *r)
{
    return r->log->continued ? buf_str(&r->answer->text) : STR_NONE;
}

/* ---- money: who goes on after one that is paid for has to fit in, too ---- */

bool route_try_paid(const struct route_try *t)
{
    bool ended = !t->rested && (t->ms || t->tries);
    bool used = t->usage.prompt_tokens > 0 || t->usage.completion_tokens > 0;
    return ended && used && (t->why.kind == ERR_NONE || t->bytes || t->usage.known);
}

static bool is_midway(const struct routing *r)
{
    return r->answer->text.n > 0;
}

/* Half an answer stands there. */
static void hand_over_midway(struct routing *r)
{
    metric_add(&failovers[1], 1);
    if (r->route->midway == ROUTE_CONTINUE) {
        r->log->continued = true;
        return;
    }
    r->log->replaced = true;
    r->asker.on_restart(r->asker.ctx);
}

static enum flow_rc hand_over(struct routing *r)
{
    log_warn("model", "failed, asking another one", "model=%s next=%s kind=%s midway=%d why=%s",
             last_try(r)->model->name, r->route->v[r->next]->name, err_rule(r->failure.kind)->name,
             is_midway(r), log_quote(str_of(r->failure.msg)));
    if (is_midway(r))
        hand_over_midway(r);
    else
        metric_add(&failovers[0], 1);
    return FLOW_NEXT;
}

static enum flow_rc money_start(struct flow *f)
{
    struct routing *r = of_flow(f);
    if (r->log->n == 0) return FLOW_NEXT; /* for the first one the asker has seen to it */
    bool goes_on = is_midway(r) && r->route->midway == ROUTE_CONTINUE;
    struct str half = goes_on ? buf_str(&r->answer->text) : STR_NONE;
    if (!r->asker.reserve || !route_try_paid(last_try(r)) ||
        !r->asker.reserve(r->asker.ctx, &f->op, half, NULL))
        return hand_over(r);
    op_extend(r->op, r->longest_ms);
    return FLOW_WAIT;
}

/* What is there is kept, and the failure is told. */
static enum flow_rc stay(struct routing *r)
{
    r->log->no_money = true;
    r->flow.err = r->failure;
    return FLOW_STOP;
}

static enum flow_rc money_done(struct flow *f)
{
    struct routing *r = of_flow(f);
    return r->asker.reserved(r->asker.ctx) ? hand_over(r) : stay(r);
}

static enum flow_rc money_failed(struct flow *f)
{
    log_warn("model", "no money set aside, asking nobody else", "why=%s",
             log_quote(str_of(f->op.err.msg)));
    return stay(of_flow(f));
}

/* ---- pick: the next one that does not rest ---- */

static enum flow_rc pick_start(struct flow *f)
{
    struct routing *r = of_flow(f);
    if (r->resting) return FLOW_NEXT;
    size_t next = r->next, n = r->log->n;
    for (; r->next < r->route->n; r->next++) {
        const struct model *m = r->route->v[r->next];
        uint32_t rest_ms = health_rest_ms(r->models, m);
        if (rest_ms == 0)
            return health_probe(r->models, m, &f->op, &r->probed_ms) ? FLOW_WAIT : FLOW_NEXT;
        struct route_try *t = route_log_add(r->log, m);
        t->rested = true;
        err_set(&t->why, ERR_IO, "it failed a moment ago and rests");
        t->why.retry_after_ms = rest_ms;
    }
    /* All rest that are left: better a try than nothing. */
    r->resting = true;
    r->next = next;
    r->log->n = n;
    return FLOW_NEXT;
}

/* Another process may be quicker to ask who had rested. */
static enum flow_rc pick_done(struct flow *f)
{
    if (of_flow(f)->probed_ms) flow_goto(f, STEP_PICK);
    return FLOW_NEXT;
}

/* Redis is away: this process decides for itself. */
static enum flow_rc pick_failed(struct flow *f)
{
    (void)f;
    return FLOW_NEXT;
}

/* ---- count: what the server says, where an estimate may be wrong by too much ---- */

/* Tokenizers of today make up to two fifths more of a text than is estimated: with less than this
 * there is room all the same. */
static bool count_matters(const struct model *m, const struct model_ask *ask)
{
    int64_t room = m->context_tokens - m->max_tokens;
    return tokens_of_ask(ask) * 100 > room * NEARLY_FULL;
}

static enum flow_rc count_start(struct flow *f)
{
    struct routing *r = of_flow(f);
    const struct model *m = r->route->v[r->next];
    if (m->count != MODEL_COUNTS || !r->asker.on_count) return FLOW_NEXT;
    const struct model_ask *ask = r->asker.ask(r->asker.ctx, m, so_far(r));
    if (!count_matters(m, ask)) return FLOW_NEXT;
    model_count(r->models, m, &f->op, ask, &r->n_tokens);
    return FLOW_WAIT;
}

static enum flow_rc count_done(struct flow *f)
{
    struct routing *r = of_flow(f);
    r->asker.on_count(r->asker.ctx, r->route->v[r->next], r->n_tokens);
    return FLOW_NEXT;
}

static enum flow_rc count_failed(struct flow *f)
{
    log_warn("model", "tokens not counted, estimating", "why=%s", log_quote(str_of(f->op.err.msg)));
    return FLOW_NEXT;
}

/* ---- gate: wait for a place ---- */

static enum flow_rc gate_start(struct flow *f)
{
    struct routing *r = of_flow(f);
    const struct model *m = r->route->v[r->next];
    if (gate_is_open(m)) return FLOW_NEXT;
    r->ticket.on_place = r->asker.on_place;
    r->ticket.ctx = r->asker.ctx;
    op_extend(r->op, GATE_WAIT_MAX_MS + r->longest_ms); /* that is no time of the model's */
    gate_enter(r->models, m, &r->ticket, &f->op, r->asker.channel, r->asker.person,
               tokens_of_ask(r->asker.ask(r->asker.ctx, m, so_far(r))));
    return FLOW_WAIT;
}

static enum flow_rc gate_done(struct flow *f)
{
    struct routing *r = of_flow(f);
    op_extend(r->op, r->longest_ms);
    return FLOW_NEXT;
}

/* Too many wait: that is a failure of this model like another. */
static enum flow_rc gate_failed(struct flow *f)
{
    struct routing *r = of_flow(f);
    route_log_add(r->log, r->route->v[r->next++]);
    r->try_began_ms = clock_ms();
    static const struct model_answer none;
    return try_failed(r, &none, &f->op.err);
}

/* ---- ask ---- */

static void on_piece(void *ctx, struct str piece)
{
    struct routing *r = ctx;
    if (!r->op) return;
    if (r->log->continued) buf_add(&r->answer->text, piece);
    r->showing = true;
    r->asker.on_text(r->asker.ctx, piece);
    r->showing = false;
    if (!r->op) flow_stop(&r->flow, ERR_CANCELLED, "not wanted any longer");
}

/* Who rests is asked because there is nobody else, and half an answer waits for its end. */
static bool may_hedge(const struct routing *r)
{
    return r->route->hedge && !r->asker.waits && !r->resting && !r->log->continued;
}

static void ask_hedged(struct routing *r, const struct model *m)
{
    r->ask = NULL;
    const struct hedge_plan plan = { .route = r->route,
                                     .first = m,
                                     .next = &r->next,
                                     .asker = r->asker,
                                     .on_text = on_piece,
                                     .ctx = r,
                                     .ticket = &r->ticket,
                                     .began_ms = &r->try_began_ms,
                                     .log = r->log };
    hedge_ask(r->models, &plan, &r->flow.op, r->answer);
}

static void ask_alone(struct routing *r, const struct model *m, struct model_answer *into)
{
    r->ask = r->asker.ask(r->asker.ctx, m, so_far(r));
    if (r->asker.on_ask) r->asker.on_ask(r->asker.ctx, m);
    model_ask(r->models, m, &r->flow.op, r->ask, on_piece, r, into);
}

static enum flow_rc ask_start(struct flow *f)
{
    struct routing *r = of_flow(f);
    const struct model *m = r->route->v[r->next++];
    struct model_answer *into = r->log->continued ? &r->rest : r->answer;
    route_log_add(r->log, m);
    r->try_began_ms = clock_ms();
    model_answer_done(into);
    *into = (struct model_answer){ .tries = 0 };
    if (may_hedge(r))
        ask_hedged(r, m);
    else
        ask_alone(r, m, into);
    return FLOW_WAIT;
}

/* Of the one that was asked last. */
static const struct model_answer *its_answer(const struct routing *r)
{
    return r->log->continued ? &r->rest : r->answer;
}

static void note_try(struct routing *r, const struct model_answer *a, const struct err *why)
{
    struct route_try *t = last_try(r);
    t->why = *why;
    t->first_token_ms = a->first_token_ms;
    t->ms = (uint32_t)(clock_ms() - r->try_began_ms);
    t->tries = a->tries;
    t->bytes = a->text.n;
    t->usage = a->usage;
    if (why->kind == ERR_NONE)
        health_worked(r->models, t->model, t->ms);
    else
        health_failed(r->models, t->model, why);
    gate_leave(&r->ticket, t->ms);
}

static enum flow_rc ask_done(struct flow *f)
{
    struct routing *r = of_flow(f);
    struct err well = ERR_INIT;
    note_try(r, its_answer(r), &well);
    if (r->ask) factor_learn(r->models, last_try(r)->model, r->ask, &last_try(r)->usage);
    return FLOW_STOP;
}

static bool in_time(const struct routing *r)
{
    return clock_ms() - r->began_ms < (uint64_t)r->route->total_ms;
}

static bool is_too_long(const struct err *why)
{
    return why->kind == ERR_LIMIT && why->retry_after_ms == 0;
}

static bool has_next(const struct routing *r, const struct err *why)
{
    const struct model *failed = r->log->v[r->log->n - 1].model;
    if (r->next >= r->route->n || !in_time(r) || !policy_elsewhere(why, r->route->on_refusal))
        return false;
    /* A conversation that is too long fits only into a larger window. */
    return !is_too_long(why) || r->route->v[r->next]->context_tokens > failed->context_tokens;
}

static enum flow_rc try_failed(struct routing *r, const struct model_answer *a,
                               const struct err *failure)
{
    r->failure = *failure;
    note_try(r, a, &r->failure);
    bool keep = r->asker.keeps_half || r->route->midway == ROUTE_KEEP;
    if (!has_next(r, &r->failure) || (is_midway(r) && keep)) {
        r->flow.err = r->failure;
        return FLOW_STOP;
    }
    flow_goto(&r->flow, STEP_MONEY);
    return FLOW_NEXT;
}

static bool may_shorten(const struct routing *r)
{
    return is_too_long(&r->failure) && !is_midway(r) && !r->shortened && in_time(r) &&
           r->asker.shorten && r->asker.shorten(r->asker.ctx);
}

static enum flow_rc ask_shorter(struct routing *r)
{
    const struct model *m = last_try(r)->model;
    log_warn("model", "too long, asking again with less", "model=%s why=%s", m->name,
             log_quote(str_of(r->failure.msg)));
    r->shortened = true;
    r->flow.err = (struct err)ERR_INIT;
    for (r->next = 0; r->route->v[r->next] != m;) r->next++;
    op_extend(r->op, r->longest_ms);
    flow_goto(&r->flow, STEP_GATE);
    return FLOW_NEXT;
}

static enum flow_rc ask_failed(struct flow *f)
{
    struct routing *r = of_flow(f);
    enum flow_rc rc = try_failed(r, its_answer(r), &f->op.err);
    return rc == FLOW_STOP && may_shorten(r) ? ask_shorter(r) : rc;
}

/* ---- the end ---- */

/* The text was put together as it came; the calls are those of the model that ended it. */
static void take_rest(struct routing *r)
{
    struct model_answer *a = r->answer;
    a->finish = r->rest.finish;
    arena_done(&a->made);
    a->made = r->rest.made;
    a->kept = STR_NONE; /* it belongs to the second half of the text only */
    a->n_calls = r->rest.n_calls;
    a->calls = r->rest.calls;
    r->rest.calls = NULL;
    r->rest.n_calls = 0;
    arena_init(&r->rest.made);
}

/* Every model that wrote something is paid for. */
static void sum_up(struct routing *r)
{
    struct model_usage sum = { .known = true };
    r->answer->tries = 0;
    for (size_t i = 0; i < r->log->n; i++) {
        const struct route_try *t = &r->log->v[i];
        if (t->rested) continue;
        model_usage_add(&sum, &t->usage);
        r->answer->tries += t->tries;
    }
    r->answer->usage = sum;
    if (r->log->continued) take_rest(r);
    r->answer->total_ms = (uint32_t)(clock_ms() - r->began_ms);
}

static void routing_end(struct flow *f)
{
    struct routing *r = of_flow(f);
    struct op *op = r->op;
    if (op) {
        sum_up(r);
        if (f->err.kind == ERR_NONE)
            op_finish(op);
        else
            op_fail(op, &f->err);
    }
    gate_leave(&r->ticket, 0);
    model_answer_done(&r->rest);
    models_close(r->models);
    free(r);
}

static const struct flow_step steps[] = {
    [STEP_MONEY] = { "money", money_start, money_done, money_failed },
    [STEP_PICK] = { "pick", pick_start, pick_done, pick_failed },
    [STEP_COUNT] = { "count", count_start, count_done, count_failed },
    [STEP_GATE] = { "gate", gate_start, gate_done, gate_failed },
    [STEP_ASK] = { "ask", ask_start, ask_done, ask_failed },
};
static void step_left(struct flow *f, const char *step, uint64_t ms)
{
    const struct routing *r = of_flow(f);
    if (r->op && r->asker.on_took && f->at != STEP_ASK) r->asker.on_took(r->asker.ctx, step, ms);
}

static const struct flow_kind routing_kind = {
    .name = "route",
    .steps = steps,
    .n_steps = STEP_N,
    .budget_ms = ROUTE_MODELS_MAX * 3600000ULL,
    .end = routing_end,
    .left = step_left,
};

static void route_drop(struct op *op)
{
    struct routing *r = op->impl;
    r->op = NULL;
    if (!r->showing) flow_stop(&r->flow, ERR_CANCELLED, "not wanted any longer");
}

static const struct op_kind route_kind = { "model.route", route_drop };

void route_ask(struct models *models, const struct route *route, struct op *op,
               const struct route_asker *asker, struct model_answer *ret, struct route_log *ret_log)
{
    struct routing *r = mem_new(struct routing);
    uint64_t longest_ms = DEADLINE_SLACK_MS;
    for (size_t i = 0; i < route->n; i++) longest_ms += (uint64_t)route->v[i]->total_ms + 10000;
    *r = (struct routing){ .models = models_hold(models),
                           .route = route,
                           .op = op,
                           .asker = *asker,
                           .answer = ret,
                           .log = ret_log,
                           .longest_ms = longest_ms,
                           .began_ms = clock_ms() };
    op_begin(op, &route_kind, r, longest_ms);
    flow_start(&r->flow, &routing_kind, op->loop, NULL);
}

struct route_try *route_log_add(struct route_log *log, const struct model *m)
{
    log->v = mem_grow(log->v, (log->n + 1) * sizeof(*log->v));
    struct route_try *t = &log->v[log->n++];
    *t = (struct route_try){ .model = m, .why = ERR_INIT };
    return t;
}

void route_log_done(struct route_log *log)
{
    free(log->v);
    *log = (struct route_log){ .n = 0 };
}

void model_usage_add(struct model_usage *to, const struct model_usage *u)
{
    to->prompt_tokens += u->prompt_tokens;
    to->completion_tokens += u->completion_tokens;
    to->cached_tokens += u->cached_tokens;
    to->written_tokens += u->written_tokens;
    to->reasoning_tokens += u->reasoning_tokens;
    to->cost_nano += u->cost_nano;
    to->known = to->known && u->known;
}
