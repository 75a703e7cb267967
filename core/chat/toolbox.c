/* toolbox: a flow around route_ask. */
#include "core/chat/toolbox.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/utf8.h"
#include "core/chat/budget.h"
#include "core/chat/permit.h"
#include "core/chat/receipt.h"
#include "core/store/tool.h"
#include "core/tool/guard.h"

#define READY_MS       5000
#define BUDGET_MS      86400000                  /* each wait has a deadline of its own */
#define RESULTS_MAX    ((size_t)4 * 1024 * 1024) /* of one answer: the memory of a turn */
#define NAME_BYTES     64
#define NAMES_SHOWN    1000 /* bytes, to a model that calls a tool which is not there */
#define PAUSES_MAX     5    /* of one answer */
#define TEXT_BYTES_MAX ((size_t)64 * 1024 * 1024)

enum { STEP_READY, STEP_MONEY, STEP_ASK, STEP_CALL, STEP_PERMIT, STEP_N };

/* A call that is being made, or one that is found wrong before. */
struct making {
    struct tool_answer answer;
    struct str fault;    /* why it is not made; "" = it is */
    const char *warning; /* of the guard */
};

struct toolwork {
    struct flow flow;
    struct turn *t;
    struct op *op; /* the caller's; NULL = dropped */
    struct route_asker asker;
    struct model_answer answer; /* of this round, as is log */
    struct route_log log;
    size_t text_before; /* bytes of the turn's text that earlier rounds wrote */
    unsigned n_pauses;
    bool goes_on;                   /* this round, after a pause of the one before */
    struct route only;              /* of the model that paused, which alone can */
    const struct model_call *calls; /* of this round; all is in the turn's memory */
    size_t n_calls, next;
    bool allowed, denied;                   /* the person has said yes, or no, to these calls */
    struct making making[MCP_PARALLEL_MAX]; /* calls[next] and those behind it, at once */
    struct op ops[MCP_PARALLEL_MAX];
    struct op_join join;
    size_t n_making;
    struct pg_rows rows;
    struct guard guard;
    bool circling; /* the guard wants no further call */
    uint64_t began_ms;
};

#define CALLED(outcome)                                                          \
    METRIC(METRIC_COUNTER, "parley_tool_calls_total", "outcome=\"" outcome "\"", \
           "Calls of tools by models, by outcome.")
static struct metric m_well = CALLED("answered"), m_failed = CALLED("failed");

static struct toolwork *of_flow(struct flow *f)
{
    return container_of(f, struct toolwork, flow);
}

static enum flow_rc go(struct toolwork *w, uint16_t step)
{
    flow_goto(&w->flow, step);
    return FLOW_NEXT;
}

/* ---- what was said between model and tools ---- */

void toolbox_add(struct turn *t, const struct model_message *m, const char *by)
{
    struct toolbox *b = &t->toolbox;
    if (b->n == b->room) {
        size_t room = b->room ? b->room * 2 : 16;
        struct model_message *messages = arena_new_array(&t->arena, struct model_message, room);
        const char **names = arena_new_array(&t->arena, const char *, room);
        if (b->n) {
            memcpy(messages, b->messages, b->n * sizeof *messages);
            memcpy(names, b->by, b->n * sizeof *names);
        }
        b->messages = messages;
        b->by = names;
        b->room = room;
    }
    b->messages[b->n] = *m;
    b->by[b->n++] = by;
}

const struct model_message *toolbox_messages(struct turn *t, const struct model *m)
{
    const struct toolbox *b = &t->toolbox;
    struct model_message *v = arena_new_array(&t->arena, struct model_message, b->n + 1);
    for (size_t i = 0; i < b->n; i++) {
        v[i] = b->messages[i];
        if (strcmp(b->by[i], m->name) != 0) v[i].kept = STR_NONE;
    }
    return v;
}

static void add_result(struct toolwork *w, const struct model_call *call, struct str text,
                       bool failed)
{
    struct toolbox *b = &w->t->toolbox;
    text = str_head(text, utf8_prefix(text, RESULTS_MAX - b->result_bytes, TEXT_BYTES));
    b->result_bytes += text.n;
    const struct model_message m = { .role = MODEL_TOOL_RESULT,
                                     .text = arena_dup(&w->t->arena, text),
                                     .call_id = call->id,
                                     .call_name = call->name,
                                     .failed = failed };
    toolbox_add(w->t, &m, "");
}

