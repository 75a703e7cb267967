/*
 * ask - one question to a model: a flow that sends, and sends again as long as nobody has seen a
 * piece of the answer and policy.c thinks it useful.
 *
 * Five clocks run: connecting, silence and the total are http_client's; the time to the first piece
 * and from one to the next are kept here, for comments that keep a connection alive are no answer.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/utf8.h"
#include "core/loop/flow.h"
#include "core/model/hedge.h"
#include "core/model/kept.h"
#include "core/model/loops.h"
#include "core/model/models.h"
#include "core/model/policy.h"

#include <inttypes.h>

#define TOKENS_MOST    100000000 /* of one answer */
#define TOTAL_MAX_MS   3600000   /* as model_fields allow */
#define DEADLINE_SLACK 5000      /* ours are first and know what was waited for */
#define END_PATIENCE   1000      /* after the end marker, for the connection to be usable again */
#define STREAM_FACTOR  64        /* bytes on the wire for a byte of text, one token an event */
#define STREAM_EXTRA   (1024 * 1024)
#define MADE_MAX       ((size_t)2 * KEPT_MAX) /* calls and what is kept of one answer */
#define SPEAK_MS       30                     /* a word of a local answer */

enum { CALL_OPEN, CALL_SEND, CALL_WAIT, CALL_SPEAK, CALL_END };

struct call {
    struct flow flow;
    struct models *models;
    const struct model *m;
    struct op *op;        /* the caller's; NULL = dropped */
    struct model_ask ask; /* what it points to is the caller's */
    void (*on_text)(void *ctx, struct str piece);
    void *ctx;
    struct model_answer *answer;
    struct arena arena; /* of one try */
    struct http_request request;
    struct http_reply reply;
    struct model_decoder *decoder;
    struct model_sink sink;
    struct timer timer; /* for the first piece, then the next, then the end of the connection */
    uint64_t began_ms;
    uint64_t content_ms; /* when the last piece came, if only of a thought; 0 = none yet */
    uint32_t wait_ms;
    bool receiving; /* on_data is on the stack: the call may not go away */
    bool full;      /* reply_max is reached */
    bool caught;    /* in a loop */
    unsigned n_cut; /* tries whose answer had begun, and broke off */
    struct loops loops;
    size_t n_shown;    /* bytes of the answer */
    bool crowded;      /* more calls than are taken */
    struct buf script; /* what a local model says */
    size_t spoken;
};

#define ASKED(outcome)                                                               \
    METRIC(METRIC_COUNTER, "parley_model_requests_total", "outcome=\"" outcome "\"", \
           "Questions to models, by outcome.")
static struct metric asked[ERR_N] = {
    [ERR_NONE] = ASKED("answered"),       [ERR_TIMEOUT] = ASKED("timeout"),
    [ERR_CANCELLED] = ASKED("cancelled"), [ERR_IO] = ASKED("io"),
    [ERR_UNKNOWN] = ASKED("cut"),         [ERR_PROTO] = ASKED("proto"),
    [ERR_AUTH] = ASKED("auth"),           [ERR_REFUSED] = ASKED("refused"),
    [ERR_LIMIT] = ASKED("limit"),         [ERR_NOT_FOUND] = ASKED("not_found"),
    [ERR_CONF] = ASKED("conf"),           [ERR_BUG] = ASKED("bug"),
};
static struct metric retries =
    METRIC(METRIC_COUNTER, "parley_model_retries_total", "", "Questions to models asked again.");
static struct metric first_piece = METRIC(METRIC_HISTOGRAM, "parley_model_first_token_seconds", "",
                                          "From the question to the first piece of the answer.");
static struct metric prompt_tokens =
    METRIC(METRIC_COUNTER, "parley_model_tokens_total", "kind=\"prompt\"",
           "Tokens read and written by models.");
static struct metric completion_tokens =
    METRIC(METRIC_COUNTER, "parley_model_tokens_total", "kind=\"completion\"",
           "Tokens read and written by models.");

static struct call *of_flow(struct flow *f)
{
    return container_of(f, struct call, flow);
}

static uint32_t elapsed_ms(const struct call *c)
{
    return (uint32_t)(clock_ms() - c->began_ms);
}

