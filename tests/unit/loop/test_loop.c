/* Timers, hooks, the virtual clock and the watchdog. */
#include "core/base/clock.h"
#include "core/loop/loop.h"
#include <criterion/criterion.h>
#include <unistd.h>

struct beat {
    struct timer timer;
    int id;
    uint64_t every_ms; /* 0 = once */
    struct beat *clear;
};

static struct loop loop;
static int fired[64];
static uint64_t fired_at[64];
static size_t n_fired;

static void on_beat(struct timer *t)
{
    struct beat *b = container_of(t, struct beat, timer);

    fired[n_fired] = b->id;
    fired_at[n_fired++] = clock_ms();
    if (b->clear) timer_clear(&loop, &b->clear->timer);
    if (b->every_ms) timer_set(&loop, t, b->every_ms);
}

static void turn(void)
{
    uv_run(&loop.uv, UV_RUN_NOWAIT);
}

static void open_virtual(void)
{
    clock_virtual(1000);
    loop_open(&loop);
}

static void close_all(void)
{
    loop_close(&loop);
}

TestSuite(loop, .init = open_virtual, .fini = close_all);

Test(loop, timers_fire_in_order_of_time_then_of_arming)
{
    struct beat b[5] = { 0 };
    static const uint64_t ms[5] = { 30, 10, 20, 10, 0 };

    for (int i = 0; i < 5; i++) {
        b[i].id = i;
        b[i].timer.fire = on_beat;
        timer_set(&loop, &b[i].timer, ms[i]);
    }
    loop_run_for(&loop, 100);
    static const int order[] = { 4, 1, 3, 2, 0 };
    static const uint64_t at[] = { 1000, 1010, 1010, 1020, 1030 };
    cr_assert_eq(n_fired, 5);
    cr_assert_arr_eq(fired, order, sizeof(order));
    cr_assert_arr_eq(fired_at, at, sizeof(at));
    cr_assert_eq(clock_ms(), 1100);
}

Test(loop, run_for_ends_in_time)
{
    struct beat b = { .timer.fire = on_beat, .every_ms = 7 };

    timer_set(&loop, &b.timer, 7);
    loop_run_for(&loop, 20);
    cr_assert_eq(n_fired, 2);
    cr_assert_eq(clock_ms(), 1020);
    loop_run_for(&loop, 1);
    cr_assert_eq(n_fired, 3, "a timer due at the very end fires");
    loop_run_for(&loop, 0);
    cr_assert_eq(clock_ms(), 1021);
    timer_clear(&loop, &b.timer);
}

Test(loop, a_timer_set_again_moves)
{
    struct beat b = { .timer.fire = on_beat };

    timer_set(&loop, &b.timer, 10);
    cr_assert(timer_armed(&b.timer));
    timer_set(&loop, &b.timer, 50);
    loop_run_for(&loop, 49);
    cr_assert_eq(n_fired, 0);
    loop_run_for(&loop, 1);
    cr_assert_eq(n_fired, 1);
    cr_assert(!timer_armed(&b.timer));
}

Test(loop, a_cleared_timer_is_silent)
{
    struct beat victim = { .timer.fire = on_beat, .id = 1 };
    struct beat b = { .timer.fire = on_beat, .id = 2, .clear = &victim };

    timer_clear(&loop, &b.timer);
    timer_set(&loop, &b.timer, 10);
    timer_set(&loop, &victim.timer, 10); /* due in the same turn, after b */
    loop_run_for(&loop, 50);
    cr_assert_eq(n_fired, 1);
    cr_assert_eq(fired[0], 2);
}

Test(loop, a_timer_of_zero_waits_for_the_next_turn)
{
    struct beat b = { .timer.fire = on_beat };

    /* every_ms 0 means once, so re-arm by hand: one beat a turn, not an endless one. */
    for (size_t i = 1; i <= 3; i++) {
        timer_set(&loop, &b.timer, 0);
        turn();
        cr_assert_eq(n_fired, i);
    }
}

static int n_again;

static void on_again(struct timer *t)
{
    n_again++;
    timer_set(&loop, t, 0);
}

