/*
 * try_tools: `parley tools` shows what models get, and calls it as they do. It needs neither
 * PostgreSQL nor Redis; where there is the one, it sees which definitions have changed.
 */
#include "core/base/log.h"
#include "core/loop/op.h"
#include "core/net/sign.h"
#include "core/store/tool_pin.h"
#include "core/tool/pins.h"
#include "gateway/commands.h"
#include "gateway/settings.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define READY_MS   60000
#define PG_MS      2000 /* for a connection */
#define PG_LOOK_MS 20
#define TEXT_MAX   (64 * 1024)

/* What of a process is needed to call tools. */
struct bench {
    struct settings *settings;
    struct loop loop;
    struct http_client *http;
    struct pg *pg;
    struct store store;
    struct pins *pins;
    struct tools *tools;
};

static enum err_kind bench_open(struct bench *b, const char *conf_path, struct err *why)
{
    *b = (struct bench){ .settings = NULL };
    signal(SIGPIPE, SIG_IGN);
    if (!sign_setup()) return err_set(why, ERR_BUG, "libsodium cannot be used");
    if (settings_load(conf_path, &b->settings, why)) return why->kind;
    const struct settings *s = b->settings;
    log_setup((enum log_level)s->log.level, (enum log_format)s->log.format);
    loop_open(&b->loop);
    if (http_client_open(&b->loop, &s->client, &b->http, why)) return err_add(why, "client: ");
    if (pg_open(&b->loop, &s->pg, &b->pg, why)) return err_add(why, "postgres: ");
    store_open(&b->store, &b->loop, b->pg);
    b->pins = pins_open(&b->loop, &b->store, NULL);
    return tools_open(&b->loop, b->http, &s->mcp, s->doc, b->pins, &b->tools, why);
}

static void bench_close(struct bench *b)
{
    if (b->tools) tools_close(b->tools);
    pins_close(b->pins);
    if (b->store.pg) store_close(&b->store);
    if (b->pg) pg_close(b->pg);
    if (b->http) http_client_close(b->http);
    if (b->settings) loop_close(&b->loop);
    settings_free(b->settings);
}

static void on_op(struct op *op)
{
    loop_stop(op->loop);
}

static void wait_for(struct bench *b, const struct op *op)
{
    while (op_busy(op)) loop_run(&b->loop);
}

static void wait_for_postgres(struct bench *b)
{
    struct op op;
    op_init(&op, &b->loop, on_op);
    for (int ms = 0; ms < PG_MS && !pg_is_up(b->pg) && !pg_is_down(b->pg); ms += PG_LOOK_MS) {
        op_sleep(&op, PG_LOOK_MS);
        wait_for(b, &op);
    }
}

/* Without the database a definition counts as seen for the first time. */
static void load_pins(struct bench *b)
{
    struct op op;
    struct pg_rows rows = { .n = 0 };
    const char *why = NULL;
    wait_for_postgres(b);
    op_init(&op, &b->loop, on_op);
    if (pg_is_up(b->pg)) {
        store_tool_pins(&b->store, &op, 0, &rows);
        wait_for(b, &op);
        if (op.err.kind) why = op.err.msg;
    } else {
        why = pg_down_reason(b->pg);
    }
    if (why) fprintf(stderr, "parley: which definitions are in force is not known: %s\n", why);
    pins_take(b->pins, &rows);
    pg_rows_done(&rows);
}

static int list(struct bench *b, const char *channel)
{
    size_t n;
    struct arena arena;
    arena_init(&arena);
    const struct model_tool *tools = tools_list(b->tools, channel, &arena, &n);
    for (size_t i = 0; i < tools_servers(b->tools); i++) {
        _cleanup_(buf_done) struct buf state = BUF_INIT(TEXT_MAX), runs = BUF_INIT(TEXT_MAX);
        tools_report(b->tools, i, &state);
        printf("%.*s\n", STR_ARG(buf_str(&state)));
        if (tools_runs(b->tools, i, &runs)) printf("%.*s\n", STR_ARG(buf_str(&runs)));
    }
    for (size_t i = 0; i < n; i++)
        printf("\n%.*s%s\n  %.*s\n  %.*s\n", STR_ARG(tools[i].name),
               tools_needs_approval(b->tools, tools[i].name) ? " (needs approval)" : "",
               STR_ARG(tools[i].description), STR_ARG(tools[i].schema));
    arena_done(&arena);
    return 0;
}

static int call(struct bench *b, const char *name, const char *arguments)
{
    struct op op;
    const struct model_call mc = { .name = str_of(name), .arguments = str_of(arguments) };
    struct tool_answer answer = { .failed = false };
    op_init(&op, &b->loop, on_op);
    tools_call(b->tools, &op, NULL, &mc, &answer);
    wait_for(b, &op);
    bool failed = op.err.kind != ERR_NONE || answer.failed;
    printf("%.*s\n", STR_ARG(op.err.kind ? str_of(op.err.msg) : buf_str(&answer.text)));
    tool_answer_done(&answer);
    return failed;
}

static int run(struct bench *b, char **args)
{
    struct op op;
    if (tools_servers(b->tools)) load_pins(b);
    op_init(&op, &b->loop, on_op);
    tools_ready(b->tools, NULL, READY_MS, &op);
    wait_for(b, &op);
    bool calls = args[0] && strcmp(args[0], "call") == 0;
    int status =
        calls ? call(b, args[1], args[2] ? args[2] : "{}") : list(b, args[0] ? args[1] : NULL);
    tools_end(b->tools, &op);
    wait_for(b, &op);
    return status;
}

static bool is_usage(char **args)
{
    if (!args[0]) return true;
    if (strcmp(args[0], "list") == 0) return !args[1] || !args[2];
    return strcmp(args[0], "call") == 0 && args[1];
}

int tools_main(const char *conf_path, char **args)
{
    struct bench b;
    struct err why;
    int status = 2;
    if (!is_usage(args)) {
        fprintf(stderr, "usage: parley tools [list [CHANNEL] | call NAME [JSON]]\n");
        return 2;
    }
    if (bench_open(&b, conf_path, &why))
        fprintf(stderr, "parley: %s\n", why.msg);
    else
        status = run(&b, args);
    bench_close(&b);
    return status;
}
