/*
 * anthropic - Anthropic's Messages, in both versions of the API that are alive. What is sent is the
 * same in both but for the sampling, which 2026-10-21 refuses even at its default.
 * https://platform.claude.com/docs/en/api/messages
 *
 * An answer is a row of blocks: text, calls of tools, thoughts, and what tools did that the server
 * runs by itself. Thoughts are signed, and in a loop of tool calls the server wants them back
 * untouched. The others it wants back when it is asked to go on after a pause.
 */
#include "core/base/mem.h"
#include "core/model/calls.h"
#include "core/model/extra.h"
#include "core/model/kept.h"
#include "core/model/reader.h"
#include "core/model/refusal.h"
#include "core/model/turns.h"
#include "core/model/types.h"

#define MAX_TOKENS 8192 /* must be said; every model in service can */

struct model_decoder {
    struct model_sink *sink;
    struct reader reader;
    struct calls calls;
    struct kept kept;
    struct buf thought, signature; /* of the block that is thought just now */
    bool thinks;
    struct buf own, own_input; /* the server's own block that comes just now; "" = none does */
    int64_t whole;             /* the call whose input came with its beginning; -1 = none */
    int64_t input, written, cached, output, thinking;
    bool has_input, has_output;
};

static const char *const versions[] = { "2023-06-01", "2026-10-21", NULL };
enum { THINKING_DEFAULT };
static const char *const thinking_words[] = { "default", "adaptive", "disabled", NULL };

static const struct conf_field fields[] = {
    REMOTE_FIELDS(anthropic, "https://api.anthropic.com/v1",
                  "Address of the API without /messages."),
    { "version", CONF_ENUM, offsetof(struct anthropic, version), .def = "2023-06-01",
      .words = versions, .help = "Sent as anthropic-version." },
    { "stream", CONF_BOOL, offsetof(struct anthropic, stream), .def = "true",
      .help = "Show the answer while it is written." },
    { "thinking", CONF_ENUM, offsetof(struct anthropic, thinking), .def = "default",
      .words = thinking_words, .help = "Whether it thinks first: as it likes, or not at all." },
    { "cache", CONF_BOOL, offsetof(struct anthropic, cache), .def = "false",
      .help =
          "Have the server keep the conversation for five minutes: it costs less to go on with, "
          "but more to begin." },
    { "temperature", CONF_FLOAT, offsetof(struct anthropic, temperature), .def = "-1", .min = -1,
      .max = 1,
      .help = "0 to 1, sent under version 2023-06-01 only; -1 = the model's own, as newer models "
              "demand." },
    CONF_END,
};

static const struct anthropic *of(const struct model *m)
{
    return container_of(m, const struct anthropic, remote.base);
}

/* ---- the request ---- */

/* Empty and blank blocks are refused. */
static void put_text(struct json_out *o, struct str text)
{
    if (!str_trim(text).n) return;
    json_open(o, '{');
    json_field_str(o, "type", STR("text"));
    json_field_str(o, "text", text);
    json_close(o, '}');
}

static bool is_seen(struct str type)
{
    static const char *const types[] = { "image/jpeg", "image/png", "image/gif", "image/webp" };
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (str_eq_nocase(type, str_of(types[i]))) return true;
    return false;
}

static void put_picture(struct json_out *o, const struct model_picture *picture)
{
    if (picture->data.n && !is_seen(picture->type)) {
        put_text(o, STR("[A picture in a format that cannot be shown to you.]"));
        return;
    }
    json_open(o, '{');
    json_field_str(o, "type", STR("image"));
    json_key(o, "source");
    json_open(o, '{');
    json_field_str(o, "type", picture->data.n ? STR("base64") : STR("url"));
    if (picture->data.n) {
        json_field_str(o, "media_type", picture->type);
        json_field_str(o, "data", picture->data);
    } else {
        json_field_str(o, "url", picture->url);
    }
    json_close(o, '}');
    json_close(o, '}');
}

