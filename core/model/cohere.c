/*
 * cohere - Cohere's Chat, version 2 of the API. https://docs.cohere.com/reference/chat-stream
 *
 * Before a model calls tools it writes a plan, or thinks; neither is shown, and both go back with
 * the calls.
 */
#include "core/base/mem.h"
#include "core/model/calls.h"
#include "core/model/extra.h"
#include "core/model/halves.h"
#include "core/model/reader.h"
#include "core/model/refusal.h"
#include "core/model/types.h"
#include "core/model/vectors.h"

#define COUNT_MAX 1e9 /* tokens: more is a mistake */
#define TEXTS_MAX 96  /* that vectors are made of at once */

struct model_decoder {
    struct model_sink *sink;
    struct reader reader;
    struct calls calls;
    struct buf plan, thought;
};

enum { THINKING_DEFAULT };
static const char *const thinking_words[] = { "default", "enabled", "disabled", NULL };
static const char *const input_words[] = { "search_document", "search_query", "classification",
                                           "clustering", NULL };

static const struct conf_field fields[] = {
    REMOTE_FIELDS(cohere, "https://api.cohere.com/v2", "Address of the API without /chat."),
    { "stream", CONF_BOOL, offsetof(struct cohere, stream), .def = "true",
      .help = "Show the answer while it is written." },
    { "thinking", CONF_ENUM, offsetof(struct cohere, thinking), .def = "default",
      .words = thinking_words, .help = "Whether it thinks first; for models that can." },
    { "temperature", CONF_FLOAT, offsetof(struct cohere, temperature), .def = "-1", .min = -1,
      .max = 1, .help = "0 to 1; -1 = the model's own." },
    { "embedding_input", CONF_ENUM, offsetof(struct cohere, embedding_input),
      .def = "search_document", .words = input_words,
      .help = "What vectors are made for: the model makes others for each." },
    CONF_END,
};

static const struct cohere *of(const struct model *m)
{
    return container_of(m, const struct cohere, remote.base);
}

/* ---- the request ---- */

static void put_block(struct json_out *o, const char *type, struct str text)
{
    json_open(o, '{');
    json_field_str(o, "type", str_of(type));
    json_field_str(o, type, text);
    json_close(o, '}');
}

static void put_text(struct json_out *o, const char *role, struct str text)
{
    json_open(o, '{');
    json_field_str(o, "role", str_of(role));
    json_field_str(o, "content", text);
    json_close(o, '}');
}

/* Empty messages are refused, here and below. */
static void put_user(struct json_out *o, const struct model_message *msg, struct arena *arena)
{
    bool says = str_trim(msg->text).n > 0;
    if (!msg->n_pictures) {
        if (says) put_text(o, "user", msg->text);
        return;
    }
    json_open(o, '{');
    json_field_str(o, "role", STR("user"));
    json_key(o, "content");
    json_open(o, '[');
    if (says) put_block(o, "text", msg->text);
    for (size_t i = 0; i < msg->n_pictures; i++) remote_put_picture(o, &msg->pictures[i], arena);
    json_close(o, ']');
    json_close(o, '}');
}

static void put_calls(struct json_out *o, const struct model_message *msg, struct arena *arena)
{
    json_key(o, "tool_calls");
    json_open(o, '[');
    for (size_t i = 0; i < msg->n_calls; i++) {
        struct model_call call = msg->calls[i];
        call.arguments = calls_object(call.arguments, arena);
        remote_put_call(o, &call);
    }
    json_close(o, ']');
}

static void put_content(struct json_out *o, struct str thought, struct str text)
{
    json_key(o, "content");
    json_open(o, '[');
    if (thought.n) put_block(o, "thinking", thought);
    if (text.n) put_block(o, "text", text);
    json_close(o, ']');
}

/* What another backend kept has none of these members. */
static void put_assistant(struct json_out *o, const struct model_message *msg, struct arena *arena)
{
    struct str text = str_trim(msg->text).n ? msg->text : STR_NONE;
    struct str plan = STR_NONE, thought = STR_NONE;
    struct json *kept = NULL;
    if (!text.n && !msg->n_calls) return;
    if (json_parse(msg->kept, &kept, NULL) == ERR_NONE) {
        json_get_str(kept, "tool_plan", &plan);
        json_get_str(kept, "thinking", &thought);
    }
    json_open(o, '{');
    json_field_str(o, "role", STR("assistant"));
    if (thought.n)
        put_content(o, thought, text);
    else if (text.n)
        json_field_str(o, "content", text);
    if (plan.n) json_field_str(o, "tool_plan", plan);
    if (msg->n_calls) put_calls(o, msg, arena);
    json_close(o, '}');
    json_free(kept);
}

