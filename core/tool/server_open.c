/*
 * server_open - connecting to a tool server, as a flow: find out its era, shake hands, list its
 * tools. Steps that are done already are passed over, so that a list alone can be asked for anew.
 *
 * https://modelcontextprotocol.io/specification/2026-07-28/basic/versioning: a server that answers
 * server/discover, or refuses it with an error of the modern era, is modern; any other is legacy.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/tool/pins.h"
#include "core/tool/server_impl.h"

#define DISCOVER_MS 5000 /* of a program; a legacy one may not answer at all */
#define BUDGET_MS   85000
#define LIST_AGAIN  60000 /* a list that could not be asked for anew serves for so long */
#define PIN_AGAIN   5000  /* a list whose new definitions could not be kept */
#define BODY_MAX    16384

enum {
    OPEN_CONNECT,
    OPEN_DISCOVER,
    OPEN_INITIALIZE,
    OPEN_INITIALIZED,
    OPEN_LIST,
    OPEN_PIN,
    OPEN_N
};

struct server_opening {
    struct flow flow;
    struct server *s;
    struct wire_answer answer;
    struct catalog fresh;
    struct str cursor;
    bool session_renewed; /* it was lost under way once: once is enough */
};

static struct server_opening *of_flow(struct flow *f)
{
    return container_of(f, struct server_opening, flow);
}

static void go(struct server_opening *o, const char *method, int64_t id, struct buf *body,
               int64_t timeout_ms)
{
    struct server *s = o->s;
    const struct wire_ask ask = { .id = id,
                                  .method = method,
                                  .body = buf_str(body),
                                  .timeout_ms = (uint32_t)timeout_ms,
                                  .version = s->version,
                                  .modern = s->era == RPC_ERA_MODERN };
    rpc_message_done(&o->answer.message);
    o->answer = (struct wire_answer){ 0 };
    wire_ask(s->wire, &o->flow.op, &ask, &o->answer);
}

static enum flow_rc fail(struct server_opening *o, enum err_kind kind, const char *text)
{
    err_set(&o->flow.err, kind, "%s", text);
    return FLOW_STOP;
}

static enum flow_rc go_to(struct flow *f, uint16_t step)
{
    flow_goto(f, step);
    return FLOW_NEXT;
}

/* ---- connect ---- */

static enum flow_rc connect_start(struct flow *f)
{
    struct server *s = of_flow(f)->s;
    if (server_wire(s, &f->err) != ERR_NONE) return FLOW_STOP;
    if (s->up) return go_to(f, OPEN_LIST);
    if (s->era == RPC_ERA_LEGACY) return go_to(f, OPEN_INITIALIZE);
    return FLOW_NEXT;
}

/* ---- discover: which era ---- */

static enum flow_rc discover_start(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    struct server *s = o->s;
    _cleanup_(buf_done) struct buf body = BUF_INIT(BODY_MAX);
    s->era = RPC_ERA_MODERN;
    s->version = RPC_MODERN_VERSION;
    rpc_put_discover(&body, s->next_id, s->version);
    bool program = !*s->conf.url;
    go(o, "server/discover", s->next_id++, &body,
       program && s->conf.list_timeout_ms > DISCOVER_MS ? DISCOVER_MS : s->conf.list_timeout_ms);
    return FLOW_WAIT;
}

static enum flow_rc use_legacy(struct flow *f)
{
    struct server *s = of_flow(f)->s;
    s->era = RPC_ERA_LEGACY;
    s->version = NULL;
    /* A program that cannot bear the question has to be started again. */
    return go_to(f, s->wire ? OPEN_INITIALIZE : OPEN_CONNECT);
}

/* It is modern, and these are its versions. */
static enum flow_rc use_best(struct flow *f, struct json *versions, const struct rpc_message *error)
{
    struct server_opening *o = of_flow(f);
    enum rpc_era era;
    const char *best = rpc_version_best(versions, &era);
    if (best && era == RPC_ERA_LEGACY) return use_legacy(f);
    if (error) return rpc_refusal(error, &f->err), FLOW_STOP;
    if (!best) return fail(o, ERR_PROTO, "it speaks no version of the protocol that we know");
    o->s->version = best;
    o->s->up = true;
    return go_to(f, OPEN_LIST);
}

