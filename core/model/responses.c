/*
 * responses - OpenAI's Responses API, which some models are only had by. Nothing is stored there:
 * every request brings the whole conversation as items.
 * https://platform.openai.com/docs/api-reference/responses
 *
 * Events say everything twice, as fragments and again when a part is done; servers that imitate the
 * API leave out the one or the other. The last event brings the whole answer once more.
 */
#include "core/base/mem.h"
#include "core/model/calls.h"
#include "core/model/extra.h"
#include "core/model/reader.h"
#include "core/model/refusal.h"
#include "core/model/types.h"

#define KEPT_MAX (1024 * 1024)

struct model_decoder {
    struct model_sink *sink;
    struct reader reader;
    struct calls calls;
    bool has_text;   /* in fragments: what is said again is not shown again */
    bool refused;    /* the model said no */
    struct buf kept; /* reasoning items, a JSON array without its end */
};

static const struct conf_field fields[] = {
    REMOTE_FIELDS(responses, "https://api.openai.com/v1", "Address of the API without /responses."),
    { "organization", CONF_STR, offsetof(struct responses, organization),
      .help = "Sent as OpenAI-Organization." },
    { "project", CONF_STR, offsetof(struct responses, project), .help = "Sent as OpenAI-Project." },
    { "stream", CONF_BOOL, offsetof(struct responses, stream), .def = "true",
      .help = "Show the answer while it is written." },
    { "reasoning_effort", CONF_STR, offsetof(struct responses, reasoning_effort),
      .help = "minimal, low, medium, high and what else the model knows; empty = its own." },
    { "keep_reasoning", CONF_BOOL, offsetof(struct responses, keep_reasoning), .def = "false",
      .help = "Have what a reasoning model thinks handed back to it, encrypted, between its tool "
              "calls; other models refuse to." },
    { "temperature", CONF_FLOAT, offsetof(struct responses, temperature), .def = "-1", .min = -1,
      .max = 2, .help = "0 to 2; -1 = the server's own, as reasoning models demand." },
    CONF_END,
};

static const struct responses *of(const struct model *m)
{
    return container_of(m, const struct responses, remote.base);
}

/* ---- the request ---- */

static void put_text(struct json_out *o, const char *role, struct str text)
{
    json_open(o, '{');
    json_field_str(o, "role", str_of(role));
    json_field_str(o, "content", text);
    json_close(o, '}');
}

static void put_part(struct json_out *o, const char *type, const char *key, struct str value)
{
    json_open(o, '{');
    json_field_str(o, "type", str_of(type));
    json_field_str(o, key, value);
    json_close(o, '}');
}

static void put_user(struct json_out *o, const struct model_message *msg, struct arena *arena)
{
    if (!msg->n_pictures) {
        if (msg->text.n) put_text(o, "user", msg->text);
        return;
    }
    json_open(o, '{');
    json_field_str(o, "role", STR("user"));
    json_key(o, "content");
    json_open(o, '[');
    if (msg->text.n) put_part(o, "input_text", "text", msg->text);
    for (size_t i = 0; i < msg->n_pictures; i++)
        put_part(o, "input_image", "image_url", remote_picture(&msg->pictures[i], arena));
    json_close(o, ']');
    json_close(o, '}');
}

/*
 * What it thought stands before what it did: the items of the array without its brackets. Another
 * backend keeps other things, and a conversation may have changed its model.
 */
static void put_kept(struct json_out *o, struct str kept)
{
    if (!str_starts(kept, STR("[{")) || !str_ends(kept, STR("}]"))) return;
    if (str_find(kept, STR("\"type\":\"reasoning\"")) == SIZE_MAX) return;
    json_put_raw(o, str_from(kept.p + 1, kept.n - 2));
}

static void put_assistant(struct json_out *o, const struct model_message *msg)
{
    put_kept(o, msg->kept);
    if (msg->text.n) put_text(o, "assistant", msg->text);
    for (size_t i = 0; i < msg->n_calls; i++) {
        json_open(o, '{');
        json_field_str(o, "type", STR("function_call"));
        json_field_str(o, "call_id", msg->calls[i].id);
        json_field_str(o, "name", msg->calls[i].name);
        json_field_str(o, "arguments", msg->calls[i].arguments);
        json_close(o, '}');
    }
}

