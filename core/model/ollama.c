/*
 * ollama - Ollama's own API, which says more than its imitation of OpenAI's: the context that a
 * model is loaded with, how long it stays loaded, and how hard it thinks. Streams are JSON lines.
 * https://docs.ollama.com/api/chat
 *
 * Without num_ctx a server cuts a long conversation silently at its own default; without
 * num_predict some models never stop.
 */
#include "core/base/mem.h"
#include "core/model/calls.h"
#include "core/model/extra.h"
#include "core/model/reader.h"
#include "core/model/refusal.h"
#include "core/model/types.h"
#include "core/model/vectors.h"

struct model_decoder {
    struct model_sink *sink;
    struct reader reader;
    struct calls calls;
    int64_t n_calls;
    struct buf thought; /* what a model wants to see again between its tool calls */
};

enum { THINK_DEFAULT, THINK_OFF, THINK_ON };
static const char *const think_words[] = { "default", "off",  "on",  "low",
                                           "medium",  "high", "max", NULL };

static const struct conf_field fields[] = {
    REMOTE_FIELDS(ollama, "http://127.0.0.1:11434", "Address of Ollama, without /api or /v1."),
    { "stream", CONF_BOOL, offsetof(struct ollama, stream), .def = "true",
      .help = "Show the answer while it is written." },
    { "keep_alive", CONF_STR, offsetof(struct ollama, keep_alive),
      .help = "How long the model stays loaded: \"10m\", seconds, 0 = not at all, -1 = for ever; "
              "empty = the server's own." },
    { "think", CONF_ENUM, offsetof(struct ollama, think), .def = "default", .words = think_words,
      .help = "Whether it thinks first, and how hard; for models that can." },
    { "temperature", CONF_FLOAT, offsetof(struct ollama, temperature), .def = "-1", .min = -1,
      .max = 2, .help = "0 to 2; -1 = the model's own." },
    CONF_END,
};

static const struct ollama *of(const struct model *m)
{
    return container_of(m, const struct ollama, remote.base);
}

static enum err_kind check(const struct model *m, const char **ret_key, struct err *why)
{
    enum err_kind kind = remote_check(m, ret_key, why);
    if (kind != ERR_NONE) return kind;
    struct str url = str_of(remote_of(m)->base_url);
    while (str_ends(url, STR("/"))) url.n--;
    *ret_key = "base_url";
    if (str_ends(url, STR("/v1")) || str_ends(url, STR("/api")))
        return err_set(why, ERR_CONF, "the address of Ollama itself, without /v1 or /api");
    return ERR_NONE;
}

/* ---- the request ---- */

/* Pictures come with their bytes or not at all: Ollama fetches nothing. */
static void put_user(struct json_out *o, const struct model_message *msg, struct arena *arena)
{
    struct str text = msg->text;
    size_t n_sent = 0;
    for (size_t i = 0; i < msg->n_pictures; i++) n_sent += msg->pictures[i].data.n > 0;
    if (n_sent < msg->n_pictures)
        text = arena_printf(arena, "%.*s%s[%zu of the pictures sent with this cannot be shown.]",
                            STR_ARG(text), text.n ? "\n\n" : "", msg->n_pictures - n_sent);
    if (!text.n && !n_sent) return;
    json_open(o, '{');
    json_field_str(o, "role", STR("user"));
    json_field_str(o, "content", text);
    if (n_sent) {
        json_key(o, "images");
        json_open(o, '[');
        for (size_t i = 0; i < msg->n_pictures; i++)
            if (msg->pictures[i].data.n) json_put_str(o, msg->pictures[i].data);
        json_close(o, ']');
    }
    json_close(o, '}');
}

/* Arguments are an object here; what the model wrote may not be one. */
static struct str object_of(struct str arguments)
{
    struct json *doc = NULL;
    bool good = json_parse(arguments, &doc, NULL) == ERR_NONE && json_is_object(doc);
    json_free(doc);
    return good ? arguments : STR("{}");
}

static void put_call(struct json_out *o, const struct model_call *call)
{
    json_open(o, '{');
    json_field_str(o, "id", call->id);
    json_key(o, "function");
    json_open(o, '{');
    json_field_str(o, "name", call->name);
    json_key(o, "arguments");
    json_put_raw(o, object_of(call->arguments));
    json_close(o, '}');
    json_close(o, '}');
}

static void put_assistant(struct json_out *o, const struct model_message *msg)
{
    json_open(o, '{');
    json_field_str(o, "role", STR("assistant"));
    json_field_str(o, "content", msg->text);
    if (str_starts(msg->kept, STR("\""))) {
        json_key(o, "thinking");
        json_put_raw(o, msg->kept);
    }
    if (msg->n_calls) {
        json_key(o, "tool_calls");
        json_open(o, '[');
        for (size_t i = 0; i < msg->n_calls; i++) put_call(o, &msg->calls[i]);
        json_close(o, ']');
    }
    json_close(o, '}');
}

