/*
 * call: the steps of one request to the admin API.
 *
 * enter   whose key is it, is it locked out, may it do this: one statement, which also notes it
 * limit   how many requests a minute the key has
 * look    is it well formed; what there is, for operations whose C has to see it first
 * do      the operation: SQL, or C
 * The answer is sent in end(), whatever happened.
 */
#include "gateway/admin/call.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/base/utf8.h"
#include "core/net/sign.h"
#include "gateway/admin/key.h"
#include <stdio.h>

#define BUDGET_MS  30000
#define ACTOR_MAX  4096
#define ANSWER_MAX (8u << 20)
#define ONCE_MAX   200
#define MINUTE_MS  60000

enum { STEP_ENTER, STEP_LIMIT, STEP_LOOK, STEP_DO, STEP_N };

static struct admin_call *of_flow(struct flow *f)
{
    return container_of(f, struct admin_call, flow);
}

/* ---- answers ---- */

enum flow_rc admin_answer(struct admin_call *call, int status, struct str json)
{
    call->status = status;
    call->content_type = "application/json";
    buf_clear(&call->body);
    if (!buf_add(&call->body, json)) return admin_problem(call, 507, "", "the answer is too large");
    return FLOW_NEXT;
}

static void send_answer(struct admin_call *call)
{
    char retry[16];
    struct http_header headers[5] = { { STR("Content-Type"), str_of(call->content_type) },
                                      { STR("Cache-Control"), STR("no-store") } };
    size_t n = call->body.n ? 2 : 0;
    if (!n) headers[n++] = (struct http_header){ STR("Cache-Control"), STR("no-store") };
    if (*call->etag) headers[n++] = (struct http_header){ STR("ETag"), str_of(call->etag) };
    if (call->status == 401)
        headers[n++] = (struct http_header){ STR("WWW-Authenticate"), STR("Bearer") };
    if (call->retry_after_s) {
        int len = snprintf(retry, sizeof retry, "%u", call->retry_after_s);
        headers[n++] = (struct http_header){ STR("Retry-After"), str_from(retry, (size_t)len) };
    }
    http_answer_with(call->in, call->status, headers, n, buf_str(&call->body));
}

static void call_end(struct flow *f)
{
    struct admin_call *call = of_flow(f);
    if (!call->status) {
        call->retry_after_s = 1;
        admin_problem(call, 503, "", "not now: %s", err_rule(f->err.kind)->name);
    }
    log_debug("admin", "call", "op=%s status=%d", call->op->id, call->status);
    if (call->in) send_answer(call);
    pg_rows_done(&call->rows);
    redis_reply_done(&call->reply);
    buf_done(&call->actor);
    buf_done(&call->args);
    json_free(call->given);
    buf_done(&call->body);
    arena_done(&call->arena);
    list_drop(&f->link);
    free(call);
}

static enum flow_rc query_failed(struct flow *f)
{
    return admin_problem_of(of_flow(f), &f->op.err);
}

/* ---- enter ---- */

static const struct pg_stmt enter_stmt = { "api_key_enter",
                                           "SELECT verdict, actor, per_minute, wait_s"
                                           " FROM api_key_enter($1, $2, $3, $4, $5, $6)" };

static enum flow_rc enter_start(struct flow *f)
{
    struct admin_call *call = of_flow(f);
    struct key_parts key;
    if (!call->op->scope) return FLOW_NEXT;
    if (!call->key.n)
        return admin_problem(call, 401, "", "a key is needed: Authorization: Bearer KEY");
    key_parts(&call->arena, call->admin, call->key, &key);
    struct str agent = utf8_cleaned(&call->arena, http_in_header(call->in, "User-Agent"));
    struct pg_value *v = call->values;
    v[0] = pg_text(key.hash);
    v[1] = pg_text(key.prefix);
    v[2] = pg_text(str_of(call->op->scope));
    v[3] = pg_text(str_of(call->op->id));
    v[4] = pg_text(arena_dup(&call->arena, call->in->peer));
    v[5] = pg_text(str_head(agent, utf8_prefix(agent, 200, TEXT_BYTES)));
    pg_query(call->admin->app->pg, &f->op, &enter_stmt, v, 6, &call->rows);
    return FLOW_WAIT;
}

static const struct {
    const char *verdict;
    int status;
    const char *text;
} refusals[] = {
    { "unknown", 401, "no such key" },
    { "locked", 429, "too many wrong keys, try again later" },
    { "revoked", 401, "this key was revoked" },
    { "expired", 401, "this key has expired" },
    { "scope", 403, "this key may not do that: it needs the scope" },
};

