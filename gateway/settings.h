/*
 * settings - the whole configuration of a process: every section, checked, from one file.
 */
#pragma once
#include "core/base/log.h"
#include "core/chat/chat.h"
#include "core/hook/out.h"
#include "core/net/http_client.h"
#include "core/net/http_server.h"
#include "core/net/pg.h"
#include "core/net/redis.h"
#include "core/tool/tools.h"
#include "gateway/admin/conf.h"

struct log_conf {
    int level, format;
};

struct gateway_conf {
    int64_t drain_ms;                /* SIGTERM: how long running answers may take to finish */
    int64_t keep_months;             /* of messages; 0 = all */
    struct conf_list config_secrets; /* that configurations in the database may name */
};

struct settings {
    struct conf_doc *doc; /* owns every string */
    struct log_conf log;
    struct gateway_conf gateway;
    struct pg_conf pg;
    struct redis_conf redis;
    struct http_server_conf http;
    struct http_client_conf client;
    struct chat_conf chat;
    struct mcp_conf mcp;
    struct admin_conf admin;
    struct hooks_out_conf webhooks;
    struct settings *older; /* an earlier reload, whose strings may still be in use */
};

/* The file that is meant: the one that was named, else var/parley.conf, which scripts/run makes, if
 * it is there; NULL = none. */
const char *settings_path(const char *named);
/* path NULL = defaults only. Sections "models", "tools" and "channels" are read by those who open
 * them. */
enum err_kind settings_load(const char *path, struct settings **ret, struct err *why);
void settings_free(struct settings *s); /* NULL is fine */

/*
 * What of `now` can replace `old` without a restart? Logs one line for each section that cannot,
 * naming the key.
 */
void settings_report_changes(const struct settings *old, const struct settings *now);

/* conf/parley.conf.example, from the field tables. False: `to` is full. */
bool settings_example(struct buf *to);
