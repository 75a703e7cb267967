/*
 * The runner of flows: order, errors, jumps, children, stops from everywhere; and op torture: a
 * flow with every kind of wait, failing, hanging or stopped at the first wait, the second, the
 * third ...
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/loop/flow.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct loop loop;
static struct list flows;
static char trace[512];

static void note(const char *what)
{
    size_t n = strlen(trace);
    snprintf(trace + n, sizeof(trace) - n, "%s%s", n ? " " : "", what);
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
}

static void close_all(void)
{
    assert_nothing_live();
    loop_close(&loop);
}

static struct err ended;
static int n_ended;

static void small_end(struct flow *f)
{
    ended = f->err;
    n_ended++;
    note("end");
}

static enum flow_rc sleep_start(struct flow *f)
{
    note("start");
    op_sleep(&f->op, 10);
    return FLOW_WAIT;
}

static enum flow_rc done_next(struct flow *f)
{
    (void)f;
    note("done");
    return FLOW_NEXT;
}

static enum flow_rc sync_next(struct flow *f)
{
    (void)f;
    note("sync");
    return FLOW_NEXT;
}

static enum flow_rc sync_stop(struct flow *f)
{
    err_set(&f->err, ERR_REFUSED, "enough");
    return FLOW_STOP;
}

static enum flow_rc fail_start(struct flow *f)
{
    static const struct op_kind kind = { "fail", NULL };
    note("start");
    op_begin(&f->op, &kind, NULL, 5);
    op_failf(&f->op, ERR_IO, "gone");
    return FLOW_WAIT;
}

static enum flow_rc failed_survive(struct flow *f)
{
    cr_assert_eq(f->op.err.kind, ERR_IO);
    note("survived");
    return FLOW_NEXT;
}

static enum flow_rc failed_stop(struct flow *f)
{
    (void)f;
    return FLOW_STOP;
}

static enum flow_rc failed_stop_own(struct flow *f)
{
    err_set(&f->err, ERR_LIMIT, "my own words");
    return FLOW_STOP;
}

static enum flow_rc failed_end_well(struct flow *f)
{
    flow_goto(f, (uint16_t)f->kind->n_steps);
    return FLOW_NEXT;
}

static enum flow_rc failed_retry(struct flow *f)
{
    note("retry");
    op_sleep(&f->op, 100);
    return FLOW_WAIT;
}

static enum flow_rc goto_two(struct flow *f)
{
    note("goto");
    flow_goto(f, 2);
    return FLOW_NEXT;
}

static enum flow_rc goto_two_later(struct flow *f)
{
    flow_goto(f, 2);
    return sleep_start(f);
}

static enum flow_rc stop_self(struct flow *f)
{
    flow_stop(f, ERR_CANCELLED, "by itself");
    cr_assert_eq(n_ended, 0, "not while its step runs");
    flow_stop(f, ERR_IO, "a second reason");
    return FLOW_NEXT;
}

static enum flow_rc stop_self_waiting(struct flow *f)
{
    op_sleep(&f->op, 1000);
    stop_self(f);
    return FLOW_WAIT;
}

struct small_case {
    const char *name;
    struct flow_step steps[3];
    size_t n_steps;
    uint64_t budget_ms;
    const char *trace;
    struct err err;
};

static const struct small_case small_cases[] = {
    { "one step", { { "a", sleep_start, done_next } }, 1, 0, "start done end", ERR_INIT },
    { "no done", { { "a", sleep_start } }, 1, 0, "start end", ERR_INIT },
    { "all synchronous",
      { { "a", sync_next }, { "b", sync_next } },
      2,
      0,
      "sync sync end",
      ERR_INIT },
    { "stop in the first start",
      { { "a", sync_stop } },
      1,
      0,
      "end",
      { ERR_REFUSED, 0, "enough" } },
    { "stop in a later start",
      { { "a", sleep_start }, { "b", sync_stop } },
      2,
      0,
      "start end",
      { ERR_REFUSED, 0, "enough" } },
    { "failure ends", { { "a", fail_start } }, 1, 0, "start end", { ERR_IO, 0, "gone" } },
    { "failure stops",
      { { "a", fail_start, NULL, failed_stop } },
      1,
      0,
      "start end",
      { ERR_IO, 0, "gone" } },
    { "failure in own words",
      { { "a", fail_start, NULL, failed_stop_own } },
      1,
      0,
      "start end",
      { ERR_LIMIT, 0, "my own words" } },
    { "failure ends well",
      { { "a", fail_start, NULL, failed_end_well }, { "b", sync_next } },
      2,
      0,
      "start end",
      ERR_INIT },
    { "failure survived",
      { { "a", fail_start, NULL, failed_survive }, { "b", sleep_start, done_next } },
      2,
      0,
      "start survived start done end",
      ERR_INIT },
    { "failed waits again",
      { { "a", fail_start, done_next, failed_retry } },
      1,
      0,
      "start retry done end",
      ERR_INIT },
    { "goto",
      { { "a", goto_two }, { "b", sync_stop }, { "c", sync_next } },
      3,
      0,
      "goto sync end",
      ERR_INIT },
    { "goto remembered over the wait",
      { { "a", goto_two_later }, { "b", sync_stop }, { "c", sync_next } },
      3,
      0,
      "start sync end",
      ERR_INIT },
    { "stop itself",
      { { "a", stop_self }, { "b", sync_next } },
      2,
      0,
      "end",
      { ERR_CANCELLED, 0, "by itself" } },
    { "stop itself while waiting",
      { { "a", sleep_start }, { "b", stop_self_waiting } },
      2,
      0,
      "start end",
      { ERR_CANCELLED, 0, "by itself" } },
    { "budget",
      { { "a", sleep_start }, { "b", sleep_start }, { "c", sleep_start } },
      3,
      25,
      "start start start end",
      { ERR_TIMEOUT, 0, "small: not through in time, still at c" } },
};

TestSuite(flow, .init = open_all, .fini = close_all);

Test(flow, small_flows)
{
    for (size_t i = 0; i < sizeof(small_cases) / sizeof(small_cases[0]); i++) {
        const struct small_case *c = &small_cases[i];
        struct flow_kind kind = { "small", c->steps, c->n_steps, c->budget_ms, small_end };
        struct flow f;

        trace[0] = '\0';
        n_ended = 0;
        memset(&f, 0xa5, sizeof(f)); /* whatever was there before */
        flow_start(&f, &kind, &loop, &flows);
        cr_assert_eq(n_ended, 0, "%s: ended inside flow_start", c->name);
        loop_run_for(&loop, 5000);
        cr_assert_eq(n_ended, 1, "%s", c->name);
        cr_assert_str_eq(trace, c->trace, "%s: %s", c->name, trace);
        cr_assert_eq(ended.kind, c->err.kind, "%s: %s", c->name, ended.msg);
        cr_assert_str_eq(ended.msg, c->err.msg, "%s", c->name);
        assert_nothing_live();
    }
}

