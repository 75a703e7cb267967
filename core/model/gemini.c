/*
 * gemini - Google's Gemini: generateContent and streamGenerateContent.
 * https://ai.google.dev/api/generate-content
 *
 * Each event is a whole response with the next parts of the answer. Nothing marks the end: the
 * connection closes after a finishReason. Parts may be signed (thoughtSignature), and in a loop of
 * tool calls the server wants those back untouched. An answer that reaches the most that a request
 * may write has a token with which the same request goes on.
 */
#include "core/base/mem.h"
#include "core/model/calls.h"
#include "core/model/extra.h"
#include "core/model/kept.h"
#include "core/model/reader.h"
#include "core/model/refusal.h"
#include "core/model/turns.h"
#include "core/model/types.h"

#define WAIT_MAX_S 1000000

struct model_decoder {
    struct model_sink *sink;
    struct reader reader;
    struct calls calls;
    struct kept kept;
    int64_t n_calls;
    int64_t written, thought; /* what usage calls candidates and thoughts */
    bool has_finished;
};

enum { THINKING_DEFAULT };
static const char *const thinking_words[] = { "default", "minimal", "low", "medium", "high", NULL };
static const char *const thinking_levels[] = { "", "MINIMAL", "LOW", "MEDIUM", "HIGH" };

static const struct conf_field fields[] = {
    REMOTE_FIELDS(gemini, "https://generativelanguage.googleapis.com/v1beta",
                  "Address of the API without /models."),
    { "stream", CONF_BOOL, offsetof(struct gemini, stream), .def = "true",
      .help = "Show the answer while it is written." },
    { "picture_urls", CONF_BOOL, offsetof(struct gemini, picture_urls), .def = "true",
      .help = "Let the server fetch pictures of which only the address is known; off for models "
              "that cannot." },
    { "thinking", CONF_ENUM, offsetof(struct gemini, thinking), .def = "default",
      .words = thinking_words, .help = "How hard it thinks, for models that let one choose." },
    { "temperature", CONF_FLOAT, offsetof(struct gemini, temperature), .def = "-1", .min = -1,
      .max = 2, .help = "0 to 2; -1 = the model's own." },
    CONF_END,
};

static const struct gemini *of(const struct model *m)
{
    return container_of(m, const struct gemini, remote.base);
}

/* ---- the request ---- */

static void put_text(struct json_out *o, struct str text)
{
    if (!str_trim(text).n) return;
    json_open(o, '{');
    json_field_str(o, "text", text);
    json_close(o, '}');
}

static void put_picture(struct json_out *o, const struct model_picture *picture, bool urls,
                        struct arena *arena)
{
    if (!picture->data.n && !urls) {
        put_text(o, arena_printf(arena, "[A picture that cannot be shown to you: %.*s]",
                                 STR_ARG(picture->url)));
        return;
    }
    json_open(o, '{');
    json_key(o, picture->data.n ? "inlineData" : "fileData");
    json_open(o, '{');
    if (picture->type.n) json_field_str(o, "mimeType", picture->type);
    if (picture->data.n)
        json_field_str(o, "data", picture->data);
    else
        json_field_str(o, "fileUri", picture->url);
    json_close(o, '}');
    json_close(o, '}');
}

static void put_id(struct json_out *o, struct str id)
{
    if (id.n && !calls_made_up(id)) json_field_str(o, "id", id);
}

static void put_result(struct json_out *o, const struct model_message *msg)
{
    json_open(o, '{');
    json_key(o, "functionResponse");
    json_open(o, '{');
    put_id(o, msg->call_id);
    json_field_str(o, "name", msg->call_name);
    json_key(o, "response");
    json_open(o, '{');
    json_field_str(o, msg->failed ? "error" : "output", msg->text);
    json_close(o, '}');
    json_close(o, '}');
    json_close(o, '}');
}

static void put_user(struct json_out *o, const struct turn *turn, bool urls, struct arena *arena)
{
    for (size_t i = 0; i < turn->n; i++)
        if (turn->v[i].role == MODEL_TOOL_RESULT) put_result(o, &turn->v[i]);
    for (size_t i = 0; i < turn->n; i++) {
        const struct model_message *msg = &turn->v[i];
        if (msg->role != MODEL_USER) continue;
        for (size_t k = 0; k < msg->n_pictures; k++) put_picture(o, &msg->pictures[k], urls, arena);
        put_text(o, msg->text);
    }
}

