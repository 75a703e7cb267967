/*
 * openai - chat completions as OpenAI, OpenRouter, Groq, DeepSeek, vLLM, llama.cpp, LM Studio,
 * Ollama and many more speak them.
 *
 * They differ most in what they leave out and in how they fail: every field may be absent or null,
 * an error may stand in the middle of a good answer, the end marker may be missing, and a proxy may
 * answer with a web page or all at once. https://platform.openai.com/docs/api-reference/chat
 */
#include "core/base/mem.h"
#include "core/model/calls.h"
#include "core/model/details.h"
#include "core/model/extra.h"
#include "core/model/reader.h"
#include "core/model/refusal.h"
#include "core/model/types.h"
#include "core/model/vectors.h"

#define COST_MAX   1e6       /* dollars for one answer: more is a mistake */
#define TOKENS_MAX INT32_MAX /* likewise */

struct model_decoder {
    struct model_sink *sink;
    struct reader reader;
    struct calls calls;
    struct details details;
    bool has_finished; /* a finish_reason came */
};

static const char *const max_tokens_words[] = { "max_completion_tokens", "max_tokens", "none",
                                                NULL };

static const char *const format_words[] = { "base64", "float", NULL };

static const struct conf_field fields[] = {
    REMOTE_FIELDS(openai, "https://api.openai.com/v1",
                  "Address of the API without /chat/completions."),
    { "organization", CONF_STR, offsetof(struct openai, organization),
      .help = "Sent as OpenAI-Organization." },
    { "project", CONF_STR, offsetof(struct openai, project), .help = "Sent as OpenAI-Project." },
    { "stream", CONF_BOOL, offsetof(struct openai, stream), .def = "true",
      .help = "Show the answer while it is written." },
    { "stream_usage", CONF_BOOL, offsetof(struct openai, stream_usage), .def = "true",
      .help = "Ask for token counts in a streamed answer; off for servers that refuse it." },
    { "max_tokens_field", CONF_ENUM, offsetof(struct openai, max_tokens_field),
      .def = "max_completion_tokens", .words = max_tokens_words,
      .help = "How the server calls the answer's maximum; max_tokens for older ones." },
    { "temperature", CONF_FLOAT, offsetof(struct openai, temperature), .def = "-1", .min = -1,
      .max = 2, .help = "0 to 2; -1 = the server's own, as reasoning models demand." },
    { "embedding_format", CONF_ENUM, offsetof(struct openai, embedding_format), .def = "base64",
      .words = format_words,
      .help = "How to ask for vectors; float for servers that refuse the shorter base64." },
    CONF_END,
};

static const struct openai *of(const struct model *m)
{
    return container_of(m, const struct openai, remote.base);
}

/* ---- the request ---- */

static void put_message(struct json_out *o, const char *role, struct str text)
{
    json_open(o, '{');
    json_field_str(o, "role", str_of(role));
    json_field_str(o, "content", text);
    json_close(o, '}');
}

/* https://platform.openai.com/docs/guides/images-vision */
static void put_with_pictures(struct json_out *o, const struct model_message *msg,
                              struct arena *arena)
{
    json_open(o, '{');
    json_field_str(o, "role", STR("user"));
    json_key(o, "content");
    json_open(o, '[');
    json_open(o, '{');
    json_field_str(o, "type", STR("text"));
    json_field_str(o, "text", msg->text);
    json_close(o, '}');
    for (size_t i = 0; i < msg->n_pictures; i++) remote_put_picture(o, &msg->pictures[i], arena);
    json_close(o, ']');
    json_close(o, '}');
}

static void put_assistant(struct json_out *o, const struct model_message *msg)
{
    json_open(o, '{');
    json_field_str(o, "role", STR("assistant"));
    json_key(o, "content");
    if (msg->text.n)
        json_put_str(o, msg->text);
    else
        json_put_null(o);
    if (msg->n_calls) {
        json_key(o, "tool_calls");
        json_open(o, '[');
        for (size_t i = 0; i < msg->n_calls; i++) remote_put_call(o, &msg->calls[i]);
        json_close(o, ']');
    }
    if (msg->kept.n) { /* OpenRouter: what it thought, word for word */
        json_key(o, "reasoning_details");
        json_put_raw(o, msg->kept);
    }
    json_close(o, '}');
}

static void put_result(struct json_out *o, const struct model_message *msg)
{
    json_open(o, '{');
    json_field_str(o, "role", STR("tool"));
    json_field_str(o, "tool_call_id", msg->call_id);
    json_field_str(o, "content", msg->text);
    json_close(o, '}');
}

