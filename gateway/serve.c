/*
 * serve: start (migrate, find a model, open the channels), then wait for signals.
 *
 * The address answers from the first moment, so that /readyz can say what is missing. PostgreSQL
 * away at start is waited for; a database that is newer than this program, or an edited migration,
 * is not.
 */
#include "gateway/serve.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/chat/eraser.h"
#include "core/chat/keeper.h"
#include "core/model/route.h"
#include "gateway/channels.h"
#include "gateway/commands.h"
#include "gateway/files.h"
#include <signal.h>
#include <stdio.h>

#define START_RETRY_MS 1000
#define DAY_MS         86400000
#define DRAIN_CHECK_MS 20
#define TOOLS_READY_MS 30000
#define HAND_OVER_MS   3000 /* for the requeue statements, after the drain time is over */

enum {
    STEP_MIGRATE,
    STEP_EXPERIMENTS,
    STEP_FLAGS,
    STEP_PINS,
    STEP_PROBE,
    STEP_CONFIGURE,
    STEP_OPEN,
    STEP_WAIT,
    STEP_N
};

static struct serve *of_flow(struct flow *f)
{
    return container_of(f, struct serve, start);
}

static void stop(struct serve *s, int status)
{
    s->status = status;
    loop_stop(&s->app.loop);
}

/* ---- reload ---- */

static void reload(struct serve *s)
{
    struct settings *fresh = NULL;
    struct err why;
    if (settings_load(s->app.conf_path, &fresh, &why) || configs_reload(&s->configs, fresh, &why)) {
        log_error("conf", "not reloaded, the old one stays in force", "text=%s",
                  log_quote(str_of(why.msg)));
        settings_free(fresh);
        return;
    }
    settings_report_changes(s->app.settings, fresh);
    log_setup((enum log_level)fresh->log.level, (enum log_format)fresh->log.format);
    channels_reload(&s->app.chat, fresh->doc);
    s->app.settings->gateway = fresh->gateway;
    s->app.settings->log = fresh->log;
    s->app.settings->chat = fresh->chat;
    conf_apply(admin_conf_fields, &s->app.settings->admin, &fresh->admin);
    /* Running turns and channels may still hold strings of older ones: all stay until the end. */
    fresh->older = s->reloaded;
    s->reloaded = fresh;
    log_info("conf", "reloaded", "");
}

static void on_hup(uv_signal_t *sig, int number)
{
    struct serve *s = sig->data;
    (void)number;
    if (s->started)
        reload(s);
    else
        s->reload_wanted = true; /* an Ollama may be looked for right now */
}

/* ---- start ---- */

static enum flow_rc migrate_start(struct flow *f)
{
    struct serve *s = of_flow(f);
    store_migrate(&s->app.store, &f->op, false, &s->report);
    return FLOW_WAIT;
}

static enum flow_rc start_failed(struct flow *f)
{
    if (f->op.err.kind == ERR_CONF || f->op.err.kind == ERR_REFUSED || f->op.err.kind == ERR_AUTH)
        return FLOW_STOP;
    log_warn("serve", "database not ready, trying again", "kind=%s text=%s",
             err_rule(f->op.err.kind)->name, log_quote(str_of(f->op.err.msg)));
    flow_goto(f, STEP_WAIT);
    return FLOW_NEXT;
}

/* Before the first message: a behaviour that is switched off must not happen even once. */
static enum flow_rc flags_load(struct flow *f)
{
    flags_start(of_flow(f)->app.flags, &f->op);
    return FLOW_WAIT;
}

/* Who has a variant must not get another one at the first message. */
static enum flow_rc experiments_load(struct flow *f)
{
    experiments_start(of_flow(f)->app.experiments, &f->op);
    return FLOW_WAIT;
}

/* What a tool was said to do before, so that nobody can change it while we are away. */
static enum flow_rc pins_load(struct flow *f)
{
    pins_start(of_flow(f)->app.pins, &f->op);
    return FLOW_WAIT;
}

static enum flow_rc probe_start(struct flow *f)
{
    models_probe(of_flow(f)->app.models, &f->op);
    return FLOW_WAIT;
}

/* What admins have changed at run time; the same from the first answer on. */
static enum flow_rc configure_start(struct flow *f)
{
    configs_load(&of_flow(f)->configs, &f->op);
    return FLOW_WAIT;
}

