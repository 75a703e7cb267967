/*
 * discover - a model for those who have configured none: what the environment names, or an Ollama
 * on this machine.
 */
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/model/models.h"
#include "core/model/types.h"

#define OLLAMA_DEFAULT        "127.0.0.1:11434"
#define OLLAMA_CONNECT_MS     500
#define OLLAMA_TOTAL_MS       900
#define OLLAMA_FIRST_TOKEN_MS 120000 /* the model may have to be loaded from disk */
#define OLLAMA_CONTEXT        4096 /* what Ollama gives a model by itself; more takes more memory */
#define OLLAMA_MAX_TOKENS     1024
#define OPENAI_CONTEXT        128000
#define OPENAI_MODEL          "gpt-4o-mini"

static const char *env(const char *name)
{
    const char *v = getenv(name); /* NOLINT(concurrency-mt-unsafe): before any thread */
    return v ? v : "";
}

static struct remote *make(struct models *models, const struct model_type *type, struct str name)
{
    const struct conf_item nothing = { models->doc, NULL };
    struct model *m = models_make(models, type, &nothing, NULL);
    if (!m) return NULL;
    m->name = arena_cstr(&m->strings, name);
    return container_of(m, struct remote, base);
}

bool models_from_environment(struct models *models)
{
    struct str key = str_trim(str_of(env("OPENAI_API_KEY")));
    const char *url = env("OPENAI_BASE_URL"), *name = env("OPENAI_MODEL");
    if (!key.n && !*url) return false;
    struct remote *m = make(models, &model_openai, str_of(*name ? name : OPENAI_MODEL));
    if (!m) return false;
    log_secret(key);
    m->api_key = arena_cstr(&m->base.strings, key);
    m->base.context_tokens = OPENAI_CONTEXT;
    if (*url) {
        m->base_url = arena_cstr(&m->base.strings, str_of(url));
        const char *field;
        struct err why;
        if (m->base.type->check(&m->base, &field, &why) != ERR_NONE) {
            log_error("models", "OPENAI_BASE_URL is not usable, ignoring the environment", "why=%s",
                      log_quote(str_of(why.msg)));
            return false;
        }
    }
    models_add(models, &m->base);
    return true;
}

/* ---- Ollama ---- */

/* One that makes vectors cannot chat. */
static bool makes_vectors(struct json *entry, struct str name)
{
    struct str family = STR_NONE;
    json_get_str(json_get(entry, "details"), "family", &family);
    return str_find(family, STR("bert")) != SIZE_MAX || str_find(name, STR("embed")) != SIZE_MAX;
}

static void add_ollama(struct models *models, struct str tag, struct str base_url, bool embeds)
{
    struct str name = tag;
    if (str_ends(name, STR(":latest"))) name.n -= STR(":latest").n;
    if (models_knows(models, name)) return;
    struct remote *m = make(models, &model_ollama, name);
    if (!m) return;
    m->base.model = arena_cstr(&m->base.strings, tag);
    m->base.embeds = embeds;
    m->base_url = arena_cstr(&m->base.strings, base_url);
    m->base.first_token_ms = OLLAMA_FIRST_TOKEN_MS;
    m->base.context_tokens = OLLAMA_CONTEXT;
    m->base.max_tokens = OLLAMA_MAX_TOKENS;
    models_add(models, &m->base);
}

/* {"models":[{"name":"llama3.2:latest","details":{"family":"llama"}}]}, the newest first. */
static void read_tags(struct models *models, struct str body)
{
    struct json *doc = NULL;
    const struct model *demo = models->list[0];
    if (json_parse(body, &doc, NULL) != ERR_NONE) return;
    struct json *tags = json_get(doc, "models");
    struct str url = str_of(models->probe_url),
               base_url = str_head(url, url.n - STR("/api/tags").n);
    models->n = 0;
    for (size_t i = 0; i < json_length(tags) && models->n_made < MODELS_MAX; i++) {
        struct json *entry = json_at(tags, i);
        struct str name;
        if (json_get_str(entry, "name", &name) && name.n)
            add_ollama(models, name, base_url, makes_vectors(entry, name));
    }
    if (!models->n) models_add(models, demo);
    json_free(doc);
}

static void on_probed(struct op *probe)
{
    struct models *models = container_of(probe, struct models, probe);
    if (probe->err.kind == ERR_NONE && models->probe_reply.status == 200)
        read_tags(models, buf_str(&models->probe_reply.body));
    struct op *waiter = models->probe_waiter;
    models->probe_waiter = NULL;
    op_finish(waiter);
}

static void probe_drop(struct op *op)
{
    struct models *models = op->impl;
    models->probe_waiter = NULL;
    op_cancel(&models->probe);
}

static const struct op_kind probe_kind = { "models.probe", probe_drop };

/* OLLAMA_HOST is Ollama's own variable: a host, with or without scheme and port. */
static char *tags_url(struct models *models)
{
    struct str host = str_trim(str_of(env("OLLAMA_HOST")));
    if (!host.n || str_starts(host, STR("0.0.0.0"))) host = STR(OLLAMA_DEFAULT);
    while (str_ends(host, STR("/"))) host.n--;
    bool scheme = str_find(host, STR("://")) != SIZE_MAX;
    bool port = scheme || str_find_char(host, ':') != SIZE_MAX;
    struct str url = arena_printf(&models->strings, "%s%.*s%s/api/tags", scheme ? "" : "http://",
                                  STR_ARG(host), port ? "" : ":11434");
    return arena_cstr(&models->strings, url);
}

void models_probe(struct models *models, struct op *op)
{
    if (!models->probing_useful || op_busy(&models->probe)) {
        op_sleep(op, 0);
        return;
    }
    op_begin(op, &probe_kind, models, OLLAMA_TOTAL_MS * 2);
    models->probing_useful = false;
    models->probe_waiter = op;
    models->probe_url = tags_url(models);
    models->probe_request = (struct http_request){ .method = "GET",
                                                   .url = models->probe_url,
                                                   .connect_ms = OLLAMA_CONNECT_MS,
                                                   .total_ms = OLLAMA_TOTAL_MS };
    op_init(&models->probe, models->loop, on_probed);
    http_request(models->http, &models->probe, &models->probe_request, &models->probe_reply);
}