static void put_result(struct json_out *o, const struct model_message *msg)
{
    json_open(o, '{');
    json_field_str(o, "type", STR("tool_result"));
    json_field_str(o, "tool_use_id", msg->call_id);
    if (str_trim(msg->text).n) json_field_str(o, "content", msg->text);
    if (msg->failed) json_field_bool(o, "is_error", true);
    json_close(o, '}');
}

static void put_call(struct json_out *o, const struct model_call *call, struct arena *arena)
{
    json_open(o, '{');
    json_field_str(o, "type", STR("tool_use"));
    json_field_str(o, "id", call->id);
    json_field_str(o, "name", call->name);
    json_key(o, "input");
    json_put_raw(o, calls_object(call->arguments, arena));
    json_close(o, '}');
}

/* Of a tool that the server runs by itself: server_tool_use, web_search_tool_result and others. */
static bool is_own(struct str type)
{
    return str_ends(type, STR("_tool_use")) || str_ends(type, STR("_tool_result"));
}

/* Another backend's are of no use here. */
static bool is_wanted(struct json *part)
{
    struct str type, seal;
    if (!json_get_str(part, "type", &type)) return false;
    if (str_eq(type, STR("thinking"))) return json_get_str(part, "signature", &seal);
    if (str_eq(type, STR("redacted_thinking"))) return json_get_str(part, "data", &seal);
    return is_own(type);
}

static void put_assistant(struct json_out *o, const struct model_message *msg, struct arena *arena)
{
    struct kept_walk walk;
    struct json *part;
    struct str text;
    kept_open(&walk, msg->kept, msg->text);
    while ((part = kept_next(&walk, &text))) {
        put_text(o, text);
        if (is_wanted(part)) kept_copy(o, part);
    }
    put_text(o, text);
    kept_close(&walk);
    for (size_t i = 0; i < msg->n_calls; i++) put_call(o, &msg->calls[i], arena);
}

/* Results must be the first blocks of the turn that follows the calls. */
static void put_user(struct json_out *o, const struct turn *turn)
{
    for (size_t i = 0; i < turn->n; i++)
        if (turn->v[i].role == MODEL_TOOL_RESULT) put_result(o, &turn->v[i]);
    for (size_t i = 0; i < turn->n; i++) {
        const struct model_message *msg = &turn->v[i];
        if (msg->role != MODEL_USER) continue;
        for (size_t k = 0; k < msg->n_pictures; k++) put_picture(o, &msg->pictures[k]);
        put_text(o, msg->text);
    }
}

static void put_turn(struct json_out *o, const struct turn *turn, struct arena *arena)
{
    json_open(o, '{');
    json_field_str(o, "role", turn->assistant ? STR("assistant") : STR("user"));
    json_key(o, "content");
    json_open(o, '[');
    if (!turn->assistant) put_user(o, turn);
    for (size_t i = 0; turn->assistant && i < turn->n; i++)
        if (turn_says(&turn->v[i])) put_assistant(o, &turn->v[i], arena);
    json_close(o, ']');
    json_close(o, '}');
}

static void put_messages(struct json_out *o, const struct model_ask *ask, struct arena *arena)
{
    struct turns turns = TURNS(ask);
    struct turn turn;
    struct str system = remote_system(ask, arena);
    if (str_trim(system).n) json_field_str(o, "system", system);
    json_key(o, "messages");
    json_open(o, '[');
    while (turns_next(&turns, &turn)) put_turn(o, &turn, arena);
    json_close(o, ']');
}

static void put_tools(struct json_out *o, const struct model_ask *ask)
{
    if (!ask->n_tools) return;
    json_key(o, "tools");
    json_open(o, '[');
    for (size_t i = 0; i < ask->n_tools; i++) {
        json_open(o, '{');
        json_field_str(o, "name", ask->tools[i].name);
        if (ask->tools[i].description.n)
            json_field_str(o, "description", ask->tools[i].description);
        json_key(o, "input_schema");
        json_put_raw(o, ask->tools[i].schema);
        json_close(o, '}');
    }
    json_close(o, ']');
}