static void put_call(struct json_out *o, const struct model_call *call, struct arena *arena)
{
    json_open(o, '{');
    json_key(o, "functionCall");
    json_open(o, '{');
    put_id(o, call->id);
    json_field_str(o, "name", call->name);
    json_key(o, "args");
    json_put_raw(o, calls_object(call->arguments, arena));
    json_close(o, '}');
    json_close(o, '}');
}

/* Which call of the message a signed part is, of those that are left; n_calls: none. */
static size_t call_of_part(const struct model_message *msg, struct json *part, const bool *sent)
{
    struct json *function = json_get(part, "functionCall");
    struct str name = STR_NONE, id = STR_NONE;
    json_get_str(function, "name", &name);
    json_get_str(function, "id", &id);
    for (size_t i = 0; function && i < msg->n_calls; i++)
        if (!sent[i] && str_eq(msg->calls[i].name, name) && (!id.n || str_eq(msg->calls[i].id, id)))
            return i;
    return msg->n_calls;
}

/* A part with its signature, in place of what it says or calls. Another backend's is of no use. */
static void put_signed(struct json_out *o, const struct model_message *msg, struct json *part,
                       struct kept_walk *walk, bool *sent)
{
    struct str signature, text;
    bool thought = false;
    if (!json_get_str(part, "thoughtSignature", &signature)) return;
    if (json_get(part, "functionCall")) {
        size_t i = call_of_part(msg, part, sent);
        if (i == msg->n_calls) return;
        sent[i] = true;
    }
    kept_copy(o, part);
    json_get_bool(part, "thought", &thought);
    if (!thought && json_get_str(part, "text", &text)) kept_skip(walk, text.n);
}

static void put_model(struct json_out *o, const struct model_message *msg, struct arena *arena)
{
    bool *sent = arena_new_array(arena, bool, msg->n_calls + 1);
    struct kept_walk walk;
    struct json *part;
    struct str text;
    kept_open(&walk, msg->kept, msg->text);
    while ((part = kept_next(&walk, &text))) {
        put_text(o, text);
        put_signed(o, msg, part, &walk, sent);
    }
    put_text(o, text);
    kept_close(&walk);
    for (size_t i = 0; i < msg->n_calls; i++)
        if (!sent[i]) put_call(o, &msg->calls[i], arena);
}

static void put_turn(struct json_out *o, const struct gemini *m, const struct turn *turn,
                     struct arena *arena)
{
    json_open(o, '{');
    json_field_str(o, "role", turn->assistant ? STR("model") : STR("user"));
    json_key(o, "parts");
    json_open(o, '[');
    if (!turn->assistant) put_user(o, turn, m->picture_urls, arena);
    for (size_t i = 0; turn->assistant && i < turn->n; i++)
        if (turn_says(&turn->v[i])) put_model(o, &turn->v[i], arena);
    json_close(o, ']');
    json_close(o, '}');
}

static void put_contents(struct json_out *o, const struct gemini *m, const struct model_ask *ask,
                         struct arena *arena)
{
    struct turns turns = TURNS(ask);
    struct turn turn;
    struct str system = remote_system(ask, arena);
    if (str_trim(system).n) {
        json_key(o, "systemInstruction");
        json_open(o, '{');
        json_key(o, "parts");
        json_open(o, '[');
        put_text(o, system);
        json_close(o, ']');
        json_close(o, '}');
    }
    json_key(o, "contents");
    json_open(o, '[');
    while (turns_next(&turns, &turn)) put_turn(o, m, &turn, arena);
    json_close(o, ']');
}