/* The system texts as one, first: templates of some models refuse a second or a later one. */
static void put_messages(struct json_out *o, const struct model_ask *ask, struct arena *arena)
{
    struct str system = remote_system(ask, arena);
    json_key(o, "messages");
    json_open(o, '[');
    if (system.n) put_message(o, "system", system);
    for (size_t i = 0; i < ask->n_messages; i++) {
        const struct model_message *msg = &ask->messages[i];
        if (msg->role == MODEL_USER && msg->n_pictures)
            put_with_pictures(o, msg, arena);
        else if (msg->role == MODEL_USER && msg->text.n)
            put_message(o, "user", msg->text);
        else if (msg->role == MODEL_ASSISTANT && (msg->text.n || msg->n_calls))
            put_assistant(o, msg);
        else if (msg->role == MODEL_TOOL_RESULT)
            put_result(o, msg);
    }
    json_close(o, ']');
}

static void put_options(struct json_out *o, const struct openai *m, const struct model_ask *ask)
{
    int64_t max = remote_max_tokens(&m->remote.base, ask);
    if (max > 0 && m->max_tokens_field != OPENAI_NO_MAX_TOKENS)
        json_field_i64(o, max_tokens_words[m->max_tokens_field], max);
    if (m->temperature >= 0 && !(ask->without & MODEL_WITHOUT_SAMPLING)) {
        json_key(o, "temperature");
        json_put_f64(o, m->temperature);
    }
    if (!m->stream) return;
    json_field_bool(o, "stream", true);
    if (!m->stream_usage) return;
    json_key(o, "stream_options");
    json_open(o, '{');
    json_field_bool(o, "include_usage", true);
    json_close(o, '}');
}

static enum err_kind post(const struct openai *m, const char *path, bool stream,
                          const struct buf *body, struct arena *arena, struct http_request *rq,
                          struct err *why)
{
    const char *key = m->remote.api_key;
    const struct http_header headers[] = {
        { STR("Accept"), str_of(stream ? "text/event-stream" : "") },
        { STR("Authorization"), *key ? arena_printf(arena, "Bearer %s", key) : STR_NONE },
        { STR("OpenAI-Organization"), str_of(m->organization) },
        { STR("OpenAI-Project"), str_of(m->project) },
    };
    return remote_post(&m->remote.base, path, headers, sizeof(headers) / sizeof(*headers), body,
                       arena, rq, why);
}

static enum err_kind encode(const struct model *base, const struct model_ask *ask,
                            struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct openai *m = of(base);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    put_messages(&o, ask, arena);
    remote_put_tools(&o, ask);
    put_options(&o, m, ask);
    extra_put(&o, base, NULL, arena);
    json_close(&o, '}');
    return post(m, "/chat/completions", m->stream, &body, arena, rq, why);
}

/* ---- the count ---- */

/* For llama.cpp, which knows texts only: the names of the roles stand for its template. */
static void put_content_of_all(struct json_out *o, const struct model_ask *ask)
{
    static const char *const roles[] = { "system", "user", "assistant", "tool" };
    _cleanup_(buf_done) struct buf all = BUF_INIT(REMOTE_BODY_MAX);
    for (size_t i = 0; i < ask->n_messages; i++) {
        const struct model_message *msg = &ask->messages[i];
        buf_addf(&all, "<%s>\n%.*s\n", roles[msg->role], STR_ARG(msg->text));
        for (size_t k = 0; k < msg->n_calls; k++)
            buf_addf(&all, "%.*s %.*s\n", STR_ARG(msg->calls[k].name),
                     STR_ARG(msg->calls[k].arguments));
    }
    for (size_t i = 0; i < ask->n_tools; i++)
        buf_addf(&all, "%.*s %.*s\n%.*s\n", STR_ARG(ask->tools[i].name),
                 STR_ARG(ask->tools[i].description), STR_ARG(ask->tools[i].schema));
    json_field_str(o, "content", buf_str(&all));
}

/*
 * /tokenize stands beside /v1. vLLM takes the messages and overlooks `content`, llama.cpp the other
 * way round. https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html,
 * https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
 */
static enum err_kind count_encode(const struct model *base, const struct model_ask *ask,
                                  struct arena *arena, struct http_request *rq, struct err *why)
{
    struct openai m = *of(base);
    struct str url = str_of(m.remote.base_url);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    put_messages(&o, ask, arena);
    remote_put_tools(&o, ask);
    put_content_of_all(&o, ask);
    json_field_bool(&o, "add_special", true);
    json_close(&o, '}');
    while (str_ends(url, STR("/"))) url.n--;
    if (str_ends(url, STR("/v1"))) url.n -= 3;
    m.remote.base_url = arena_cstr(arena, url);
    return post(&m, "/tokenize", false, &body, arena, rq, why);
}

/* {"count":12,"tokens":[...]}, or the tokens alone. */
static bool count_read(struct json *doc, int64_t *ret)
{
    if (json_get_i64(doc, "count", ret)) return true;
    *ret = (int64_t)json_length(json_get(doc, "tokens"));
    return *ret > 0;
}