static void put_result(struct json_out *o, const struct model_message *msg)
{
    json_open(o, '{');
    json_field_str(o, "type", STR("function_call_output"));
    json_field_str(o, "call_id", msg->call_id);
    json_field_str(o, "output", msg->text);
    json_close(o, '}');
}

static void put_input(struct json_out *o, const struct model_ask *ask, struct arena *arena)
{
    struct str system = remote_system(ask, arena);
    if (system.n) json_field_str(o, "instructions", system);
    json_key(o, "input");
    json_open(o, '[');
    for (size_t i = 0; i < ask->n_messages; i++) {
        const struct model_message *msg = &ask->messages[i];
        if (msg->role == MODEL_USER)
            put_user(o, msg, arena);
        else if (msg->role == MODEL_ASSISTANT)
            put_assistant(o, msg);
        else if (msg->role == MODEL_TOOL_RESULT)
            put_result(o, msg);
    }
    json_close(o, ']');
}

/* strict would demand that a schema requires each of its properties. */
static void put_tools(struct json_out *o, const struct model_ask *ask)
{
    if (!ask->n_tools) return;
    json_key(o, "tools");
    json_open(o, '[');
    for (size_t i = 0; i < ask->n_tools; i++) {
        const struct model_tool *tool = &ask->tools[i];
        json_open(o, '{');
        json_field_str(o, "type", STR("function"));
        json_field_str(o, "name", tool->name);
        if (tool->description.n) json_field_str(o, "description", tool->description);
        json_key(o, "parameters");
        json_put_raw(o, tool->schema);
        json_field_bool(o, "strict", false);
        json_close(o, '}');
    }
    json_close(o, ']');
}

static void put_effort(struct json_out *o, const struct responses *m)
{
    if (!*m->reasoning_effort) return;
    json_key(o, "reasoning");
    json_open(o, '{');
    json_field_str(o, "effort", str_of(m->reasoning_effort));
    json_close(o, '}');
}

static void put_options(struct json_out *o, const struct responses *m, const struct model_ask *ask)
{
    int64_t max = remote_max_tokens(&m->remote.base, ask);
    json_field_bool(o, "store", false);
    if (max > 0) json_field_i64(o, "max_output_tokens", max);
    if (m->temperature >= 0 && !(ask->without & MODEL_WITHOUT_SAMPLING)) {
        json_key(o, "temperature");
        json_put_f64(o, m->temperature);
    }
    put_effort(o, m);
    if (m->keep_reasoning) {
        json_key(o, "include");
        json_put_raw(o, STR("[\"reasoning.encrypted_content\"]"));
    }
    if (m->stream) json_field_bool(o, "stream", true);
}

static enum err_kind post(const struct responses *m, const char *path, bool stream,
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
    const struct responses *m = of(base);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    put_input(&o, ask, arena);
    put_tools(&o, ask);
    put_options(&o, m, ask);
    extra_put(&o, base, NULL, arena);
    json_close(&o, '}');
    return post(m, "/responses", m->stream, &body, arena, rq, why);
}

/* https://platform.openai.com/docs/api-reference/responses/input-tokens */
static enum err_kind count_encode(const struct model *base, const struct model_ask *ask,
                                  struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct responses *m = of(base);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    put_input(&o, ask, arena);
    put_tools(&o, ask);
    put_effort(&o, m);
    json_close(&o, '}');
    return post(m, "/responses/input_tokens", false, &body, arena, rq, why);
}

static bool count_read(struct json *doc, int64_t *ret)
{
    return json_get_i64(doc, "input_tokens", ret);
}

/* ---- the answer: items ---- */

static int64_t index_of(struct json *event)
{
    int64_t index = -1;
    json_get_i64(event, "output_index", &index);
    return index;
}

/* Arguments that are said again when they are done count only if no fragment came. */
static bool has_arguments(const struct model_decoder *d, int64_t index)
{
    if (index < 0) return d->calls.n && d->calls.v[d->calls.n - 1].arguments.n;
    for (size_t i = 0; i < d->calls.n; i++)
        if (d->calls.v[i].index == index) return d->calls.v[i].arguments.n;
    return false;
}

static enum err_kind read_call(struct model_decoder *d, int64_t index, struct json *item, bool done,
                               struct err *why)
{
    struct str id = STR_NONE, name = STR_NONE, arguments = STR_NONE;
    if (!json_get_str(item, "call_id", &id)) json_get_str(item, "id", &id);
    json_get_str(item, "name", &name);
    if (done && !has_arguments(d, index)) json_get_str(item, "arguments", &arguments);
    d->sink->alive = true;
    return calls_add(&d->calls, index, id, name, arguments, why);
}

