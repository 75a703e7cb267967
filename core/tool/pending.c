/* pending - see pending.h. */
#include "core/tool/pending.h"
#include "core/base/mem.h"

#define PENDING_MAX 128

/* A request that is not answered yet. */
struct pending {
    struct list link;
    struct pendings *all;
    struct op *op;
    int64_t id;
    const char *method;
    struct wire_answer *answer;
};

static void pending_free(struct pending *p)
{
    list_drop(&p->link);
    p->all->n--;
    free(p);
}

static struct pending *find(const struct pendings *all, int64_t id)
{
    for (struct list *it = all->list.next; it != &all->list; it = it->next) {
        struct pending *p = container_of(it, struct pending, link);
        if (p->id == id) return p;
    }
    return NULL;
}

/* A handshake must not be cancelled; who does not know server/discover knows no such request
 * either. */
static bool may_cancel(const struct pending *p)
{
    return strcmp(p->method, "initialize") != 0 && strcmp(p->method, "server/discover") != 0;
}

static void ask_drop(struct op *op)
{
    struct pending *p = op->impl;
    struct pendings *all = p->all;
    bool tell = may_cancel(p);
    _cleanup_(buf_done) struct buf body = BUF_INIT(1024);
    rpc_put_cancelled(&body, p->id, "the answer is not wanted any longer");
    pending_free(p);
    if (tell) all->on_cancel(all->ctx, buf_str(&body));
}

static const struct op_kind ask_kind = { "mcp.answer", ask_drop };

void pendings_init(struct pendings *p, void (*on_cancel)(void *ctx, struct str body), void *ctx)
{
    *p = (struct pendings){ .on_cancel = on_cancel, .ctx = ctx };
    list_init(&p->list);
}

bool pendings_full(const struct pendings *p)
{
    return p->n == PENDING_MAX;
}

void pendings_add(struct pendings *all, struct op *op, const struct wire_ask *ask,
                  struct wire_answer *ret)
{
    struct pending *p = mem_new(struct pending);
    *p = (struct pending){
        .all = all, .op = op, .id = ask->id, .method = ask->method, .answer = ret
    };
    list_push(&all->list, &p->link);
    all->n++;
    op_begin(op, &ask_kind, p, ask->timeout_ms);
}

void pendings_answer(struct pendings *all, struct rpc_message *m)
{
    struct pending *p = find(all, m->id);
    if (!p) { /* too late, or to nobody */
        op_orphans++;
        rpc_message_done(m);
        return;
    }
    p->answer->message = *m;
    op_finish(p->op);
    pending_free(p);
}

void pendings_fail(struct pendings *all, int64_t id, const struct err *why)
{
    struct pending *p = find(all, id);
    if (!p) return;
    op_fail(p->op, why);
    pending_free(p);
}

void pendings_fail_all(struct pendings *all, const struct err *why)
{
    while (!list_empty(&all->list))
        pendings_fail(all, list_first(&all->list, struct pending, link)->id, why);
}