/* ---- the answer ---- */

/* "text", or as Mistral writes it [{"type":"text","text":"..."}], thoughts among them. */
static void put_content(struct model_decoder *d, struct json *content)
{
    struct str text;
    if (json_str(content, &text)) reader_text(&d->reader, text);
    for (size_t i = 0; i < json_length(content); i++) {
        struct json *part = json_at(content, i);
        if (json_get(part, "thinking")) d->sink->alive = true;
        if (json_get_str(part, "text", &text)) reader_text(&d->reader, text);
    }
}

static void read_usage(struct json *usage, struct model_usage *to)
{
    if (!json_is_object(usage)) return;
    struct json *prompt = json_get(usage, "prompt_tokens_details");
    struct json *completion = json_get(usage, "completion_tokens_details");
    bool has_prompt = json_get_i64(usage, "prompt_tokens", &to->prompt_tokens);
    bool has_completion = json_get_i64(usage, "completion_tokens", &to->completion_tokens);
    if (!json_get_i64(prompt, "cached_tokens", &to->cached_tokens))
        json_get_i64(usage, "prompt_cache_hit_tokens", &to->cached_tokens); /* DeepSeek */
    json_get_i64(prompt, "cache_write_tokens", &to->written_tokens);
    json_get_i64(completion, "reasoning_tokens", &to->reasoning_tokens);
    double cost; /* OpenRouter, in US dollars */
    if (json_get_f64(usage, "cost", &cost) && cost >= 0 && cost < COST_MAX)
        to->cost_nano = (int64_t)(cost * 1e9 + 0.5);
    to->known = has_prompt && has_completion;
}

/* llama.cpp counts even where nobody asked it to; what its cache held, it counts apart. */
static void read_timings(struct json *timings, struct model_usage *to)
{
    int64_t read = 0, written = 0, cached = 0;
    bool known =
        json_get_i64(timings, "prompt_n", &read) && json_get_i64(timings, "predicted_n", &written);
    json_get_i64(timings, "cache_n", &cached);
    if (!known || to->known || read < 0 || read > TOKENS_MAX || cached < 0 || cached > TOKENS_MAX)
        return;
    *to = (struct model_usage){ .prompt_tokens = read + cached,
                                .completion_tokens = written,
                                .cached_tokens = cached,
                                .known = true };
}

static const struct {
    const char *word;
    enum model_finish finish;
} finishes[] = {
    { "stop", MODEL_STOP },
    { "length", MODEL_LENGTH },
    { "model_length", MODEL_LENGTH }, /* Mistral */
    { "content_filter", MODEL_FILTER },
    { "tool_calls", MODEL_TOOL },
    { "function_call", MODEL_TOOL },
    { "insufficient_system_resource", MODEL_CUT }, /* DeepSeek */
    { "error", MODEL_CUT },                        /* OpenRouter */
};

static void read_finish(struct model_decoder *d, struct json *choice)
{
    struct str reason;
    if (!json_get_str(choice, "finish_reason", &reason) || !reason.n) return;
    d->has_finished = true;
    enum model_finish finish = MODEL_STOP; /* what nobody knows is no failure */
    for (size_t i = 0; i < sizeof(finishes) / sizeof(*finishes); i++)
        if (str_eq(reason, str_of(finishes[i].word))) finish = finishes[i].finish;
    if (d->sink->finish != MODEL_FILTER) d->sink->finish = finish;
}

static enum err_kind read_calls(struct model_decoder *d, struct json *calls, struct err *why)
{
    enum err_kind kind = ERR_NONE;
    for (size_t i = 0; i < json_length(calls) && kind == ERR_NONE; i++) {
        struct json *call = json_at(calls, i);
        int64_t index = json_length(calls) > 1 ? (int64_t)i : -1;
        json_get_i64(call, "index", &index);
        kind = calls_add_function(&d->calls, index, call, why);
        d->sink->alive = true;
    }
    return kind;
}

static enum err_kind read_choice(struct model_decoder *d, struct json *choice, struct err *why)
{
    struct json *delta = json_get(choice, "delta");
    struct str text;
    int64_t index = 0;
    json_get_i64(choice, "index", &index);
    if (index != 0) return ERR_NONE;
    if (!delta) delta = json_get(choice, "message");
    if ((json_get_str(delta, "reasoning_content", &text) && text.n) ||
        (json_get_str(delta, "reasoning", &text) && text.n) ||
        json_length(json_get(delta, "reasoning_details")))
        d->sink->alive = true;
    details_add(&d->details, json_get(delta, "reasoning_details"));
    put_content(d, json_get(delta, "content"));
    if (json_get_str(delta, "refusal", &text) && text.n) {
        d->sink->finish = MODEL_FILTER;
        reader_text(&d->reader, text);
    }
    read_finish(d, choice);
    return read_calls(d, json_get(delta, "tool_calls"), why);
}