/* ---- ready: the tools that are offered ---- */

bool toolbox_offers(const struct turn *t)
{
    const struct tools *tools = t->chat->tools;
    if (!tools || tools_servers(tools) == 0 || t->news.name.n) return false;
    /* What the person was asked about still needs its words for the model. */
    return switch_on(t, FLAG_TOOLS) || t->permit.saved.n;
}

void toolbox_look(struct turn *t)
{
    struct toolbox *b = &t->toolbox;
    b->n_tools = 0;
    b->tokens = 0;
    if (!toolbox_offers(t)) return;
    b->tools = tools_list(t->chat->tools, t->channel->name, &t->arena, &b->n_tools);
    for (size_t i = 0; i < b->n_tools; i++)
        b->tokens += tokens_estimate(b->tools[i].name) + tokens_estimate(b->tools[i].description) +
                     tokens_estimate(b->tools[i].schema);
}

static enum flow_rc ready_start(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    if (!toolbox_offers(w->t)) return go(w, STEP_ASK);
    tools_ready(w->t->chat->tools, w->t->channel->name, READY_MS, &f->op);
    return FLOW_WAIT;
}

/* The person said yes or no to what an earlier turn asked: it goes on there. Once: should somebody
 * interrupt it, no call is made again by the same yes. */
static bool resume(struct toolwork *w)
{
    struct turn *t = w->t;
    struct str saved = t->permit.saved;
    if (!saved.n) return false;
    t->permit.saved = STR_NONE;
    w->allowed = t->permit.yes;
    w->denied = !t->permit.yes;
    w->next = 0;
    return permit_restore(t, saved, &w->calls, &w->n_calls);
}

static enum flow_rc ready_done(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    toolbox_look(w->t);
    return go(w, resume(w) ? STEP_CALL : STEP_ASK);
}

/* ---- money: each further question is one more to pay for ---- */

static enum flow_rc money_start(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    bool first = w->t->toolbox.rounds == 0 && w->n_pauses == 0;
    return first ? FLOW_NEXT : budget_more(w->t, &f->op, STR_NONE, NULL, NULL, &w->rows);
}

static enum flow_rc end_early(struct toolwork *w, const char *mark);

static enum flow_rc money_done(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    if (w->rows.n == 0) return FLOW_NEXT;
    return end_early(w, "_(stopped: a budget is used up; `/budget` tells which one)_");
}

static enum flow_rc money_failed(struct flow *f)
{
    log_warn("turn", "no money set aside, ending the answer", "turn=%s text=%s", of_flow(f)->t->id,
             log_quote(str_of(f->op.err.msg)));
    return end_early(of_flow(f), "_(stopped: the budget cannot be asked at the moment)_");
}

/* ---- ask: one round ---- */

static const struct model_ask *question_for(void *ctx, const struct model *m, struct str so_far)
{
    struct toolwork *w = ctx;
    return w->asker.ask(w->asker.ctx, m, so_far);
}

static void on_count(void *ctx, const struct model *m, int64_t tokens)
{
    struct toolwork *w = ctx;
    w->asker.on_count(w->asker.ctx, m, tokens);
}

static bool shorten(void *ctx)
{
    struct toolwork *w = ctx;
    return w->asker.shorten(w->asker.ctx);
}

/* What a round writes stands apart from what the one before it wrote, but for a pause. */
static void on_piece(void *ctx, struct str piece)
{
    struct toolwork *w = ctx;
    struct model_answer *all = &w->t->answer;
    size_t had = all->text.n;
    if (!all->first_token_ms) all->first_token_ms = (uint32_t)(clock_ms() - w->began_ms);
    if (had && had == w->text_before && !w->goes_on) buf_add_cstr(&all->text, "\n\n");
    if (!buf_add(&all->text, piece)) return;
    w->asker.on_text(w->asker.ctx, str_skip(buf_str(&all->text), had)); /* who may end all this */
}