/* As a block: a plain string would have to be a JSON object. */
static void put_result(struct json_out *o, const struct model_message *msg)
{
    bool says = str_trim(msg->text).n > 0;
    json_open(o, '{');
    json_field_str(o, "role", STR("tool"));
    json_field_str(o, "tool_call_id", msg->call_id);
    put_content(o, STR_NONE, says ? msg->text : STR("[It returned nothing.]"));
    json_close(o, '}');
}

static void put_messages(struct json_out *o, const struct model_ask *ask, struct arena *arena)
{
    struct str system = remote_system(ask, arena);
    json_key(o, "messages");
    json_open(o, '[');
    if (str_trim(system).n) put_text(o, "system", system);
    for (size_t i = 0; i < ask->n_messages; i++) {
        const struct model_message *msg = &ask->messages[i];
        if (msg->role == MODEL_USER)
            put_user(o, msg, arena);
        else if (msg->role == MODEL_ASSISTANT)
            put_assistant(o, msg, arena);
        else if (msg->role == MODEL_TOOL_RESULT)
            put_result(o, msg);
    }
    json_close(o, ']');
}

static void put_options(struct json_out *o, const struct cohere *m, const struct model_ask *ask)
{
    int64_t max = remote_max_tokens(&m->remote.base, ask);
    if (max > 0) json_field_i64(o, "max_tokens", max);
    if (m->thinking != THINKING_DEFAULT) {
        json_key(o, "thinking");
        json_open(o, '{');
        json_field_str(o, "type", str_of(thinking_words[m->thinking]));
        json_close(o, '}');
    }
    if (m->temperature >= 0 && !(ask->without & MODEL_WITHOUT_SAMPLING)) {
        json_key(o, "temperature");
        json_put_f64(o, m->temperature);
    }
    json_field_bool(o, "stream", m->stream);
}

static enum err_kind post(const struct cohere *m, const char *path, bool stream,
                          const struct buf *body, struct arena *arena, struct http_request *rq,
                          struct err *why)
{
    const char *key = m->remote.api_key;
    const struct http_header headers[] = {
        { STR("Accept"), str_of(stream ? "text/event-stream" : "") },
        { STR("Authorization"), *key ? arena_printf(arena, "Bearer %s", key) : STR_NONE },
    };
    return remote_post(&m->remote.base, path, headers, sizeof(headers) / sizeof(*headers), body,
                       arena, rq, why);
}

static enum err_kind encode(const struct model *base, const struct model_ask *ask,
                            struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct cohere *m = of(base);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    put_messages(&o, ask, arena);
    remote_put_tools(&o, ask);
    put_options(&o, m, ask);
    extra_put(&o, base, NULL, arena);
    json_close(&o, '}');
    return post(m, "/chat", m->stream, &body, arena, rq, why);
}

/* ---- errors ---- */

/* Two statuses mean something else here than elsewhere. https://docs.cohere.com/reference/errors */
static enum err_kind refusal(int http_status, struct str body, uint32_t hint_ms, struct err *why)
{
    struct policy_refusal r = { .status = http_status, .hint_ms = hint_ms };
    struct json *doc = NULL;
    if (http_status == 498) /* a word that is on a list of theirs */
        r.code = STR("content_filter");
    else if (http_status == 499) /* cancelled, by whomever: to be tried again */
        r.code = STR("server_error");
    else
        return refusal_of(http_status, body, hint_ms, why);
    if (json_parse(body, &doc, NULL) == ERR_NONE) json_get_str(doc, "message", &r.message);
    enum err_kind kind = policy_refused(&r, why);
    json_free(doc);
    return kind;
}

/* ---- the answer ---- */

/* Written as 21 or as 21.0. */
static bool read_count(struct json *obj, const char *key, int64_t *ret)
{
    double n;
    if (!json_get_f64(obj, key, &n) || n < 0 || n > COUNT_MAX) return false;
    *ret = (int64_t)n;
    return true;
}