static void put_result(struct json_out *o, const struct model_message *msg)
{
    json_open(o, '{');
    json_field_str(o, "role", STR("tool"));
    json_field_str(o, "tool_name", msg->call_name);
    json_field_str(o, "tool_call_id", msg->call_id);
    json_field_str(o, "content", msg->text);
    json_close(o, '}');
}

static void put_messages(struct json_out *o, const struct model_ask *ask, struct arena *arena)
{
    struct str system = remote_system(ask, arena);
    json_key(o, "messages");
    json_open(o, '[');
    if (system.n) {
        json_open(o, '{');
        json_field_str(o, "role", STR("system"));
        json_field_str(o, "content", system);
        json_close(o, '}');
    }
    for (size_t i = 0; i < ask->n_messages; i++) {
        const struct model_message *msg = &ask->messages[i];
        if (msg->role == MODEL_USER)
            put_user(o, msg, arena);
        else if (msg->role == MODEL_ASSISTANT && (msg->text.n || msg->n_calls))
            put_assistant(o, msg);
        else if (msg->role == MODEL_TOOL_RESULT)
            put_result(o, msg);
    }
    json_close(o, ']');
}

static void put_keep_alive(struct json_out *o, const struct ollama *m)
{
    int64_t seconds;
    if (!*m->keep_alive) return;
    json_key(o, "keep_alive");
    if (str_i64(str_of(m->keep_alive), &seconds))
        json_put_i64(o, seconds); /* as a text it would lack its unit */
    else
        json_put_str(o, str_of(m->keep_alive));
}

static void put_options(struct json_out *o, const struct ollama *m, const struct model_ask *ask,
                        struct arena *arena)
{
    int64_t max = remote_max_tokens(&m->remote.base, ask);
    json_key(o, "options");
    json_open(o, '{');
    json_field_i64(o, "num_ctx", m->remote.base.context_tokens);
    if (max > 0) json_field_i64(o, "num_predict", max);
    if (m->temperature >= 0 && !(ask->without & MODEL_WITHOUT_SAMPLING)) {
        json_key(o, "temperature");
        json_put_f64(o, m->temperature);
    }
    extra_put(o, &m->remote.base, "options", arena);
    json_close(o, '}');
    put_keep_alive(o, m);
    if (m->think == THINK_OFF || m->think == THINK_ON)
        json_field_bool(o, "think", m->think == THINK_ON);
    else if (m->think != THINK_DEFAULT)
        json_field_str(o, "think", str_of(think_words[m->think]));
    json_field_bool(o, "stream", m->stream);
}

static enum err_kind post(const struct model *base, const char *path, const struct buf *body,
                          struct arena *arena, struct http_request *rq, struct err *why)
{
    const char *key = remote_of(base)->api_key;
    const struct http_header authorization = { STR("Authorization"),
                                               *key ? arena_printf(arena, "Bearer %s", key)
                                                    : STR_NONE };
    return remote_post(base, path, &authorization, 1, body, arena, rq, why);
}

static enum err_kind encode(const struct model *base, const struct model_ask *ask,
                            struct arena *arena, struct http_request *rq, struct err *why)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    put_messages(&o, ask, arena);
    remote_put_tools(&o, ask);
    put_options(&o, of(base), ask, arena);
    extra_put(&o, base, NULL, arena);
    json_close(&o, '}');
    return post(base, "/api/chat", &body, arena, rq, why);
}

/* ---- errors ---- */

static enum err_kind refusal(int http_status, struct str body, uint32_t hint_ms, struct err *why)
{
    enum err_kind kind = refusal_of(http_status, body, hint_ms, why);
    return kind == ERR_NOT_FOUND && why ? err_add(why, "\"ollama pull\" it first? ") : kind;
}

/* ---- the answer ---- */

static void read_usage(struct json *doc, struct model_usage *to)
{
    /* Absent and 0 are the same to it: a prompt that was cached, or nothing was counted. */
    json_get_i64(doc, "prompt_eval_count", &to->prompt_tokens);
    to->known = json_get_i64(doc, "eval_count", &to->completion_tokens) && to->completion_tokens;
}

static void read_end(struct model_decoder *d, struct json *doc)
{
    struct str reason = STR("stop");
    json_get_str(doc, "done_reason", &reason);
    read_usage(doc, &d->sink->usage);
    if (str_eq(reason, STR("length")))
        d->sink->finish = MODEL_LENGTH;
    else if (!reason.n) /* its runner went away */
        d->sink->finish = MODEL_CUT;
    else
        d->sink->finish = d->n_calls ? MODEL_TOOL : MODEL_STOP;
    d->sink->ended = true;
}

