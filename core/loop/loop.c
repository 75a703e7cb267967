/*
 * The turn of the loop. libuv polls and calls the drivers; its check handle (after the poll) fires
 * our due timers and delivers finished ops, its prepare handle (before the poll) runs the hooks and
 * says how long the poll may sleep.
 */
#include "core/loop/loop.h"
#include "core/base/clock.h"
#include "core/base/metric.h"
#include "core/loop/op.h"
#include <assert.h>
#include <stdlib.h>

/*
 * loop_run_for with a virtual clock: things are calm after so many turns in a row without an event,
 * each of which waits so long for others' sockets and threads, if there are any. A handle that
 * keeps every poll from sleeping cannot hold the clock for longer than the maximum.
 */
#define SETTLE_TURNS  2
#define SETTLE_MS     2
#define SETTLE_MAX_NS 1000000000

#define BUSY_NS      250000000
#define BUSY_PERCENT 70 /* of the time: it is busy ... */
#define EASY_PERCENT 40 /* ... until here; what is done about it saves some of the work */

static struct metric slow_turns = METRIC(METRIC_COUNTER, "parley_loop_slow_turns_total", "",
                                         "Turns of the event loop that took longer than 10 ms.");
static struct metric turn_time = METRIC(METRIC_HISTOGRAM, "parley_loop_turn_seconds", "",
                                        "Time from the end of a poll to the begin of the next.");

struct alarm {
    struct timer timer;
    struct loop *loop;
};

static bool timer_due(const struct loop *l, uint64_t now)
{
    const struct heap_node *min = heap_min(&l->timers);
    return min && min->key <= now;
}

static void fire_timers(struct loop *l)
{
    uint64_t now = clock_ms();
    uint64_t newest = l->timers.next_tie;

    /* A timer set to 0 by a callback waits for the next turn, or it could keep the loop for ever.
     */
    while (timer_due(l, now) && heap_min(&l->timers)->tie < newest) {
        struct timer *t = container_of(heap_min(&l->timers), struct timer, node);
        heap_drop(&l->timers, &t->node);
        l->n_events++;
        t->fire(t);
    }
}

static void deliver_ops(struct loop *l)
{
    struct list batch = LIST_INIT(batch);

    /* What finishes from here on waits for the next turn. A cancelled op leaves either list. */
    list_move_all(&batch, &l->ready);
    while (!list_empty(&batch)) {
        struct op *op = list_first(&batch, struct op, ready);
        list_drop(&op->ready);
        l->n_events++;
        op_deliver(op);
    }
}

static void on_check(uv_check_t *h)
{
    struct loop *l = h->data;

    /* libuv set its time when the poll returned: the drivers' callbacks since then count, too. */
    l->turn_began_ms = uv_now(&l->uv);
    fire_timers(l);
    deliver_ops(l);
}

static void run_hooks(struct loop *l)
{
    struct list todo = LIST_INIT(todo);

    /* A hook may drop itself or any other one: each is back in its list before it runs. */
    list_move_all(&todo, &l->prepares);
    while (!list_empty(&todo)) {
        struct loop_hook *h = list_first(&todo, struct loop_hook, link);
        list_drop(&h->link);
        list_push(&l->prepares, &h->link);
        h->run(h);
    }
}

static void watch_turn(struct loop *l)
{
    uint64_t took = uv_hrtime() / 1000000 - l->turn_began_ms;

    metric_observe_ms(&turn_time, (double)took);
    if (took > l->max_turn_ms) l->max_turn_ms = took;
    if (took > LOOP_SLOW_MS) {
        l->n_slow++;
        metric_add(&slow_turns, 1);
    }
}

/* The tick only ends the poll: timers fire in on_check, after the drivers' callbacks. */
static void on_tick(uv_timer_t *h)
{
    struct loop *l = h->data;
    l->ticked = true;
}

static bool at_rest(const struct loop *l, uint64_t now)
{
    return list_empty(&l->ready) && !l->awake && !timer_due(l, now);
}

/* Others' sockets are open, or threads at work. */
static bool io_open(const struct loop *l)
{
    unsigned ours = 2 + (unsigned)uv_is_active((const uv_handle_t *)&l->tick);
    return l->uv.active_handles > ours || l->uv.active_reqs.count > 0;
}

static void set_alarm(struct loop *l)
{
    uint64_t now = clock_ms(); /* asked once: it may reach min->key between two questions */
    const struct heap_node *min = heap_min(&l->timers);

    l->ticked = false;
    if (!at_rest(l, now))
        uv_timer_start(&l->tick, on_tick, 0, 0);
    else if (l->settling)
        uv_timer_start(&l->tick, on_tick, io_open(l) ? SETTLE_MS : 0, 0);
    else if (min)
        uv_timer_start(&l->tick, on_tick, min->key - now, 0);
    else
        uv_timer_stop(&l->tick);
    l->awake = false;
}

