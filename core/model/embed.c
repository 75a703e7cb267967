/*
 * embed - texts as vectors: a flow that sends, reads, and sends again as policy.c thinks useful.
 * Asking twice is harmless, so nothing but the policy forbids it.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/loop/flow.h"
#include "core/loop/work_json.h"
#include "core/model/models.h"
#include "core/model/policy.h"
#include "core/model/refusal.h"
#include "core/model/vectors.h"

#define TOTAL_MAX_MS   3600000 /* as model_fields allow */
#define DEADLINE_SLACK 5000    /* ours are first and know what was waited for */
#define ANSWER_MAX     ((size_t)32 * 1024 * 1024)

enum { EMBED_SEND, EMBED_PARSE, EMBED_WAIT, EMBED_END };

struct embed {
    struct flow flow;
    struct models *models;
    const struct model *m;
    struct op *op; /* the caller's; NULL = dropped */
    const struct str *texts;
    size_t n;
    struct model_vectors *ret, vectors;
    struct arena arena; /* of one try */
    struct http_request request;
    struct http_reply reply;
    struct json *doc;
    unsigned tries;
    uint64_t began_ms;
    uint32_t wait_ms;
};

static struct metric embedded =
    METRIC(METRIC_COUNTER, "parley_embedded_texts_total", "", "Texts made vectors of.");
static struct metric failed = METRIC(METRIC_COUNTER, "parley_embed_failures_total", "",
                                     "Questions for vectors that came to nothing.");

static struct embed *of_flow(struct flow *f)
{
    return container_of(f, struct embed, flow);
}

static uint32_t left_ms(const struct embed *e)
{
    uint64_t gone = clock_ms() - e->began_ms, total = (uint64_t)e->m->total_ms;
    return gone < total ? (uint32_t)(total - gone) : 1;
}

static void try_done(struct embed *e)
{
    http_reply_done(&e->reply);
    e->reply = (struct http_reply){ 0 };
    json_free(e->doc);
    e->doc = NULL;
    model_vectors_done(&e->vectors);
    arena_done(&e->arena);
}

static enum flow_rc embed_end(struct embed *e, const struct err *why)
{
    e->flow.err = *why;
    return FLOW_STOP;
}

/* A try has failed. */
static enum flow_rc embed_judge(struct embed *e, const struct err *why)
{
    struct policy_try t = { .n = e->tries,
                            .max = (unsigned)e->m->tries,
                            .sent = e->reply.sent,
                            .should_retry = e->reply.should_retry };
    if (!policy_again(&t, why, &e->wait_ms) || e->wait_ms >= left_ms(e)) return embed_end(e, why);
    log_warn("model", "failed, asking again", "model=%s try=%u wait_ms=%u kind=%s why=%s",
             e->m->name, e->tries, e->wait_ms, err_rule(why->kind)->name,
             log_quote(str_of(why->msg)));
    flow_goto(&e->flow, EMBED_WAIT);
    return FLOW_NEXT;
}

/* ---- send ---- */

static enum flow_rc send_start(struct flow *f)
{
    struct embed *e = of_flow(f);
    const struct model *m = e->m;
    struct err why = ERR_INIT;
    try_done(e);
    e->tries++;
    e->request = (struct http_request){
        .connect_ms = (uint32_t)m->connect_ms,
        .first_byte_ms = (uint32_t)m->first_token_ms,
        .idle_ms = (uint32_t)m->idle_ms,
        .total_ms = left_ms(e),
        .reply_max = ANSWER_MAX,
    };
    if (m->type->embed_encode(m, e->texts, e->n, &e->arena, &e->request, &why) != ERR_NONE)
        return embed_end(e, &why);
    http_request(e->models->http, &f->op, &e->request, &e->reply);
    return FLOW_WAIT;
}

/* What came with a good status, as far as it can be told without parsing it. */
static enum err_kind check_reply(const struct embed *e, struct err *why)
{
    const struct http_reply *r = &e->reply;
    struct str body = str_trim(buf_str(&r->body));
    if (r->status / 100 != 2)
        return e->m->type->refusal(r->status, buf_str(&r->body), http_retry_hint_ms(r), why);
    if (str_starts(body, STR("<")))
        return err_set(why, ERR_IO,
                       "a web page came instead of vectors: base_url is wrong, or a proxy failed");
    return ERR_NONE;
}

static enum flow_rc send_done(struct flow *f)
{
    struct embed *e = of_flow(f);
    struct err why = ERR_INIT;
    return check_reply(e, &why) == ERR_NONE ? FLOW_NEXT : embed_judge(e, &why);
}

static enum flow_rc send_failed(struct flow *f)
{
    struct err why = f->op.err;
    return embed_judge(of_flow(f), &why);
}