/* What is billed is less than what the model reads: Cohere's own instructions are free. */
static void read_usage(struct json *usage, struct model_usage *to)
{
    struct json *counts = json_get(usage, "billed_units");
    if (!counts) {
        counts = json_get(usage, "tokens");
        read_count(usage, "cached_tokens", &to->cached_tokens);
    }
    bool has_input = read_count(counts, "input_tokens", &to->prompt_tokens);
    bool has_output = read_count(counts, "output_tokens", &to->completion_tokens);
    to->known = has_input && has_output && to->prompt_tokens > 0;
}

static const struct {
    const char *word;
    enum model_finish finish;
} finishes[] = {
    { "COMPLETE", MODEL_STOP },  { "STOP_SEQUENCE", MODEL_STOP }, { "MAX_TOKENS", MODEL_LENGTH },
    { "TOOL_CALL", MODEL_TOOL }, { "TIMEOUT", MODEL_CUT },
};

/* obj: the delta of the last event, or all of an answer that was not streamed. */
static enum err_kind read_end(struct model_decoder *d, struct json *obj, struct err *why)
{
    struct str reason = STR_NONE, text = STR_NONE;
    json_get_str(obj, "finish_reason", &reason);
    json_get_str(obj, "error", &text);
    read_usage(json_get(obj, "usage"), &d->sink->usage);
    if (str_eq(reason, STR("ERROR")) || text.n)
        return policy_refused(&(struct policy_refusal){ .message = text }, why);
    d->sink->finish = MODEL_STOP; /* what nobody knows is no failure */
    for (size_t i = 0; i < sizeof(finishes) / sizeof(*finishes); i++)
        if (str_eq(reason, str_of(finishes[i].word))) d->sink->finish = finishes[i].finish;
    d->sink->ended = true;
    return ERR_NONE;
}

/* A block, or a piece of one. */
static void read_block(struct model_decoder *d, struct json *block)
{
    struct str text;
    if (json_get_str(block, "text", &text)) reader_text(&d->reader, text);
    if (!json_get_str(block, "thinking", &text) || !text.n) return;
    d->sink->alive = true;
    buf_add(&d->thought, text);
}

static void read_plan(struct model_decoder *d, struct json *message)
{
    struct str text;
    if (!json_get_str(message, "tool_plan", &text) || !text.n) return;
    d->sink->alive = true;
    buf_add(&d->plan, text);
}

static enum err_kind read_event(struct model_decoder *d, struct json *doc, struct err *why)
{
    struct json *message = json_get(json_get(doc, "delta"), "message");
    struct json *call = json_get(message, "tool_calls"), *block = json_get(message, "content");
    int64_t index = -1;
    read_block(d, block);
    read_plan(d, message);
    if (json_get(block, "text") && !json_get(block, "thinking") && !call &&
        !json_get(message, "tool_plan"))
        reader_only_text(&d->reader, "text");
    if (!json_is_object(call)) return ERR_NONE; /* message-start has an empty list */
    d->sink->alive = true;
    json_get_i64(doc, "index", &index);
    return calls_add_function(&d->calls, index, call, why);
}

static enum err_kind read_whole(struct model_decoder *d, struct json *doc, struct err *why)
{
    struct json *message = json_get(doc, "message");
    struct json *content = json_get(message, "content"), *calls = json_get(message, "tool_calls");
    enum err_kind kind = ERR_NONE;
    for (size_t i = 0; i < json_length(content); i++) read_block(d, json_at(content, i));
    read_plan(d, message);
    for (size_t i = 0; i < json_length(calls) && kind == ERR_NONE; i++)
        kind = calls_add_function(&d->calls, (int64_t)i, json_at(calls, i), why);
    return kind == ERR_NONE ? read_end(d, doc, why) : kind;
}

/* Of events, the members say what they are: there is one of each. */
static enum err_kind on_json(void *ctx, struct json *doc, struct err *why)
{
    struct model_decoder *d = ctx;
    struct str type;
    if (!json_is_object(doc)) return err_set(why, ERR_PROTO, "an answer that is no JSON object");
    if (refusal_is(doc)) return refusal_inside(doc, why);
    if (json_is_object(json_get(doc, "message"))) return read_whole(d, doc, why);
    if (json_get_str(doc, "type", &type) && str_eq(type, STR("message-end")))
        return read_end(d, json_get(doc, "delta"), why);
    return read_event(d, doc, why);
}