/* The rest of it may come again and again without a difference. */
static bool has_only_text(struct json *choices)
{
    struct json *delta = json_get(json_at(choices, 0), "delta");
    int64_t index = 0;
    json_get_i64(json_at(choices, 0), "index", &index);
    return json_length(choices) == 1 && index == 0 && json_get(delta, "content") &&
           !json_length(json_get(delta, "tool_calls")) &&
           !json_length(json_get(delta, "reasoning_details")) && !json_get(delta, "refusal");
}

/* One chunk of a stream, or the whole of an unstreamed answer. */
static enum err_kind on_json(void *ctx, struct json *doc, struct err *why)
{
    struct model_decoder *d = ctx;
    enum err_kind kind = ERR_NONE;
    struct json *groq = json_get(doc, "x_groq");
    if (!json_is_object(doc)) return err_set(why, ERR_PROTO, "an answer that is no JSON object");
    struct json *choices = json_get(doc, "choices");
    for (size_t i = 0; i < json_length(choices) && kind == ERR_NONE; i++)
        kind = read_choice(d, json_at(choices, i), why);
    if (has_only_text(choices)) reader_only_text(&d->reader, "content");
    read_timings(json_get(doc, "timings"), &d->sink->usage);
    read_usage(json_get(groq, "usage"), &d->sink->usage);
    read_usage(json_get(doc, "usage"), &d->sink->usage);
    if (refusal_is(doc)) return refusal_inside(doc, why);
    if (refusal_is(groq)) return refusal_inside(groq, why);
    return kind;
}

static struct model_decoder *decoder_new(const struct model *m, struct model_sink *sink)
{
    struct model_decoder *d = mem_new(struct model_decoder);
    d->sink = sink;
    calls_init(&d->calls);
    details_init(&d->details);
    reader_init(&d->reader, m, sink, false, on_json, d);
    return d;
}

static void decoder_free(struct model_decoder *d)
{
    reader_done(&d->reader);
    calls_done(&d->calls);
    details_done(&d->details);
    free(d);
}

static enum err_kind decode(struct model_decoder *d, struct str content_type, struct str bytes,
                            bool end, struct err *why)
{
    enum err_kind kind = reader_feed(&d->reader, content_type, bytes, end, why);
    if (kind != ERR_NONE) return kind;
    /* Not everybody sends [DONE]; and after it not everybody closes the connection. */
    if (end && d->has_finished) d->sink->ended = true;
    if (!d->sink->ended) return ERR_NONE;
    if (d->calls.n) details_end(&d->details, d->sink);
    calls_end(&d->calls, d->sink);
    return ERR_NONE;
}

/* ---- vectors: https://platform.openai.com/docs/api-reference/embeddings ---- */

static enum err_kind embed_encode(const struct model *base, const struct str *texts, size_t n,
                                  struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct openai *m = of(base);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    json_field_str(&o, "encoding_format", str_of(format_words[m->embedding_format]));
    if (base->dimensions) json_field_i64(&o, "dimensions", base->dimensions);
    json_key(&o, "input");
    json_open(&o, '[');
    for (size_t i = 0; i < n; i++) json_put_str(&o, texts[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return post(m, "/embeddings", false, &body, arena, rq, why);
}

/* Many send numbers although they were asked for base64. */
static enum err_kind embed_read(struct json *doc, struct vectors *to, struct err *why)
{
    struct json *data = json_get(doc, "data");
    enum err_kind kind = ERR_NONE;
    for (size_t i = 0; i < json_length(data) && kind == ERR_NONE; i++) {
        struct json *one = json_at(data, i);
        int64_t index = (int64_t)i;
        json_get_i64(one, "index", &index);
        kind =
            vectors_put(to, index < 0 ? SIZE_MAX : (size_t)index, json_get(one, "embedding"), why);
    }
    to->to->known = json_get_i64(json_get(doc, "usage"), "prompt_tokens", &to->to->tokens);
    return kind;
}

const struct model_type model_openai = {
    .name = "openai",
    .help = "Any server with OpenAI's chat completions: OpenAI, OpenRouter, Groq, DeepSeek, vLLM, "
            "llama.cpp, LM Studio, Ollama and others.",
    .fields = fields,
    .size = sizeof(struct openai),
    .check = remote_check,
    .encode = encode,
    .decoder_new = decoder_new,
    .decode = decode,
    .decoder_free = decoder_free,
    .refusal = refusal_of,
    .embed_encode = embed_encode,
    .embed_read = embed_read,
    .count_encode = count_encode,
    .count_read = count_read,
};
