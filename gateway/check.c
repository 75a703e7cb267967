/* check: the doctor. One line a subject, "ok", "warn" or "FAIL", and an exit status that a script
 * can use. */
#include "core/base/log.h"
#include "core/model/route.h"
#include "core/store/migrate.h"
#include "core/store/tool_pin.h"
#include "gateway/app.h"
#include "gateway/channels.h"
#include "gateway/commands.h"
#include "gateway/configs.h"
#include "gateway/files.h"
#include <stdarg.h>
#include <stdio.h>
#include <sys/statvfs.h>

#define DISK_LOW_BYTES (UINT64_C(1) << 30)
#define PG_VERSION_MIN 150000
#define TOOLS_READY_MS 30000
#define TOOLS_TEXT_MAX (64 * 1024)

enum verdict { OK, WARN, FAIL };

struct check {
    struct app app;
    struct configs configs;
    bool has_tables;
    bool failed;
};

__attribute__((format(printf, 4, 5))) static void say(struct check *c, enum verdict verdict,
                                                      const char *subject, const char *fmt, ...)
{
    static const char *const words[] = { "ok  ", "warn", "FAIL" };
    va_list args;
    printf("%s  %-20s ", words[verdict], subject);
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    c->failed = c->failed || verdict == FAIL;
}

static void check_postgres(struct check *c)
{
    static const struct pg_stmt stmt = { "version",
                                         "SELECT current_setting('server_version_num')::int8,"
                                         " current_setting('server_version')" };
    struct op op;
    struct pg_rows rows = { .n = 0 };
    op_init(&op, &c->app.loop, on_app_op);
    pg_query(c->app.pg, &op, &stmt, NULL, 0, &rows);
    if (app_wait(&c->app, &op))
        say(c, FAIL, "postgres", "%s", op.err.msg);
    else if (pg_rows_i64(&rows, 0, 0) < PG_VERSION_MIN)
        say(c, FAIL, "postgres", "version %.*s; 15 or newer is needed",
            STR_ARG(pg_rows_str(&rows, 0, 1)));
    else
        say(c, OK, "postgres", "version %.*s", STR_ARG(pg_rows_str(&rows, 0, 1)));
    pg_rows_done(&rows);
}

static void check_migrations(struct check *c)
{
    struct op op;
    struct migrate_report report = { .n_known = 0 };
    op_init(&op, &c->app.loop, on_app_op);
    store_migrate(&c->app.store, &op, true, &report);
    bool failed = app_wait(&c->app, &op) != ERR_NONE;
    c->has_tables = !failed && !report.n_pending;
    if (failed)
        say(c, FAIL, "migrations", "%s", op.err.msg);
    else if (report.n_pending)
        say(c, WARN, "migrations", "%d of %d are not applied yet: run parley migrate, or start it",
            report.n_pending, report.n_known);
    else
        say(c, OK, "migrations", "all %d applied, the newest is %s", report.n_known, report.last);
}

static void check_redis(struct check *c)
{
    struct op op;
    const struct str ping = STR("PING");
    struct redis_reply reply = { .n = 0 };
    op_init(&op, &c->app.loop, on_app_op);
    /* The connection is made in the background and a command without one fails at once: give it its
     * time. */
    for (int tries = 0; tries < 20 && !redis_is_up(c->app.redis); tries++) {
        op_sleep(&op, 100);
        app_wait(&c->app, &op);
    }
    redis_cmd(c->app.redis, &op, &ping, 1, &reply);
    if (app_wait(&c->app, &op))
        say(c, WARN, "redis", "%s; Parley works without it, slower and with limits a process",
            op.err.msg);
    else
        say(c, OK, "redis", "answers");
    redis_reply_done(&reply);
}

static void check_disk(struct check *c)
{
    struct statvfs fs;
    if (statvfs(".", &fs)) {
        say(c, WARN, "disk", "free space cannot be read");
        return;
    }
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    say(c, free_bytes < DISK_LOW_BYTES ? WARN : OK, "disk", "%llu MB free here",
        (unsigned long long)(free_bytes >> 20));
}

/* What admins have configured at run time. */
static void check_configurations(struct check *c)
{
    struct op op;
    if (!c->has_tables) return;
    op_init(&op, &c->app.loop, on_app_op);
    configs_load(&c->configs, &op);
    if (app_wait(&c->app, &op)) say(c, FAIL, "configurations", "%s", op.err.msg);
    for (int i = 0; i < CONFIG_TYPES; i++) {
        const struct config_refusal *r = &c->configs.refused[i];
        if (r->version >= 0)
            say(c, FAIL, config_types[i], "version %lld of the database: %s", (long long)r->version,
                r->why);
        else if (c->configs.layers[i].version)
            say(c, OK, config_types[i], "configured by version %lld of the database",
                (long long)c->configs.layers[i].version);
    }
}