static enum flow_rc discover_done(struct flow *f)
{
    const struct rpc_message *m = &of_flow(f)->answer.message;
    if (m->what == RPC_RESULT) {
        struct json *versions = json_get(m->body, "supportedVersions");
        return versions ? use_best(f, versions, NULL) : use_legacy(f);
    }
    if (!rpc_is_modern_error(m)) return use_legacy(f);
    return use_best(f, json_get(m->body, "supported"), m);
}

/* Over HTTP it must at least have answered; a program may be silent, or drop dead. */
static enum flow_rc discover_failed(struct flow *f)
{
    const struct server_opening *o = of_flow(f);
    enum err_kind kind = f->op.err.kind;
    int status = o->answer.status;
    bool program = !*o->s->conf.url;
    bool legacy = program ? kind == ERR_TIMEOUT || kind == ERR_UNKNOWN || kind == ERR_PROTO
                          : status == 400 || status == 404 || status == 405 || status == 406 ||
                                (status / 100 == 2 && kind == ERR_PROTO);
    if (legacy) return use_legacy(f);
    of_flow(f)->s->era = RPC_ERA_UNKNOWN;
    return FLOW_STOP;
}

/* ---- initialize: the handshake of the legacy era ---- */

static enum flow_rc initialize_start(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    struct server *s = o->s;
    _cleanup_(buf_done) struct buf body = BUF_INIT(BODY_MAX);
    s->version = NULL;
    s->wire->session[0] = '\0';
    rpc_put_initialize(&body, s->next_id);
    go(o, "initialize", s->next_id++, &body, s->conf.list_timeout_ms);
    return FLOW_WAIT;
}

static enum flow_rc initialize_done(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    const struct rpc_message *m = &o->answer.message;
    enum rpc_era era = RPC_ERA_UNKNOWN;
    struct str version = STR_NONE;
    if (m->what == RPC_ERROR) return rpc_refusal(m, &f->err), FLOW_STOP;
    json_get_str(m->body, "protocolVersion", &version);
    o->s->version = rpc_version_find(version, &era);
    if (era != RPC_ERA_LEGACY) {
        server_drop_wire(o->s); /* "the client SHOULD disconnect" */
        return fail(o, ERR_PROTO, "it speaks no version of the protocol that we know");
    }
    return FLOW_NEXT;
}

/* What refuses to be POSTed to may be a server of 2024-11-05. */
static enum flow_rc initialize_failed(struct flow *f)
{
    const struct server_opening *o = of_flow(f);
    struct server *s = o->s;
    int status = o->answer.status;
    bool refused = status == 400 || status == 404 || status == 405;
    if (!*s->conf.url) return FLOW_STOP;
    server_drop_wire(s);
    s->old_http = !s->old_http && refused;
    return s->old_http ? go_to(f, OPEN_CONNECT) : FLOW_STOP;
}

static enum flow_rc initialized_start(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    _cleanup_(buf_done) struct buf body = BUF_INIT(BODY_MAX);
    rpc_put_initialized(&body);
    go(o, "notifications/initialized", 0, &body, o->s->conf.list_timeout_ms);
    return FLOW_WAIT;
}

static enum flow_rc initialized_done(struct flow *f)
{
    of_flow(f)->s->up = true;
    return FLOW_NEXT;
}

/* ---- list: a page a time ---- */

static enum flow_rc list_start(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    struct server *s = o->s;
    _cleanup_(buf_done) struct buf body = BUF_INIT(BODY_MAX);
    bool modern = s->era == RPC_ERA_MODERN;
    if (!o->fresh.server) catalog_init(&o->fresh, s->conf.name, &s->catalog.limits);
    s->stale = false; /* a change that is told from here on counts */
    rpc_put_list(&body, s->next_id, o->cursor, modern ? s->version : NULL);
    go(o, "tools/list", s->next_id++, &body, s->conf.list_timeout_ms);
    return FLOW_WAIT;
}

static enum flow_rc renew_session(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    o->session_renewed = true;
    o->s->up = false;
    catalog_done(&o->fresh);
    o->cursor = STR_NONE;
    return go_to(f, OPEN_INITIALIZE);
}