static void on_restart(void *ctx)
{
    struct toolwork *w = ctx;
    buf_cut(&w->t->answer.text, w->text_before);
    w->asker.on_restart(w->asker.ctx);
}

static void on_place(void *ctx, size_t place, uint64_t wait_ms)
{
    struct toolwork *w = ctx;
    w->asker.on_place(w->asker.ctx, place, wait_ms);
}

static void on_ask(void *ctx, const struct model *m)
{
    struct toolwork *w = ctx;
    w->asker.on_ask(w->asker.ctx, m);
}

static void on_took(void *ctx, const char *step, uint64_t ms)
{
    struct toolwork *w = ctx;
    w->asker.on_took(w->asker.ctx, step, ms);
}

/* What the rounds before cost stands in the turn's log, what this one does in ours. */
static bool reserve_more(void *ctx, struct op *op, struct str so_far, const struct model *beside)
{
    struct toolwork *w = ctx;
    return budget_more(w->t, op, so_far, beside, &w->log, &w->t->no_room) == FLOW_WAIT;
}

static bool reserved_more(void *ctx)
{
    struct toolwork *w = ctx;
    return w->asker.reserved(w->asker.ctx);
}

static enum flow_rc ask_start(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    struct turn *t = w->t;
    struct route_asker asker = w->asker; /* who asks, and who is told of the place in the row */
    asker.ask = question_for;
    asker.on_ask = w->asker.on_ask ? on_ask : NULL;
    asker.on_count = w->asker.on_count ? on_count : NULL;
    asker.shorten = w->asker.shorten ? shorten : NULL;
    asker.on_text = on_piece;
    asker.on_restart = on_restart;
    asker.on_place = w->asker.on_place ? on_place : NULL;
    asker.on_took = w->asker.on_took ? on_took : NULL;
    asker.reserve = w->asker.reserve ? reserve_more : NULL;
    asker.reserved = reserved_more;
    asker.ctx = w;
    model_answer_done(&w->answer);
    w->answer = (struct model_answer){ .tries = 0 };
    route_log_done(&w->log);
    w->text_before = t->answer.text.n;
    const struct route *route = w->goes_on ? &w->only : turn_route(t);
    route_ask(t->models, route, &f->op, &asker, &w->answer, &w->log);
    return FLOW_WAIT;
}

static bool is_like(const struct route_try *a, const struct route_try *b)
{
    return a->model == b->model && a->why.kind == b->why.kind && a->hedge == b->hedge &&
           a->lost == b->lost;
}

/* The line of all rounds that this one belongs to; NULL: no room for another. */
static struct route_try *line_of(struct route_log *all, const struct route_try *t)
{
    bool ended =
        t->rested || t->ms || t->tries; /* else it was stopped: the bill tells them apart */
    for (size_t i = 0; i < all->n && ended; i++)
        if (is_like(&all->v[i], t)) return &all->v[i];
    if (all->n == ROUTE_LINES_MAX) return NULL;
    struct route_try *line = route_log_add(all, t->model);
    line->why = t->why;
    line->rested = t->rested;
    line->hedge = t->hedge;
    line->lost = t->lost;
    line->usage.known = true;
    return line;
}

static void note_lines(struct toolwork *w)
{
    struct route_log *log = &w->t->asked;
    for (size_t i = 0; i < w->log.n; i++) {
        const struct route_try *t = &w->log.v[i];
        struct route_try *line = line_of(log, t);
        if (!line) continue;
        if (!line->first_token_ms) line->first_token_ms = t->first_token_ms;
        line->rounds++;
        line->ms += t->ms;
        line->tries += t->tries;
        line->bytes += t->bytes;
        model_usage_add(&line->usage, &t->usage);
    }
    log->replaced = log->replaced || w->log.replaced;
    log->continued = log->continued || w->log.continued;
    log->no_money = log->no_money || w->log.no_money;
}

static void note_round(struct toolwork *w)
{
    struct model_answer *all = &w->t->answer;
    note_lines(w);
    model_usage_add(&all->usage, &w->answer.usage);
    all->tries += w->answer.tries;
    all->finish = w->answer.finish;
    all->total_ms = (uint32_t)(clock_ms() - w->began_ms);
}