static void put_type(struct json_out *o, const char *key, const char *type)
{
    json_key(o, key);
    json_open(o, '{');
    json_field_str(o, "type", str_of(type));
    json_close(o, '}');
}

/* Never unless it is asked to. */
static bool writes_cache(const struct model *m)
{
    return of(m)->cache || extra_has(m, "cache_control");
}

static void put_options(struct json_out *o, const struct anthropic *m, const struct model_ask *ask)
{
    int64_t max = remote_max_tokens(&m->remote.base, ask);
    json_field_i64(o, "max_tokens", max > 0 ? max : MAX_TOKENS);
    if (m->thinking != THINKING_DEFAULT) put_type(o, "thinking", thinking_words[m->thinking]);
    if (m->cache) put_type(o, "cache_control", "ephemeral"); /* the server finds the place */
    if (m->temperature >= 0 && m->version == ANTHROPIC_2023_06_01 &&
        !(ask->without & MODEL_WITHOUT_SAMPLING)) {
        json_key(o, "temperature");
        json_put_f64(o, m->temperature);
    }
    if (m->stream) json_field_bool(o, "stream", true);
}

static enum err_kind post(const struct anthropic *m, const char *path, bool stream,
                          const struct buf *body, struct arena *arena, struct http_request *rq,
                          struct err *why)
{
    const struct http_header headers[] = {
        { STR("Accept"), str_of(stream ? "text/event-stream" : "") },
        { STR("x-api-key"), str_of(m->remote.api_key) },
        { STR("anthropic-version"), str_of(versions[m->version]) },
    };
    return remote_post(&m->remote.base, path, headers, sizeof(headers) / sizeof(*headers), body,
                       arena, rq, why);
}

static enum err_kind encode(const struct model *base, const struct model_ask *ask,
                            struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct anthropic *m = of(base);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    put_messages(&o, ask, arena);
    put_tools(&o, ask);
    put_options(&o, m, ask);
    extra_put(&o, base, NULL, arena);
    json_close(&o, '}');
    return post(m, "/messages", m->stream, &body, arena, rq, why);
}

/* https://platform.claude.com/docs/en/build-with-claude/token-counting */
static enum err_kind count_encode(const struct model *base, const struct model_ask *ask,
                                  struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct anthropic *m = of(base);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    put_messages(&o, ask, arena);
    put_tools(&o, ask);
    if (m->thinking != THINKING_DEFAULT) put_type(&o, "thinking", thinking_words[m->thinking]);
    json_close(&o, '}');
    return post(m, "/messages/count_tokens", false, &body, arena, rq, why);
}

static bool count_read(struct json *doc, int64_t *ret)
{
    return json_get_i64(doc, "input_tokens", ret);
}

/* ---- errors ---- */

/* The status that an error would have had, had it come before the first byte. */
static const struct {
    const char *type;
    int status;
} statuses[] = {
    { "invalid_request_error", 400 }, { "authentication_error", 401 },
    { "billing_error", 402 },         { "permission_error", 403 },
    { "not_found_error", 404 },       { "request_too_large", 413 },
    { "rate_limit_error", 429 },      { "api_error", 500 },
    { "timeout_error", 504 },         { "overloaded_error", 529 },
};

/* {"type":"error","error":{"type","message","details":{"error_code"}},"request_id"}; what stands in
 * between may word it as {"error":"text"} or {"message"}. */
static void refusal_read(struct json *doc, struct policy_refusal *r)
{
    struct json *error = json_get(doc, "error");
    json_get_str(error, "type", &r->type);
    json_get_str(json_get(error, "details"), "error_code", &r->code);
    if (!json_str(error, &r->message) && !json_get_str(error, "message", &r->message))
        json_get_str(doc, "message", &r->message);
}

static enum err_kind refusal(int http_status, struct str body, uint32_t hint_ms, struct err *why)
{
    struct policy_refusal r = { .status = http_status, .hint_ms = hint_ms };
    struct json *doc = NULL;
    enum err_kind kind = remote_moved(http_status, why);
    if (kind != ERR_NONE) return kind;
    if (json_parse(body, &doc, NULL) == ERR_NONE) refusal_read(doc, &r);
    if (!doc && !str_starts(str_trim(body), STR("<"))) r.message = body;
    kind = policy_refused(&r, why);
    json_free(doc);
    return kind;
}

