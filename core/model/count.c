/*
 * count - how many tokens a question has, in the server's own count: one short request, which is
 * not repeated, for an estimate is always at hand.
 */
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/model/models.h"
#include "core/net/http_json.h"

#define COUNT_MS   3000                      /* the person waits for it */
#define ANSWER_MAX ((size_t)8 * 1024 * 1024) /* some servers list the tokens */
#define TOKENS_MAX 100000000

struct counting {
    struct op *op, call; /* op: the caller's */
    const struct model *m;
    struct arena arena;
    struct http_request request;
    struct http_reply reply;
    struct http_json exchange;
    struct json *doc;
    int64_t *ret;
};

#define COUNTED(outcome)                                                           \
    METRIC(METRIC_COUNTER, "parley_model_counts_total", "outcome=\"" outcome "\"", \
           "Questions whose tokens a server was asked to count, by outcome.")
static struct metric m_well = COUNTED("counted"), m_failed = COUNTED("failed");

static void counting_free(struct counting *c)
{
    op_cancel(&c->call);
    http_reply_done(&c->reply);
    json_free(c->doc);
    arena_done(&c->arena);
    free(c);
}

static void count_drop(struct op *op)
{
    counting_free(op->impl);
}

static const struct op_kind kind = { "model.count", count_drop };

static void end(struct counting *c, struct err *why)
{
    struct op *op = c->op;
    metric_add(why->kind ? &m_failed : &m_well, 1);
    if (why->kind) err_add(why, "%s/%s: ", c->m->type->name, c->m->name);
    if (why->kind)
        op_fail(op, why);
    else
        op_finish(op);
    counting_free(c);
}

static enum err_kind read_answer(struct counting *c, struct err *why)
{
    const struct http_reply *r = &c->reply;
    int64_t n = 0;
    if (r->status / 100 != 2)
        return c->m->type->refusal(r->status, buf_str(&r->body), http_retry_hint_ms(r), why);
    if (!c->m->type->count_read(c->doc, &n) || n <= 0 || n > TOKENS_MAX)
        return err_set(why, ERR_PROTO, "an answer without a number of tokens");
    *c->ret = n;
    return ERR_NONE;
}

static void on_answered(struct op *call)
{
    struct counting *c = container_of(call, struct counting, call);
    struct err why = call->err;
    if (why.kind == ERR_NONE) read_answer(c, &why);
    end(c, &why);
}

void model_count(struct models *models, const struct model *m, struct op *op,
                 const struct model_ask *ask, int64_t *ret)
{
    struct counting *c = mem_new(struct counting);
    struct err why = ERR_INIT;
    *c = (struct counting){ .op = op, .m = m, .ret = ret };
    c->request = (struct http_request){ .connect_ms = (uint32_t)m->connect_ms,
                                        .total_ms = COUNT_MS,
                                        .reply_max = ANSWER_MAX };
    arena_init(&c->arena);
    op_init(&c->call, op->loop, on_answered);
    op_begin(op, &kind, c, 2 * COUNT_MS);
    if (m->type->count_encode(m, ask, &c->arena, &c->request, &why) != ERR_NONE) {
        end(c, &why);
        return;
    }
    http_json(models->http, &c->exchange, &c->call, &c->request, &c->reply, &c->doc);
}
