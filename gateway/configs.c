/* configs: see configs.h. */
#include "gateway/configs.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/store/configuration.h"
#include <inttypes.h>
#include <stdio.h>

#define CONTENT_MAX ((size_t)64 << 20) /* more than the API takes */
#define ENTRIES_MAX 100                /* models, routes and budgets have limits below it */

const char *const config_types[] = { "models", "routes", "budgets", "chat", NULL };

/* Turns hold strings of chat for as long as they run: they are kept until the process ends. */
struct config_kept {
    struct config_kept *older;
    struct arena strings;
};

/* Everything that would be in force. */
struct candidate {
    struct models *models;
    struct budgets budgets;
    struct chat_conf chat;
    struct config_kept *kept;
};

#define VERSION(type)                                                         \
    METRIC(METRIC_GAUGE, "parley_configuration_version", "type=\"" type "\"", \
           "The version of the database that is in force; 0: the file decides.")
#define REFUSED(type)                                                         \
    METRIC(METRIC_GAUGE, "parley_configuration_refused", "type=\"" type "\"", \
           "1 when the active version cannot be applied here.")
static struct metric m_version[CONFIG_TYPES] = { VERSION("models"), VERSION("routes"),
                                                 VERSION("budgets"), VERSION("chat") };
static struct metric m_refused[CONFIG_TYPES] = { REFUSED("models"), REFUSED("routes"),
                                                 REFUSED("budgets"), REFUSED("chat") };

static int type_of(struct str name)
{
    for (int i = 0; i < CONFIG_TYPES; i++)
        if (str_eq(name, str_of(config_types[i]))) return i;
    return -1;
}

/* ---- what must not stand in the database ---- */

static bool is_secret_header(struct str header)
{
    static const char *const words[] = { "auth", "key", "token", "secret", "cookie", "password" };
    char name[64];
    struct str s = str_cut(&header, ':');
    size_t n = s.n < sizeof name ? s.n : sizeof name;
    for (size_t i = 0; i < n; i++)
        name[i] = s.p[i] >= 'A' && s.p[i] <= 'Z' ? (char)(s.p[i] + 32) : s.p[i];
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_find(str_from(name, n), str_of(words[i])) != SIZE_MAX) return true;
    return false;
}

/* "https://user:password@host/" */
static bool names_user(struct str url)
{
    size_t at = str_find(url, STR("://"));
    struct str rest = at == SIZE_MAX ? url : str_skip(url, at + 3), host = str_cut(&rest, '/');
    return str_find_char(host, '@') != SIZE_MAX;
}

/* Secrets that no table knows as such. */
static enum err_kind check_model(struct json *model, size_t nth, struct err *why)
{
    struct json *headers = json_get(model, "headers");
    struct str s;
    if (json_get_str(model, "base_url", &s) && names_user(s))
        return err_set(why, ERR_CONF, "models:%zu: models.base_url: no password here: use api_key",
                       nth);
    for (size_t i = 0; i < json_length(headers); i++)
        if (json_str(json_at(headers, i), &s) && is_secret_header(s))
            return err_set(why, ERR_CONF,
                           "models:%zu: models.headers: no secret here: use api_key, or the file",
                           nth);
    return ERR_NONE;
}

/* ---- reading ---- */

static enum err_kind open_content(const struct settings *file, int type, struct json *content,
                                  struct conf_doc **ret, struct err *why)
{
    bool is_list = type != CONFIG_CHAT;
    if (is_list != json_is_array(content))
        return err_set(why, ERR_CONF, "%s: must be an %s", config_types[type],
                       is_list ? "array of objects" : "object");
    if (json_length(content) > ENTRIES_MAX)
        return err_set(why, ERR_CONF, "%s: more than %d entries", config_types[type], ENTRIES_MAX);
    for (size_t i = 0; type == CONFIG_MODELS && i < json_length(content); i++)
        if (check_model(json_at(content, i), i + 1, why)) return why->kind;
    if (conf_open_json(content, config_types[type], config_types[type], ret, why)) return ERR_CONF;
    conf_allow_secrets(*ret, &file->gateway.config_secrets);
    return ERR_NONE;
}

