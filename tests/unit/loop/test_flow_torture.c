/*
 * Op torture: a flow with every kind of wait (plain, surviving, child, grandchild, join, repeated)
 * over a driver that fails, hangs, or has the flow stopped at the first wait, the second, the
 * third; and the flow stopped inside each of its callbacks, and before each turn of the loop. Every
 * time, end() runs once, and nothing stays behind.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/loop/flow.h"
#include <criterion/criterion.h>

enum harm { HARM_FAIL, HARM_FAIL_AT_ONCE, HARM_HANG, HARM_STOP, HARM_N };

struct request {
    struct op *op;
    struct timer timer;
    struct list link;
    bool fails;
};

struct tree {
    struct flow flow, child, grandchild;
    struct op_join join;
    struct op ops[3];
    int n_loops, n_live; /* flows of this tree that have begun and not ended */
};

static struct {
    size_t n_requests, victim;   /* the victim-th request (from 1) is harmed */
    size_t n_callbacks, stop_at; /* the stop_at-th callback of a step stops the whole tree */
    enum harm harm;
    struct list live;
    int n_trees, n_well;
    struct tree *only;
} torture;

static struct loop loop;
static struct list flows;

static void turn(void)
{
    uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void open_all(void)
{
    clock_virtual(0);
    loop_open(&loop);
    list_init(&flows);
}

static void assert_nothing_live(void)
{
    cr_assert_eq(loop.timers.n, 0, "no deadline is left");
    cr_assert(list_empty(&loop.ready));
    cr_assert(list_empty(&flows));
    cr_assert(list_empty(&torture.live));
}

static void close_all(void)
{
    loop_close(&loop);
}

TestSuite(flow_torture, .init = open_all, .fini = close_all);

static void request_drop(struct op *op)
{
    struct request *r = op->impl;
    r->op = NULL; /* its answer comes all the same, later */
}

static const struct op_kind request_kind = { "fake.request", request_drop };

static void on_answer(struct timer *t)
{
    struct request *r = container_of(t, struct request, timer);

    if (!r->op)
        op_orphans++;
    else if (r->fails)
        op_failf(r->op, ERR_IO, "fake: harmed");
    else
        op_finish(r->op);
    list_drop(&r->link);
    free(r);
}

static void on_stop_tree(struct timer *t)
{
    struct request *r = container_of(t, struct request, timer);

    if (torture.only) flow_stop(&torture.only->flow, ERR_CANCELLED, "stopped at a wait");
    on_answer(&r->timer);
}

static void request(struct op *op)
{
    bool harmed = ++torture.n_requests == torture.victim;

    if (harmed && torture.harm == HARM_FAIL_AT_ONCE) {
        op_begin(op, &request_kind, NULL, 50);
        op_failf(op, ERR_LIMIT, "fake: full");
        return;
    }
    struct request *r = mem_new(struct request);
    *r = (struct request){ .op = op, .timer.fire = on_answer };
    list_push(&torture.live, &r->link);
    op_begin(op, &request_kind, r, 50);
    if (harmed && torture.harm == HARM_FAIL) r->fails = true;
    if (harmed && torture.harm == HARM_STOP) r->timer.fire = on_stop_tree;
    timer_set(&loop, &r->timer, harmed && torture.harm == HARM_HANG ? 200 : 5);
}

static enum flow_rc callback(struct flow *f, enum flow_rc rc)
{
    if (++torture.n_callbacks == torture.stop_at) {
        while (f->parent) f = f->parent;
        flow_stop(f, ERR_CANCELLED, "stopped inside a callback");
    }
    return rc;
}

static enum flow_rc ask(struct flow *f)
{
    request(&f->op);
    return callback(f, FLOW_WAIT);
}

static enum flow_rc tree_next(struct flow *f)
{
    return callback(f, FLOW_NEXT);
}

static struct tree *tree_of_child(struct flow *f)
{
    return container_of(f, struct tree, child);
}

static void grandchild_end(struct flow *f)
{
    container_of(f, struct tree, grandchild)->n_live--;
}

static const struct flow_step grandchild_steps[] = {
    { "ask", ask, tree_next, tree_next },
    { "ask again", ask },
};
static const struct flow_kind grandchild_kind = { "grandchild", grandchild_steps, 2, 300,
                                                  grandchild_end };

static enum flow_rc call_grandchild(struct flow *f)
{
    struct tree *t = tree_of_child(f);

    t->n_live++;
    flow_call(f, &t->grandchild, &grandchild_kind);
    return callback(f, FLOW_WAIT);
}

static void tree_child_end(struct flow *f)
{
    tree_of_child(f)->n_live--;
}

static const struct flow_step child_steps[] = {
    { "sync", tree_next },
    { "grandchild", call_grandchild, tree_next, tree_next },
    { "ask", ask, tree_next },
};
static const struct flow_kind tree_child_kind = { "child", child_steps, 3, 500, tree_child_end };

static enum flow_rc call_tree_child(struct flow *f)
{
    struct tree *t = container_of(f, struct tree, flow);

    t->n_live++;
    flow_call(f, &t->child, &tree_child_kind);
    return callback(f, FLOW_WAIT);
}

static void join_begin(size_t i, struct op *child, void *ctx)
{
    struct tree *t = ctx;
    cr_assert_eq(child, &t->ops[i]);
    request(child);
}

static enum flow_rc join_ask(struct flow *f)
{
    struct tree *t = container_of(f, struct tree, flow);

    op_join(&f->op, &t->join, t->ops, 3, join_begin, t, 40);
    return callback(f, FLOW_WAIT);
}

static enum flow_rc twice(struct flow *f)
{
    struct tree *t = container_of(f, struct tree, flow);

    if (++t->n_loops == 1) return ask(f); /* waits again in the same step */
    if (t->n_loops == 2) flow_goto(f, 0); /* and once more from the start */
    return callback(f, FLOW_NEXT);
}

static void tree_end(struct flow *f)
{
    struct tree *t = container_of(f, struct tree, flow);

    cr_assert_eq(--t->n_live, 0, "the children's end() came first, once each");
    if (f->err.kind == ERR_NONE) torture.n_well++;
    torture.n_trees--;
    if (torture.only == t) torture.only = NULL;
    free(t);
}

static const struct flow_step tree_steps[] = {
    { "ask", ask, tree_next },
    { "survive", ask, tree_next, tree_next },
    { "sync", tree_next },
    { "child", call_tree_child, tree_next, tree_next },
    { "join", join_ask, tree_next, tree_next },
    { "twice", ask, twice, tree_next },
};
static const struct flow_kind tree_kind = { "tree", tree_steps, 6, 2000, tree_end };

static struct tree *tree_start(void)
{
    struct tree *t = mem_new(struct tree);

    t->n_live = 1;
    torture.n_trees++;
    flow_start(&t->flow, &tree_kind, &loop, &flows);
    return t;
}

static void torture_init(size_t victim, enum harm harm, size_t stop_at)
{
    memset(&torture, 0, sizeof(torture));
    torture.victim = victim;
    torture.harm = harm;
    torture.stop_at = stop_at;
    list_init(&torture.live);
    op_orphans = 0;
}

static void torture_run(size_t victim, enum harm harm, size_t stop_at)
{
    torture_init(victim, harm, stop_at);
    torture.only = tree_start();
    loop_run_for(&loop, 5000);
    cr_assert_eq(torture.n_trees, 0, "victim %zu harm %d stop %zu: end() ran", victim, (int)harm,
                 stop_at);
    assert_nothing_live();
}

Test(flow_torture, at_every_request)
{
    torture_run(0, HARM_FAIL, 0);
    size_t n = torture.n_requests;
    cr_assert_eq(torture.n_well, 1);
    cr_assert_eq(op_orphans, 0);
    cr_assert_gt(n, 15);

    for (size_t victim = 1; victim <= n; victim++) {
        for (int harm = 0; harm < HARM_N; harm++) {
            torture_run(victim, (enum harm)harm, 0);
            cr_assert_geq(torture.n_requests, victim);
            if (harm == HARM_HANG) cr_assert_geq(op_orphans, 1);
            if (harm == HARM_STOP) cr_assert_eq(torture.n_well, 0);
        }
    }
}

Test(flow_torture, stop_inside_every_callback)
{
    torture_run(0, HARM_FAIL, 0);
    size_t n = torture.n_callbacks;

    for (size_t at = 1; at <= n; at++) {
        torture_run(0, HARM_FAIL, at);
        cr_assert_leq(torture.n_callbacks, at + 2, "only the flow_calls on the stack return");
        cr_assert_eq(torture.n_well, 0);
    }
}

/* Also between an answer and its delivery, and between a child's end and its parent's next step. */
Test(flow_torture, stop_before_every_turn)
{
    for (size_t n_turns = 0, at_end = 0; !at_end; n_turns++) {
        torture_init(0, HARM_FAIL, 0);
        torture.only = tree_start();
        for (size_t i = 0; i < n_turns && torture.only; i++) {
            if (list_empty(&loop.ready)) clock_advance(1);
            turn();
        }
        at_end = !torture.only;
        size_t n_callbacks = torture.n_callbacks;
        if (torture.only) flow_stop(&torture.only->flow, ERR_CANCELLED, "stopped at a turn");
        cr_assert_null(torture.only, "from outside of its steps, a flow stops at once");
        loop_run_for(&loop, 1000);
        cr_assert_eq(torture.n_callbacks, n_callbacks);
        assert_nothing_live();
    }
}

Test(flow_torture, ten_thousand_flows)
{
    enum { N = 10000 };

    torture_init(0, HARM_FAIL, 0);
    for (int i = 0; i < N; i++) tree_start();
    /* One is stopped every so often; the victim is somewhere in the middle. */
    for (int i = 0; i < 50; i++) {
        loop_run_for(&loop, 1);
        torture.victim = torture.n_requests + 17;
        torture.harm = i % 2 ? HARM_HANG : HARM_FAIL;
        if (!list_empty(&flows))
            flow_stop(list_first(&flows, struct flow, link), ERR_CANCELLED, "one of many");
    }
    loop_run_for(&loop, 5000);
    cr_assert_eq(torture.n_trees, 0);
    cr_assert_geq(torture.n_well, N - 100);
    assert_nothing_live();
}
