/* The life of an op, over a driver that answers when the test says so. */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/loop/op.h"
#include <criterion/criterion.h>

struct request {
    struct op *op;
};

struct waiter {
    struct op op;
    int n_done;
    struct waiter *cancel; /* in done */
    bool again;
};

static struct loop loop;
static int n_dropped;

static void request_drop(struct op *op)
{
    struct request *r = op->impl;
    r->op = NULL;
    n_dropped++;
}

static const struct op_kind request_kind = { "fake.request", request_drop };

static struct request *request(struct op *op, uint64_t timeout_ms)
{
    struct request *r = mem_new(struct request);
    r->op = op;
    op_begin(op, &request_kind, r, timeout_ms);
    return r;
}

static void answer(struct request *r)
{
    if (r->op)
        op_finish(r->op);
    else
        op_orphans++;
    free(r);
}

static void on_done(struct op *op)
{
    struct waiter *w = container_of(op, struct waiter, op);

    w->n_done++;
    if (w->cancel) op_cancel(&w->cancel->op);
    if (w->again) {
        w->again = false;
        op_sleep(op, 5);
    }
}

static void turn(void)
{
    uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void open_all(void)
{
    clock_virtual(0);
    loop_open(&loop);
    op_orphans = 0;
}

static void close_all(void)
{
    cr_assert_eq(loop.timers.n, 0, "a finished op leaves no deadline behind");
    cr_assert(list_empty(&loop.ready));
    loop_close(&loop);
}

TestSuite(op, .init = open_all, .fini = close_all);

Test(op, success_is_delivered_once_from_the_loop)
{
    struct waiter w = { 0 };

    op_init(&w.op, &loop, on_done);
    cr_assert(!op_busy(&w.op));
    struct request *r = request(&w.op, 100);
    cr_assert(op_busy(&w.op));
    loop_run_for(&loop, 99);
    answer(r);
    cr_assert_eq(w.n_done, 0, "not inside the driver's call");
    cr_assert(op_busy(&w.op));
    cr_assert_null(w.op.impl);
    loop_run_for(&loop, 1000);
    cr_assert_eq(w.n_done, 1);
    cr_assert(!op_busy(&w.op));
    cr_assert_eq(w.op.err.kind, ERR_NONE);
    cr_assert_eq(n_dropped, 0);
}

Test(op, failure_inside_the_request_is_delivered_from_the_loop)
{
    struct waiter w = { 0 };

    op_init(&w.op, &loop, on_done);
    op_begin(&w.op, &request_kind, NULL, 10);
    op_failf(&w.op, ERR_LIMIT, "fake: queue of %d is full", 7);
    cr_assert_eq(w.n_done, 0);
    turn();
    cr_assert_eq(w.n_done, 1);
    cr_assert_eq(w.op.err.kind, ERR_LIMIT);
    cr_assert_str_eq(w.op.err.msg, "fake: queue of 7 is full");
}

Test(op, a_failure_is_copied_whole)
{
    struct waiter w = { 0 };
    struct err why = { .kind = ERR_LIMIT, .retry_after_ms = 1500, .msg = "slow down" };

    op_init(&w.op, &loop, on_done);
    op_begin(&w.op, &request_kind, NULL, 10);
    op_fail(&w.op, &why);
    why = (struct err)ERR_INIT;
    turn();
    cr_assert_eq(w.op.err.retry_after_ms, 1500);
    cr_assert_str_eq(w.op.err.msg, "slow down");

    op_begin(&w.op, &request_kind, NULL, 10);
    op_finish(&w.op);
    turn();
    cr_assert_eq(w.op.err.kind, ERR_NONE, "an old error does not stay");
}

Test(op, the_deadline_drops_the_request_and_the_late_answer_is_an_orphan)
{
    struct waiter w = { 0 };

    op_init(&w.op, &loop, on_done);
    struct request *r = request(&w.op, 100);
    loop_run_for(&loop, 99);
    cr_assert_eq(w.n_done, 0);
    loop_run_for(&loop, 1);
    cr_assert_eq(w.n_done, 1);
    cr_assert_eq(n_dropped, 1);
    cr_assert_eq(w.op.err.kind, ERR_TIMEOUT);
    cr_assert_str_eq(w.op.err.msg, "fake.request: no answer in time");
    answer(r);
    turn();
    cr_assert_eq(w.n_done, 1);
    cr_assert_eq(op_orphans, 1);
}

Test(op, extend_moves_the_deadline)
{
    struct waiter w = { 0 };

    op_init(&w.op, &loop, on_done);
    struct request *r = request(&w.op, 100);
    loop_run_for(&loop, 90);
    op_extend(&w.op, 100);
    loop_run_for(&loop, 90);
    cr_assert_eq(w.n_done, 0);
    answer(r);
    turn();
    cr_assert_eq(w.n_done, 1);
    cr_assert_eq(w.op.err.kind, ERR_NONE);
}

Test(op, cancel_is_silent_before_and_after_the_answer)
{
    struct waiter w = { 0 };

    op_init(&w.op, &loop, on_done);
    op_cancel(&w.op); /* idle: nothing */
    struct request *r = request(&w.op, 100);
    op_cancel(&w.op);
    cr_assert(!op_busy(&w.op));
    answer(r);
    cr_assert_eq(op_orphans, 1);

    answer(request(&w.op, 100));
    op_cancel(&w.op); /* answered, not delivered */
    cr_assert_eq(n_dropped, 1, "a finished request has no record any more");
    loop_run_for(&loop, 1000);
    cr_assert_eq(w.n_done, 0);
}

Test(op, a_waiter_may_cancel_another_of_the_same_batch)
{
    struct waiter a = { 0 }, b = { 0 };

    op_init(&a.op, &loop, on_done);
    op_init(&b.op, &loop, on_done);
    a.cancel = &b;
    answer(request(&a.op, 10));
    answer(request(&b.op, 10));
    turn();
    turn();
    cr_assert_eq(a.n_done, 1);
    cr_assert_eq(b.n_done, 0);
}

static void on_done_free(struct op *op)
{
    free(container_of(op, struct waiter, op));
}

Test(op, a_waiter_may_begin_again_or_free_the_op)
{
    struct waiter w = { .again = true };
    struct waiter *gone = mem_new(struct waiter);

    op_init(&w.op, &loop, on_done);
    op_init(&gone->op, &loop, on_done_free);
    answer(request(&w.op, 10));
    answer(request(&gone->op, 10));
    turn();
    cr_assert_eq(w.n_done, 1);
    cr_assert(op_busy(&w.op));
    loop_run_for(&loop, 5);
    cr_assert_eq(w.n_done, 2);
}

Test(op, a_sleep_succeeds)
{
    struct waiter w = { 0 };

    op_init(&w.op, &loop, on_done);
    op_sleep(&w.op, 50);
    loop_run_for(&loop, 49);
    cr_assert_eq(w.n_done, 0);
    loop_run_for(&loop, 1);
    cr_assert_eq(w.n_done, 1);
    cr_assert_eq(w.op.err.kind, ERR_NONE);
    op_sleep(&w.op, 0);
    cr_assert_eq(w.n_done, 1);
    loop_run_for(&loop, 0);
    cr_assert_eq(w.n_done, 2);
}

#define N_CHILDREN 4
static struct request *asked[N_CHILDREN];
static int asked_ctx;

static void ask_child(size_t i, struct op *child, void *ctx)
{
    cr_assert_eq(ctx, &asked_ctx);
    asked[i] = request(child, 50 + i);
}

struct joined {
    struct waiter w;
    struct op_join join;
    struct op children[N_CHILDREN];
};

static void join_begin(struct joined *j, size_t n, uint64_t timeout_ms)
{
    *j = (struct joined){ 0 };
    op_init(&j->w.op, &loop, on_done);
    op_join(&j->w.op, &j->join, j->children, n, ask_child, &asked_ctx, timeout_ms);
}

Test(op, a_join_waits_for_the_last_and_keeps_each_result)
{
    struct joined j;

    join_begin(&j, N_CHILDREN, 1000);
    answer(asked[2]);
    op_failf(asked[0]->op, ERR_REFUSED, "no");
    free(asked[0]);
    turn();
    answer(asked[1]);
    loop_run_for(&loop, 10);
    cr_assert_eq(j.w.n_done, 0);
    loop_run_for(&loop, 100); /* child 3: its own deadline */
    cr_assert_eq(j.w.n_done, 1);
    cr_assert_eq(j.w.op.err.kind, ERR_NONE);
    static const enum err_kind want[] = { ERR_REFUSED, ERR_NONE, ERR_NONE, ERR_TIMEOUT };
    for (size_t i = 0; i < N_CHILDREN; i++) cr_assert_eq(j.children[i].err.kind, want[i]);
    answer(asked[3]);
}

Test(op, a_join_of_none_finishes_from_the_loop)
{
    struct joined j;

    join_begin(&j, 0, 10);
    cr_assert_eq(j.w.n_done, 0);
    turn();
    cr_assert_eq(j.w.n_done, 1);
}

Test(op, the_deadline_of_a_join_cancels_who_is_late)
{
    struct joined j;

    join_begin(&j, N_CHILDREN, 20);
    answer(asked[1]);
    loop_run_for(&loop, 20);
    cr_assert_eq(j.w.n_done, 1);
    cr_assert_eq(j.w.op.err.kind, ERR_TIMEOUT);
    for (size_t i = 0; i < N_CHILDREN; i++) {
        cr_assert(!op_busy(&j.children[i]));
        cr_assert_eq(j.children[i].err.kind, i == 1 ? ERR_NONE : ERR_CANCELLED);
        if (i != 1) answer(asked[i]);
    }
    cr_assert_eq(op_orphans, N_CHILDREN - 1);
}

Test(op, cancelling_a_join_at_any_moment_is_silent)
{
    for (size_t n_answered = 0; n_answered <= N_CHILDREN; n_answered++) {
        struct joined j;

        join_begin(&j, N_CHILDREN, 1000);
        for (size_t i = 0; i < n_answered; i++) {
            answer(asked[i]);
            if (i % 2 == 0) turn(); /* some delivered, some not */
        }
        op_cancel(&j.w.op);
        for (size_t i = n_answered; i < N_CHILDREN; i++) answer(asked[i]);
        loop_run_for(&loop, 2000);
        cr_assert_eq(j.w.n_done, 0);
    }
}
