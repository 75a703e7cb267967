/*
 * op - one asynchronous request, embedded in whoever waits for it.
 *
 * Rules (the runner asserts them):
 *   1. x_request(..., op, ...) returns void and never completes inside the call.
 *   2. Exactly one completion, or none after op_cancel(), which is silent and immediate.
 *   3. The driver's record is its own memory with a back pointer; cancel and timeout clear the
 *      pointer through kind->drop, and the late reply is an orphan: dropped and counted.
 *   4. Every op has a deadline.
 */
#pragma once
#include "core/base/err.h"
#include "core/loop/loop.h"

struct op;
struct op_kind {
    const char *name; /* "pg.query": what a flow waits for */
    /* Clear the back pointer in op->impl, or free it. NULL when impl is always NULL. */
    void (*drop)(struct op *op);
};

struct op {
    const struct op_kind *kind; /* NULL while idle */
    void *impl;                 /* the driver's record; NULL once finished */
    void (*done)(struct op *op);
    void *owner; /* for a waiter that container_of cannot find */
    struct loop *loop;
    struct timer timer;
    struct list ready;
    struct err err; /* after completion: kind ERR_NONE or why it failed */
};

/* For waiters. done runs from the loop; it may begin the op again or free it. */
void op_init(struct op *op, struct loop *loop, void (*done)(struct op *op));
void op_cancel(struct op *op); /* no-op when idle */
static inline bool op_busy(const struct op *op)
{
    return op->kind != NULL;
}

/*
 * For drivers. timeout_ms > 0. When it passes, the op fails with ERR_TIMEOUT after kind->drop. The
 * end of an op is delivered on the next turn of the loop; until then it can still be cancelled.
 */
void op_begin(struct op *op, const struct op_kind *kind, void *impl, uint64_t timeout_ms);
void op_extend(struct op *op, uint64_t timeout_ms); /* the deadline anew, from now */
void op_finish(struct op *op);                      /* success */
void op_fail(struct op *op, const struct err *why); /* failure; *why is copied */
void op_failf(struct op *op, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* An op that finishes by itself after `ms` (0 = on the next turn): a wait as a step. */
void op_sleep(struct op *op, uint64_t ms);

extern uint64_t op_orphans; /* late replies dropped; drivers count theirs here */

/*
 * Wait for several ops at once. Each child's result is in its own err: the join fails with
 * ERR_TIMEOUT or not at all.
 * parent     finishes when every child has; cancelling it cancels them all
 * children   n of them, like `j` the caller's memory until the parent ends
 * begin      called for each child inside op_join, which has initialised it; must begin it
 * timeout_ms then the children still running are cancelled, and their err says ERR_CANCELLED
 */
struct op_join {
    struct op *parent;
    struct op *children;
    size_t n, n_left;
};
void op_join(struct op *parent, struct op_join *j, struct op *children, size_t n,
             void (*begin)(size_t i, struct op *child, void *ctx), void *ctx, uint64_t timeout_ms);