static enum err_kind refused_inside(struct json *doc, struct err *why)
{
    struct policy_refusal r = { 0 };
    refusal_read(doc, &r);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(*statuses); i++)
        if (str_eq(r.type, str_of(statuses[i].type))) r.status = statuses[i].status;
    return policy_refused(&r, why);
}

/* ---- the answer ---- */

/* Each is the total so far; what a later event leaves out stands. */
static void read_usage(struct model_decoder *d, struct json *usage)
{
    struct model_usage *to = &d->sink->usage;
    d->has_input |= reader_count(usage, "input_tokens", &d->input);
    d->has_output |= reader_count(usage, "output_tokens", &d->output);
    reader_count(usage, "cache_creation_input_tokens", &d->written);
    reader_count(usage, "cache_read_input_tokens", &d->cached);
    reader_count(json_get(usage, "output_tokens_details"), "thinking_tokens", &d->thinking);
    to->prompt_tokens = d->input + d->written + d->cached;
    to->completion_tokens = d->output;
    to->cached_tokens = d->cached;
    to->written_tokens = d->written;
    to->reasoning_tokens = d->thinking;
    to->known = d->has_input && d->has_output && to->prompt_tokens > 0;
}

static const struct {
    const char *word;
    enum model_finish finish;
} finishes[] = {
    { "end_turn", MODEL_STOP },     { "stop_sequence", MODEL_STOP },
    { "max_tokens", MODEL_LENGTH }, { "model_context_window_exceeded", MODEL_LENGTH },
    { "tool_use", MODEL_TOOL },     { "refusal", MODEL_FILTER },
    { "pause_turn", MODEL_PAUSE },
};

static void read_finish(struct model_decoder *d, struct json *obj)
{
    struct str reason;
    if (!json_get_str(obj, "stop_reason", &reason)) return;
    d->sink->finish = MODEL_STOP; /* what nobody knows is no failure */
    for (size_t i = 0; i < sizeof(finishes) / sizeof(*finishes); i++)
        if (str_eq(reason, str_of(finishes[i].word))) d->sink->finish = finishes[i].finish;
}

/* ---- blocks ---- */

/* The input came in fragments, behind a block that has an empty one. */
static void own_stop(struct model_decoder *d)
{
    _cleanup_(buf_done) struct buf whole = BUF_INIT(KEPT_MAX);
    struct str block = buf_str(&d->own), input = buf_str(&d->own_input);
    const struct str empty = STR("\"input\":{}");
    size_t at = input.n ? str_find(block, empty) : SIZE_MAX;
    struct json *doc = NULL;
    if (at != SIZE_MAX) {
        buf_addf(&whole, "%.*s\"input\":%.*s", STR_ARG(str_head(block, at)), STR_ARG(input));
        buf_add(&whole, str_skip(block, at + empty.n));
        block = buf_str(&whole);
    }
    bool full = d->own.full || d->own_input.full || whole.full;
    if (full || json_parse(block, &doc, NULL) != ERR_NONE)
        d->kept.json.full = true;
    else
        kept_copy(kept_part(&d->kept, d->reader.said), doc);
    json_free(doc);
    buf_clear(&d->own);
    buf_clear(&d->own_input);
}

static void block_stop(struct model_decoder *d)
{
    if (d->own.n) own_stop(d);
    _cleanup_(buf_done) struct buf thought = BUF_INIT(3 * KEPT_MAX);
    bool whole = !d->thought.full && !d->signature.full;
    if (d->thinks && d->signature.n && whole) {
        struct json_out *o = kept_part(&d->kept, d->reader.said);
        halves_whole(buf_str(&d->thought), &thought);
        json_open(o, '{');
        json_field_str(o, "type", STR("thinking"));
        json_field_str(o, "thinking", buf_str(&thought));
        json_field_str(o, "signature", buf_str(&d->signature));
        json_close(o, '}');
    }
    if (!whole) d->kept.json.full = true;
    d->thinks = false;
    buf_clear(&d->thought);
    buf_clear(&d->signature);
}