Test(loop, a_timer_that_sets_itself_to_zero_does_not_keep_the_loop)
{
    struct timer t = { .fire = on_again };

    timer_set(&loop, &t, 0);
    for (int i = 1; i <= 5; i++) {
        turn();
        cr_assert_eq(n_again, i);
    }
    timer_clear(&loop, &t);
}

static void on_stop(struct timer *t)
{
    (void)t;
    loop_stop(&loop);
}

static void on_third_stop(struct timer *t)
{
    on_beat(t);
    if (n_fired == 3) loop_stop(&loop);
}

Test(loop, the_real_clock_runs_until_stopped)
{
    clock_real();
    struct beat b = { .timer.fire = on_third_stop, .every_ms = 5 };
    uint64_t began = clock_ms();

    timer_set(&loop, &b.timer, 5);
    loop_run(&loop);
    timer_clear(&loop, &b.timer);
    cr_assert_eq(n_fired, 3);
    cr_assert_geq(clock_ms() - began, 15);

    began = clock_ms();
    loop_run_for(&loop, 15);
    cr_assert_geq(clock_ms() - began, 15);
}

static bool spin_on;

static void spin(struct timer *t)
{
    uint64_t until = uv_hrtime() + 20000000;
    while (uv_hrtime() < until) {}
    if (spin_on) timer_set(&loop, t, 0);
}

Test(loop, knows_how_busy_it_is)
{
    struct timer t = { .fire = spin };
    clock_real();
    loop_run_for(&loop, 600);
    cr_expect_lt(loop_busy(&loop), 50, "%u", loop_busy(&loop));
    spin_on = true;
    timer_set(&loop, &t, 0);
    loop_run_for(&loop, 600);
    cr_expect_gt(loop_busy(&loop), 90, "%u", loop_busy(&loop));
    spin_on = false;
    loop_run_for(&loop, 800);
    cr_expect_lt(loop_busy(&loop), 50, "%u", loop_busy(&loop));
}

Test(loop, is_busy_from_70_percent_until_40)
{
    static const struct {
        unsigned percent;
        bool busy;
    } looks[] = { { 0, false }, { 70, false }, { 71, true },  { 41, true },
                  { 90, true }, { 40, false }, { 41, false }, { 71, true } };
    for (size_t i = 0; i < sizeof(looks) / sizeof(*looks); i++) {
        loop.looked_ns = uv_hrtime(); /* just now, so it does not look again */
        loop.busy = looks[i].percent;
        cr_expect_eq(loop_is_busy(&loop), looks[i].busy, "%zu: %u percent", i, looks[i].percent);
    }
}

Test(loop, it_sleeps_until_the_next_timer)
{
    clock_real();
    struct timer stop = { .fire = on_stop };
    struct rusage_us {
        uint64_t before, after;
    } cpu;
    uv_rusage_t use;

    uv_getrusage(&use);
    cpu.before = (uint64_t)use.ru_utime.tv_sec * 1000000 + (uint64_t)use.ru_utime.tv_usec;
    timer_set(&loop, &stop, 200);
    loop_run(&loop);
    uv_getrusage(&use);
    cpu.after = (uint64_t)use.ru_utime.tv_sec * 1000000 + (uint64_t)use.ru_utime.tv_usec;
    cr_assert_lt(cpu.after - cpu.before, 100000, "a waiting loop does not spin");
}

struct hook {
    struct loop_hook hook;
    int n_run;
    struct hook *drop;
};

static void on_hook(struct loop_hook *h)
{
    struct hook *hook = container_of(h, struct hook, hook);

    hook->n_run++;
    if (hook->drop) loop_hook_drop(&hook->drop->hook);
}

