/* watch: see watch.h. */
#include "core/cache/watch.h"

static struct loop *loop_of(const struct watch *w)
{
    return redis_loop(w->redis);
}

static void on_push(struct redis_sub *sub, struct str payload)
{
    (void)payload; /* who was told twice looks twice; what it is, only PostgreSQL knows */
    watch_look(container_of(sub, struct watch, pushes));
}

static void on_timer(struct timer *timer)
{
    watch_look(container_of(timer, struct watch, timer));
}

static void on_op(struct op *op)
{
    struct watch *w = container_of(op, struct watch, op);
    bool again = w->again;
    w->again = false;
    timer_set(loop_of(w), &w->timer, again ? 0 : w->every_ms);
    w->seen(w);
}

void watch_start(struct watch *w, struct redis *redis, const char *channel, uint64_t every_ms)
{
    w->redis = redis;
    w->every_ms = every_ms;
    w->again = false;
    w->timer.fire = on_timer;
    w->pushes = (struct redis_sub){ .channel = channel, .on_message = on_push };
    list_init(&w->pushes.link);
    op_init(&w->op, loop_of(w), on_op);
    redis_subscribe(redis, &w->pushes);
    timer_set(loop_of(w), &w->timer, every_ms);
}

void watch_look(struct watch *w)
{
    if (op_busy(&w->op)) {
        w->again = true;
        return;
    }
    timer_clear(loop_of(w), &w->timer);
    w->look(w);
}

void watch_stop(struct watch *w)
{
    if (!w->redis) return;
    redis_unsubscribe(w->redis, &w->pushes);
    timer_clear(loop_of(w), &w->timer);
    op_cancel(&w->op);
    w->redis = NULL;
}