static enum flow_rc ask_failed(struct flow *f)
{
    note_round(of_flow(f));
    f->err = f->op.err;
    return FLOW_STOP;
}

/* ---- the calls of an answer ---- */

/* It goes back to the provider, who takes no other names. */
static struct str clean_name(struct arena *a, struct str name)
{
    if (!name.n) return STR("unnamed");
    char *clean = arena_cstr(a, str_head(name, NAME_BYTES));
    for (char *c = clean; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *c))
            *c = '_';
    return str_of(clean);
}

static void take_calls(struct toolwork *w)
{
    const struct model_answer *from = &w->answer;
    struct arena *a = &w->t->arena;
    struct model_call *calls = arena_new_array(a, struct model_call, from->n_calls);
    for (size_t i = 0; i < from->n_calls; i++)
        calls[i] = (struct model_call){ arena_dup(a, from->calls[i].id),
                                        clean_name(a, from->calls[i].name),
                                        arena_dup(a, from->calls[i].arguments) };
    w->calls = calls;
    w->n_calls = from->n_calls;
    w->next = 0;
    w->allowed = w->denied = false;
    const struct model_message m = { .role = MODEL_ASSISTANT,
                                     .text = arena_dup(a, buf_str(&from->text)),
                                     .calls = calls,
                                     .n_calls = w->n_calls,
                                     .kept = arena_dup(a, from->kept) };
    toolbox_add(w->t, &m, w->t->model->name);
}

static bool is_offered(const struct toolbox *b, struct str name)
{
    for (size_t i = 0; i < b->n_tools; i++)
        if (str_eq(b->tools[i].name, name)) return true;
    return false;
}

static struct str no_such_tool(struct toolwork *w, struct str name)
{
    const struct toolbox *b = &w->t->toolbox;
    _cleanup_(buf_done) struct buf names = BUF_INIT(NAMES_SHOWN);
    for (size_t i = 0; i < b->n_tools; i++)
        buf_addf(&names, "%s%.*s", i ? ", " : "", STR_ARG(b->tools[i].name));
    return arena_printf(&w->t->arena, "There is no tool named %.*s. Call one of: %.*s%s.",
                        STR_ARG(name), STR_ARG(buf_str(&names)), names.full ? ", ..." : "");
}

/* Why a call cannot be made, in words for the model, who may mend it. "": it can. */
static struct str fault_of(struct toolwork *w, const struct model_call *call)
{
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    if (!is_offered(&w->t->toolbox, call->name)) return no_such_tool(w, call->name);
    bool bad = json_parse(call->arguments, &doc, &why) != ERR_NONE;
    bool object = json_is_object(doc);
    json_free(doc);
    if (bad)
        return arena_printf(&w->t->arena,
                            "The arguments are not valid JSON (%s). Write them as a JSON object.",
                            why.msg);
    return object ? STR_NONE : STR("The arguments must be a JSON object.");
}

static bool needs_yes(struct toolwork *w)
{
    for (size_t i = 0; i < w->n_calls; i++)
        if (fault_of(w, &w->calls[i]).n == 0 &&
            tools_needs_approval(w->t->chat->tools, w->calls[i].name))
            return true;
    return false;
}

static void refuse_all(struct toolwork *w, struct str why)
{
    for (; w->next < w->n_calls; w->next++) add_result(w, &w->calls[w->next], why, true);
}

static enum flow_rc end_early(struct toolwork *w, const char *mark)
{
    w->t->toolbox.mark = mark;
    return FLOW_STOP;
}

/* Half an answer of one model means nothing to another: signatures, searches, tokens. */
static enum flow_rc take_pause(struct toolwork *w)
{
    struct turn *t = w->t;
    if (w->n_pauses++ == PAUSES_MAX)
        return end_early(w, "_(stopped: the model paused over and over)_");
    const struct model_message m = { .role = MODEL_ASSISTANT,
                                     .text = arena_dup(&t->arena, buf_str(&w->answer.text)),
                                     .kept = arena_dup(&t->arena, w->answer.kept) };
    toolbox_add(t, &m, t->model->name);
    w->goes_on = true;
    w->only = *turn_route(t);
    w->only.v[0] = t->model;
    w->only.n = 1;
    return go(w, STEP_MONEY);
}