/* Without its encrypted content an item means nothing to a server that has stored nothing. */
static void read_reasoning(struct model_decoder *d, struct json *item)
{
    struct str content;
    if (!json_get_str(item, "encrypted_content", &content) || !content.n) return;
    buf_add_char(&d->kept, d->kept.n ? ',' : '[');
    json_write(item, &d->kept);
}

static void show(struct model_decoder *d, struct str text, bool refusal)
{
    if (refusal && text.n) d->refused = true;
    reader_text(&d->reader, text);
}

static void read_message(struct model_decoder *d, struct json *item)
{
    struct json *content = json_get(item, "content");
    struct str text;
    for (size_t i = 0; i < json_length(content); i++) {
        struct json *part = json_at(content, i);
        if (json_get_str(part, "text", &text)) show(d, text, false);
        if (json_get_str(part, "refusal", &text)) show(d, text, true);
    }
}

/* Of the whole answer what has not been seen yet. */
static enum err_kind read_output(struct model_decoder *d, struct json *output, struct err *why)
{
    enum err_kind kind = ERR_NONE;
    bool has_text = d->has_text, has_kept = d->kept.n || d->kept.full;
    for (size_t i = 0; i < json_length(output) && kind == ERR_NONE; i++) {
        struct json *item = json_at(output, i);
        struct str type = STR_NONE;
        json_get_str(item, "type", &type);
        if (str_eq(type, STR("message")) && !has_text) read_message(d, item);
        if (str_eq(type, STR("reasoning")) && !has_kept) read_reasoning(d, item);
        if (str_eq(type, STR("function_call"))) kind = read_call(d, (int64_t)i, item, true, why);
    }
    return kind;
}

/* ---- the answer: its end ---- */

static void read_usage(struct json *usage, struct model_usage *to)
{
    struct json *input = json_get(usage, "input_tokens_details");
    struct json *output = json_get(usage, "output_tokens_details");
    bool has_input = json_get_i64(usage, "input_tokens", &to->prompt_tokens);
    bool has_output = json_get_i64(usage, "output_tokens", &to->completion_tokens);
    json_get_i64(input, "cached_tokens", &to->cached_tokens);
    json_get_i64(input, "cache_write_tokens", &to->written_tokens);
    json_get_i64(output, "reasoning_tokens", &to->reasoning_tokens);
    to->known = has_input && has_output;
}

static enum model_finish finish_of(const struct model_decoder *d, struct json *response,
                                   struct str status)
{
    struct str reason = STR_NONE;
    json_get_str(json_get(response, "incomplete_details"), "reason", &reason);
    if (d->refused || str_eq(reason, STR("content_filter"))) return MODEL_FILTER;
    if (str_eq(reason, STR("max_output_tokens"))) return MODEL_LENGTH;
    if (!str_eq(status, STR("completed"))) return MODEL_CUT;
    return d->calls.n ? MODEL_TOOL : MODEL_STOP;
}

static bool is_final(struct str status)
{
    static const char *const finals[] = { "completed", "incomplete", "cancelled" };
    for (size_t i = 0; i < sizeof(finals) / sizeof(*finals); i++)
        if (str_eq(status, str_of(finals[i]))) return true;
    return false;
}

static enum err_kind read_response(struct model_decoder *d, struct json *response,
                                   struct str status, struct err *why)
{
    read_usage(json_get(response, "usage"), &d->sink->usage);
    if (str_eq(status, STR("failed"))) return refusal_inside(response, why);
    enum err_kind kind = read_output(d, json_get(response, "output"), why);
    if (kind != ERR_NONE || !is_final(status)) return kind;
    d->sink->finish = finish_of(d, response, status);
    d->sink->ended = true;
    return ERR_NONE;
}

/* ---- the answer: events ---- */

static enum err_kind on_text(struct model_decoder *d, struct json *event, struct err *why)
{
    (void)why;
    struct str type = STR_NONE, delta = STR_NONE;
    json_get_str(event, "type", &type);
    json_get_str(event, "delta", &delta);
    d->has_text |= delta.n > 0;
    show(d, delta, str_starts(type, STR("response.refusal.")));
    return ERR_NONE;
}

