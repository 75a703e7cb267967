/*
 * server_call - one call of a tool, as a flow: have the server ready, send, read the result. It is
 * sent a second time only where the first was certainly not carried out: the session was lost, the
 * headers did not match, the program had ended before.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/tool/result.h"
#include "core/tool/server_impl.h"

#define READY_MS      95000
#define ARGUMENTS_MAX (256 * 1024)
#define BODY_EXTRA    4096

enum { CALL_READY, CALL_SEND, CALL_N };

struct call {
    struct flow flow;
    struct list link;
    struct server *s;
    struct op *op; /* NULL: not wanted any longer */
    struct arena arena;
    struct str name; /* that models see */
    struct json *arguments;
    struct wire_answer answer;
    struct buf *to;
    bool *failed;
    bool repeated;
    uint64_t began_ms;
};

#define CALLS(outcome_)                                                                  \
    METRIC(METRIC_COUNTER, "parley_tool_server_calls_total", "outcome=\"" outcome_ "\"", \
           "Calls that servers of tools were sent, by outcome.")
static struct metric n_well = CALLS("ok"), n_failed = CALLS("failed"), n_error = CALLS("error"),
                     n_cancelled = CALLS("cancelled");
static struct metric took = METRIC(METRIC_HISTOGRAM, "parley_tool_call_seconds", "",
                                   "Time from the call of a tool to its result.");

static struct call *of_flow(struct flow *f)
{
    return container_of(f, struct call, flow);
}

static enum flow_rc again(struct call *c)
{
    c->repeated = true;
    flow_goto(&c->flow, CALL_READY);
    return FLOW_NEXT;
}

/* ---- ready ---- */

static enum flow_rc ready_start(struct flow *f)
{
    server_ready(of_flow(f)->s, &f->op);
    return FLOW_WAIT;
}

/* ---- send ---- */

static const struct tool *find(struct call *c)
{
    const struct tool *t = catalog_find(&c->s->catalog, c->name);
    bool allowed = t && server_allows(c->s, t);
    if (allowed && !server_withholds(c->s, t)) return t;
    if (allowed)
        err_set(&c->flow.err, ERR_REFUSED,
                "the tool's definition changed since it was first seen; it is withheld until an "
                "admin accepts it");
    else
        err_set(&c->flow.err, ERR_NOT_FOUND, "there is no tool named \"%.*s\"", STR_ARG(c->name));
    return NULL;
}

static enum flow_rc send_start(struct flow *f)
{
    struct call *c = of_flow(f);
    struct server *s = c->s;
    bool modern = s->era == RPC_ERA_MODERN;
    struct http_header headers[CATALOG_HEADERS_MAX];
    _cleanup_(buf_done) struct buf body = BUF_INIT(ARGUMENTS_MAX + BODY_EXTRA);
    const struct tool *t = find(c);
    if (!t) return FLOW_STOP;
    if (!s->wire) return err_set(&f->err, ERR_IO, "the server ended just now"), FLOW_STOP;
    int64_t id = s->next_id++;
    rpc_put_call(&body, id, t->name, c->arguments, modern ? s->version : NULL);
    if (body.full) return err_set(&f->err, ERR_LIMIT, "the arguments are too long"), FLOW_STOP;
    const struct wire_ask ask = { .id = id,
                                  .method = "tools/call",
                                  .body = buf_str(&body),
                                  .timeout_ms = (uint32_t)s->conf.timeout_ms,
                                  .version = s->version,
                                  .modern = modern,
                                  .name = t->name,
                                  .headers = headers,
                                  .n_headers = tool_headers(t, c->arguments, &c->arena, headers) };
    rpc_message_done(&c->answer.message);
    c->answer = (struct wire_answer){ 0 };
    wire_ask(s->wire, &f->op, &ask, &c->answer);
    return FLOW_WAIT;
}

/* Nothing was done, and what stood in the way can be mended by connecting or listing anew. */
static bool mend(struct call *c)
{
    struct server *s = c->s;
    const struct rpc_message *m = &c->answer.message;
    bool has_session = s->wire && *s->wire->session;
    if (c->repeated) return false;
    if (c->answer.status == 404 && has_session && s->era == RPC_ERA_LEGACY) {
        s->up = false;
        return true;
    }
    if (m->doc && m->what == RPC_ERROR && m->code == RPC_HEADER_MISMATCH) {
        server_stale(s);
        return true;
    }
    if (m->doc && m->what == RPC_ERROR && m->code == RPC_UNSUPPORTED_VERSION) {
        s->up = false;
        s->era = RPC_ERA_UNKNOWN;
        return true;
    }
    return false;
}

