/*
 * server - see server.h. What it has: wire, era, catalog; and who waits for it. How it is opened is
 * in server_open.c, a call in server_call.c.
 */
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/base/retry.h"
#include "core/net/address.h"
#include "core/tool/admit.h"
#include "core/tool/pins.h"
#include "core/tool/server_impl.h"
#include <stdio.h>

#define READY_MS        90000  /* all steps of the opening have shorter deadlines */
#define FRESH_MS        600000 /* a list of which the server says nothing */
#define FRESH_MIN_MS    60000  /* however short it says */
#define FRESH_MAX_MS    3600000
#define SHORT_LIFE_MS   10000 /* a program that ends so soon is broken */
#define PAGES_MAX       20
#define DESCRIPTION_MAX 2048
#define SCHEMA_MAX      (16 * 1024)

static const struct retry retry = { 1000, 60000 };
static struct metric exits = METRIC(METRIC_COUNTER, "parley_tool_server_exits_total", "",
                                    "Tool servers' programs and streams that ended by themselves.");

/* An op that waits for the opening. */
struct waiter {
    struct list link;
    struct op *op;
};

const char *server_who(const struct server *s)
{
    static char who[80];
    snprintf(who, sizeof(who), "mcp/%s", s->conf.name);
    return who;
}

/* ---- making one ---- */

static void make_headers(struct server *s)
{
    size_t n = 0, max = s->conf.headers.n + 1;
    struct http_header *h = arena_new_array(&s->strings, struct http_header, max);
    if (*s->conf.token)
        h[n++] = (struct http_header){ STR("Authorization"),
                                       arena_printf(&s->strings, "Bearer %s", s->conf.token) };
    for (size_t i = 0; i < s->conf.headers.n; i++) {
        struct str value = str_of(s->conf.headers.v[i]), name = str_cut(&value, ':');
        h[n++] = (struct http_header){ str_trim(name), str_trim(value) };
    }
    s->wire_conf.headers = h;
    s->wire_conf.n_headers = n;
}

static const char **make_vector(struct server *s, const struct conf_list *list)
{
    const char **v = arena_new_array(&s->strings, const char *, list->n + 1);
    for (size_t i = 0; i < list->n; i++) v[i] = list->v[i];
    return v;
}

/* What is handed on by its name is mostly a secret, and programs write what they like. */
static void hide_secrets(const struct conf_list *env)
{
    for (size_t i = 0; i < env->n; i++) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes it */
        const char *value = strchr(env->v[i], '=') ? NULL : getenv(env->v[i]);
        if (value) log_secret(str_of(value));
    }
}

void server_init(struct server *s, struct loop *loop, struct http_client *http,
                 const struct server_conf *conf)
{
    const struct catalog_limits limits = { PAGES_MAX, (size_t)conf->tools_max, DESCRIPTION_MAX,
                                           SCHEMA_MAX };
    *s = (struct server){ .conf = *conf, .loop = loop, .http = http, .next_id = 1 };
    arena_init(&s->strings);
    list_init(&s->calls);
    list_init(&s->waiters);
    catalog_init(&s->catalog, s->conf.name, &limits);
    s->argv = make_vector(s, &conf->command);
    s->env = make_vector(s, &conf->env);
    s->wire_conf.url = s->conf.url;
    make_headers(s);
    hide_secrets(&conf->env);
}

void server_done(struct server *s)
{
    server_stop_calls(s);
    server_stop_opening(s);
    wire_close(s->wire);
    catalog_done(&s->catalog);
    arena_done(&s->strings);
}

/* ---- its wire ---- */

void server_stale(struct server *s)
{
    s->stale = true;
}

void server_drop_wire(struct server *s)
{
    wire_close(s->wire);
    s->wire = NULL;
    s->up = false;
}

static void on_note(void *ctx, struct str method)
{
    struct server *s = ctx;
    if (str_eq(method, STR("notifications/tools/list_changed"))) server_stale(s);
}

static void count_failure(struct server *s)
{
    s->n_failed++;
    s->retry_at_ms = clock_ms() + retry_delay_ms(&retry, s->n_failed, 0);
}

static void on_gone(void *ctx)
{
    struct server *s = ctx;
    bool soon = s->up && !*s->conf.url && clock_ms() - s->spawned_at_ms < SHORT_LIFE_MS;
    if (s->up) {
        metric_add(&exits, 1);
        log_warn(server_who(s), "it ended by itself, beginning anew when it is needed", "soon=%d",
                 soon);
    }
    server_drop_wire(s);
    s->listed = false;
    if (!soon) return; /* while it is being opened, that counts */
    err_set(&s->last, ERR_IO, "%s: the program keeps ending by itself", s->conf.name);
    count_failure(s);
}

bool server_is_secure(const struct server *s)
{
    return s->conf.insists || flag_bool_or(s->conf.flags, FLAG_MCP_SECURITY, NULL, s->conf.secure);
}

/* What the configuration was not asked when it was read: security is on since. */
static enum err_kind admit(const struct server *s, struct err *why)
{
    if (*s->conf.url) return admit_url(str_of(s->conf.url), true, why);
    return admit_command(str_of(s->conf.command.v[0]), s->conf.commands, true, why);
}

