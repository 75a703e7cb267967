/*
 * One request's life: begun by a driver, ended once by success, failure or its deadline, delivered
 * by the loop. And two ops every floor needs: a sleep, and a join of several.
 */
#include "core/loop/op.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

uint64_t op_orphans;

static void op_forget(struct op *op)
{
    if (op->impl) op->kind->drop(op);
    op->impl = NULL;
}

static void op_end(struct op *op)
{
    assert(op_busy(op) && list_empty(&op->ready)); /* begun, and not ended yet */
    timer_clear(op->loop, &op->timer);
    op->impl = NULL;
    list_push(&op->loop->ready, &op->ready);
}

static void on_deadline(struct timer *t)
{
    struct op *op = container_of(t, struct op, timer);

    op_forget(op);
    op_failf(op, ERR_TIMEOUT, "%s: no answer in time", op->kind->name);
}

static void on_slept(struct timer *t)
{
    op_finish(container_of(t, struct op, timer));
}

static void set_deadline(struct op *op, void (*fire)(struct timer *t), uint64_t ms)
{
    op->timer.fire = fire;
    timer_set(op->loop, &op->timer, ms);
}

static void op_occupy(struct op *op, const struct op_kind *kind, void *impl)
{
    assert(!op_busy(op));
    assert(!impl || kind->drop);
    op->kind = kind;
    op->impl = impl;
    op->err = (struct err)ERR_INIT;
}

/* Also on the parent's deadline: what has not ended by then has no result. */
static void join_drop(struct op *parent)
{
    struct op_join *j = parent->impl;

    for (size_t i = 0; i < j->n; i++) {
        if (!op_busy(&j->children[i])) continue;
        op_cancel(&j->children[i]);
        err_set(&j->children[i].err, ERR_CANCELLED, "not waited for any longer");
    }
}

static const struct op_kind sleep_kind = { "sleep", NULL };
static const struct op_kind join_kind = { "join", join_drop };

static void on_child_done(struct op *child)
{
    struct op_join *j = child->owner;

    if (--j->n_left == 0) op_finish(j->parent);
}

void op_init(struct op *op, struct loop *loop, void (*done)(struct op *op))
{
    *op = (struct op){ .loop = loop, .done = done };
    list_init(&op->ready);
}

void op_cancel(struct op *op)
{
    if (!op_busy(op)) return;
    op_forget(op);
    timer_clear(op->loop, &op->timer);
    list_drop(&op->ready);
    op->kind = NULL;
}

void op_deliver(struct op *op)
{
    op->kind = NULL;
    op->done(op);
}

void op_begin(struct op *op, const struct op_kind *kind, void *impl, uint64_t timeout_ms)
{
    assert(timeout_ms > 0);
    op_occupy(op, kind, impl);
    set_deadline(op, on_deadline, timeout_ms);
}

void op_extend(struct op *op, uint64_t timeout_ms)
{
    assert(op_busy(op) && list_empty(&op->ready) && timeout_ms > 0);
    timer_set(op->loop, &op->timer, timeout_ms);
}

void op_finish(struct op *op)
{
    op_end(op);
}

void op_fail(struct op *op, const struct err *why)
{
    assert(why->kind != ERR_NONE);
    op_end(op);
    op->err = *why;
}

void op_failf(struct op *op, enum err_kind kind, const char *fmt, ...)
{
    struct err why = { .kind = kind };
    va_list args;

    va_start(args, fmt);
    vsnprintf(why.msg, sizeof(why.msg), fmt, args);
    va_end(args);
    op_fail(op, &why);
}

void op_sleep(struct op *op, uint64_t ms)
{
    op_occupy(op, &sleep_kind, NULL);
    set_deadline(op, on_slept, ms);
}

void op_join(struct op *parent, struct op_join *j, struct op *children, size_t n,
             void (*begin)(size_t i, struct op *child, void *ctx), void *ctx, uint64_t timeout_ms)
{
    *j = (struct op_join){ .parent = parent, .children = children, .n = n, .n_left = n };
    op_begin(parent, &join_kind, j, timeout_ms);
    for (size_t i = 0; i < n; i++) {
        op_init(&children[i], parent->loop, on_child_done);
        children[i].owner = j;
    }
    for (size_t i = 0; i < n; i++) {
        begin(i, &children[i], ctx);
        assert(op_busy(&children[i]));
    }
    if (n == 0) op_finish(parent);
}