static void put_mended(struct json_out *o, const char *key, struct buf *text)
{
    _cleanup_(buf_done) struct buf whole = BUF_INIT(3 * text->max);
    if (!text->n) return;
    halves_whole(buf_str(text), &whole);
    json_field_str(o, key, buf_str(&whole));
}

/* Half a thought is of no use: one that was longer than its buffer is dropped. */
static void keep_thoughts(struct model_decoder *d)
{
    bool whole = !d->plan.full && !d->thought.full;
    if (!d->calls.n || !whole || !(d->plan.n || d->thought.n) || !d->sink->keep) return;
    _cleanup_(buf_done) struct buf json = BUF_INIT(20 * d->plan.max);
    struct json_out o = JSON_OUT(&json);
    json_open(&o, '{');
    put_mended(&o, "tool_plan", &d->plan);
    put_mended(&o, "thinking", &d->thought);
    json_close(&o, '}');
    if (!json.full) d->sink->keep(d->sink, buf_str(&json));
}

static struct model_decoder *decoder_new(const struct model *m, struct model_sink *sink)
{
    struct model_decoder *d = mem_new(struct model_decoder);
    d->sink = sink;
    calls_init(&d->calls);
    buf_init(&d->plan, (size_t)m->reply_max);
    buf_init(&d->thought, (size_t)m->reply_max);
    reader_init(&d->reader, m, sink, false, on_json, d);
    return d;
}

static void decoder_free(struct model_decoder *d)
{
    reader_done(&d->reader);
    calls_done(&d->calls);
    buf_done(&d->plan);
    buf_done(&d->thought);
    free(d);
}

static enum err_kind decode(struct model_decoder *d, struct str content_type, struct str bytes,
                            bool end, struct err *why)
{
    enum err_kind kind = reader_feed(&d->reader, content_type, bytes, end, why);
    if (kind != ERR_NONE || !d->sink->ended) return kind;
    keep_thoughts(d);
    calls_end(&d->calls, d->sink);
    return ERR_NONE;
}

/* ---- vectors: https://docs.cohere.com/reference/embed ---- */

/* Of a text that is too long, the vector of its beginning would be no vector of it: NONE. */
static enum err_kind embed_encode(const struct model *base, const struct str *texts, size_t n,
                                  struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct cohere *m = of(base);
    if (n > TEXTS_MAX)
        return err_set(why, ERR_LIMIT, "1 to %d texts at once, not %zu", TEXTS_MAX, n);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    json_field_str(&o, "input_type", str_of(input_words[m->embedding_input]));
    json_key(&o, "embedding_types");
    json_open(&o, '[');
    json_put_str(&o, STR("float"));
    json_close(&o, ']');
    json_field_str(&o, "truncate", STR("NONE"));
    if (base->dimensions) json_field_i64(&o, "output_dimension", base->dimensions);
    json_key(&o, "texts");
    json_open(&o, '[');
    for (size_t i = 0; i < n; i++) json_put_str(&o, texts[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return post(m, "/embed", false, &body, arena, rq, why);
}

static enum err_kind embed_read(struct json *doc, struct vectors *to, struct err *why)
{
    struct json *list = json_get(json_get(doc, "embeddings"), "float");
    struct json *billed = json_get(json_get(doc, "meta"), "billed_units");
    enum err_kind kind = ERR_NONE;
    for (size_t i = 0; i < json_length(list) && kind == ERR_NONE; i++)
        kind = vectors_put(to, i, json_at(list, i), why);
    to->to->known = read_count(billed, "input_tokens", &to->to->tokens);
    return kind;
}

const struct model_type model_cohere = {
    .name = "cohere",
    .help = "Cohere's Chat, version 2 of its API: Command.",
    .fields = fields,
    .size = sizeof(struct cohere),
    .check = remote_check,
    .encode = encode,
    .decoder_new = decoder_new,
    .decode = decode,
    .decoder_free = decoder_free,
    .refusal = refusal,
    .embed_encode = embed_encode,
    .embed_read = embed_read,
};