Test(flow, stopped_before_its_synchronous_end_is_delivered)
{
    static const struct flow_step steps[] = { { "a", sync_next } };
    static const struct flow_kind kind = { "small", steps, 1, 1000, small_end };
    struct flow f;

    flow_start(&f, &kind, &loop, &flows);
    cr_assert_eq(n_ended, 0);
    flow_stop(&f, ERR_CANCELLED, "shutdown");
    cr_assert_eq(n_ended, 1);
    cr_assert_eq(ended.kind, ERR_NONE, "it had ended well");
    loop_run_for(&loop, 2000);
    cr_assert_eq(n_ended, 1);
}

static void end_and_stop(struct flow *f)
{
    small_end(f);
    flow_stop(f, ERR_BUG, "too late");
}

Test(flow, a_stop_inside_end_does_nothing)
{
    static const struct flow_step steps[] = { { "a", sleep_start } };
    static const struct flow_kind kind = { "small", steps, 1, 1000, end_and_stop };
    struct flow f;

    flow_start(&f, &kind, &loop, &flows);
    loop_run_for(&loop, 100);
    cr_assert_eq(n_ended, 1);
    cr_assert_eq(ended.kind, ERR_NONE);
}

static enum flow_rc done_wait_once_more(struct flow *f)
{
    if (clock_ms() > 10) return FLOW_NEXT;
    op_sleep(&f->op, 100);
    return FLOW_WAIT;
}