static void on_prepare(uv_prepare_t *h)
{
    struct loop *l = h->data;

    run_hooks(l);
    set_alarm(l);
    watch_turn(l);
}

static void settle(struct loop *l)
{
    uint64_t last_event = uv_hrtime();
    int n_quiet = 0;

    l->settling = true;
    while (n_quiet < SETTLE_TURNS && uv_hrtime() - last_event < SETTLE_MAX_NS) {
        uint64_t before = l->n_events;
        uv_run(&l->uv, UV_RUN_ONCE);
        bool event = l->n_events != before || !at_rest(l, clock_ms());
        if (event) last_event = uv_hrtime();
        n_quiet = !event && l->ticked ? n_quiet + 1 : 0;
    }
    l->settling = false;
}

static void run_virtual(struct loop *l, uint64_t ms)
{
    uint64_t until = clock_ms() + ms;

    for (;;) {
        settle(l);
        uint64_t now = clock_ms();
        const struct heap_node *min = heap_min(&l->timers);
        if (now >= until) return;
        clock_advance((min && min->key < until ? min->key : until) - now);
    }
}

static void on_alarm(struct timer *t)
{
    loop_stop(container_of(t, struct alarm, timer)->loop);
}

static void run_real(struct loop *l, uint64_t ms)
{
    struct alarm alarm = { .timer.fire = on_alarm, .loop = l };

    timer_set(l, &alarm.timer, ms);
    loop_run(l);
    timer_clear(l, &alarm.timer);
}

void loop_open(struct loop *l)
{
    if (uv_loop_init(&l->uv)) abort(); /* no epoll, no program */
    uv_loop_configure(&l->uv, UV_METRICS_IDLE_TIME);
    uv_timer_init(&l->uv, &l->tick);
    uv_prepare_init(&l->uv, &l->prepare);
    uv_check_init(&l->uv, &l->check);
    l->tick.data = l->prepare.data = l->check.data = l;
    heap_init(&l->timers);
    list_init(&l->ready);
    list_init(&l->prepares);
    l->awake = l->settling = l->ticked = false;
    l->n_events = l->n_slow = l->max_turn_ms = 0;
    l->turn_began_ms = uv_now(&l->uv);
    l->looked_ns = uv_hrtime();
    l->idle_ns = l->busy = 0;
    l->is_busy = false;
    metric_add(&slow_turns, 0);
    /* These two also keep the loop alive when nothing else does: it runs until loop_stop. */
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
}

void loop_close(struct loop *l)
{
    uv_close((uv_handle_t *)&l->tick, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    int left = uv_loop_close(&l->uv);
    assert(left == 0);
    (void)left;
    heap_done(&l->timers);
}

void loop_run(struct loop *l)
{
    l->turn_began_ms = uv_hrtime() / 1000000;
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
    uv_stop(&l->uv);
}

void timer_set(struct loop *l, struct timer *t, uint64_t ms)
{
    heap_drop(&l->timers, &t->node);
    heap_push(&l->timers, &t->node, clock_ms() + ms);
}

void timer_clear(struct loop *l, struct timer *t)
{
    heap_drop(&l->timers, &t->node);
}

void loop_hook_add(struct loop *l, struct loop_hook *h)
{
    list_push(&l->prepares, &h->link);
}

void loop_hook_drop(struct loop_hook *h)
{
    list_drop(&h->link);
}

void loop_wake(struct loop *l)
{
    l->awake = true;
}

unsigned loop_busy(struct loop *l)
{
    uint64_t now = uv_hrtime(), passed = now - l->looked_ns;
    if (passed < BUSY_NS) return l->busy;
    uint64_t idle = uv_metrics_idle_time(&l->uv), slept = idle - l->idle_ns;
    l->busy = slept < passed ? (unsigned)((passed - slept) * 100 / passed) : 0;
    l->looked_ns = now;
    l->idle_ns = idle;
    return l->busy;
}

bool loop_is_busy(struct loop *l)
{
    l->is_busy = loop_busy(l) > (l->is_busy ? EASY_PERCENT : BUSY_PERCENT);
    return l->is_busy;
}

void loop_run_for(struct loop *l, uint64_t ms)
{
    if (clock_is_virtual())
        run_virtual(l, ms);
    else
        run_real(l, ms);
}