/* The input comes in fragments after the beginning; from some servers, with it. */
static enum err_kind begin_call(struct model_decoder *d, struct json *block, int64_t index,
                                struct err *why)
{
    _cleanup_(buf_done) struct buf input = BUF_INIT(CALL_ARGUMENTS_MAX + 1);
    struct str id = STR_NONE, name = STR_NONE;
    json_get_str(block, "id", &id);
    json_get_str(block, "name", &name);
    if (json_is_object(json_get(block, "input")) && !json_write(json_get(block, "input"), &input))
        return err_set(why, ERR_PROTO, "a tool call that is too long");
    if (str_eq(buf_str(&input), STR("{}"))) buf_clear(&input);
    if (input.n) d->whole = index;
    return calls_add(&d->calls, index, id, name, buf_str(&input), why);
}

static enum err_kind begin_block(struct model_decoder *d, struct json *block, int64_t index,
                                 struct err *why)
{
    struct str type = STR_NONE, text;
    block_stop(d);
    json_get_str(block, "type", &type);
    if (str_eq(type, STR("text"))) {
        if (json_get_str(block, "text", &text)) reader_text(&d->reader, text);
        return ERR_NONE;
    }
    d->sink->alive = true;
    if (str_eq(type, STR("tool_use"))) return begin_call(d, block, index, why);
    if (str_eq(type, STR("redacted_thinking")))
        kept_copy(kept_part(&d->kept, d->reader.said), block);
    if (is_own(type)) json_write(block, &d->own);
    d->thinks = str_eq(type, STR("thinking"));
    if (d->thinks && json_get_str(block, "thinking", &text)) buf_add(&d->thought, text);
    if (d->thinks && json_get_str(block, "signature", &text)) buf_add(&d->signature, text);
    return ERR_NONE;
}

static enum err_kind add_input(struct model_decoder *d, struct str json, int64_t index,
                               struct err *why)
{
    struct calls_one *call = calls_at(&d->calls, index);
    if (!call && d->own.n) buf_add(&d->own_input, json);
    if (!call || !json.n) return ERR_NONE;
    if (index == d->whole) buf_clear(&call->arguments);
    d->whole = -1;
    return calls_add(&d->calls, index, STR_NONE, STR_NONE, json, why);
}

static int64_t index_of(struct json *doc)
{
    int64_t index = 0;
    json_get_i64(doc, "index", &index);
    return index < 0 ? 0 : index;
}

/* ---- events ---- */

static enum err_kind on_message_start(struct model_decoder *d, struct json *doc, struct err *why)
{
    (void)why;
    read_usage(d, json_get(json_get(doc, "message"), "usage"));
    d->sink->usage.known = false; /* how long the answer became is said at its end */
    return ERR_NONE;
}

static enum err_kind on_block_start(struct model_decoder *d, struct json *doc, struct err *why)
{
    return begin_block(d, json_get(doc, "content_block"), index_of(doc), why);
}

/* By the member that is there rather than by the type: there is one of each. */
static enum err_kind on_block_delta(struct model_decoder *d, struct json *doc, struct err *why)
{
    struct json *delta = json_get(doc, "delta");
    struct str piece;
    if (json_get_str(delta, "text", &piece)) {
        reader_text(&d->reader, piece);
        reader_only_text(&d->reader, "text");
        return ERR_NONE;
    }
    d->sink->alive = true;
    if (json_get_str(delta, "partial_json", &piece)) return add_input(d, piece, index_of(doc), why);
    if (d->thinks && json_get_str(delta, "thinking", &piece)) buf_add(&d->thought, piece);
    if (d->thinks && json_get_str(delta, "signature", &piece)) {
        buf_clear(&d->signature);
        buf_add(&d->signature, piece);
    }
    return ERR_NONE;
}