static enum flow_rc enter_done(struct flow *f)
{
    struct admin_call *call = of_flow(f);
    struct str verdict = pg_rows_str(&call->rows, 0, 0);
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        if (!str_eq(verdict, str_of(refusals[i].verdict))) continue;
        bool scope = refusals[i].status == 403;
        call->retry_after_s = (uint32_t)pg_rows_i64(&call->rows, 0, 3);
        return admin_problem(call, refusals[i].status, "", "%s%s%s", refusals[i].text,
                             scope ? " " : "", scope ? call->op->scope : "");
    }
    buf_add(&call->actor, pg_rows_str(&call->rows, 0, 1));
    int64_t per_minute = pg_rows_i64(&call->rows, 0, 2);
    call->rate_ask = (struct rate_ask){
        .scope = RATE_KEY,
        .endpoint = "admin",
        .max = per_minute ? per_minute : call->admin->app->settings->admin.rate_per_minute,
        .window_ms = MINUTE_MS,
    };
    pg_rows_done(&call->rows);
    return FLOW_NEXT;
}

/* ---- limit ---- */

static enum flow_rc limit_start(struct flow *f)
{
    struct admin_call *call = of_flow(f);
    if (!call->rate_ask.max) return FLOW_NEXT;
    call->rate_ask.id = call->values[1].text; /* the key's prefix */
    cache_rate_take(call->admin->app->chat.rate, &f->op, &call->rate_ask, &call->rate);
    return FLOW_WAIT;
}

static enum flow_rc limit_done(struct flow *f)
{
    struct admin_call *call = of_flow(f);
    if (call->rate.allowed) return FLOW_NEXT;
    call->retry_after_s = (call->rate.retry_after_ms + 999) / 1000;
    return admin_problem(call, 429, "", "this key may ask %lld times a minute",
                         (long long)call->rate_ask.max);
}

/* ---- do ---- */

static const struct pg_stmt read_stmt = { "admin_read", "SELECT * FROM admin_read($1, $2, $3)" };
static const struct pg_stmt write_stmt = { "admin_write",
                                           "SELECT admin_write($1, $2, $3, nullif($4, ''))" };

static bool reads(const struct admin_op *op)
{
    return op->read.sql != NULL;
}

/* "flags.set" -> "admin_flags_set" */
static struct str function_of(struct arena *a, const struct admin_op *op)
{
    struct str name = arena_printf(a, "admin_%s", op->id);
    char *p = arena_cstr(a, name);
    for (size_t i = 0; i < name.n; i++)
        if (p[i] == '.') p[i] = '_';
    return str_from(p, name.n);
}

static bool once_read(struct admin_call *call)
{
    struct str once = http_in_header(call->in, "Idempotency-Key");
    if (!once.n || strcmp(call->op->method, "POST") != 0) return true;
    if (once.n > ONCE_MAX || !utf8_valid(once)) {
        admin_problem(call, 422, "Idempotency-Key", "Idempotency-Key: up to %d bytes of text",
                      ONCE_MAX);
        return false;
    }
    call->once = arena_dup(&call->arena, once);
    return true;
}

/* SQL of one jsonb column; $1, $2: actor and arguments. */
static enum flow_rc query(struct admin_call *call, const struct pg_stmt *stmt)
{
    struct pg_value *v = call->values;
    v[0] = pg_text(str_of(stmt->sql));
    v[1] = pg_json(buf_str(&call->actor));
    v[2] = pg_json(buf_str(&call->args));
    pg_query(call->admin->app->pg, &call->flow.op, &read_stmt, v, 3, &call->rows);
    return FLOW_WAIT;
}

static bool has_row(const struct admin_call *call)
{
    return call->rows.n > 0 && !pg_rows_null(&call->rows, 0, 0);
}

static enum flow_rc look_start(struct flow *f)
{
    struct admin_call *call = of_flow(f);
    if (!call->in) return FLOW_STOP; /* nobody waits, and nothing was done yet */
    if (!once_read(call) || !admin_args_read(call)) return FLOW_STOP;
    return call->op->look.sql ? query(call, &call->op->look) : FLOW_NEXT;
}

static enum flow_rc look_done(struct flow *f)
{
    struct admin_call *call = of_flow(f);
    if (!has_row(call)) return admin_problem(call, 404, "", "there is no such thing");
    if (call->op->looked && !call->op->looked(call, pg_rows_str(&call->rows, 0, 0)))
        return FLOW_STOP;
    pg_rows_done(&call->rows);
    return FLOW_NEXT;
}