static enum flow_rc ask_done(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    int64_t rounds_max = w->t->chat->mcp ? w->t->chat->mcp->rounds_max : 0;
    note_round(w);
    w->goes_on = false;
    if (w->answer.finish == MODEL_PAUSE) return take_pause(w);
    if (w->answer.n_calls == 0) return FLOW_STOP;
    if (w->t->toolbox.rounds > rounds_max)
        return end_early(w, "_(stopped: the model kept calling tools instead of answering)_");
    take_calls(w);
    if (w->t->toolbox.rounds++ == rounds_max) {
        refuse_all(w, STR("No more tools can be called for this answer. Answer now, with what you "
                          "know."));
        return go(w, STEP_MONEY);
    }
    return go(w, needs_yes(w) ? STEP_PERMIT : STEP_CALL);
}

/* ---- call: some at once; what they return is told in the order of the calls ---- */

static void log_call(struct toolwork *w, const struct model_call *call, uint32_t ms, bool failed)
{
    struct toolbox *b = &w->t->toolbox;
    metric_add(failed ? &m_failed : &m_well, 1);
    log_info("turn", "tool called", "turn=%s tool=%.*s ms=%u failed=%d", w->t->id,
             STR_ARG(call->name), ms, failed);
    if (b->n_log == TOOLBOX_LOG_MAX) return;
    if (!b->log) b->log = arena_new_array(&w->t->arena, struct toolbox_line, TOOLBOX_LOG_MAX);
    b->log[b->n_log++] = (struct toolbox_line){ call->name, ms, failed };
}

static void making_done(struct toolwork *w)
{
    for (size_t i = 0; i < w->n_making; i++) tool_answer_done(&w->making[i].answer);
    w->n_making = 0;
}

/* The next calls, as many as may be made at once. One that needed a yes is made alone: the person
 * was shown them in this order. */
static void gather(struct toolwork *w)
{
    const struct mcp_conf *conf = w->t->chat->mcp;
    size_t most = conf ? (size_t)conf->parallel_max : 1;
    making_done(w);
    for (bool alone = false; !alone && w->n_making < most && w->next + w->n_making < w->n_calls;) {
        const struct model_call *call = &w->calls[w->next + w->n_making];
        struct making *m = &w->making[w->n_making];
        *m = (struct making){ .fault = fault_of(w, call) };
        alone = !m->fault.n && tools_needs_approval(w->t->chat->tools, call->name);
        if (alone && w->n_making) return;
        w->circling = guard_call(&w->guard, call->name, call->arguments, &m->warning) == GUARD_STOP;
        if (w->circling) return;
        w->n_making++;
    }
}

static void begin_call(size_t i, struct op *op, void *ctx)
{
    struct toolwork *w = ctx;
    struct making *m = &w->making[i];
    if (m->fault.n)
        op_sleep(op, 0);
    else
        tools_call(w->t->chat->tools, op, w->t->channel->name, &w->calls[w->next + i], &m->answer);
}

static enum flow_rc call_start(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    if (w->denied) refuse_all(w, STR("The person refused this call."));
    if (!switch_on(w->t, FLAG_TOOLS)) refuse_all(w, STR("Tools are switched off at the moment."));
    if (w->next == w->n_calls) return go(w, STEP_MONEY);
    if (!w->circling) gather(w);
    if (w->n_making == 0)
        return end_early(w, "_(stopped: the model called the same tools over and over)_");
    op_join(&f->op, &w->join, w->ops, w->n_making, begin_call, w, BUDGET_MS);
    return FLOW_WAIT;
}

/* The call is over, or was never made. */
static void settle(struct toolwork *w, size_t i)
{
    const struct making *m = &w->making[i];
    const struct model_call *call = &w->calls[w->next + i];
    const struct err *err = &w->ops[i].err;
    bool failed = m->fault.n || err->kind != ERR_NONE || m->answer.failed;
    struct str text = m->fault.n              ? m->fault
                      : err->kind != ERR_NONE ? str_of(err->msg)
                                              : buf_str(&m->answer.text);
    /* Behind it the guard has noted the later ones, and one that it stopped at. */
    guard_result(&w->guard, w->n_making - 1 - i + w->circling, text);
    if (m->warning) text = arena_printf(&w->t->arena, "%.*s\n\n%s", STR_ARG(text), m->warning);
    log_call(w, call, m->answer.ms, failed);
    add_result(w, call, text, failed);
}