/* NULL: there is no version of this type, the file is alone. */
static enum err_kind open_layer(const struct settings *file, const struct config_layer *layers,
                                int type, struct conf_doc **ret, struct err *why)
{
    struct json *content = NULL;
    *ret = NULL;
    if (!layers[type].version) return ERR_NONE;
    enum err_kind kind = json_parse(str_of(layers[type].content), &content, why);
    if (kind == ERR_NONE) kind = open_content(file, type, content, ret, why);
    json_free(content);
    return kind;
}

static enum err_kind read_models(struct configs *c, const struct settings *file,
                                 struct conf_doc *models, struct conf_doc *routes,
                                 struct candidate *ret, struct err *why)
{
    struct conf_doc *docs[3] = { file->doc };
    size_t n = 1;
    if (models) docs[n++] = models;
    if (routes) docs[n++] = routes;
    return models_renew(c->app->models, docs, n, &ret->models, why);
}

static enum err_kind read_budgets(const struct settings *file, struct conf_doc *budgets,
                                  struct candidate *ret, struct err *why)
{
    struct conf_doc *doc = budgets ? budgets : file->doc;
    conf_strings_to(doc, &ret->kept->strings);
    enum err_kind kind = budgets_read(doc, &ret->budgets, why);
    conf_strings_to(doc, NULL);
    return kind;
}

static enum err_kind read_chat(const struct settings *file, struct conf_doc *chat,
                               struct candidate *ret, struct err *why)
{
    ret->chat = file->chat;
    if (!chat) return ERR_NONE;
    conf_strings_to(chat, &ret->kept->strings);
    return conf_overlay(chat, conf_group_at(chat, "chat", 0), "chat", chat_conf_fields, &ret->chat,
                        why);
}

static void kept_free(struct config_kept *kept)
{
    if (!kept) return;
    arena_done(&kept->strings);
    free(kept);
}

static void candidate_drop(struct candidate *cand)
{
    models_close(cand->models);
    kept_free(cand->kept);
}

static enum err_kind read_all(struct configs *c, const struct settings *file,
                              struct conf_doc *const docs[CONFIG_TYPES], struct candidate *ret,
                              struct err *why)
{
    if (read_models(c, file, docs[CONFIG_MODELS], docs[CONFIG_ROUTES], ret, why) ||
        read_budgets(file, docs[CONFIG_BUDGETS], ret, why) ||
        read_chat(file, docs[CONFIG_CHAT], ret, why))
        return why->kind;
    if (!*ret->chat.model || routes_find(ret->models, str_of(ret->chat.model))) return ERR_NONE;
    return err_set(why, ERR_CONF, "chat.model: no model or route is named \"%s\"", ret->chat.model);
}

/* candidate_drop in either case. */
static enum err_kind build(struct configs *c, const struct settings *file,
                           const struct config_layer layers[CONFIG_TYPES], struct candidate *ret,
                           struct err *why)
{
    struct conf_doc *docs[CONFIG_TYPES] = { NULL };
    enum err_kind kind = ERR_NONE;
    *ret = (struct candidate){ .kept = mem_new(struct config_kept) };
    arena_init(&ret->kept->strings);
    for (int i = 0; i < CONFIG_TYPES && kind == ERR_NONE; i++)
        kind = open_layer(file, layers, i, &docs[i], why);
    if (kind == ERR_NONE) kind = read_all(c, file, docs, ret, why);
    for (int i = 0; i < CONFIG_TYPES; i++) conf_close(docs[i]);
    return kind;
}

/* ---- putting it in force ---- */

static void make_label(struct configs *c)
{
    struct buf b = BUF_INIT(sizeof c->label);
    struct json_out to = JSON_OUT(&b);
    bool any = false;
    json_open(&to, '{');
    for (int i = 0; i < CONFIG_TYPES; i++) {
        metric_set(&m_version[i], (double)c->layers[i].version);
        if (!c->layers[i].version) continue;
        json_field_i64(&to, config_types[i], c->layers[i].version);
        any = true;
    }
    json_close(&to, '}');
    snprintf(c->label, sizeof c->label, "%.*s", any ? (int)b.n : 0, any ? b.p : "");
    buf_done(&b);
    c->app->chat.configured = str_of(c->label);
}