static enum flow_rc do_start(struct flow *f)
{
    struct admin_call *call = of_flow(f);
    const struct admin_op *op = call->op;
    if (op->run) return op->run(call);
    if (reads(op)) return query(call, &op->read);
    struct pg_value *v = call->values;
    v[0] = pg_json(buf_str(&call->actor));
    v[1] = pg_json(buf_str(&call->args));
    v[2] = v[1];
    v[1] = pg_text(function_of(&call->arena, op));
    v[3] = pg_text(call->once);
    pg_query(call->admin->app->pg, &f->op, &write_stmt, v, 4, &call->rows);
    return FLOW_WAIT;
}

/* The member's text as it is given in `after`; a number as its figures. */
static struct str cursor_of(struct arena *a, struct str row, const char *member)
{
    struct json *doc = NULL;
    struct str s, cursor = STR_NONE;
    int64_t i;
    struct err why;
    json_parse(row, &doc, &why);
    if (json_get_str(doc, member, &s))
        cursor = arena_dup(a, s);
    else if (json_get_i64(doc, member, &i))
        cursor = arena_printf(a, "%lld", (long long)i);
    json_free(doc);
    return cursor;
}

void admin_page_open(struct json_out *to)
{
    json_open(to, '{');
    json_key(to, "items");
    json_open(to, '[');
}

void admin_page_close(struct json_out *to, struct str next)
{
    json_close(to, ']');
    json_field_str_or_null(to, "next", next);
    json_close(to, '}');
}

static void answer_page(struct admin_call *call)
{
    struct json_out to = JSON_OUT(&call->body);
    const struct pg_rows *r = &call->rows;
    struct str next = STR_NONE;
    int n = r->n > call->limit ? (int)call->limit : r->n;
    if (r->n > n) next = cursor_of(&call->arena, pg_rows_str(r, n - 1, 0), call->op->cursor);
    admin_answer(call, 200, STR_NONE);
    admin_page_open(&to);
    for (int i = 0; i < n; i++) json_put_raw(&to, pg_rows_str(r, i, 0));
    admin_page_close(&to, next);
    if (call->body.full) admin_problem(call, 507, "", "too much for one page: ask for fewer rows");
}

static void answer_row(struct admin_call *call, struct str row)
{
    struct json *doc = NULL;
    struct err why;
    int64_t version;
    admin_answer(call, call->op->flags & ADMIN_CREATES ? 201 : 200, row);
    if (call->shown_name) { /* into the object, before its brace */
        buf_cut(&call->body, call->body.n - 1);
        buf_addf(&call->body, ",\"%s\":\"%.*s\"}", call->shown_name, STR_ARG(call->shown));
    }
    json_parse(row, &doc, &why);
    if (json_get_i64(doc, "version", &version))
        snprintf(call->etag, sizeof call->etag, "\"%lld\"", (long long)version);
    json_free(doc);
}

static enum flow_rc do_done(struct flow *f)
{
    struct admin_call *call = of_flow(f);
    const struct admin_op *op = call->op;
    if (op->ran) return op->ran(call);
    if (op->push) redis_publish(call->admin->app->redis, op->push, str_of(op->id));
    if (op->flags & ADMIN_LIST)
        answer_page(call);
    else if (!op->answer)
        admin_answer(call, 204, STR_NONE);
    else if (!has_row(call))
        return admin_problem(call, 404, "", "there is no such thing");
    else
        answer_row(call, pg_rows_str(&call->rows, 0, 0));
    return FLOW_NEXT;
}

static const struct flow_step call_steps[] = {
    [STEP_ENTER] = { "enter", enter_start, enter_done, query_failed },
    [STEP_LIMIT] = { "limit", limit_start, limit_done, NULL },
    [STEP_LOOK] = { "look", look_start, look_done, query_failed },
    [STEP_DO] = { "do", do_start, do_done, query_failed },
};
const struct flow_kind admin_call_flow = { "admin", call_steps, STEP_N, BUDGET_MS, call_end };

static void on_gone(struct http_in *in)
{
    ((struct admin_call *)in->user)->in = NULL; /* what was begun is finished */
}

void admin_call_begin(struct admin *admin, const struct admin_op *op, struct http_in *in,
                      const struct str parts[4])
{
    struct admin_call *call = mem_new(struct admin_call);
    struct str given = http_in_header(in, "Authorization");
    call->admin = admin;
    call->op = op;
    call->in = in;
    memcpy(call->parts, parts, sizeof call->parts);
    buf_init(&call->actor, ACTOR_MAX);
    buf_init(&call->args, ADMIN_BODY_MAX + ACTOR_MAX);
    buf_init(&call->body, ANSWER_MAX);
    arena_init(&call->arena);
    if (str_starts_nocase(given, STR("Bearer ")))
        call->key = arena_dup(&call->arena, str_trim(str_skip(given, 7)));
    in->user = call;
    in->on_gone = on_gone;
    flow_start(&call->flow, &admin_call_flow, &admin->app->loop, &admin->calls);
}