static enum flow_rc open_start(struct flow *f)
{
    struct serve *s = of_flow(f);
    if (channels_open(&s->app.chat, &f->err)) return FLOW_STOP;
    const struct route *r = routes_default(s->app.models);
    log_info("serve", "ready", "address=http://%s:%d model=%s type=%s migrations=%d",
             s->app.settings->http.address, http_server_port(s->app.server), r->name,
             r->v[0]->type->name, s->report.n_known);
    s->started = true;
    if (tools_servers(s->app.tools) > 0)
        tools_ready(s->app.tools, NULL, TOOLS_READY_MS, &s->tools); /* before they are needed */
    chat_start(&s->app.chat);
    eraser_start(&s->app.chat);
    if (s->reload_wanted) reload(s);
    if (s->webhooks) hooks_out_start(s->webhooks);
    flow_goto(f, STEP_N);
    return FLOW_NEXT;
}

static enum flow_rc wait_start(struct flow *f)
{
    op_sleep(&f->op, START_RETRY_MS);
    return FLOW_WAIT;
}

static enum flow_rc wait_done(struct flow *f)
{
    flow_goto(f, STEP_MIGRATE);
    return FLOW_NEXT;
}

static void start_end(struct flow *f)
{
    struct serve *s = of_flow(f);
    if (s->started || s->draining) return;
    log_error("serve", "cannot start", "kind=%s text=%s", err_rule(f->err.kind)->name,
              log_quote(str_of(f->err.msg)));
    stop(s, f->err.kind == ERR_CONF ? 2 : 1);
}

static const struct flow_step start_steps[] = {
    [STEP_MIGRATE] = { "migrate", migrate_start, NULL, start_failed },
    [STEP_EXPERIMENTS] = { "experiments", experiments_load, NULL, start_failed },
    [STEP_FLAGS] = { "flags", flags_load, NULL, start_failed },
    [STEP_PINS] = { "pins", pins_load, NULL, start_failed },
    [STEP_PROBE] = { "probe", probe_start, NULL, NULL },
    [STEP_CONFIGURE] = { "configure", configure_start, NULL, start_failed },
    [STEP_OPEN] = { "open", open_start, NULL, NULL },
    [STEP_WAIT] = { "wait", wait_start, wait_done, NULL },
};
static const struct flow_kind start_kind = { "start", start_steps, STEP_N, 0, start_end };

/* ---- tools: connected before they are needed, their sessions ended at the end ---- */

static void on_tools(struct op *op)
{
    (void)op; /* who cannot be reached is in the log, and is tried again by whoever needs it */
}

static void end_tools(struct app *app)
{
    struct op op;
    if (tools_servers(app->tools) == 0) return;
    op_init(&op, &app->loop, on_app_op);
    tools_end(app->tools, &op);
    app_wait(app, &op);
}

/* ---- every day: partitions ---- */

static void on_partitions(struct op *op)
{
    struct serve *s = container_of(op, struct serve, partitions);
    if (op->err.kind)
        log_error("serve", "message partitions not made, trying again tomorrow", "text=%s",
                  log_quote(str_of(op->err.msg)));
    for (int i = 1; i < s->partition_rows.n; i++)
        log_info("serve", "dropped old messages", "table=%.*s",
                 STR_ARG(pg_rows_str(&s->partition_rows, i, 0)));
    pg_rows_done(&s->partition_rows);
}

static void on_daily(struct timer *t)
{
    struct serve *s = container_of(t, struct serve, daily);
    timer_set(&s->app.loop, t, DAY_MS);
    if (s->started && !op_busy(&s->partitions))
        store_partitions(&s->app.store, &s->partitions, s->app.settings->gateway.keep_months,
                         &s->partition_rows);
}

/* ---- drain: take nothing new, finish what runs, hand over the rest ---- */

static void on_drain_check(struct timer *t)
{
    struct serve *s = container_of(t, struct serve, drain_check);
    uint64_t now = clock_ms();
    if (chat_idle(&s->app.chat) && (!s->webhooks || hooks_out_idle(s->webhooks))) {
        log_info("serve", "stopped", "handed_over=%d", now >= s->drain_until_ms);
        stop(s, 0);
        return;
    }
    if (now >= s->drain_until_ms + HAND_OVER_MS) {
        log_warn("serve", "stopped with work under way, its lease will run out", "");
        stop(s, 0);
        return;
    }
    if (now >= s->drain_until_ms) chat_hand_over(&s->app.chat);
    timer_set(&s->app.loop, t, DRAIN_CHECK_MS);
}