static enum err_kind on_block_stop(struct model_decoder *d, struct json *doc, struct err *why)
{
    (void)doc;
    (void)why;
    block_stop(d);
    return ERR_NONE;
}

static enum err_kind on_message_delta(struct model_decoder *d, struct json *doc, struct err *why)
{
    (void)why;
    read_finish(d, json_get(doc, "delta"));
    read_usage(d, json_get(doc, "usage"));
    return ERR_NONE;
}

static enum err_kind on_message_stop(struct model_decoder *d, struct json *doc, struct err *why)
{
    (void)doc;
    (void)why;
    block_stop(d);
    d->sink->ended = true;
    return ERR_NONE;
}

/* All at once. */
static enum err_kind on_message(struct model_decoder *d, struct json *doc, struct err *why)
{
    struct json *content = json_get(doc, "content");
    enum err_kind kind = ERR_NONE;
    for (size_t i = 0; i < json_length(content) && kind == ERR_NONE; i++)
        kind = begin_block(d, json_at(content, i), (int64_t)i, why);
    read_finish(d, doc);
    read_usage(d, json_get(doc, "usage"));
    return kind == ERR_NONE ? on_message_stop(d, doc, why) : kind;
}

static const struct {
    const char *type;
    enum err_kind (*read)(struct model_decoder *d, struct json *doc, struct err *why);
} events[] = {
    { "message_start", on_message_start },
    { "content_block_start", on_block_start },
    { "content_block_delta", on_block_delta },
    { "content_block_stop", on_block_stop },
    { "message_delta", on_message_delta },
    { "message_stop", on_message_stop },
    { "message", on_message },
};

static enum err_kind on_json(void *ctx, struct json *doc, struct err *why)
{
    struct model_decoder *d = ctx;
    struct str type = STR_NONE;
    if (!json_is_object(doc)) return err_set(why, ERR_PROTO, "an answer that is no JSON object");
    json_get_str(doc, "type", &type);
    if (str_eq(type, STR("error")) || refusal_is(doc)) return refused_inside(doc, why);
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++)
        if (str_eq(type, str_of(events[i].type))) return events[i].read(d, doc, why);
    return ERR_NONE; /* ping, and what the server learns to say later */
}

/* ---- the decoder ---- */

static struct model_decoder *decoder_new(const struct model *m, struct model_sink *sink)
{
    struct model_decoder *d = mem_new(struct model_decoder);
    d->sink = sink;
    d->whole = -1;
    buf_init(&d->thought, KEPT_MAX);
    buf_init(&d->signature, KEPT_MAX);
    buf_init(&d->own, KEPT_MAX);
    buf_init(&d->own_input, KEPT_MAX);
    calls_init(&d->calls);
    kept_init(&d->kept);
    reader_init(&d->reader, m, sink, false, on_json, d);
    return d;
}

static void decoder_free(struct model_decoder *d)
{
    reader_done(&d->reader);
    calls_done(&d->calls);
    kept_done(&d->kept);
    buf_done(&d->thought);
    buf_done(&d->signature);
    buf_done(&d->own);
    buf_done(&d->own_input);
    free(d);
}

/* The connection may stay open after the end marker. */
static enum err_kind decode(struct model_decoder *d, struct str content_type, struct str bytes,
                            bool end, struct err *why)
{
    enum err_kind kind = reader_feed(&d->reader, content_type, bytes, end, why);
    if (kind != ERR_NONE || !d->sink->ended) return kind;
    if (d->sink->finish == MODEL_FILTER) calls_done(&d->calls);
    kept_end(&d->kept, d->sink);
    calls_end(&d->calls, d->sink);
    return ERR_NONE;
}

const struct model_type model_anthropic = {
    .name = "anthropic",
    .help = "Anthropic's Messages: Claude.",
    .fields = fields,
    .size = sizeof(struct anthropic),
    .check = remote_check,
    .encode = encode,
    .decoder_new = decoder_new,
    .decode = decode,
    .decoder_free = decoder_free,
    .refusal = refusal,
    .count_encode = count_encode,
    .count_read = count_read,
    .writes_cache = writes_cache,
    .pauses = true,
};
