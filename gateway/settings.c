/* settings: the table of sections. A new section is one line here. */
#include "gateway/settings.h"
#include "core/base/mem.h"
#include "core/model/route.h"
#include "gateway/channels.h"
#include <unistd.h>

static const char *const level_words[] = { "error", "warn", "info", "debug", NULL };
static const char *const format_words[] = { "text", "json", NULL };

static const struct conf_field log_fields[] = {
    { .key = "level",
      .type = CONF_ENUM,
      .offset = offsetof(struct log_conf, level),
      .def = "info",
      .words = level_words,
      .flags = CONF_RELOADABLE,
      .help = "error, warn, info or debug; debug shows message text." },
    { .key = "format",
      .type = CONF_ENUM,
      .offset = offsetof(struct log_conf, format),
      .def = "text",
      .words = format_words,
      .flags = CONF_RELOADABLE,
      .help = "Lines of key=value, or JSON." },
    CONF_END,
};

static const struct conf_field gateway_fields[] = {
    { .key = "drain",
      .type = CONF_DURATION,
      .offset = offsetof(struct gateway_conf, drain_ms),
      .def = "20s",
      .max = 3600000,
      .flags = CONF_RELOADABLE,
      .help =
          "At SIGTERM, how long answers that are being written may take to finish before they are handed over." },
    { .key = "keep_months",
      .type = CONF_INT,
      .offset = offsetof(struct gateway_conf, keep_months),
      .def = "0",
      .max = 1200,
      .flags = CONF_RELOADABLE,
      .help = "Drop messages older than this many whole months; 0 = keep all." },
    { .key = "config_secrets",
      .type = CONF_LIST,
      .offset = offsetof(struct gateway_conf, config_secrets),
      .def = "env:*_API_KEY",
      .flags = CONF_RELOADABLE,
      .help =
          "Secrets that models in the database may name: whoever may change models at run time can send these to a "
          "server of their choice, and no others. One * in each stands for anything." },
    CONF_END,
};

static const struct section {
    const char *name, *help;
    const struct conf_field *fields;
    size_t offset;
} sections[] = {
    { "gateway", "The process itself.", gateway_fields, offsetof(struct settings, gateway) },
    { "log", "What is written to standard error.", log_fields, offsetof(struct settings, log) },
    { "postgres", "Where users, conversations and messages are kept.", pg_conf_fields,
      offsetof(struct settings, pg) },
    { "redis", "Sessions, context windows, limits. May vanish at any time.", redis_conf_fields,
      offsetof(struct settings, redis) },
    { "http", "The address where the web chat, webhooks, health and metrics are served.",
      http_server_conf_fields, offsetof(struct settings, http) },
    { "client", "Connections to platforms and models.", http_client_conf_fields,
      offsetof(struct settings, client) },
    { "chat", "How conversations are answered.", chat_conf_fields,
      offsetof(struct settings, chat) },
    { "mcp", "Tools that models may call; the servers are in the list \"tools\".", mcp_conf_fields,
      offsetof(struct settings, mcp) },
    { "admin", "The admin API, and what it keeps secret.", admin_conf_fields,
      offsetof(struct settings, admin) },
    { "webhooks", "Events that are sent to those who subscribed by the admin API.",
      hooks_out_conf_fields, offsetof(struct settings, webhooks) },
};
#define N_SECTIONS (sizeof sections / sizeof *sections)

static const char *const known_keys[] = { "gateway", "log",      "postgres", "redis",
                                          "http",    "client",   "chat",     "models",
                                          "routes",  "budgets",  "tools",    "mcp",
                                          "admin",   "webhooks", "channels", NULL };

static enum err_kind read_sections(struct settings *s, struct err *why)
{
    if (conf_known(s->doc, known_keys, why)) return why->kind;
    for (size_t i = 0; i < N_SECTIONS; i++) {
        struct conf_group *group;
        if (conf_section(s->doc, sections[i].name, &group, why) ||
            conf_read(s->doc, group, sections[i].name, sections[i].fields, NULL,
                      (char *)s + sections[i].offset, why))
            return why->kind;
    }
    return hooks_out_conf_check(&s->webhooks, why);
}

const char *settings_path(const char *named)
{
    static const char usual[] = "var/parley.conf";
    return named || access(usual, F_OK) != 0 ? named : usual;
}

enum err_kind settings_load(const char *path, struct settings **ret, struct err *why)
{
    struct settings *s = mem_new(struct settings);
    if (conf_open(path, &s->doc, why) || read_sections(s, why)) {
        settings_free(s);
        return why->kind;
    }
    *ret = s;
    return ERR_NONE;
}

void settings_free(struct settings *s)
{
    if (!s) return;
    conf_close(s->doc);
    free(s);
}

void settings_report_changes(const struct settings *old, const struct settings *now)
{
    for (size_t i = 0; i < N_SECTIONS; i++) {
        const struct section *sec = &sections[i];
        const char *key;
        if (conf_differs(sec->fields, (const char *)old + sec->offset,
                         (const char *)now + sec->offset, &key))
            log_warn("conf", "changed, but only a restart applies it", "key=%s.%s", sec->name, key);
    }
}

bool settings_example(struct buf *to)
{
    buf_add_cstr(
        to,
        "# Parley's configuration: every key with its default. libconfig syntax.\n"
        "# A secret is written as \"env:NAME\" or \"file:PATH\", never as itself.\n"
        "# Durations: \"500ms\", \"30s\", \"5m\", \"1h\", \"7d\". Sizes: \"64KB\", \"1MB\".\n\n");
    for (size_t i = 0; i < N_SECTIONS; i++)
        conf_example(to, sections[i].name, sections[i].help, sections[i].fields);
    models_example(to);
    routes_example(to);
    budgets_example(to);
    tools_example(to);
    channels_example(to);
    return !to->full;
}