static bool same(const struct config_layer *a, const struct config_layer *b)
{
    return a->version == b->version;
}

static void copy_layers(struct config_layer to[CONFIG_TYPES],
                        const struct config_layer from[CONFIG_TYPES])
{
    for (int i = 0; i < CONFIG_TYPES; i++) {
        if (same(&to[i], &from[i])) continue;
        free(to[i].content);
        to[i] = (struct config_layer){ from[i].version,
                                       from[i].version ? mem_dup(str_of(from[i].content)) : NULL };
    }
}

/* Takes all of the candidate. */
static void put_in_force(struct configs *c, const struct settings *file,
                         const struct config_layer layers[CONFIG_TYPES], struct candidate *cand)
{
    struct app *app = c->app;
    struct models *before = app->models;
    bool other_chat = file != c->file || !same(&layers[CONFIG_CHAT], &c->layers[CONFIG_CHAT]) ||
                      !same(&layers[CONFIG_BUDGETS], &c->layers[CONFIG_BUDGETS]);
    app->models = app->chat.models_now = cand->models;
    models_close(before);
    if (other_chat) {
        app->chat.budgets = cand->budgets;
        chat_reload(&app->chat, &cand->chat);
        cand->kept->older = c->kept;
        c->kept = cand->kept;
    } else {
        kept_free(cand->kept);
    }
    c->file = file;
    copy_layers(c->layers, layers);
    make_label(c);
}

static enum err_kind apply(struct configs *c, const struct settings *file,
                           const struct config_layer layers[CONFIG_TYPES], struct err *why)
{
    struct candidate cand;
    enum err_kind kind = build(c, file, layers, &cand, why);
    if (kind != ERR_NONE)
        candidate_drop(&cand);
    else
        put_in_force(c, file, layers, &cand);
    return kind;
}

/* ---- what is active in the database ---- */

static void accepted(struct configs *c, int type)
{
    c->refused[type].version = -1;
    metric_set(&m_refused[type], 0);
    log_info("configs", "in force", "type=%s version=%" PRId64, config_types[type],
             c->layers[type].version);
}

static void refuse(struct configs *c, int type, int64_t version, const struct err *why)
{
    struct config_refusal *r = &c->refused[type];
    bool told = r->version == version && strcmp(r->why, why->msg) == 0;
    r->version = version;
    snprintf(r->why, sizeof r->why, "%s", why->msg);
    metric_set(&m_refused[type], 1);
    if (!told)
        log_error("configs", "cannot be applied here, what was in force stays",
                  "type=%s version=%" PRId64 " why=%s", config_types[type], version,
                  log_quote(str_of(why->msg)));
}

/* What changed together may need each other; if one is no good, each is tried by itself. */
static void adopt(struct configs *c, const struct config_layer wanted[CONFIG_TYPES])
{
    bool changed[CONFIG_TYPES], any = false;
    struct err why = ERR_INIT;
    for (int i = 0; i < CONFIG_TYPES; i++) {
        changed[i] = !same(&wanted[i], &c->layers[i]);
        any = any || changed[i];
        if (!changed[i] && c->refused[i].version >= 0) accepted(c, i); /* it was taken back */
    }
    bool whole = any && apply(c, c->file, wanted, &why) == ERR_NONE;
    for (int i = 0; i < CONFIG_TYPES; i++) {
        struct config_layer one[CONFIG_TYPES];
        if (!changed[i]) continue;
        memcpy(one, c->layers, sizeof one);
        one[i] = wanted[i];
        if (whole || apply(c, c->file, one, &why) == ERR_NONE)
            accepted(c, i);
        else
            refuse(c, i, wanted[i].version, &why);
    }
}