static void drain(struct serve *s, const char *why)
{
    log_info("serve", "draining", "why=%s ms=%lld", why,
             (long long)s->app.settings->gateway.drain_ms);
    s->draining = true;
    s->health.draining = true;
    s->drain_until_ms = clock_ms() + (uint64_t)s->app.settings->gateway.drain_ms;
    if (s->start.kind && !s->started) flow_stop(&s->start, ERR_CANCELLED, "stopped while starting");
    channels_pause(&s->app.chat);
    chat_drain(&s->app.chat);
    if (s->webhooks) hooks_out_drain(s->webhooks);
    timer_set(&s->app.loop, &s->drain_check, 0);
}

static void on_term(uv_signal_t *sig, int number)
{
    struct serve *s = sig->data;
    (void)number;
    if (s->draining)
        s->drain_until_ms = clock_ms(); /* the second time: now */
    else
        drain(s, "signal");
}

static void on_admin_drain(struct admin *admin)
{
    struct serve *s = container_of(admin, struct serve, admin);
    if (!s->draining) drain(s, "admin");
}

/* ---- signals ---- */

static void watch(struct serve *s, uv_signal_t *sig, uv_signal_cb cb, int number)
{
    uv_signal_init(&s->app.loop.uv, sig);
    sig->data = s;
    uv_signal_start(sig, cb, number);
}

static void open_webhooks(struct serve *s)
{
    const struct settings *conf = s->app.settings;
    uint8_t key[32];
    if (!*conf->admin.secret) return;
    hooks_out_key(str_of(conf->admin.secret), key);
    s->webhooks = hooks_out_open(&s->app.store, s->app.client, &conf->webhooks, key, s->app.owner);
}

static void run(struct serve *s)
{
    struct loop *loop = &s->app.loop;
    s->daily.fire = on_daily;
    s->drain_check.fire = on_drain_check;
    op_init(&s->partitions, loop, on_partitions);
    op_init(&s->tools, loop, on_tools);
    watch(s, &s->term, on_term, SIGTERM);
    watch(s, &s->intr, on_term, SIGINT);
    watch(s, &s->hup, on_hup, SIGHUP);
    timer_set(loop, &s->daily, DAY_MS);
    health_open(&s->health, &s->app);
    configs_open(&s->configs, &s->app);
    export_open(&s->exports, &s->app);
    s->admin.drain = on_admin_drain;
    admin_open(&s->admin, &s->app);
    hooks_open(&s->hooks, &s->admin, &s->started);
    open_webhooks(s);
    flow_start(&s->start, &start_kind, loop, NULL);
    loop_run(loop);

    timer_clear(loop, &s->daily);
    timer_clear(loop, &s->drain_check);
    op_cancel(&s->partitions);
    op_cancel(&s->tools);
    hooks_close(&s->hooks);
    hooks_out_close(s->webhooks);
    admin_close(&s->admin);
    configs_close(&s->configs);
    export_close(&s->exports);
    health_close(&s->health);
    uv_close((uv_handle_t *)&s->term, NULL);
    uv_close((uv_handle_t *)&s->intr, NULL);
    uv_close((uv_handle_t *)&s->hup, NULL);
    end_tools(&s->app);
}

static void raise_files(const struct app *app)
{
    struct files f = files_raise(app);
    if (f.allowed < f.needed)
        log_warn("serve", "fewer files may be open than the configuration needs, at worst",
                 "allowed=%llu needed=%llu", (unsigned long long)f.allowed,
                 (unsigned long long)f.needed);
}

int serve_main(const char *conf_path, char **args)
{
    (void)args;
    static struct serve serve;
    struct err why;
    if (app_open(&serve.app, conf_path, &why)) {
        fprintf(stderr, "parley: %s\n", why.msg);
        return 2;
    }
    raise_files(&serve.app);
    if (app_listen(&serve.app, &why)) {
        fprintf(stderr, "parley: %s\n", why.msg);
        serve.status = 2;
    } else {
        run(&serve);
    }
    app_close(&serve.app);
    configs_free(&serve.configs);
    while (serve.reloaded) {
        struct settings *older = serve.reloaded->older;
        settings_free(serve.reloaded);
        serve.reloaded = older;
    }
    return serve.status;
}