static enum flow_rc send_done(struct flow *f)
{
    struct call *c = of_flow(f);
    const struct rpc_message *m = &c->answer.message;
    const struct result_how how = { .max = (size_t)c->s->conf.result_max,
                                    .fenced = server_is_secure(c->s),
                                    .tool = c->name };
    if (mend(c)) return again(c);
    if (m->what == RPC_ERROR)
        rpc_refusal(m, &f->err);
    else
        result_format(m->body, &how, c->to, c->failed, &f->err);
    return f->err.kind == ERR_NONE ? FLOW_NEXT : FLOW_STOP;
}

static enum flow_rc send_failed(struct flow *f)
{
    struct call *c = of_flow(f);
    bool was_gone = f->op.err.kind == ERR_IO && !*c->s->conf.url && !c->repeated;
    return mend(c) || was_gone ? again(c) : FLOW_STOP;
}

/* ---- the end ---- */

static void call_end(struct flow *f)
{
    struct call *c = of_flow(f);
    struct op *op = c->op;
    metric_observe_ms(&took, (double)(clock_ms() - c->began_ms));
    metric_add(!op                       ? &n_cancelled
               : f->err.kind != ERR_NONE ? &n_error
               : *c->failed              ? &n_failed
                                         : &n_well,
               1);
    if (op && f->err.kind == ERR_NONE)
        op_finish(op);
    else if (op)
        op_fail(op, &f->err);
    list_drop(&c->link);
    rpc_message_done(&c->answer.message);
    json_free(c->arguments);
    arena_done(&c->arena);
    free(c);
}

static const struct flow_step steps[] = {
    [CALL_READY] = { "ready", ready_start, NULL, NULL },
    [CALL_SEND] = { "send", send_start, send_done, send_failed },
};

static const struct flow_kind call_kind = {
    .name = "mcp.call",
    .steps = steps,
    .n_steps = CALL_N,
    .budget_ms = 2 * SERVER_TIMEOUT_MAX_MS + READY_MS,
    .end = call_end,
};

static void call_drop(struct op *op)
{
    struct call *c = op->impl;
    c->op = NULL;
    flow_stop(&c->flow, ERR_CANCELLED, "not wanted any longer");
}

static const struct op_kind op_kind = { "mcp.call", call_drop };

static enum err_kind read_arguments(struct str text, struct json **ret, struct err *why)
{
    struct json *doc = NULL;
    struct err bad;
    if (text.n > ARGUMENTS_MAX) return err_set(why, ERR_LIMIT, "the arguments are too long");
    if (json_parse(text.n ? text : STR("{}"), &doc, &bad) != ERR_NONE)
        return err_set(why, ERR_REFUSED, "the arguments are no JSON: %s", bad.msg);
    if (!json_is_object(doc)) {
        json_free(doc);
        return err_set(why, ERR_REFUSED, "the arguments must be a JSON object");
    }
    *ret = doc;
    return ERR_NONE;
}

void server_call(struct server *s, struct op *op, struct str name, struct str arguments,
                 struct buf *to, bool *ret_failed)
{
    struct err why = ERR_INIT;
    struct json *doc = NULL;
    if (list_length(&s->calls) >= SERVER_CALLS_MAX)
        err_set(&why, ERR_LIMIT, "too many calls at once");
    else
        read_arguments(arguments, &doc, &why);
    if (why.kind != ERR_NONE) {
        op_begin(op, &op_kind, NULL, 1);
        op_fail(op, &why);
        return;
    }
    struct call *c = mem_new(struct call);
    *c = (struct call){ .s = s, .op = op, .arguments = doc, .to = to, .failed = ret_failed };
    c->began_ms = clock_ms();
    *ret_failed = false;
    arena_init(&c->arena);
    c->name = arena_dup(&c->arena, name);
    list_push(&s->calls, &c->link);
    op_begin(op, &op_kind, c, READY_MS + 2 * (uint64_t)s->conf.timeout_ms);
    flow_start(&c->flow, &call_kind, s->loop, NULL);
}

void server_stop_calls(struct server *s)
{
    list_each (it, next, &s->calls)
        flow_stop(&container_of(it, struct call, link)->flow, ERR_CANCELLED, "shutting down");
}