static void note_left(struct flow *f, const char *step, uint64_t ms)
{
    char text[40];
    (void)f;
    snprintf(text, sizeof(text), "%s=%d", step, (int)ms);
    note(text);
}

/* All that a step waited for counts; what runs through took nothing. */
Test(flow, it_says_how_long_a_step_took)
{
    static const struct flow_step steps[] = { { "a", sleep_start, done_wait_once_more },
                                              { "b", sync_next },
                                              { "c", sleep_start } };
    static const struct flow_kind kind = { "timed", steps, 3, 0, small_end, note_left };
    struct flow f;

    flow_start(&f, &kind, &loop, &flows);
    loop_run_for(&loop, 115);
    cr_assert_str_eq(trace, "start a=110 sync b=0 start");
    flow_stop(&f, ERR_CANCELLED, "it is not left");
    cr_assert_str_eq(trace, "start a=110 sync b=0 start end");
}

Test(flow, it_says_what_it_waits_for)
{
    static const struct flow_step steps[] = { { "a", sync_next }, { "wait", sleep_start } };
    static const struct flow_kind kind = { "small", steps, 2, 1000, small_end };
    struct flow f;

    flow_start(&f, &kind, &loop, &flows);
    cr_assert_str_eq(flow_at(&f), "wait");
    cr_assert_str_eq(f.op.kind->name, "sleep");
    cr_assert_eq(list_first(&flows, struct flow, link), &f);
    flow_stop(&f, ERR_CANCELLED, "shutdown");
}

/* ---- children ---- */

struct family {
    struct flow flow;
    struct flow child;
    const struct flow_kind *child_kind;
    bool stop_parent;
};

static struct err child_err;

static void family_end(struct flow *f)
{
    small_end(f);
    free(container_of(f, struct family, flow)); /* and with it the child's struct */
}

static void child_end(struct flow *f)
{
    child_err = f->err;
    note("child-end");
}

static enum flow_rc call_child(struct flow *f)
{
    struct family *fam = container_of(f, struct family, flow);
    flow_call(f, &fam->child, fam->child_kind);
    note("called");
    return FLOW_WAIT;
}

static enum flow_rc child_stops_parent(struct flow *f)
{
    note("kill");
    flow_stop(f->parent, ERR_CANCELLED, "my child says so");
    cr_assert_eq(n_ended, 0, "the child's step is still on the stack");
    return FLOW_NEXT;
}

static enum flow_rc child_stops_parent_waiting(struct flow *f)
{
    op_sleep(&f->op, 1000);
    child_stops_parent(f);
    return FLOW_WAIT;
}

static enum flow_rc call_child_and_stop(struct flow *f)
{
    call_child(f);
    flow_stop(f, ERR_REFUSED, "changed my mind");
    return FLOW_WAIT;
}

static enum flow_rc call_child_and_return_stop(struct flow *f)
{
    call_child(f);
    return FLOW_STOP;
}

static enum flow_rc done_call_child(struct flow *f)
{
    return call_child(f);
}

struct family_case {
    const char *name;
    struct flow_step parent, child[2];
    size_t n_child;
    uint64_t child_budget_ms;
    const char *trace;
    enum err_kind err, child_err;
};