static uint32_t left_ms(const struct call *c)
{
    uint32_t total = (uint32_t)c->m->total_ms, gone = elapsed_ms(c);
    return gone < total ? total - gone : 1;
}

/* ---- pieces ---- */

static void call_grow(struct call *c, struct str piece)
{
    struct model_answer *a = c->answer;
    size_t room = a->text.max - a->text.n;
    if (!c->op || c->full || !piece.n) return;
    if (piece.n > room) {
        piece = str_head(piece, utf8_prefix(piece, room, TEXT_BYTES));
        c->full = true;
    }
    if (!a->text.n) {
        a->first_token_ms = elapsed_ms(c);
        metric_observe_ms(&first_piece, a->first_token_ms);
        hedge_saw(c->models, c->m, a->first_token_ms);
    }
    loops_piece(&c->loops, buf_str(&a->text), piece);
    buf_add(&a->text, piece);
    c->caught = c->caught || loops_caught(&c->loops, buf_str(&a->text));
}

/* What came together is shown together. */
static void call_show(struct call *c)
{
    if (!c->op) return;
    struct str grown = str_skip(buf_str(&c->answer->text), c->n_shown);
    c->n_shown += grown.n;
    if (grown.n) c->on_text(c->ctx, grown);
}

static void on_sink_text(struct model_sink *sink, struct str piece)
{
    call_grow(container_of(sink, struct call, sink), piece);
}

static bool has_room(struct call *c, size_t bytes)
{
    c->crowded = c->crowded || c->answer->made.used_bytes + bytes > MADE_MAX;
    return !c->crowded;
}

static void on_sink_call(struct model_sink *sink, const struct model_call *call)
{
    struct call *c = container_of(sink, struct call, sink);
    struct model_answer *a = c->answer;
    if (!c->op || !c->ask.n_tools) return;
    c->crowded = c->crowded || a->n_calls == MODEL_CALLS_MAX;
    if (!has_room(c, call->id.n + call->name.n + call->arguments.n)) return;
    if (!a->calls) a->calls = arena_new_array(&a->made, struct model_call, MODEL_CALLS_MAX);
    a->calls[a->n_calls++] =
        (struct model_call){ arena_dup(&a->made, call->id), arena_dup(&a->made, call->name),
                             arena_dup(&a->made, call->arguments) };
}

static void on_sink_keep(struct model_sink *sink, struct str json)
{
    struct call *c = container_of(sink, struct call, sink);
    if (c->op && has_room(c, json.n)) c->answer->kept = arena_dup(&c->answer->made, json);
}

static void forget_calls(struct model_answer *a)
{
    arena_done(&a->made);
    a->calls = NULL;
    a->n_calls = 0;
    a->kept = STR_NONE;
}

/* Who lets a server be silent for longer lets it send comments for as long, too. */
static uint64_t patience_ms(const struct model *m)
{
    return (uint64_t)(m->content_ms > m->idle_ms ? m->content_ms : m->idle_ms);
}

/* With the first piece only: the timer looks for itself how old the last one is. */
static void note_content(struct call *c)
{
    if (!c->content_ms) timer_set(c->models->loop, &c->timer, patience_ms(c->m));
    c->content_ms = clock_ms();
    c->sink.alive = false;
}

static enum err_kind on_data(void *ctx, struct str bytes, struct err *why)
{
    struct call *c = ctx;
    c->receiving = true;
    enum err_kind kind =
        c->m->type->decode(c->decoder, str_of(c->reply.content_type), bytes, false, why);
    call_show(c);
    c->receiving = false;
    c->request.gathers = c->n_shown > 0 && !c->sink.ended; /* never the first piece */
    if (!c->op) return err_set(why, ERR_CANCELLED, "not wanted any longer");
    if (c->full) return err_set(why, ERR_LIMIT, "longer than reply_max");
    if (kind != ERR_NONE) return kind;
    if (c->caught && !c->sink.ended) return err_set(why, ERR_PROTO, "it repeats itself for ever");
    if (c->sink.ended)
        timer_set(c->models->loop, &c->timer, END_PATIENCE);
    else if (c->sink.alive)
        note_content(c);
    return ERR_NONE;
}