Test(loop, hooks_run_every_turn_and_may_drop_each_other)
{
    struct hook h[3] = { { .hook.run = on_hook },
                         { .hook.run = on_hook },
                         { .hook.run = on_hook } };

    for (int i = 0; i < 3; i++) loop_hook_add(&loop, &h[i].hook);
    turn();
    h[0].drop = &h[1]; /* the one that comes next */
    h[2].drop = &h[2]; /* itself */
    turn();
    turn();
    cr_assert_eq(h[0].n_run, 3);
    cr_assert_eq(h[1].n_run, 1);
    cr_assert_eq(h[2].n_run, 2);
    loop_hook_drop(&h[0].hook);
    loop_hook_drop(&h[0].hook);
    turn();
    cr_assert_eq(h[0].n_run, 3);
}

static int n_awake;

static void on_wake_hook(struct loop_hook *h)
{
    (void)h;
    if (++n_awake < 5)
        loop_wake(&loop);
    else
        loop_stop(&loop);
}

Test(loop, a_woken_loop_turns_without_sleeping)
{
    clock_real();
    struct loop_hook h = { .run = on_wake_hook };

    loop_hook_add(&loop, &h);
    loop_run(&loop); /* would sleep for ever */
    cr_assert_eq(n_awake, 5);
    loop_hook_drop(&h);
}

static void be_slow(void)
{
    for (uint64_t until = uv_hrtime() + 25 * 1000000; uv_hrtime() < until;) {}
}

static void on_slow_timer(struct timer *t)
{
    (void)t;
    be_slow();
}

static void on_readable(uv_poll_t *h, int status, int events)
{
    (void)status;
    (void)events;
    be_slow();
    uv_poll_stop(h);
}

Test(loop, the_watchdog_counts_slow_timers_and_slow_drivers)
{
    struct timer t = { .fire = on_slow_timer };

    turn();
    uint64_t before = loop.n_slow;
    timer_set(&loop, &t, 0);
    turn();
    turn();
    cr_assert_geq(loop.n_slow, before + 1);
    before = loop.n_slow;
    cr_assert_geq(loop.max_turn_ms, 20);

    int fd[2];
    uv_poll_t poll;
    cr_assert_eq(pipe(fd), 0);
    cr_assert_eq(write(fd[1], "x", 1), 1);
    uv_poll_init(&loop.uv, &poll, fd[0]);
    uv_poll_start(&poll, UV_READABLE, on_readable);
    turn();
    turn();
    cr_assert_geq(loop.n_slow, before + 1, "a driver's callback inside the poll counts");
    uv_close((uv_handle_t *)&poll, NULL);
    turn();
    close(fd[0]);
    close(fd[1]);
}

struct echo {
    uv_poll_t poll;
    int in, out, n;
};

static void on_ping(uv_poll_t *h, int status, int events)
{
    struct echo *e = h->data;
    char c;

    (void)status;
    (void)events;
    cr_assert_eq(read(e->in, &c, 1), 1);
    if (++e->n < 50) cr_assert_eq(write(e->out, &c, 1), 1);
}

Test(loop, virtual_time_waits_for_sockets)
{
    int ab[2], ba[2];
    struct beat deadline = { .timer.fire = on_beat };

    cr_assert_eq(pipe(ab), 0);
    cr_assert_eq(pipe(ba), 0);
    struct echo a = { .in = ba[0], .out = ab[1] }, b = { .in = ab[0], .out = ba[1] };
    a.poll.data = &a;
    b.poll.data = &b;
    uv_poll_init(&loop.uv, &a.poll, a.in);
    uv_poll_init(&loop.uv, &b.poll, b.in);
    uv_poll_start(&a.poll, UV_READABLE, on_ping);
    uv_poll_start(&b.poll, UV_READABLE, on_ping);

    timer_set(&loop, &deadline.timer, 1);
    cr_assert_eq(write(ab[1], "x", 1), 1);
    loop_run_for(&loop, 0);
    cr_assert_eq(a.n + b.n, 99, "the conversation comes before the clock moves");
    cr_assert_eq(n_fired, 0);
    timer_clear(&loop, &deadline.timer);

    uv_close((uv_handle_t *)&a.poll, NULL);
    uv_close((uv_handle_t *)&b.poll, NULL);
    turn();
    for (int i = 0; i < 2; i++) {
        close(ab[i]);
        close(ba[i]);
    }
}
