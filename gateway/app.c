/* app: the order in which a process is put together and taken apart. */
#include "gateway/app.h"
#include "core/base/clock.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/rand.h"
#include "core/model/health.h"
#include "core/model/prices.h"
#include "core/net/sign.h"
#include "core/net/ws_client.h"
#include "gateway/channels.h"
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void name_owner(struct app *app)
{
    char host[32] = "", random[17];
    gethostname(host, sizeof host - 1);
    rand_hex(random, 8);
    snprintf(app->owner, sizeof app->owner, "%s:%d:%s", host, (int)getpid(), random);
}

static enum err_kind open_network(struct app *app, struct err *why)
{
    const struct settings *s = app->settings;
    if (pg_open(&app->loop, &s->pg, &app->pg, why)) return err_add(why, "postgres: ");
    store_open(&app->store, &app->loop, app->pg);
    if (redis_open(&app->loop, &s->redis, &app->redis, why)) return err_add(why, "redis: ");
    app->flags = flags_open(&app->loop, &app->store, app->redis);
    app->experiments = experiments_open(&app->loop, &app->store, app->redis);
    app->pins = pins_open(&app->loop, &app->store, app->redis);
    if (http_client_open(&app->loop, &s->client, &app->client, why))
        return err_add(why, "client: ");
    const struct ws_client_conf ws = { .ca_file = s->client.ca_file };
    if (ws_clients_open(&app->loop, &ws, &app->ws, why)) return err_add(why, "client: ");
    if (models_open(&app->loop, app->client, s->doc, &app->models, why)) return why->kind;
    if (tools_open(&app->loop, app->client, &s->mcp, s->doc, app->pins, &app->tools, why))
        return why->kind;
    tools_obey(app->tools, app->flags);
    return ERR_NONE;
}

static enum err_kind open_chat(struct app *app, struct err *why)
{
    struct chat_conf *conf = &app->settings->chat;
    if (*conf->model && !routes_find(app->models, str_of(conf->model)))
        return err_set(why, ERR_CONF, "chat.model: no model or route is named \"%s\"", conf->model);
    models_share_health(app->models, app->redis, &app->store);
    models_load_prices(app->models, &app->store);
    struct budgets budgets = { .n = 0 };
    if (budgets_read(app->settings->doc, &budgets, why)) return why->kind;
    chat_open(&app->chat, &app->loop, &app->store, app->redis, app->models, conf, app->owner);
    app->chat.budgets = budgets;
    app->chat.flags = app->flags;
    app->chat.experiments = experiments_set(app->experiments);
    app->chat.tools = app->tools;
    app->chat.mcp = &app->settings->mcp;
    app->host = (struct channel_host){
        .loop = &app->loop,
        .chat = &app->chat,
        .store = &app->store,
        .redis = app->redis,
        .http = app->client,
        .ws = app->ws,
        .owner = app->owner,
    };
    return channels_load(app->settings->doc, &app->host, why);
}

enum err_kind app_open(struct app *app, const char *conf_path, struct err *why)
{
    *app = (struct app){ .conf_path = conf_path, .started_ms = clock_ms() };
    signal(SIGPIPE, SIG_IGN);
    fault_setup();
    if (!sign_setup()) return err_set(why, ERR_BUG, "libsodium cannot be used");
    if (settings_load(conf_path, &app->settings, why)) return why->kind;
    log_setup((enum log_level)app->settings->log.level, (enum log_format)app->settings->log.format);
    name_owner(app);
    loop_open(&app->loop);
    if (open_network(app, why) || open_chat(app, why)) {
        app_close(app);
        return why->kind;
    }
    return ERR_NONE;
}

enum err_kind app_listen(struct app *app, struct err *why)
{
    if (http_server_open(&app->loop, &app->settings->http, &app->server, why))
        return err_add(why, "http: ");
    app->host.server = app->server;
    snprintf(app->local_url, sizeof app->local_url, "%s://%s:%d",
             http_server_tls(app->server) ? "https" : "http", app->settings->http.address,
             http_server_port(app->server));
    struct str public_url = str_of(app->settings->http.public_url);
    while (str_ends(public_url, STR("/"))) public_url.n--;
    app->chat.public_url = public_url.n ? public_url : str_of(app->local_url);
    return ERR_NONE;
}

void app_close(struct app *app)
{
    if (app->chat.loop) {
        channels_close(&app->chat);
        chat_close(&app->chat);
    }
    if (app->server) http_server_close(app->server);
    if (app->tools) tools_close(app->tools);
    if (app->models) models_close(app->models);
    if (app->ws) ws_clients_close(app->ws);
    if (app->client) http_client_close(app->client);
    pins_close(app->pins);
    experiments_close(app->experiments);
    flags_close(app->flags);
    if (app->redis) redis_close(app->redis);
    if (app->store.pg) store_close(&app->store);
    if (app->pg) pg_close(app->pg);
    loop_close(&app->loop);
    if (app->chat.loop) channels_free(&app->chat);
    settings_free(app->settings);
}

void on_app_op(struct op *op)
{
    loop_stop(op->loop);
}

enum err_kind app_wait(struct app *app, struct op *op)
{
    while (op_busy(op)) loop_run(&app->loop);
    return op->err.kind;
}
