/*
 * loop - one libuv loop, one uv timer for all deadlines of the process (a heap of ours), one queue
 * of finished ops.
 *
 * A turn: poll (others' I/O callbacks), due timers, finished ops, hooks. Deadlines are compared
 * with clock_ms(), so a virtual clock moves them.
 */
#pragma once
#include "core/base/heap.h"
#include "core/base/list.h"
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct loop {
    uv_loop_t uv;
    uv_timer_t tick;
    uv_prepare_t prepare;
    uv_check_t check;
    struct heap timers;
    struct list ready;      /* finished ops, delivered on the next turn */
    struct list prepares;   /* struct loop_hook: run before the loop sleeps */
    bool awake;             /* loop_wake was called: the next poll does not sleep */
    bool settling;          /* loop_run_for waits for things to calm down, not for timers */
    bool ticked;            /* this poll was ended by the clock, not by a socket */
    uint64_t n_events;      /* timers fired and ops delivered, so far */
    uint64_t turn_began_ms; /* for the watchdog; real time even when the clock is virtual */
    uint64_t n_slow;        /* turns that kept the loop longer than LOOP_SLOW_MS */
    uint64_t max_turn_ms;
    uint64_t looked_ns, idle_ns; /* when loop_busy last looked; the sleep until then */
    unsigned busy;
    bool is_busy;
};

#define LOOP_SLOW_MS 10

void loop_open(struct loop *l);
/* Every handle of others must be closed; runs the loop until the close callbacks are through. */
void loop_close(struct loop *l);
void loop_run(struct loop *l); /* until loop_stop */
void loop_stop(struct loop *l);
/*
 * Tests: run for `ms`. With a virtual clock: run until nothing is ready and no callback is due,
 * then move the clock to the next timer, until `ms` of its time have passed; open sockets get some
 * milliseconds of real time before each move. With the real clock: run for `ms`, or until
 * loop_stop.
 */
void loop_run_for(struct loop *l, uint64_t ms);

/*
 * A timer of ours: a node in the heap, not a uv handle. Embed it freely; zeroed = not armed; free
 * it after timer_clear.
 */
struct timer {
    struct heap_node node;
    void (*fire)(struct timer *t);
};
/* (Re)arm: `ms` from now; 0 = on the next turn. */
void timer_set(struct loop *l, struct timer *t, uint64_t ms);
void timer_clear(struct loop *l, struct timer *t); /* no-op when not armed */
static inline bool timer_armed(const struct timer *t)
{
    return t->node.at != 0;
}

/* Percent of the time that it did not sleep, since it was asked before, at least a quarter of a
 * second ago. */
unsigned loop_busy(struct loop *l);
/* That it has more to do than is good for who waits: from 70 percent on, and until they are 40. Who
 * can do two things at once instead of one after the other should, then. */
bool loop_is_busy(struct loop *l);

/* Called on every turn just before the poll: what gathered in the turn is sent here (group commit).
 */
struct loop_hook {
    struct list link;
    void (*run)(struct loop_hook *h);
};
void loop_hook_add(struct loop *l, struct loop_hook *h);
void loop_hook_drop(struct loop_hook *h); /* also from inside a hook; harmless twice */
/* Make the loop turn once more without sleeping; from the loop's own thread. */
void loop_wake(struct loop *l);

/* For op.c: deliver one finished op, taken off `ready`. */
struct op;
void op_deliver(struct op *op);