static bool session_lost(const struct server_opening *o)
{
    return o->answer.status == 404 && o->s->wire && *o->s->wire->session && !o->session_renewed;
}

static enum flow_rc list_done(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    const struct rpc_message *m = &o->answer.message;
    if (session_lost(o)) return renew_session(f);
    if (m->what == RPC_ERROR) return rpc_refusal(m, &f->err), FLOW_STOP;
    if (catalog_page(&o->fresh, m->body, &o->cursor, &f->err) != ERR_NONE) return FLOW_STOP;
    return o->cursor.n ? go_to(f, OPEN_LIST) : FLOW_NEXT;
}

static enum flow_rc list_failed(struct flow *f)
{
    return session_lost(of_flow(f)) ? renew_session(f) : FLOW_STOP;
}

/* ---- pin: which of these definitions are in force ---- */

static enum flow_rc pin_start(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    pins_see(o->s->conf.pins, &f->op, o->s->conf.name, &o->fresh);
    return FLOW_WAIT;
}

static enum flow_rc pin_done(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    bool told = o->s->stale; /* it has changed since it was asked for */
    if (!o->s->wire) return fail(o, ERR_IO, "it ended just now");
    server_take_catalog(o->s, &o->fresh);
    o->fresh = (struct catalog){ .n = 0 };
    o->s->stale = told;
    return FLOW_NEXT;
}

static enum flow_rc pin_failed(struct flow *f)
{
    struct server *s = of_flow(f)->s;
    enum flow_rc rc = pin_done(f);
    s->fresh_until_ms = clock_ms() + PIN_AGAIN;
    log_warn(server_who(s),
             "definitions of tools cannot be compared, withholding what is not known", "why=%s",
             log_quote(str_of(f->op.err.msg)));
    return rc;
}

/* ---- the end ---- */

/* An old list is better than none, as long as there is a connection to use it with. */
static bool keep_old(struct server *s, const struct err *why)
{
    if (!s->listed || !s->up || !s->wire || why->kind == ERR_CANCELLED) return false;
    log_warn(server_who(s), "tools cannot be listed anew, keeping the old list", "why=%s",
             log_quote(str_of(why->msg)));
    s->stale = false;
    s->fresh_until_ms = clock_ms() + LIST_AGAIN;
    return true;
}

static void opening_end(struct flow *f)
{
    struct server_opening *o = of_flow(f);
    struct server *s = o->s;
    struct err why = f->err;
    s->opening = NULL;
    rpc_message_done(&o->answer.message);
    catalog_done(&o->fresh);
    free(o);
    if (why.kind != ERR_NONE && !keep_old(s, &why)) {
        s->up = false;
        err_add(&why, "%s: ", s->conf.name);
        if (why.kind != ERR_CANCELLED)
            log_warn(server_who(s), "cannot be reached, doing without its tools", "kind=%s why=%s",
                     err_rule(why.kind)->name, log_quote(str_of(why.msg)));
        server_opened(s, &why);
        return;
    }
    server_opened(s, NULL);
}

static const struct flow_step steps[] = {
    [OPEN_CONNECT] = { "connect", connect_start, NULL, NULL },
    [OPEN_DISCOVER] = { "discover", discover_start, discover_done, discover_failed },
    [OPEN_INITIALIZE] = { "initialize", initialize_start, initialize_done, initialize_failed },
    [OPEN_INITIALIZED] = { "initialized", initialized_start, initialized_done, NULL },
    [OPEN_LIST] = { "list", list_start, list_done, list_failed },
    [OPEN_PIN] = { "pin", pin_start, pin_done, pin_failed },
};

static const struct flow_kind opening_kind = {
    .name = "mcp.open",
    .steps = steps,
    .n_steps = OPEN_N,
    .budget_ms = BUDGET_MS,
    .end = opening_end,
};

void server_open(struct server *s)
{
    struct server_opening *o = mem_new(struct server_opening);
    *o = (struct server_opening){ .s = s, .cursor = STR_NONE };
    s->opening = o;
    flow_start(&o->flow, &opening_kind, s->loop, NULL);
}

void server_stop_opening(struct server *s)
{
    if (s->opening) flow_stop(&s->opening->flow, ERR_CANCELLED, "shutting down");
}