static void on_timer(struct timer *timer)
{
    struct call *c = container_of(timer, struct call, timer);
    char why[ERR_MSG_MAX];
    uint64_t due = c->content_ms + patience_ms(c->m), now = clock_ms();
    if (c->sink.ended) {
        flow_stop(&c->flow, ERR_NONE, "");
        return;
    }
    if (c->content_ms && now < due) {
        timer_set(c->models->loop, &c->timer, due - now);
        return;
    }
    if (c->content_ms)
        snprintf(why, sizeof(why), "nothing but signs of life for %" PRIu64 " s",
                 patience_ms(c->m) / 1000);
    else
        snprintf(why, sizeof(why), "no answer began within %" PRId64 " s",
                 c->m->first_token_ms / 1000);
    flow_stop(&c->flow, ERR_TIMEOUT, why);
}

/* ---- the verdict on one try ---- */

/* At a pause the text may not have begun. */
static bool says_something(const struct call *c)
{
    const struct model_answer *a = c->answer;
    return a->text.n || a->n_calls || (c->sink.finish == MODEL_PAUSE && a->kept.n);
}

/* What an answer that came through without an error still may lack. */
static enum err_kind check_answer(const struct call *c, struct err *why)
{
    if (!c->sink.ended)
        return err_set(why, ERR_UNKNOWN,
                       c->answer->text.n ? "the answer broke off" : "no answer came");
    if (c->crowded) return err_set(why, ERR_PROTO, "it calls more tools than can be taken at once");
    if (says_something(c)) return ERR_NONE;
    switch (c->sink.finish) {
    case MODEL_LENGTH:
        return err_set(why, ERR_PROTO,
                       "max_tokens were used up before the first word: raise max_tokens");
    case MODEL_FILTER: return err_set(why, ERR_REFUSED, "withheld by the provider's content rules");
    case MODEL_TOOL: return err_set(why, ERR_PROTO, "it calls a tool instead of answering");
    default: return err_set(why, ERR_PROTO, "the answer is empty");
    }
}

static enum flow_rc call_end(struct call *c, const struct err *why)
{
    c->flow.err = *why;
    return FLOW_STOP;
}

/* The end, and all is well: FLOW_STOP would keep the error of a step that failed. */
static enum flow_rc call_through(struct call *c)
{
    flow_goto(&c->flow, CALL_END);
    return FLOW_NEXT;
}

static bool call_again(struct call *c, const struct err *why)
{
    c->n_cut += why->kind == ERR_UNKNOWN && c->reply.status;
    struct policy_try t = { .n = c->answer->tries,
                            .max = (unsigned)c->m->tries,
                            .shown = c->answer->text.n > 0,
                            .sent = c->reply.sent,
                            .should_retry = c->reply.should_retry,
                            .n_cut = c->n_cut };
    return policy_again(&t, why, &c->wait_ms) && c->wait_ms < left_ms(c);
}

static enum flow_rc call_judge(struct call *c, struct err *why)
{
    timer_clear(c->models->loop, &c->timer);
    if (!c->op) return call_through(c); /* the answer is gone with whoever wanted it */
    if (c->full) c->sink.finish = MODEL_LENGTH;
    /* The answer was complete before whatever came then. */
    bool complete = c->sink.ended && !c->crowded && says_something(c);
    if (c->full || complete) return call_through(c);
    if (why->kind == ERR_NONE && check_answer(c, why) == ERR_NONE) return call_through(c);
    if (!call_again(c, why)) return call_end(c, why);
    metric_add(&retries, 1);
    log_warn("model", "failed, asking again", "model=%s try=%u wait_ms=%u kind=%s why=%s",
             c->m->name, c->answer->tries, c->wait_ms, err_rule(why->kind)->name,
             log_quote(str_of(why->msg)));
    flow_goto(&c->flow, CALL_WAIT);
    return FLOW_NEXT;
}

/* ---- open: which way ---- */

static enum flow_rc open_start(struct flow *f)
{
    struct call *c = of_flow(f);
    if (!c->m->type->local) return FLOW_NEXT;
    buf_init(&c->script, (size_t)c->m->reply_max);
    c->m->type->local(c->m, &c->ask, &c->script);
    c->answer->tries = 1;
    flow_goto(f, CALL_SPEAK);
    return FLOW_NEXT;
}

/* ---- send ---- */

