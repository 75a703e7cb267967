/* route: a flow that asks one model after the other. */
#include "core/model/route.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/loop/flow.h"
#include "core/model/gate.h"
#include "core/model/health.h"
#include "core/model/policy.h"

#define DEADLINE_SLACK_MS 10000 /* each model has deadlines of its own, which know more */

enum { STEP_PICK, STEP_GATE, STEP_ASK, STEP_N };

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
    size_t next;  /* of the route */
    bool resting; /* who rests is asked, too: there is nobody else */
    bool showing; /* a piece is on its way to the asker, who may cancel */
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

static enum flow_rc try_failed(struct routing *r, const struct err *failure);

static struct route_try *last_try(struct routing *r)
{
    return &r->log->v[r->log->n - 1];
}

static struct route_try *add_try(struct routing *r, const struct model *m)
{
    struct route_try *t = &r->log->v[r->log->n++];
    *t = (struct route_try){ .model = m, .why = ERR_INIT };
    return t;
}

/* ---- pick: the next one that does not rest ---- */

static enum flow_rc pick_start(struct flow *f)
{
    struct routing *r = of_flow(f);
    for (; r->next < r->route->n; r->next++) {
        const struct model *m = r->route->v[r->next];
        uint32_t rest_ms = r->resting ? 0 : health_rest_ms(r->models, m);
        if (rest_ms == 0) return FLOW_NEXT;
        struct route_try *t = add_try(r, m);
        t->rested = true;
        err_set(&t->why, ERR_IO, "it failed a moment ago and rests");
        t->why.retry_after_ms = rest_ms;
    }
    /* All rest: better a try than nothing. */
    r->resting = true;
    r->next = 0;
    r->log->n = 0;
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
    gate_enter(r->models, m, &r->ticket, &f->op, r->asker.channel, r->asker.person);
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
    add_try(r, r->route->v[r->next++]);
    r->try_began_ms = clock_ms();
    return try_failed(r, &f->op.err);
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

static enum flow_rc ask_start(struct flow *f)
{
    struct routing *r = of_flow(f);
    const struct model *m = r->route->v[r->next++];
    struct str so_far = r->log->continued ? buf_str(&r->answer->text) : STR_NONE;
    struct model_answer *into = r->log->continued ? &r->rest : r->answer;
    add_try(r, m);
    r->try_began_ms = clock_ms();
    model_answer_done(into);
    *into = (struct model_answer){ .tries = 0 };
    model_ask(r->models, m, &f->op, r->asker.ask(r->asker.ctx, m, so_far), on_piece, r, into);
    return FLOW_WAIT;
}

static void note_try(struct routing *r, const struct err *why)
{
    const struct model_answer *a = r->log->continued ? &r->rest : r->answer;
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
    note_try(r, &well);
    return FLOW_STOP;
}

static bool has_next(const struct routing *r, const struct err *why)
{
    const struct model *failed = r->log->v[r->log->n - 1].model;
    bool in_time = clock_ms() - r->began_ms < (uint64_t)r->route->total_ms;
    if (r->next >= r->route->n || !in_time || !policy_elsewhere(why, r->route->on_refusal))
        return false;
    /* A conversation that is too long fits only into a larger window. */
    bool too_long = why->kind == ERR_LIMIT && why->retry_after_ms == 0;
    return !too_long || r->route->v[r->next]->context_tokens > failed->context_tokens;
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

static enum flow_rc try_failed(struct routing *r, const struct err *failure)
{
    struct flow *f = &r->flow;
    struct err why = *failure;
    bool shown = r->answer->text.n > 0;
    note_try(r, &why);
    if (!has_next(r, &why) || (shown && r->route->midway == ROUTE_KEEP)) {
        f->err = why;
        return FLOW_STOP;
    }
    log_warn("model", "failed, asking another one", "model=%s next=%s kind=%s midway=%d why=%s",
             last_try(r)->model->name, r->route->v[r->next]->name, err_rule(why.kind)->name, shown,
             log_quote(str_of(why.msg)));
    if (shown)
        hand_over_midway(r);
    else
        metric_add(&failovers[0], 1);
    flow_goto(f, STEP_PICK);
    return FLOW_NEXT;
}

static enum flow_rc ask_failed(struct flow *f)
{
    return try_failed(of_flow(f), &f->op.err);
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
    free(r);
}

static const struct flow_step steps[] = {
    [STEP_PICK] = { "pick", pick_start, NULL, NULL },
    [STEP_GATE] = { "gate", gate_start, gate_done, gate_failed },
    [STEP_ASK] = { "ask", ask_start, ask_done, ask_failed },
};
static const struct flow_kind routing_kind = {
    .name = "route",
    .steps = steps,
    .n_steps = STEP_N,
    .budget_ms = ROUTE_MODELS_MAX * 3600000ULL,
    .end = routing_end,
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
    *r = (struct routing){ .models = models,
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
