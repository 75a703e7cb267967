/* watch: see watch.h. */
#include "core/cache/watch.h"
#include "core/base/log.h"

#define LOAD_MS 60000

static struct loop *loop_of(const struct watch *w)
{
    return redis_loop(w->redis);
}

static void begin(struct watch *w)
{
    timer_clear(loop_of(w), &w->timer);
    w->told = w->pushed;
    w->pushed = false;
    w->look(w);
}

static void on_push(struct redis_sub *sub, struct str payload)
{
    struct watch *w = container_of(sub, struct watch, pushes);
    (void)payload; /* who was told twice looks twice; what it is, only PostgreSQL knows */
    w->pushed = true;
    watch_look(w);
}

static void on_timer(struct timer *timer)
{
    begin(container_of(timer, struct watch, timer));
}

static void look_failed(struct watch *w, struct op *loader)
{
    if (loader)
        op_fail(loader, &w->op.err);
    else if (!w->failing)
        log_warn(w->name, "not looked at, what is known stays in force", "text=%s",
                 log_quote(str_of(w->op.err.msg)));
    w->failing = true;
}

static void on_op(struct op *op)
{
    struct watch *w = container_of(op, struct watch, op);
    struct op *loader = w->loader;
    bool again = w->again;
    w->loader = NULL;
    w->again = false;
    timer_set(loop_of(w), &w->timer, again ? 0 : w->every_ms);
    if (op->err.kind) {
        look_failed(w, loader);
        return;
    }
    w->failing = false;
    w->seen(w);
    if (loader) op_finish(loader);
}

static void load_drop(struct op *op)
{
    ((struct watch *)op->impl)->loader = NULL;
}

static const struct op_kind load_kind = { "watch.load", load_drop };

void watch_start(struct watch *w, struct redis *redis, const char *channel, uint64_t every_ms)
{
    if (w->redis) return;
    w->redis = redis;
    w->every_ms = every_ms;
    w->again = w->pushed = w->failing = false;
    w->timer.fire = on_timer;
    w->pushes = (struct redis_sub){ .channel = channel, .on_message = on_push };
    list_init(&w->pushes.link);
    op_init(&w->op, loop_of(w), on_op);
    redis_subscribe(redis, &w->pushes);
    timer_set(loop_of(w), &w->timer, every_ms);
}

void watch_look(struct watch *w)
{
    if (op_busy(&w->op))
        w->again = true;
    else
        begin(w);
}

void watch_load(struct watch *w, struct op *op)
{
    op_begin(op, &load_kind, w, LOAD_MS);
    w->loader = op;
    watch_look(w);
}

void watch_stop(struct watch *w)
{
    if (!w->redis) return;
    redis_unsubscribe(w->redis, &w->pushes);
    timer_clear(loop_of(w), &w->timer);
    op_cancel(&w->op);
    if (w->loader) op_cancel(w->loader);
    w->redis = NULL;
}
