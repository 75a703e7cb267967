/*
 * Work on libuv's threads. The record outlives the op: a thread cannot be called back, its result
 * only dropped.
 */
#include "core/loop/work.h"
#include "core/base/mem.h"
#include <stdlib.h>

struct work {
    uv_work_t req;
    struct op *op; /* NULL: nobody waits any more */
    void (*run)(void *arg);
    void (*release)(void *arg);
    void *arg;
};

static void on_run(uv_work_t *req)
{
    struct work *w = req->data;
    w->run(w->arg);
}

static void on_ran(uv_work_t *req, int status)
{
    struct work *w = req->data;

    (void)status; /* UV_ECANCELED only after work_drop */
    if (w->op) {
        op_finish(w->op);
    } else {
        op_orphans++;
        if (w->release) w->release(w->arg);
    }
    free(w);
}

static void work_drop(struct op *op)
{
    struct work *w = op->impl;

    w->op = NULL;
    uv_cancel(
        (uv_req_t *)&w->req); /* fails when a thread has it: then on_ran comes later all the same */
}

static const struct op_kind work_kind = { "work", work_drop };

void work_run(struct op *op, void (*run)(void *arg), void *arg, void (*release)(void *arg),
              uint64_t timeout_ms)
{
    struct work *w = mem_new(struct work);

    *w = (struct work){ .op = op, .run = run, .release = release, .arg = arg, .req.data = w };
    op_begin(op, &work_kind, w, timeout_ms);
    uv_queue_work(&op->loop->uv, &w->req, on_run, on_ran);
}