static void check_files(struct check *c)
{
    struct files f = files_raise(&c->app);
    if (f.allowed >= f.needed)
        say(c, OK, "open files", "%llu may be open, %llu are needed at most",
            (unsigned long long)f.allowed, (unsigned long long)f.needed);
    else
        say(c, WARN, "open files",
            "%llu may be open, but the configuration needs up to %llu: raise the hard limit "
            "(ulimit -Hn, LimitNOFILE=), or lower http.connections_max, client.connections_max or "
            "the web channel's connections_max",
            (unsigned long long)f.allowed, (unsigned long long)f.needed);
}

static void check_models(struct check *c)
{
    struct op op;
    op_init(&op, &c->app.loop, on_app_op);
    models_probe(c->app.models, &op);
    app_wait(&c->app, &op);
    check_configurations(c);
    const struct route *by_default =
        routes_find(c->app.models, str_of(c->app.settings->chat.model));
    if (!by_default) by_default = routes_default(c->app.models);
    for (size_t i = 0; i < models_count(c->app.models); i++) {
        const struct model *m = models_at(c->app.models, i);
        say(c, OK, "model", "%s (%s)%s", m->name, m->type->name,
            routes_find(c->app.models, str_of(m->name)) == by_default ? ", answers by default"
                                                                      : "");
    }
    for (size_t i = 0; i < routes_count(c->app.models); i++) {
        const struct route *r = routes_at(c->app.models, i);
        say(c, OK, "route", "%s, asks %s first%s", r->name, r->v[0]->name,
            r == by_default ? ", answers by default" : "");
    }
    const struct model *m;
    for (size_t i = 0; (m = models_embedder_at(c->app.models, i)); i++)
        say(c, OK, "model", "%s (%s), makes vectors", m->name, m->type->name);
}

/* So that a definition which changed is seen; nothing is kept. */
static void load_pins(struct check *c)
{
    struct op op;
    struct pg_rows rows = { .n = 0 };
    if (!c->has_tables) return;
    op_init(&op, &c->app.loop, on_app_op);
    store_tool_pins(&c->app.store, &op, 0, &rows);
    if (app_wait(&c->app, &op) == ERR_NONE) pins_take(c->app.pins, &rows);
    pg_rows_done(&rows);
}

static void check_tools(struct check *c)
{
    struct op op;
    if (tools_servers(c->app.tools) == 0) return;
    load_pins(c);
    op_init(&op, &c->app.loop, on_app_op);
    tools_ready(c->app.tools, NULL, TOOLS_READY_MS, &op);
    app_wait(&c->app, &op);
    for (size_t i = 0; i < tools_servers(c->app.tools); i++) {
        _cleanup_(buf_done) struct buf state = BUF_INIT(TOOLS_TEXT_MAX),
                                       runs = BUF_INIT(TOOLS_TEXT_MAX);
        bool well = tools_report(c->app.tools, i, &state);
        say(c, well ? OK : WARN, "tools", "%.*s", STR_ARG(buf_str(&state)));
        if (tools_runs(c->app.tools, i, &runs))
            say(c, OK, "tools", "%.*s", STR_ARG(buf_str(&runs)));
    }
    tools_end(c->app.tools, &op);
    app_wait(&c->app, &op);
}

static void check_channel(struct check *c, struct channel *ch)
{
    struct op op;
    _cleanup_(buf_done) struct buf text = BUF_INIT(1024);
    if (!ch->type->check) {
        say(c, OK, ch->name, "%s", ch->type->name);
        return;
    }
    op_init(&op, &c->app.loop, on_app_op);
    ch->type->check(ch, &op, &text);
    if (app_wait(&c->app, &op))
        say(c, FAIL, ch->name, "%s: %s", ch->type->name, op.err.msg);
    else
        say(c, OK, ch->name, "%s: %.*s", ch->type->name, STR_ARG(buf_str(&text)));
}

int check_main(const char *conf_path, char **args)
{
    (void)args;
    static struct check check;
    struct check *c = &check;
    struct err why;
    if (app_open(&c->app, conf_path, &why)) {
        printf("FAIL  configuration        %s\n", why.msg);
        return 2;
    }
    configs_open(&c->configs, &c->app);
    say(c, OK, "configuration", "%s", conf_path ? conf_path : "(defaults)");
    check_postgres(c);
    check_migrations(c);
    check_redis(c);
    check_disk(c);
    check_files(c);
    check_models(c);
    check_tools(c);
    list_each (it, next, &c->app.chat.channels)
        check_channel(c, container_of(it, struct channel, link));
    configs_close(&c->configs);
    app_close(&c->app);
    configs_free(&c->configs);
    return c->failed;
}