static const struct family_case family_cases[] = {
    { "child waits",
      { "call", call_child, done_next },
      { { "a", sleep_start, done_next } },
      1,
      0,
      "start called done child-end done end",
      ERR_NONE,
      ERR_NONE },
    { "child ends in its first start",
      { "call", call_child, done_next },
      { { "a", sync_next } },
      1,
      0,
      "sync called child-end done end",
      ERR_NONE,
      ERR_NONE },
    { "child fails in its first start",
      { "call", call_child, done_next },
      { { "a", sync_stop } },
      1,
      0,
      "called child-end end",
      ERR_REFUSED,
      ERR_REFUSED },
    { "child fails, parent lives",
      { "call", call_child, done_next, failed_survive },
      { { "a", fail_start } },
      1,
      0,
      "start called child-end survived end",
      ERR_NONE,
      ERR_IO },
    { "child over its budget",
      { "call", call_child },
      { { "a", sleep_start } },
      1,
      5,
      "start called child-end end",
      ERR_TIMEOUT,
      ERR_TIMEOUT },
    { "child stops parent in a later step",
      { "call", call_child },
      { { "a", sleep_start }, { "b", child_stops_parent } },
      2,
      0,
      "start called kill child-end end",
      ERR_CANCELLED,
      ERR_CANCELLED },
    { "child stops parent and waits",
      { "call", call_child },
      { { "a", sleep_start }, { "b", child_stops_parent_waiting } },
      2,
      0,
      "start called kill child-end end",
      ERR_CANCELLED,
      ERR_CANCELLED },
    { "child stops parent in its first start",
      { "call", call_child },
      { { "a", child_stops_parent } },
      1,
      0,
      "kill called child-end end",
      ERR_CANCELLED,
      ERR_CANCELLED },
    { "child stops parent when done",
      { "call", call_child },
      { { "a", sleep_start, child_stops_parent } },
      1,
      0,
      "start called kill child-end end",
      ERR_CANCELLED,
      ERR_CANCELLED },
    { "parent stops itself after the call",
      { "call", call_child_and_stop },
      { { "a", sleep_start } },
      1,
      0,
      "start called child-end end",
      ERR_REFUSED,
      ERR_CANCELLED },
    { "parent stops itself after a synchronous child",
      { "call", call_child_and_stop },
      { { "a", sync_next } },
      1,
      0,
      "sync called child-end end",
      ERR_REFUSED,
      ERR_NONE },
    { "parent returns stop after the call",
      { "call", call_child_and_return_stop },
      { { "a", sleep_start } },
      1,
      0,
      "start called child-end end",
      ERR_NONE,
      ERR_CANCELLED },
    { "called from done",
      { "call", sleep_start, done_call_child },
      { { "a", child_stops_parent } },
      1,
      0,
      "start kill called child-end end",
      ERR_CANCELLED,
      ERR_CANCELLED },
};

Test(flow, families)
{
    for (size_t i = 0; i < sizeof(family_cases) / sizeof(family_cases[0]); i++) {
        const struct family_case *c = &family_cases[i];
        struct flow_kind kind = { "parent", &c->parent, 1, 10000, family_end };
        struct flow_kind child = { "child", c->child, c->n_child, c->child_budget_ms, child_end };
        struct family *fam = mem_new(struct family);

        trace[0] = '\0';
        n_ended = 0;
        fam->child_kind = &child;
        flow_start(&fam->flow, &kind, &loop, &flows);
        cr_assert_eq(n_ended, 0, "%s", c->name);
        loop_run_for(&loop, 5000);
        cr_assert_str_eq(trace, c->trace, "%s: %s", c->name, trace);
        cr_assert_eq(ended.kind, c->err, "%s: %s", c->name, ended.msg);
        cr_assert_eq(child_err.kind, c->child_err, "%s: %s", c->name, child_err.msg);
        assert_nothing_live();
    }
}