static void put_tools(struct json_out *o, const struct model_ask *ask)
{
    if (!ask->n_tools) return;
    json_key(o, "tools");
    json_open(o, '[');
    json_open(o, '{');
    json_key(o, "functionDeclarations");
    json_open(o, '[');
    for (size_t i = 0; i < ask->n_tools; i++) {
        json_open(o, '{');
        json_field_str(o, "name", ask->tools[i].name);
        if (ask->tools[i].description.n)
            json_field_str(o, "description", ask->tools[i].description);
        json_key(o, "parametersJsonSchema");
        json_put_raw(o, ask->tools[i].schema);
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
    json_close(o, ']');
}

/* Thoughts are asked for because they show that it is alive; a model that does not think refuses.
 */
static void put_thinking(struct json_out *o, const struct gemini *m)
{
    json_key(o, "thinkingConfig");
    json_open(o, '{');
    json_field_str(o, "thinkingLevel", str_of(thinking_levels[m->thinking]));
    json_field_bool(o, "includeThoughts", true);
    json_close(o, '}');
}

static void put_options(struct json_out *o, const struct gemini *m, const struct model_ask *ask,
                        struct arena *arena)
{
    int64_t max = remote_max_tokens(&m->remote.base, ask);
    if (max <= 0 && m->temperature < 0 && m->thinking == THINKING_DEFAULT &&
        !extra_has(&m->remote.base, "generationConfig"))
        return;
    json_key(o, "generationConfig");
    json_open(o, '{');
    if (max > 0) json_field_i64(o, "maxOutputTokens", max);
    if (m->temperature >= 0 && !(ask->without & MODEL_WITHOUT_SAMPLING)) {
        json_key(o, "temperature");
        json_put_f64(o, m->temperature);
    }
    if (m->thinking != THINKING_DEFAULT) put_thinking(o, m);
    extra_put(o, &m->remote.base, "generationConfig", arena);
    json_close(o, '}');
}

/* A model may be configured as the list of models names it ("models/..."), and a tuned one must. */
static struct str full_name(const struct gemini *m, struct arena *arena)
{
    const char *id = model_id(&m->remote.base);
    return arena_printf(arena, "%s%s", strchr(id, '/') ? "" : "models/", id);
}

static enum err_kind post(const struct gemini *m, const char *verb, bool stream,
                          const struct buf *body, struct arena *arena, struct http_request *rq,
                          struct err *why)
{
    const struct http_header headers[] = {
        { STR("Accept"), str_of(stream ? "text/event-stream" : "") },
        { STR("x-goog-api-key"), str_of(m->remote.api_key) },
    };
    struct str path = arena_printf(arena, "/%.*s:%s", STR_ARG(full_name(m, arena)), verb);
    return remote_post(&m->remote.base, path.p, headers, sizeof(headers) / sizeof(*headers), body,
                       arena, rq, why);
}

/* "" : the answer did not end in a pause. */
static struct str token_of(const struct model_message *msg, struct arena *arena)
{
    struct str token = STR_NONE, text;
    struct kept_walk walk;
    struct json *part;
    if (msg->role != MODEL_ASSISTANT || msg->n_calls || !msg->kept.n) return token;
    kept_open(&walk, msg->kept, msg->text);
    while ((part = kept_next(&walk, &text))) json_get_str(part, "continuationToken", &token);
    token = arena_dup(arena, token);
    kept_close(&walk);
    return token;
}

/* After a pause it is the same request again: what was said since then is in the newest token. */
static struct model_ask before_pause(const struct model_ask *ask, struct arena *arena,
                                     struct str *ret_token)
{
    struct model_ask before = *ask;
    struct str token;
    *ret_token = STR_NONE;
    while (before.n_messages &&
           (token = token_of(&before.messages[before.n_messages - 1], arena)).n) {
        if (!ret_token->n) *ret_token = token;
        before.n_messages--;
    }
    return before;
}

static enum err_kind encode(const struct model *base, const struct model_ask *ask,
                            struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct gemini *m = of(base);
    const char *verb = m->stream ? "streamGenerateContent?alt=sse" : "generateContent";
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    struct str token;
    const struct model_ask before = before_pause(ask, arena, &token);
    json_open(&o, '{');
    put_contents(&o, m, &before, arena);
    put_tools(&o, ask);
    put_options(&o, m, ask, arena);
    extra_put(&o, base, NULL, arena);
    if (token.n) json_field_str(&o, "continuationToken", token);
    json_close(&o, '}');
    return post(m, verb, m->stream, &body, arena, rq, why);
}

/* As a whole request, or the system's text and the tools would not count.
 * https://ai.google.dev/api/tokens */
static enum err_kind count_encode(const struct model *base, const struct model_ask *ask,
                                  struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct gemini *m = of(base);
    _cleanup_(buf_done) struct buf body = BUF_INIT(REMOTE_BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_key(&o, "generateContentRequest");
    json_open(&o, '{');
    json_field_str(&o, "model", full_name(m, arena));
    put_contents(&o, m, ask, arena);
    put_tools(&o, ask);
    json_close(&o, '}');
    json_close(&o, '}');
    return post(m, "countTokens", false, &body, arena, rq, why);
}

static bool count_read(struct json *doc, int64_t *ret)
{
    return json_get_i64(doc, "totalTokens", ret);
}

/* ---- errors ---- */

/* "36.5s" in milliseconds; 0 = not of this form. */
static uint32_t duration_ms(struct str s)
{
    uint64_t seconds, part = 0;
    if (!str_ends(s, STR("s"))) return 0;
    s.n--;
    struct str whole = str_cut(&s, '.');
    if (!str_u64(whole, &seconds) || seconds > WAIT_MAX_S) return 0;
    s = str_head(s, 3);
    if (s.n && !str_u64(s, &part)) return 0;
    for (size_t n = s.n; n < 3; n++) part *= 10;
    return (uint32_t)(seconds * 1000 + part);
}

/* ErrorInfo has the reason, RetryInfo the time to wait. */
static void details_read(struct json *details, struct policy_refusal *r)
{
    for (size_t i = 0; i < json_length(details); i++) {
        struct str delay;
        json_get_str(json_at(details, i), "reason", &r->code);
        if (json_get_str(json_at(details, i), "retryDelay", &delay) && !r->hint_ms)
            r->hint_ms = duration_ms(delay);
    }
}

/* {"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message","details"}}, alone or in a list. */
static void refusal_read(struct json *doc, struct policy_refusal *r)
{
    struct json *error = json_get(json_is_array(doc) ? json_at(doc, 0) : doc, "error");
    int64_t code;
    if (!r->status && json_get_i64(error, "code", &code) && code >= 400 && code < 600)
        r->status = (int)code;
    json_get_str(error, "status", &r->type);
    if (!json_str(error, &r->message)) json_get_str(error, "message", &r->message);
    details_read(json_get(error, "details"), r);
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
    return policy_refused(&r, why);
}

/* ---- the answer ---- */

/* Each is the total so far. Thoughts are not among the candidates' tokens, but are paid for. */
static void read_usage(struct model_decoder *d, struct json *usage)
{
    struct model_usage *to = &d->sink->usage;
    reader_count(usage, "promptTokenCount", &to->prompt_tokens);
    reader_count(usage, "cachedContentTokenCount", &to->cached_tokens);
    reader_count(usage, "thoughtsTokenCount", &d->thought);
    bool has_written = reader_count(usage, "candidatesTokenCount", &d->written);
    to->completion_tokens = d->written + d->thought;
    to->reasoning_tokens = d->thought;
    to->known = to->prompt_tokens > 0 && (to->known || has_written || d->has_finished);
}

static const struct {
    const char *word;
    enum model_finish finish;
} finishes[] = {
    { "MAX_TOKENS", MODEL_LENGTH },
    { "CONTINUATION", MODEL_PAUSE },
    { "SAFETY", MODEL_FILTER },
    { "RECITATION", MODEL_FILTER },
    { "BLOCKLIST", MODEL_FILTER },
    { "PROHIBITED_CONTENT", MODEL_FILTER },
    { "SPII", MODEL_FILTER },
    { "MALFORMED_FUNCTION_CALL", MODEL_CUT },
    { "UNEXPECTED_TOOL_CALL", MODEL_CUT },
    { "TOO_MANY_TOOL_CALLS", MODEL_CUT },
    { "LANGUAGE", MODEL_CUT },
    { "OTHER", MODEL_CUT },
};

/* Without a token there is no way to go on. */
static void read_token(struct model_decoder *d, struct json *candidate)
{
    struct str token = STR_NONE;
    d->sink->finish = MODEL_LENGTH;
    if (!json_get_str(candidate, "continuationToken", &token) || !token.n) return;
    struct json_out *o = kept_part(&d->kept, d->reader.said);
    json_open(o, '{');
    json_field_str(o, "continuationToken", token);
    json_close(o, '}');
    d->sink->finish = MODEL_PAUSE;
}

static void read_finish(struct model_decoder *d, struct json *candidate)
{
    struct str reason;
    if (!json_get_str(candidate, "finishReason", &reason) || !reason.n) return;
    d->has_finished = true;
    d->sink->finish = str_starts(reason, STR("IMAGE_")) ? MODEL_FILTER : MODEL_STOP;
    for (size_t i = 0; i < sizeof(finishes) / sizeof(*finishes); i++)
        if (str_eq(reason, str_of(finishes[i].word))) d->sink->finish = finishes[i].finish;
    if (d->sink->finish == MODEL_PAUSE) read_token(d, candidate);
}

static enum err_kind read_call(struct model_decoder *d, struct json *call, struct err *why)
{
    _cleanup_(buf_done) struct buf args = BUF_INIT(CALL_ARGUMENTS_MAX + 1);
    struct str id = STR_NONE, name = STR_NONE;
    json_get_str(call, "id", &id);
    json_get_str(call, "name", &name);
    if (json_get(call, "args") && !json_write(json_get(call, "args"), &args))
        return err_set(why, ERR_PROTO, "a tool call that is too long");
    d->sink->alive = true;
    return calls_add(&d->calls, d->n_calls++, id, name, buf_str(&args), why);
}

static enum err_kind read_part(struct model_decoder *d, struct json *part, struct err *why)
{
    struct str text, signature;
    bool thought = false;
    if (json_get_str(part, "thoughtSignature", &signature))
        kept_copy(kept_part(&d->kept, d->reader.said), part);
    if (json_get_bool(part, "thought", &thought) && thought)
        d->sink->alive = true;
    else if (json_get_str(part, "text", &text))
        reader_text(&d->reader, text);
    if (json_get_str(part, "thoughtSignature", &signature)) d->kept.said = d->reader.said;
    return json_get(part, "functionCall") ? read_call(d, json_get(part, "functionCall"), why)
                                          : ERR_NONE;
}

static enum err_kind read_candidate(struct model_decoder *d, struct json *candidate,
                                    struct err *why)
{
    struct json *parts = json_get(json_get(candidate, "content"), "parts");
    enum err_kind kind = ERR_NONE;
    int64_t index = 0;
    json_get_i64(candidate, "index", &index);
    if (index != 0) return ERR_NONE;
    for (size_t i = 0; i < json_length(parts) && kind == ERR_NONE; i++)
        kind = read_part(d, json_at(parts, i), why);
    read_finish(d, candidate);
    return kind;
}

/* A prompt that is blocked has no candidates. */
static void read_feedback(struct model_decoder *d, struct json *feedback)
{
    struct str reason;
    if (!json_get_str(feedback, "blockReason", &reason) || !reason.n) return;
    d->sink->finish = MODEL_FILTER;
    d->has_finished = true;
}

static enum err_kind read_response(struct model_decoder *d, struct json *doc, struct err *why)
{
    struct json *candidates = json_get(doc, "candidates");
    enum err_kind kind = ERR_NONE;
    if (!json_is_object(doc)) return err_set(why, ERR_PROTO, "an answer that is no JSON object");
    if (refusal_is(doc)) return refused_inside(doc, why);
    for (size_t i = 0; i < json_length(candidates) && kind == ERR_NONE; i++)
        kind = read_candidate(d, json_at(candidates, i), why);
    read_feedback(d, json_get(doc, "promptFeedback"));
    read_usage(d, json_get(doc, "usageMetadata"));
    return kind;
}

/* An address without alt=sse gives one list of what would have been the events. */
static enum err_kind on_json(void *ctx, struct json *doc, struct err *why)
{
    enum err_kind kind = ERR_NONE;
    if (!json_is_array(doc)) return read_response(ctx, doc, why);
    for (size_t i = 0; i < json_length(doc) && kind == ERR_NONE; i++)
        kind = read_response(ctx, json_at(doc, i), why);
    return kind;
}

/* ---- the decoder ---- */

static struct model_decoder *decoder_new(const struct model *m, struct model_sink *sink)
{
    struct model_decoder *d = mem_new(struct model_decoder);
    d->sink = sink;
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
    free(d);
}

static enum err_kind decode(struct model_decoder *d, struct str content_type, struct str bytes,
                            bool end, struct err *why)
{
    enum err_kind kind = reader_feed(&d->reader, content_type, bytes, end, why);
    if (end && d->has_finished) d->sink->ended = true;
    if (kind != ERR_NONE || !d->sink->ended) return kind;
    if (d->sink->finish == MODEL_STOP && d->n_calls) d->sink->finish = MODEL_TOOL;
    if (d->sink->finish == MODEL_FILTER) calls_done(&d->calls);
    kept_end(&d->kept, d->sink);
    calls_end(&d->calls, d->sink);
    return ERR_NONE;
}

const struct model_type model_gemini = {
    .name = "gemini",
    .help = "Google's Gemini.",
    .fields = fields,
    .size = sizeof(struct gemini),
    .check = remote_check,
    .extra_group = "generationConfig",
    .encode = encode,
    .decoder_new = decoder_new,
    .decode = decode,
    .decoder_free = decoder_free,
    .refusal = refusal,
    .embed_encode = gemini_embed_encode,
    .embed_read = gemini_embed_read,
    .count_encode = count_encode,
    .count_read = count_read,
    .pauses = true,
};
