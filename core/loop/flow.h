/*
 * flow - a multi-step asynchronous job written as a table of named steps over one struct.
 *
 * A step starts at most one op on f->op. The runner guarantees:
 *   - done and failed run from the loop, never from inside start;
 *   - after flow_stop, no step runs any more;
 *   - end() runs exactly once, on every path, from the loop or from flow_stop, never inside
 *     flow_start or flow_call: the only place that frees.
 *
 * fault_point(kind, step, "start" | "done") is passed for every step: before its start, and when it
 * is left. A step may wait several times (FLOW_WAIT from done or failed).
 */
#pragma once
#include "core/base/err.h"
#include "core/loop/op.h"

enum flow_rc {
    FLOW_NEXT, /* go on with the following step (or the one set by flow_goto) */
    FLOW_WAIT, /* an op was begun on f->op, or a child flow with flow_call */
    FLOW_STOP, /* end the flow; f->err says why (ERR_NONE = well; from failed: the op's error) */
};

struct flow;
struct flow_step {
    const char *name;
    enum flow_rc (*start)(struct flow *f);
    enum flow_rc (*done)(struct flow *f); /* the op succeeded; NULL = go on */
    /* It did not (f->op.err); NULL = end the flow with that error. */
    enum flow_rc (*failed)(struct flow *f);
};

struct flow_kind {
    const char *name;
    const struct flow_step *steps;
    size_t n_steps;
    uint64_t
        budget_ms; /* for the whole flow; 0 = none: only for what lives as long as the process */
    void (*end)(struct flow *f);
    /* A step is left, ms after its start, whatever comes next; not the one that the flow is stopped
     * in. Begins nothing. NULL = no matter. */
    void (*left)(struct flow *f, const char *step, uint64_t ms);
};

struct flow {
    const struct flow_kind *kind;
    struct op op;
    struct timer budget;
    struct list link;   /* in the list given to flow_start */
    struct flow *child; /* flow_call: the flow this one waits for */
    struct flow *parent;
    struct err err;
    uint64_t step_began_ms; /* if kind->left wants to know */
    uint16_t at, next;
    bool inside;   /* a step is on the stack: a stop that arrives now is deferred */
    bool stopping; /* no step runs any more; end() is due */
};

/*
 * Set up `f` (any content before) and run its first step.
 * f        the caller's memory until kind->end
 * all      the list the flow is linked into until its end (for admin and shutdown); may be NULL
 */
void flow_start(struct flow *f, const struct flow_kind *kind, struct loop *loop, struct list *all);

/* End it: now, or when the running step (its own or its child's) returns. First reason counts. */
void flow_stop(struct flow *f, enum err_kind kind, const char *reason);

/*
 * Inside a step: the next step to start, once this one is left; n_steps = end well. From start with
 * FLOW_WAIT it is remembered until the op is through.
 */
void flow_goto(struct flow *f, uint16_t step);

/*
 * Inside a step: run `child` as this step; return FLOW_WAIT. When the child ends, this flow's done
 * or failed runs with f->op.err = the child's err. The child's end() runs first; stopping the
 * parent stops the child.
 */
void flow_call(struct flow *f, struct flow *child, const struct flow_kind *kind);

static inline const char *flow_at(const struct flow *f)
{
    return f->at < f->kind->n_steps ? f->kind->steps[f->at].name : "end";
}