static void try_done(struct call *c)
{
    if (c->decoder) c->m->type->decoder_free(c->decoder);
    c->decoder = NULL;
    http_reply_done(&c->reply);
    c->reply = (struct http_reply){ 0 };
    arena_done(&c->arena);
}

static enum flow_rc send_start(struct flow *f)
{
    struct call *c = of_flow(f);
    const struct model *m = c->m;
    struct err why = ERR_INIT;
    try_done(c);
    c->answer->tries++;
    c->sink =
        (struct model_sink){ .text = on_sink_text, .call = on_sink_call, .keep = on_sink_keep };
    c->crowded = false;
    c->content_ms = 0;
    forget_calls(c->answer);
    c->decoder = m->type->decoder_new(m, &c->sink);
    c->request = (struct http_request){
        .connect_ms = (uint32_t)m->connect_ms,
        .first_byte_ms = (uint32_t)m->first_token_ms,
        .idle_ms = (uint32_t)m->idle_ms,
        .total_ms = left_ms(c),
        .reply_max = (size_t)m->reply_max * STREAM_FACTOR + STREAM_EXTRA,
        .on_data = on_data,
        .ctx = c,
    };
    if (m->type->encode(m, &c->ask, &c->arena, &c->request, &why) != ERR_NONE)
        return call_end(c, &why);
    timer_set(c->models->loop, &c->timer, (uint64_t)m->first_token_ms);
    http_request(c->models->http, &f->op, &c->request, &c->reply);
    return FLOW_WAIT;
}

static bool was_sent(const struct call *c, unsigned setting)
{
    static const char *const words[] = { "\"temperature\":", "_tokens\":" };
    return str_find(c->request.body, str_of(words[setting == MODEL_WITHOUT_MAXIMUM])) != SIZE_MAX;
}

/* A setting that this server does not take: asked once more without it. */
static bool leave_out(struct call *c)
{
    bool bad = c->reply.status == 400 || c->reply.status == 422;
    unsigned blamed = bad ? policy_blames(buf_str(&c->reply.body)) & ~c->ask.without : 0;
    if (!blamed || !was_sent(c, blamed) || c->answer->text.n) return false;
    log_warn("model", "refuses a setting, asking without it", "model=%s setting=%s", c->m->name,
             blamed == MODEL_WITHOUT_SAMPLING ? "temperature" : "max_tokens");
    c->ask.without |= blamed;
    return true;
}

static enum flow_rc send_done(struct flow *f)
{
    struct call *c = of_flow(f);
    const struct http_reply *r = &c->reply;
    struct err why = ERR_INIT;
    enum err_kind kind =
        r->status / 100 == 2
            ? c->m->type->decode(c->decoder, str_of(r->content_type), STR_NONE, true, &why)
            : c->m->type->refusal(r->status, buf_str(&r->body), http_retry_hint_ms(r), &why);
    call_show(c);
    if (kind == ERR_NONE) why = (struct err)ERR_INIT; /* also when a failure was overlooked */
    if (kind == ERR_REFUSED && leave_out(c)) {
        flow_goto(f, CALL_SEND);
        return FLOW_NEXT;
    }
    return call_judge(c, &why);
}

static enum flow_rc send_failed(struct flow *f)
{
    struct err why = f->op.err;
    return call_judge(of_flow(f), &why);
}

/* ---- wait, and send again ---- */

static enum flow_rc wait_start(struct flow *f)
{
    op_sleep(&f->op, of_flow(f)->wait_ms);
    return FLOW_WAIT;
}

static enum flow_rc wait_done(struct flow *f)
{
    flow_goto(f, CALL_SEND);
    return FLOW_NEXT;
}

/* ---- speak: a local answer, word by word ---- */

static enum flow_rc speak_start(struct flow *f)
{
    op_sleep(&f->op, SPEAK_MS);
    return FLOW_WAIT;
}

static enum flow_rc speak_done(struct flow *f)
{
    struct call *c = of_flow(f);
    struct str rest = str_skip(buf_str(&c->script), c->spoken);
    size_t n = 0;
    while (n < rest.n && (unsigned char)rest.p[n] > ' ') n++;
    while (n < rest.n && (unsigned char)rest.p[n] <= ' ') n++;
    c->spoken += n;
    call_grow(c, str_head(rest, n));
    call_show(c);
    if (n == rest.n) return call_through(c);
    flow_goto(f, CALL_SPEAK);
    return FLOW_NEXT;
}