static enum flow_rc call_done(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    for (size_t i = 0; i < w->n_making; i++) settle(w, i);
    w->next += w->n_making;
    making_done(w);
    return go(w, STEP_CALL);
}

/* ---- permit: the calls wait in the database for a person's yes ---- */

static enum flow_rc permit_unasked(struct toolwork *w)
{
    refuse_all(w, STR("This call needs a person's approval, which could not be asked for."));
    return go(w, STEP_MONEY);
}

static enum flow_rc permit_start(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    struct turn *t = w->t;
    struct str saved = permit_save(t);
    if (!saved.n) return permit_unasked(w);
    store_tool_ask(t->chat->store, &f->op, &t->request, t->answers, saved,
                   t->chat->mcp->approval_ms);
    return FLOW_WAIT;
}

static enum flow_rc permit_asked(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    w->t->toolbox.question = permit_question(w->t, w->calls, w->n_calls);
    return FLOW_STOP;
}

static enum flow_rc permit_failed(struct flow *f)
{
    log_warn("turn", "approval not asked for, refusing the call", "turn=%s text=%s",
             of_flow(f)->t->id, log_quote(str_of(f->op.err.msg)));
    return permit_unasked(of_flow(f));
}

/* ---- the end ---- */

static void toolwork_end(struct flow *f)
{
    struct toolwork *w = of_flow(f);
    struct op *op = w->op;
    model_answer_done(&w->answer);
    route_log_done(&w->log);
    making_done(w);
    pg_rows_done(&w->rows);
    if (op && f->err.kind == ERR_NONE)
        op_finish(op);
    else if (op)
        op_fail(op, &f->err);
    free(w);
}

static const struct flow_step steps[] = {
    [STEP_READY] = { "ready", ready_start, ready_done, NULL },
    [STEP_MONEY] = { "money", money_start, money_done, money_failed },
    [STEP_ASK] = { "ask", ask_start, ask_done, ask_failed },
    [STEP_CALL] = { "call", call_start, call_done, call_done },
    [STEP_PERMIT] = { "permit", permit_start, permit_asked, permit_failed },
};
/* Models and tools have lines of their own in the receipt. */
static void step_left(struct flow *f, const char *step, uint64_t ms)
{
    if (f->at != STEP_ASK && f->at != STEP_CALL) receipt_took(of_flow(f)->t, step, ms);
}

static const struct flow_kind toolbox_kind = { "toolbox", steps,        STEP_N,
                                               BUDGET_MS, toolwork_end, step_left };

static void toolbox_drop(struct op *op)
{
    struct toolwork *w = op->impl;
    w->op = NULL;
    if (w->flow.at == STEP_ASK) note_lines(w);
    flow_stop(&w->flow, ERR_CANCELLED, "not wanted any longer");
}

static const struct op_kind toolbox_op = { "chat.toolbox", toolbox_drop };

static bool may_pause(const struct route *route)
{
    for (size_t i = 0; i < route->n; i++)
        if (route->v[i]->type && route->v[i]->type->pauses) return true;
    return false;
}

void toolbox_ask(struct turn *t, struct op *op, const struct route_asker *asker)
{
    t->toolbox = (struct toolbox){ .n = 0 };
    if (tools_servers(t->chat->tools) == 0 && !t->permit.saved.n && !may_pause(turn_route(t))) {
        route_ask(t->models, turn_route(t), op, asker, &t->answer, &t->asked);
        return;
    }
    struct toolwork *w = mem_new(struct toolwork);
    *w = (struct toolwork){ .t = t, .op = op, .asker = *asker, .began_ms = clock_ms() };
    guard_init(&w->guard);
    buf_init(&t->answer.text, TEXT_BYTES_MAX);
    t->answer.usage.known = true;
    t->answer.finish = MODEL_CUT;
    op_begin(op, &toolbox_op, w, BUDGET_MS);
    flow_start(&w->flow, &toolbox_kind, op->loop, NULL);
}
