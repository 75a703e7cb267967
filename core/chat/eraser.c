/* eraser: a flow that rests for a second between its rounds. */
#include "core/chat/eraser.h"

#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/net/redis.h"
#include "core/store/person.h"

#define REST_MS  1000
#define KEYS_MAX 32

enum { STEP_REST, STEP_ERASE, STEP_LIST, STEP_REDIS, STEP_DONE, STEP_N };

struct eraser {
    struct flow flow;
    struct chat *chat;
    struct pg_rows rows;
    bool started;
};

static struct redis_script drop_script = {
    .name = "erase",
    .lua = "for i, key in ipairs(KEYS) do\n"
           "  if ARGV[i] == '' then redis.call('DEL', key)\n"
           "  else redis.call('ZREM', key, ARGV[i]) end\n"
           "end\n"
           "return #KEYS",
};

static struct eraser *of_flow(struct flow *f)
{
    return container_of(f, struct eraser, flow);
}

static enum flow_rc again(struct flow *f)
{
    flow_goto(f, STEP_REST);
    return FLOW_NEXT;
}

/* The database or Redis is away: nothing is lost, the next round goes on. */
static enum flow_rc later(struct flow *f)
{
    if (f->op.err.kind == ERR_REFUSED)
        log_error("eraser", "the database refuses an erasure, trying again", "why=%s",
                  log_quote(str_of(f->op.err.msg)));
    else
        log_debug("eraser", "an erasure waits", "kind=%s", err_rule(f->op.err.kind)->name);
    return again(f);
}

static enum flow_rc rest_start(struct flow *f)
{
    op_sleep(&f->op, REST_MS);
    return FLOW_WAIT;
}

static enum flow_rc erase_start(struct flow *f)
{
    store_forget_next(of_flow(f)->chat->store, &f->op, &of_flow(f)->rows);
    return FLOW_WAIT;
}

static enum flow_rc erase_done(struct flow *f)
{
    struct eraser *e = of_flow(f);
    return e->rows.n > 0 && pg_rows_i64(&e->rows, 0, 0) > 0 ? FLOW_NEXT : again(f);
}

static enum flow_rc list_start(struct flow *f)
{
    store_erasures(of_flow(f)->chat->store, &f->op, KEYS_MAX, &of_flow(f)->rows);
    return FLOW_WAIT;
}

static enum flow_rc redis_start(struct flow *f)
{
    struct eraser *e = of_flow(f);
    struct str keys[KEYS_MAX], members[KEYS_MAX];
    size_t n = (size_t)e->rows.n;
    if (n == 0) return again(f);
    for (size_t i = 0; i < n; i++) {
        keys[i] = pg_rows_str(&e->rows, (int)i, 1);
        members[i] = pg_rows_str(&e->rows, (int)i, 2);
    }
    redis_eval(e->chat->redis, &f->op, &drop_script, keys, n, members, n, NULL);
    return FLOW_WAIT;
}

static enum flow_rc done_start(struct flow *f)
{
    struct eraser *e = of_flow(f);
    store_erased(e->chat->store, &f->op, pg_rows_i64(&e->rows, e->rows.n - 1, 0));
    return FLOW_WAIT;
}

static enum flow_rc done_done(struct flow *f)
{
    flow_goto(f, STEP_LIST);
    return FLOW_NEXT;
}

static void eraser_end(struct flow *f)
{
    pg_rows_done(&of_flow(f)->rows);
}

static const struct flow_step steps[STEP_N] = {
    [STEP_REST] = { "rest", rest_start, NULL, NULL },
    [STEP_ERASE] = { "erase", erase_start, erase_done, later },
    [STEP_LIST] = { "list", list_start, NULL, later },
    [STEP_REDIS] = { "redis", redis_start, NULL, later },
    [STEP_DONE] = { "done", done_start, done_done, later },
};
const struct flow_kind eraser_flow = { "eraser", steps, STEP_N, 0, eraser_end };

void eraser_open(struct chat *chat)
{
    struct eraser *e = mem_new(struct eraser);
    e->chat = chat;
    chat->eraser = e;
}

void eraser_start(struct chat *chat)
{
    chat->eraser->started = true;
    flow_start(&chat->eraser->flow, &eraser_flow, chat->loop, NULL);
}

void eraser_close(struct chat *chat)
{
    struct eraser *e = chat->eraser;
    if (e->started) flow_stop(&e->flow, ERR_CANCELLED, "closing");
    free(e);
    chat->eraser = NULL;
}