/* ---- the end ---- */

/* Numbers that no answer has are as good as none, and the database could not keep their sum. */
static bool usage_is_plausible(const struct model_usage *u)
{
    const int64_t counts[] = { u->prompt_tokens, u->completion_tokens, u->cached_tokens,
                               u->written_tokens, u->reasoning_tokens };
    for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++)
        if (counts[i] < 0 || counts[i] > TOKENS_MOST) return false;
    return true;
}

/* What the backend said before it broke off stands, as the least that it was. */
static void estimate_usage(const struct call *c, struct model_answer *a)
{
    int64_t written = tokens_estimate(buf_str(&a->text));
    for (size_t i = 0; i < a->n_calls; i++) written += tokens_estimate(a->calls[i].arguments);
    if (!a->usage.prompt_tokens) a->usage.prompt_tokens = tokens_of_ask(&c->ask);
    if (a->usage.completion_tokens < written) a->usage.completion_tokens = written;
}

static void answer_complete(struct call *c)
{
    struct model_answer *a = c->answer;
    if (c->flow.err.kind != ERR_NONE) forget_calls(a);
    a->finish = c->flow.err.kind != ERR_NONE ? MODEL_CUT : a->n_calls ? MODEL_TOOL : c->sink.finish;
    if (usage_is_plausible(&c->sink.usage)) a->usage = c->sink.usage;
    a->total_ms = elapsed_ms(c);
    if (!a->usage.known) estimate_usage(c, a);
    metric_add(&prompt_tokens, (double)a->usage.prompt_tokens);
    metric_add(&completion_tokens, (double)a->usage.completion_tokens);
}

static void call_free(struct flow *f)
{
    struct call *c = of_flow(f);
    struct op *op = c->op;
    timer_clear(c->models->loop, &c->timer);
    metric_add(&asked[op ? f->err.kind : ERR_CANCELLED], 1);
    if (op) {
        answer_complete(c);
        if (f->err.kind == ERR_NONE) {
            op_finish(op);
        } else {
            err_add(&f->err, "%s/%s: ", c->m->type->name, c->m->name);
            op_fail(op, &f->err);
        }
    }
    try_done(c);
    buf_done(&c->script);
    models_close(c->models);
    free(c);
}

static const struct flow_step steps[] = {
    [CALL_OPEN] = { "open", open_start, NULL, NULL },
    [CALL_SEND] = { "send", send_start, send_done, send_failed },
    [CALL_WAIT] = { "wait", wait_start, wait_done, NULL },
    [CALL_SPEAK] = { "speak", speak_start, speak_done, NULL },
};

static const struct flow_kind call_kind = {
    .name = "model",
    .steps = steps,
    .n_steps = CALL_END,
    .budget_ms = TOTAL_MAX_MS + 2 * DEADLINE_SLACK,
    .end = call_free,
};

static void ask_drop(struct op *op)
{
    struct call *c = op->impl;
    c->op = NULL;
    if (!c->receiving) flow_stop(&c->flow, ERR_CANCELLED, "not wanted any longer");
}

static const struct op_kind ask_kind = { "model.ask", ask_drop };

void model_ask(struct models *models, const struct model *m, struct op *op,
               const struct model_ask *ask, void (*on_text)(void *ctx, struct str piece), void *ctx,
               struct model_answer *ret)
{
    struct call *c = mem_new(struct call);
    *c = (struct call){ .models = models_hold(models),
                        .m = m,
                        .op = op,
                        .ask = *ask,
                        .on_text = on_text,
                        .ctx = ctx,
                        .answer = ret };
    c->timer.fire = on_timer;
    c->began_ms = clock_ms();
    arena_init(&c->arena);
    buf_init(&ret->text, (size_t)m->reply_max);
    ret->finish = MODEL_CUT;
    op_begin(op, &ask_kind, c, (uint64_t)m->total_ms + DEADLINE_SLACK);
    flow_start(&c->flow, &call_kind, models->loop, NULL);
}

void model_answer_done(struct model_answer *a)
{
    buf_done(&a->text);
    forget_calls(a);
}