static void read_rows(struct configs *c)
{
    struct config_layer wanted[CONFIG_TYPES] = { { .version = 0 } };
    for (int i = 0; i < c->rows.n; i++) {
        int type = type_of(pg_rows_str(&c->rows, i, 1));
        int64_t version = pg_rows_i64(&c->rows, i, 2);
        if (type < 0 || !version) continue; /* of a newer program; or none is active */
        wanted[type].version = version;
        wanted[type].content = mem_dup(pg_rows_str(&c->rows, i, 3));
    }
    free(c->revision);
    c->revision = mem_dup(pg_rows_str(&c->rows, 0, 0));
    c->anew = false;
    adopt(c, wanted);
    for (int i = 0; i < CONFIG_TYPES; i++) free(wanted[i].content);
}

static void look(struct watch *w)
{
    struct configs *c = container_of(w, struct configs, watch);
    pg_rows_done(&c->rows);
    store_configurations(&c->app->store, &w->op, c->anew ? STR_NONE : str_of(c->revision),
                         &c->rows);
}

static void seen(struct watch *w)
{
    struct configs *c = container_of(w, struct configs, watch);
    if (c->rows.n > 0) read_rows(c);
    pg_rows_done(&c->rows);
}

/* ---- public ---- */

void configs_open(struct configs *c, struct app *app)
{
    *c = (struct configs){ .app = app,
                           .watch = { .name = "configs", .look = look, .seen = seen },
                           .file = app->settings,
                           .revision = mem_dup(STR_NONE) };
    for (int i = 0; i < CONFIG_TYPES; i++) c->refused[i].version = -1;
    app->configs = c;
}

void configs_close(struct configs *c)
{
    watch_stop(&c->watch);
    pg_rows_done(&c->rows);
    for (int i = 0; i < CONFIG_TYPES; i++) free(c->layers[i].content);
    free(c->revision);
    c->app->configs = NULL;
}

void configs_free(struct configs *c)
{
    while (c->kept) {
        struct config_kept *older = c->kept->older;
        kept_free(c->kept);
        c->kept = older;
    }
}

void configs_load(struct configs *c, struct op *op)
{
    watch_start(&c->watch, c->app->redis, CONFIGS_PUSH, WATCH_EVERY_MS);
    watch_load(&c->watch, op);
}

enum err_kind configs_reload(struct configs *c, const struct settings *file, struct err *why)
{
    enum err_kind kind = apply(c, file, c->layers, why);
    if (kind != ERR_NONE) return kind;
    c->anew = true; /* what was refused may be possible now */
    if (c->watch.redis) watch_look(&c->watch);
    return ERR_NONE;
}

enum err_kind configs_check(struct configs *c, struct str type, struct json *content,
                            struct json *active, struct err *why)
{
    struct config_layer layers[CONFIG_TYPES] = { { .version = 0 } };
    struct buf texts[CONFIG_TYPES] = { { .n = 0 } };
    struct candidate cand;
    int checked = type_of(type);
    if (checked < 0 && type.n) return err_set(why, ERR_CONF, "no such type");
    for (int i = 0; i < CONFIG_TYPES; i++) {
        struct json *v = i == checked ? content : json_get(active, config_types[i]);
        if (!v && i != checked) continue;
        buf_init(&texts[i], CONTENT_MAX);
        json_write(v, &texts[i]);
        layers[i] = (struct config_layer){ 1, texts[i].p };
    }
    enum err_kind kind = build(c, c->file, layers, &cand, why);
    candidate_drop(&cand);
    for (int i = 0; i < CONFIG_TYPES; i++) buf_done(&texts[i]);
    return kind;
}

void configs_state(const struct configs *c, struct json_out *to)
{
    json_open(to, '[');
    for (int i = 0; i < CONFIG_TYPES; i++) {
        const struct config_refusal *r = &c->refused[i];
        json_open(to, '{');
        json_field_str(to, "type", str_of(config_types[i]));
        json_field_i64(to, "in_force", c->layers[i].version);
        json_key(to, "refused");
        if (r->version < 0)
            json_put_null(to);
        else
            json_put_i64(to, r->version);
        if (r->version >= 0) json_field_str(to, "why", str_of(r->why));
        json_close(to, '}');
    }
    json_close(to, ']');
}
