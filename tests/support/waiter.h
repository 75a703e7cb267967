/*
 * waiter - an op that a test runs the loop for.
 */
#pragma once
#include "core/loop/op.h"

struct waiter {
    struct op op;
    unsigned n_done;
};

static inline void waiter_done(struct op *op)
{
    container_of(op, struct waiter, op)->n_done++;
    loop_stop(op->loop);
}

static inline void waiter_init(struct waiter *w, struct loop *loop)
{
    w->n_done = 0;
    op_init(&w->op, loop, waiter_done);
}

/* Run the loop (on the real clock) until the op has ended: how it ended. ERR_BUG: not within ms. */
static inline enum err_kind waiter_run(struct waiter *w, uint64_t ms)
{
    uint64_t give_up = uv_hrtime() / 1000000 + ms;

    for (uint64_t now; op_busy(&w->op) && (now = uv_hrtime() / 1000000) < give_up;)
        loop_run_for(w->op.loop, give_up - now);
    return op_busy(&w->op) ? ERR_BUG : w->op.err.kind;
}

/* Run the loop until *flag is true. */
static inline bool wait_until(struct loop *loop, const bool *flag, uint64_t ms)
{
    uint64_t give_up = uv_hrtime() / 1000000 + ms;

    while (!*flag && uv_hrtime() / 1000000 < give_up) loop_run_for(loop, 2);
    return *flag;
}
