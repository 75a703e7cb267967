/* Work on the thread pool: its answer, and that nothing leaks or is touched when nobody waits. */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/loop/work.h"
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <unistd.h>

#define N_MANY 64

struct job {
    atomic_bool began, may_end;
    int result;
};

static struct loop loop;
static int n_done, n_released;

static void on_done(struct op *op)
{
    (void)op;
    n_done++;
}

static void job_run(void *arg)
{
    struct job *j = arg;

    atomic_store(&j->began, true);
    while (!atomic_load(&j->may_end)) usleep(100);
    j->result = 42;
}

static void job_release(void *arg)
{
    n_released++;
    free(arg);
}

static struct job *job_new(bool may_end)
{
    struct job *j = mem_new(struct job);
    atomic_store(&j->may_end, may_end);
    return j;
}

static void run_until(const int *counter, int n)
{
    for (int i = 0; i < 5000 && *counter < n; i++) loop_run_for(&loop, 1);
    cr_assert_eq(*counter, n);
}

static void open_all(void)
{
    clock_real();
    loop_open(&loop);
    op_orphans = 0;
}

static void close_all(void)
{
    loop_close(&loop);
}

TestSuite(work, .init = open_all, .fini = close_all);

Test(work, the_result_is_there_when_the_op_ends)
{
    struct op op;
    struct job *j = job_new(true);

    op_init(&op, &loop, on_done);
    work_run(&op, job_run, j, job_release, 5000);
    cr_assert_eq(n_done, 0);
    run_until(&n_done, 1);
    cr_assert_eq(op.err.kind, ERR_NONE);
    cr_assert_eq(j->result, 42);
    cr_assert_eq(n_released, 0, "the waiter has it");
    free(j);
}

Test(work, cancelled_at_work_it_is_released_later)
{
    struct op op;
    struct job *j = job_new(false);

    op_init(&op, &loop, on_done);
    work_run(&op, job_run, j, job_release, 5000);
    while (!atomic_load(&j->began)) usleep(100);
    op_cancel(&op);
    loop_run_for(&loop, 5);
    cr_assert_eq(n_released, 0, "the thread still uses it");
    atomic_store(&j->may_end, true);
    run_until(&n_released, 1);
    cr_assert_eq(n_done, 0);
    cr_assert_eq(op_orphans, 1);
}

Test(work, late_work_times_out)
{
    struct op op;
    struct job *j = job_new(false);

    op_init(&op, &loop, on_done);
    work_run(&op, job_run, j, job_release, 10);
    while (!atomic_load(&j->began)) usleep(100);
    run_until(&n_done, 1);
    cr_assert_eq(op.err.kind, ERR_TIMEOUT);
    atomic_store(&j->may_end, true);
    run_until(&n_released, 1);
    cr_assert_eq(n_done, 1);
}

Test(work, cancelled_in_the_queue_it_never_runs)
{
    struct op ops[N_MANY];
    struct job *jobs[N_MANY];
    int n_began = 0;

    for (int i = 0; i < N_MANY; i++) {
        jobs[i] = job_new(false);
        op_init(&ops[i], &loop, on_done);
        work_run(&ops[i], job_run, jobs[i], NULL, 5000);
    }
    while (!atomic_load(&jobs[0]->began)) usleep(100);
    for (int i = 0; i < N_MANY; i++) op_cancel(&ops[i]);
    for (int i = 0; i < N_MANY; i++) atomic_store(&jobs[i]->may_end, true);
    for (int i = 0; i < 5000 && op_orphans < N_MANY; i++) loop_run_for(&loop, 1);
    for (int i = 0; i < N_MANY; i++) {
        n_began += atomic_load(&jobs[i]->began);
        free(jobs[i]);
    }
    cr_assert_eq(op_orphans, N_MANY);
    cr_assert_eq(n_done, 0);
    cr_assert_lt(n_began, N_MANY, "most were still waiting for a thread");
}

Test(work, the_loop_closes_after_work_nobody_waits_for)
{
    struct op op;
    struct job *j = job_new(true);

    op_init(&op, &loop, on_done);
    work_run(&op, job_run, j, job_release, 5000);
    op_cancel(&op);
    loop_close(&loop);
    cr_assert_eq(n_released, 1);
    loop_open(&loop);
}
