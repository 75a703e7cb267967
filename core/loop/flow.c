/*
 * The runner of flows. A step's callbacks run one at a time with `inside` set; whatever arrives
 * meanwhile (a stop, an end of the child) is acted upon when the callback is back, so a step never
 * loses the ground under its feet.
 */
#include "core/loop/flow.h"
#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include <assert.h>
#include <stdio.h>

static void flow_end(struct flow *f);
static void child_drop(struct op *op);

static const struct op_kind child_kind = { "flow.child", child_drop };
/* A flow that is over before flow_start returns ends from the loop: its starter may still look at
 * it. */
static const struct op_kind ending_kind = { "flow.end", NULL };

static void log_step(const struct flow *f, const char *what)
{
    log_debug(f->kind->name, what, "flow=%p step=%s", (const void *)f, flow_at(f));
}

/* The parent goes on from the loop, or ends here if it was only waiting for this. */
static void child_ended(struct flow *parent, const struct err *err)
{
    parent->child = NULL;
    if (parent->stopping) {
        parent->op.impl = NULL;
        op_cancel(&parent->op);
        if (!parent->inside) flow_end(parent);
        return;
    }
    if (err->kind == ERR_NONE)
        op_finish(&parent->op);
    else
        op_fail(&parent->op, err);
}

/* The parent ended in the very step that called the child. */
static void child_drop(struct op *op)
{
    struct flow *child = op->impl;

    child->parent->child = NULL;
    child->parent = NULL;
    flow_stop(child, ERR_CANCELLED, "not waited for any longer");
}

static void flow_end(struct flow *f)
{
    struct flow *parent = f->parent;
    struct err err = f->err;

    assert(!f->inside);
    f->stopping = true;
    f->inside = true; /* a stop from inside end() comes too late */
    op_cancel(&f->op);
    timer_clear(f->op.loop, &f->budget);
    list_drop(&f->link);
    log_debug(f->kind->name, "flow ends", "flow=%p step=%s kind=%s why=%s", (const void *)f,
              flow_at(f), err_rule(err.kind)->name, log_quote(str_of(err.msg)));
    f->kind->end(f);
    if (parent) child_ended(parent, &err);
}

/* One callback of a step. */
static enum flow_rc call(struct flow *f, enum flow_rc (*callback)(struct flow *f))
{
    f->inside = true;
    enum flow_rc rc = callback(f);
    f->inside = false;
    /* To wait for nothing would hang; to go on with an op begun would run two steps at once. */
    assert(f->stopping || rc == FLOW_STOP || op_busy(&f->op) == (rc == FLOW_WAIT));
    return rc;
}

static enum flow_rc call_failed(struct flow *f)
{
    struct err err = f->op.err; /* the callback may begin another op */
    const struct flow_step *step = &f->kind->steps[f->at];
    enum flow_rc rc = step->failed ? call(f, step->failed) : FLOW_STOP;

    /* A failure that the step survived never reaches end(). */
    if (rc == FLOW_STOP && !f->stopping && f->err.kind == ERR_NONE) f->err = err;
    return rc;
}

static enum flow_rc call_done(struct flow *f)
{
    const struct flow_step *step = &f->kind->steps[f->at];
    return step->done ? call(f, step->done) : FLOW_NEXT;
}

static enum flow_rc call_start(struct flow *f)
{
    f->next = (uint16_t)(f->at + 1);
    if (f->kind->left) f->step_began_ms = clock_ms();
    fault_point(f->kind->name, flow_at(f), "start");
    log_step(f, "step starts");
    return call(f, f->kind->steps[f->at].start);
}

/* Go on after a callback that returned `rc`, until a step waits. True: the flow is over. */
static bool flow_run(struct flow *f, enum flow_rc rc)
{
    while (!f->stopping && rc != FLOW_WAIT) {
        fault_point(f->kind->name, flow_at(f), "done");
        log_step(f, "step done");
        if (f->kind->left) f->kind->left(f, flow_at(f), clock_ms() - f->step_began_ms);
        if (rc == FLOW_NEXT) f->at = f->next;
        if (rc == FLOW_STOP || f->at == f->kind->n_steps)
            f->stopping = true;
        else
            rc = call_start(f);
    }
    return f->stopping;
}

static void on_op_done(struct op *op)
{
    struct flow *f = container_of(op, struct flow, op);

    if (f->stopping || flow_run(f, op->err.kind == ERR_NONE ? call_done(f) : call_failed(f)))
        flow_end(f);
}

static void on_budget_spent(struct timer *t)
{
    struct flow *f = container_of(t, struct flow, budget);
    char why[ERR_MSG_MAX];

    snprintf(why, sizeof(why), "%s: not through in time, still at %s", f->kind->name, flow_at(f));
    flow_stop(f, ERR_TIMEOUT, why);
}

static void flow_begin(struct flow *f, const struct flow_kind *kind, struct loop *loop,
                       struct flow *parent, struct list *all)
{
    assert(kind->n_steps > 0 && kind->end);
    op_init(&f->op, loop, on_op_done);
    f->kind = kind;
    f->budget = (struct timer){ .fire = on_budget_spent };
    f->child = NULL;
    f->parent = parent;
    f->err = (struct err)ERR_INIT;
    f->at = 0;
    f->inside = f->stopping = false;
    list_init(&f->link);
    if (all) list_push(all, &f->link);
    if (kind->budget_ms) timer_set(loop, &f->budget, kind->budget_ms);

    if (!flow_run(f, call_start(f))) return;
    op_cancel(&f->op);
    op_begin(&f->op, &ending_kind, NULL, 1);
    op_finish(&f->op);
}

void flow_start(struct flow *f, const struct flow_kind *kind, struct loop *loop, struct list *all)
{
    flow_begin(f, kind, loop, NULL, all);
}

void flow_stop(struct flow *f, enum err_kind kind, const char *reason)
{
    if (!f->stopping && f->err.kind == ERR_NONE) err_set(&f->err, kind, "%s", reason);
    f->stopping = true;
    /* The child's step may be on the stack and its struct inside ours: it ends first, and that ends
     * us. */
    if (f->child)
        flow_stop(f->child, ERR_CANCELLED, reason);
    else if (!f->inside)
        flow_end(f);
}

void flow_goto(struct flow *f, uint16_t step)
{
    assert(f->inside && step <= f->kind->n_steps);
    f->next = step;
}

void flow_call(struct flow *f, struct flow *child, const struct flow_kind *kind)
{
    assert(f->inside && !f->child);
    f->child = child;
    op_begin(&f->op, &child_kind, child, 1);
    timer_clear(f->op.loop, &f->op.timer); /* the child's budget is the deadline */
    flow_begin(child, kind, f->op.loop, f, NULL);
}