static enum err_kind on_item(struct model_decoder *d, struct json *event, struct err *why)
{
    struct json *item = json_get(event, "item");
    struct str type = STR_NONE, event_type = STR_NONE;
    json_get_str(item, "type", &type);
    json_get_str(event, "type", &event_type);
    bool done = str_ends(event_type, STR(".done"));
    if (str_eq(type, STR("reasoning"))) {
        d->sink->alive = true;
        if (done) read_reasoning(d, item);
    }
    if (!str_eq(type, STR("function_call"))) return ERR_NONE;
    return read_call(d, index_of(event), item, done, why);
}

static enum err_kind on_arguments(struct model_decoder *d, struct json *event, struct err *why)
{
    struct str delta = STR_NONE;
    int64_t index = index_of(event);
    if (!json_get_str(event, "delta", &delta) && !has_arguments(d, index))
        json_get_str(event, "arguments", &delta);
    d->sink->alive = true;
    return calls_add(&d->calls, index, STR_NONE, STR_NONE, delta, why);
}

static enum err_kind on_end(struct model_decoder *d, struct json *event, struct err *why)
{
    struct str type = STR_NONE;
    json_get_str(event, "type", &type);
    return read_response(d, json_get(event, "response"), str_skip(type, STR("response.").n), why);
}

static enum err_kind on_error(struct model_decoder *d, struct json *event, struct err *why)
{
    (void)d;
    return refusal_inside(event, why);
}

static const struct {
    const char *type;
    enum err_kind (*read)(struct model_decoder *d, struct json *event, struct err *why);
} events[] = {
    { "response.output_text.delta", on_text },
    { "response.refusal.delta", on_text },
    { "response.output_item.added", on_item },
    { "response.output_item.done", on_item },
    { "response.function_call_arguments.delta", on_arguments },
    { "response.function_call_arguments.done", on_arguments },
    { "response.completed", on_end },
    { "response.incomplete", on_end },
    { "response.failed", on_end },
    { "response.cancelled", on_end },
    { "error", on_error },
};

/* An event, or the whole of an unstreamed answer. */
static enum err_kind on_json(void *ctx, struct json *doc, struct err *why)
{
    struct model_decoder *d = ctx;
    struct str type = STR_NONE, status = STR_NONE;
    if (!json_is_object(doc)) return err_set(why, ERR_PROTO, "an answer that is no JSON object");
    if (!json_get_str(doc, "type", &type)) {
        json_get_str(doc, "status", &status);
        if (refusal_is(doc)) return refusal_inside(doc, why);
        return read_response(d, doc, status, why);
    }
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
        if (str_eq(type, str_of(events[i].type))) return events[i].read(d, doc, why);
    if (str_starts(type, STR("response.reasoning"))) d->sink->alive = true;
    return ERR_NONE;
}

static struct model_decoder *decoder_new(const struct model *m, struct model_sink *sink)
{
    struct model_decoder *d = mem_new(struct model_decoder);
    d->sink = sink;
    calls_init(&d->calls);
    buf_init(&d->kept, KEPT_MAX);
    reader_init(&d->reader, m, sink, false, on_json, d);
    return d;
}

static void decoder_free(struct model_decoder *d)
{
    reader_done(&d->reader);
    calls_done(&d->calls);
    buf_done(&d->kept);
    free(d);
}

/* All items or none: a part of what it thought would be refused. */
static void keep(struct model_decoder *d)
{
    if (d->calls.n && d->kept.n && buf_add_char(&d->kept, ']') && !d->kept.full && d->sink->keep)
        d->sink->keep(d->sink, buf_str(&d->kept));
    buf_done(&d->kept);
}

static enum err_kind decode(struct model_decoder *d, struct str content_type, struct str bytes,
                            bool end, struct err *why)
{
    enum err_kind kind = reader_feed(&d->reader, content_type, bytes, end, why);
    if (kind != ERR_NONE || !d->sink->ended) return kind;
    keep(d);
    calls_end(&d->calls, d->sink);
    return ERR_NONE;
}

const struct model_type model_responses = {
    .name = "responses",
    .help = "OpenAI's Responses API, for models that are only had by it.",
    .fields = fields,
    .size = sizeof(struct responses),
    .check = remote_check,
    .encode = encode,
    .decoder_new = decoder_new,
    .decode = decode,
    .decoder_free = decoder_free,
    .refusal = refusal_of,
    .count_encode = count_encode,
    .count_read = count_read,
};