bool server_is_shut_out(const struct server *s)
{
    return !s->conf.secure && server_is_secure(s) && admit(s, NULL) != ERR_NONE;
}

enum err_kind server_wire(struct server *s, struct err *why)
{
    const struct wire_user user = { on_note, on_gone, s };
    bool secure = server_is_secure(s);
    if (s->wire && s->wire_secure != secure) server_drop_wire(s);
    if (s->wire) return ERR_NONE;
    if (server_is_shut_out(s)) return admit(s, why);
    s->wire_secure = secure;
    s->wire_conf.guard = secure && !admit_is_local(str_of(s->conf.url)) ? address_is_public : NULL;
    if (*s->conf.url) {
        s->wire = s->old_http ? wire_sse_open(s->loop, s->http, &s->wire_conf, &user)
                              : wire_http_open(s->loop, s->http, &s->wire_conf, &user);
        return ERR_NONE;
    }
    s->spawned_at_ms = clock_ms();
    const struct wire_program program = {
        .argv = s->argv,
        .env = s->env,
        .directory = *s->conf.directory ? s->conf.directory : NULL,
        .limits = { s->conf.memory_max, s->conf.cpu_max_ms, s->conf.processes_max },
        .log_name = server_who(s),
    };
    return wire_stdio_open(s->loop, &program, &user, &s->wire, why);
}

/* ---- who waits ---- */

static void ready_drop(struct op *op)
{
    struct waiter *w = op->impl;
    list_drop(&w->link);
    free(w);
}

static const struct op_kind ready_kind = { "mcp.ready", ready_drop };

void server_opened(struct server *s, const struct err *why)
{
    if (why) {
        count_failure(s);
        s->last = *why;
    } else {
        s->n_failed = 0;
        s->retry_at_ms = 0;
    }
    while (!list_empty(&s->waiters)) {
        struct waiter *w = list_first(&s->waiters, struct waiter, link);
        if (why)
            op_fail(w->op, why);
        else
            op_finish(w->op);
        list_drop(&w->link);
        free(w);
    }
}

/* Another definition is in force since it was listed, maybe the one that the server has now. */
static bool is_overtaken(const struct server *s)
{
    if (s->pins_revision == pins_revision(s->conf.pins)) return false;
    for (size_t i = 0; i < s->catalog.n; i++)
        if (pins_ask(s->conf.pins, s->conf.name, &s->catalog.tools[i]) != PIN_SAME) return true;
    return false;
}

static bool is_ready(const struct server *s)
{
    return s->up && s->wire && s->wire_secure == server_is_secure(s) && s->listed && !s->stale &&
           clock_ms() < s->fresh_until_ms && !is_overtaken(s);
}

void server_ready(struct server *s, struct op *op)
{
    bool resting = !s->opening && clock_ms() < s->retry_at_ms;
    if (is_ready(s) || resting) {
        op_begin(op, &ready_kind, NULL, 1);
        if (resting && !is_ready(s))
            op_fail(op, &s->last);
        else
            op_finish(op);
        return;
    }
    struct waiter *w = mem_new(struct waiter);
    w->op = op;
    list_push(&s->waiters, &w->link);
    op_begin(op, &ready_kind, w, READY_MS);
    if (!s->opening) server_open(s);
}

/* ---- its tools ---- */

bool server_withholds(const struct server *s, const struct tool *t)
{
    return server_is_secure(s) && pins_ask(s->conf.pins, s->conf.name, t) != PIN_SAME;
}

bool server_allows(const struct server *s, const struct tool *t)
{
    return !s->conf.allow.n || conf_list_has(&s->conf.allow, t->name);
}

static void report_list(const struct server *s)
{
    const struct catalog *c = &s->catalog;
    log_info(server_who(s), "tools listed", "n=%zu dropped=%zu version=%s", c->n, c->n_dropped,
             s->version);
    for (size_t i = 0; i < c->n_dropped && i < CATALOG_DROPPED_MAX; i++)
        log_warn(server_who(s), "a tool is of no use, leaving it out", "tool=%s",
                 log_quote(c->dropped[i]));
    for (size_t i = 0; i < c->n; i++)
        if (pins_ask(s->conf.pins, s->conf.name, &c->tools[i]) == PIN_CHANGED)
            log_error(server_who(s), "a tool changed its definition",
                      "tool=%s withheld=%d accept=\"parley tools accept %s\"",
                      log_quote(c->tools[i].name), server_is_secure(s), s->conf.name);
}

void server_take_catalog(struct server *s, struct catalog *fresh)
{
    int64_t ttl = fresh->ttl_ms < 0              ? FRESH_MS
                  : fresh->ttl_ms < FRESH_MIN_MS ? FRESH_MIN_MS
                  : fresh->ttl_ms > FRESH_MAX_MS ? FRESH_MAX_MS
                                                 : fresh->ttl_ms;
    catalog_done(&s->catalog);
    s->catalog = *fresh;
    s->listed = true;
    s->stale = false;
    s->fresh_until_ms = clock_ms() + (uint64_t)ttl;
    s->pins_revision = pins_revision(s->conf.pins);
    report_list(s);
}

void server_end(struct server *s, struct op *op)
{
    if (s->wire)
        wire_end(s->wire, op);
    else
        op_sleep(op, 0);
}