/* Each is a whole call. Some versions count all of them as number 0. */
static enum err_kind read_calls(struct model_decoder *d, struct json *calls, struct err *why)
{
    enum err_kind kind = ERR_NONE;
    for (size_t i = 0; i < json_length(calls) && kind == ERR_NONE; i++) {
        kind = calls_add_function(&d->calls, d->n_calls++, json_at(calls, i), why);
        d->sink->alive = true;
    }
    return kind;
}

static enum err_kind on_json(void *ctx, struct json *doc, struct err *why)
{
    struct model_decoder *d = ctx;
    struct json *message = json_get(doc, "message");
    struct str text;
    bool done = false;
    if (!json_is_object(doc)) return err_set(why, ERR_PROTO, "an answer that is no JSON object");
    if (refusal_is(doc)) return refusal_inside(doc, why);
    if (json_get_str(message, "thinking", &text) && text.n) {
        d->sink->alive = true;
        buf_add(&d->thought, text);
    }
    if (json_get_str(message, "content", &text)) reader_text(&d->reader, text);
    enum err_kind kind = read_calls(d, json_get(message, "tool_calls"), why);
    if (kind != ERR_NONE) return kind;
    if (json_get_bool(doc, "done", &done) && done) read_end(d, doc);
    return ERR_NONE;
}

/* Half a thought is of no use: one that was longer than its buffer is dropped. */
static void keep_thought(struct model_decoder *d)
{
    _cleanup_(buf_done) struct buf json = BUF_INIT(6 * d->thought.max + 2);
    struct json_out o = JSON_OUT(&json);
    if (!d->n_calls || !d->thought.n || d->thought.full || !d->sink->keep) return;
    json_put_str(&o, buf_str(&d->thought));
    buf_clear(&d->thought);
    d->sink->keep(d->sink, buf_str(&json));
}

static struct model_decoder *decoder_new(const struct model *m, struct model_sink *sink)
{
    struct model_decoder *d = mem_new(struct model_decoder);
    d->sink = sink;
    calls_init(&d->calls);
    buf_init(&d->thought, (size_t)m->reply_max);
    reader_init(&d->reader, m, sink, true, on_json, d);
    return d;
}

static void decoder_free(struct model_decoder *d)
{
    reader_done(&d->reader);
    calls_done(&d->calls);
    buf_done(&d->thought);
    free(d);
}

static enum err_kind decode(struct model_decoder *d, struct str content_type, struct str bytes,
                            bool end, struct err *why)
{
    enum err_kind kind = reader_feed(&d->reader, content_type, bytes, end, why);
    if (kind != ERR_NONE || !d->sink->ended) return kind;
    keep_thought(d);
    calls_end(&d->calls, d->sink);
    return ERR_NONE;
}

/* ---- vectors: https://docs.ollama.com/api/embed ---- */

static enum err_kind embed_encode(const struct model *base, const struct str *texts, size_t n,
                                  struct arena *arena, struct http_request *rq, struct err *why)
{
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    /* A vector of a text's beginning would pass for one of the whole. */
    json_field_bool(&o, "truncate", false);
    if (base->dimensions) json_field_i64(&o, "dimensions", base->dimensions);
    put_keep_alive(&o, of(base));
    json_key(&o, "input");
    json_open(&o, '[');
    for (size_t i = 0; i < n; i++) json_put_str(&o, texts[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return post(base, "/api/embed", &body, arena, rq, why);
}

/* Older versions answer with one, under another name. */
static enum err_kind embed_read(struct json *doc, struct vectors *to, struct err *why)
{
    struct json *list = json_get(doc, "embeddings"), *one = json_get(doc, "embedding");
    enum err_kind kind = ERR_NONE;
    for (size_t i = 0; i < json_length(list) && kind == ERR_NONE; i++)
        kind = vectors_put(to, i, json_at(list, i), why);
    if (!list && one) kind = vectors_put(to, 0, one, why);
    to->to->known = json_get_i64(doc, "prompt_eval_count", &to->to->tokens);
    return kind;
}

const struct model_type model_ollama = {
    .name = "ollama",
    .help = "Ollama by its own API: sets the context, keeps models loaded, chooses how they think.",
    .fields = fields,
    .is_local = true,
    .size = sizeof(struct ollama),
    .extra_group = "options",
    .check = check,
    .encode = encode,
    .decoder_new = decoder_new,
    .decode = decode,
    .decoder_free = decoder_free,
    .refusal = refusal,
    .embed_encode = embed_encode,
    .embed_read = embed_read,
};