/* ---- parse ---- */

static enum err_kind read_vectors(struct embed *e, struct err *why)
{
    struct vectors v;
    int64_t wanted = e->m->dimensions;
    if (refusal_is(e->doc)) return refusal_inside(e->doc, why);
    vectors_init(&v, e->n, &e->vectors);
    enum err_kind kind = e->m->type->embed_read(e->doc, &v, why);
    if (kind == ERR_NONE) kind = vectors_check(&v, why);
    if (kind == ERR_NONE && wanted && e->vectors.dimensions != (size_t)wanted)
        return err_set(why, ERR_CONF, "it makes %zu dimensions whatever it is asked for",
                       e->vectors.dimensions);
    return kind;
}

static enum flow_rc parse_done(struct flow *f)
{
    struct embed *e = of_flow(f);
    struct err why = ERR_INIT;
    if (read_vectors(e, &why) != ERR_NONE) return embed_judge(e, &why);
    flow_goto(f, EMBED_END);
    return FLOW_NEXT;
}

static enum flow_rc parse_start(struct flow *f)
{
    struct embed *e = of_flow(f);
    struct err why = ERR_INIT;
    if (e->reply.body.n > WORK_JSON_BYTES) {
        work_json_parse(&f->op, &e->reply.body, &e->doc);
        return FLOW_WAIT;
    }
    if (json_parse(buf_str(&e->reply.body), &e->doc, &why) != ERR_NONE) return embed_judge(e, &why);
    return parse_done(f);
}

/* ---- wait, and send again ---- */

static enum flow_rc wait_start(struct flow *f)
{
    op_sleep(&f->op, of_flow(f)->wait_ms);
    return FLOW_WAIT;
}

static enum flow_rc wait_done(struct flow *f)
{
    flow_goto(f, EMBED_SEND);
    return FLOW_NEXT;
}

/* ---- the end ---- */

static void embed_free(struct flow *f)
{
    struct embed *e = of_flow(f);
    if (e->op && f->err.kind == ERR_NONE) {
        *e->ret = e->vectors;
        e->vectors = (struct model_vectors){ 0 };
        metric_add(&embedded, (double)e->n);
        op_finish(e->op);
    } else if (e->op) {
        metric_add(&failed, 1);
        err_add(&f->err, "%s/%s: ", e->m->type->name, e->m->name);
        op_fail(e->op, &f->err);
    }
    try_done(e);
    models_close(e->models);
    free(e);
}

static const struct flow_step steps[] = {
    [EMBED_SEND] = { "send", send_start, send_done, send_failed },
    [EMBED_PARSE] = { "parse", parse_start, parse_done, send_failed },
    [EMBED_WAIT] = { "wait", wait_start, wait_done, NULL },
};

static const struct flow_kind embed_kind = {
    .name = "embed",
    .steps = steps,
    .n_steps = EMBED_END,
    .budget_ms = TOTAL_MAX_MS + 2 * DEADLINE_SLACK,
    .end = embed_free,
};

static void embed_drop(struct op *op)
{
    struct embed *e = op->impl;
    e->op = NULL;
    flow_stop(&e->flow, ERR_CANCELLED, "not wanted any longer");
}

static const struct op_kind embed_op = { "model.embed", embed_drop };

/* What no backend takes. */
static enum err_kind check_texts(const struct str *texts, size_t n, struct err *why)
{
    if (!n || n > MODEL_TEXTS_MAX)
        return err_set(why, ERR_LIMIT, "1 to %d texts at once, not %zu", MODEL_TEXTS_MAX, n);
    for (size_t i = 0; i < n; i++)
        if (!str_trim(texts[i]).n)
            return err_set(why, ERR_REFUSED, "text %zu is empty: it has no vector", i + 1);
    return ERR_NONE;
}

void model_embed(struct models *models, const struct model *m, struct op *op,
                 const struct str *texts, size_t n, struct model_vectors *ret)
{
    struct err why = ERR_INIT;
    if (check_texts(texts, n, &why) != ERR_NONE) {
        static const struct op_kind refused = { "model.embed", NULL };
        op_begin(op, &refused, NULL, DEADLINE_SLACK);
        op_fail(op, &why);
        return;
    }
    struct embed *e = mem_new(struct embed);
    *e = (struct embed){
        .models = models_hold(models), .m = m, .op = op, .texts = texts, .n = n, .ret = ret
    };
    e->began_ms = clock_ms();
    arena_init(&e->arena);
    op_begin(op, &embed_op, e, (uint64_t)m->total_ms + DEADLINE_SLACK);
    flow_start(&e->flow, &embed_kind, models->loop, NULL);
}

void model_vectors_done(struct model_vectors *v)
{
    free(v->v);
    *v = (struct model_vectors){ 0 };
}
