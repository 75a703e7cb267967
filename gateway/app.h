/*
 * app - one process of Parley: everything opened in order, closed in the reverse.
 */
#pragma once
#include "core/chat/chat.h"
#include "core/flag/experiments.h"
#include "core/flag/flags.h"
#include "core/model/route.h"
#include "core/store/store.h"
#include "core/tool/pins.h"
#include "gateway/settings.h"

struct app {
    const char *conf_path; /* NULL = defaults */
    struct settings *settings;
    struct loop loop;
    uint64_t started_ms; /* clock_ms */
    char owner[64];      /* host:pid:random, unique for every life of a process */
    struct pg *pg;
    struct store store;
    struct redis *redis;
    struct flags *flags;
    struct experiments *experiments;
    struct http_client *client;
    struct ws_clients *ws;
    struct models *models;   /* held; other ones after configs has applied something */
    struct configs *configs; /* NULL: a command that works by the file alone */
    struct pins *pins;
    struct tools *tools;
    struct http_server *server; /* NULL until app_listen */
    char local_url[300];        /* where it listens, for when there is no public address */
    struct chat chat;
    struct channel_host host;
};

/* Everything but the listening socket and the channels' connections. On failure nothing is left
 * open. */
enum err_kind app_open(struct app *app, const char *conf_path, struct err *why);
enum err_kind app_listen(struct app *app, struct err *why);
void app_close(struct app *app);

/* Run the loop until `op`, begun by the caller with on_app_op as its done, is through. Returns its
 * err's kind. */
enum err_kind app_wait(struct app *app, struct op *op);
void on_app_op(struct op *op);
