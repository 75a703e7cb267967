/*
 * openai - chat completions as OpenAI, OpenRouter, Groq, DeepSeek, vLLM, llama.cpp, LM Studio,
 * Ollama and many more speak them.
 *
 * They differ most in what they leave out and in how they fail: every field may be absent or null,
 * an error may stand in the middle of a good answer, the end marker may be missing, and a proxy may
 * answer with a web page or all at once. https://platform.openai.com/docs/api-reference/chat
 */
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/model/halves.h"
#include "core/model/policy.h"
#include "core/model/types.h"
#include "core/net/sse.h"

#define BODY_MAX    (32 * 1024 * 1024)
#define EVENT_EXTRA (256 * 1024)

enum shape { UNDECIDED, EVENTS, WHOLE };

struct model_decoder {
    struct model_sink *sink;
    enum shape shape;
    struct sse sse;           /* EVENTS */
    struct buf whole;         /* WHOLE: a server that does not stream */
    struct buf mended;        /* an event that is not quite UTF-8 or JSON */
    struct buf marked;        /* the same with its lone halves marked */
    struct buf joined, clean; /* a piece with marks, with U+0000 */
    struct halves halves;
    bool has_marks;
    bool has_finished; /* a finish_reason came */
};

static const char *const max_tokens_words[] = { "max_completion_tokens", "max_tokens", "none",
                                                NULL };

static const struct conf_field fields[] = {
    { "base_url", CONF_STR, offsetof(struct openai, base_url), .def = "https://api.openai.com/v1",
      .help = "Address of the API without /chat/completions." },
    { "api_key", CONF_SECRET, offsetof(struct openai, api_key),
      .help = "The key, as env:NAME or file:PATH. Without it none is sent." },
    { "organization", CONF_STR, offsetof(struct openai, organization),
      .help = "Sent as OpenAI-Organization." },
    { "project", CONF_STR, offsetof(struct openai, project), .help = "Sent as OpenAI-Project." },
    { "headers", CONF_LIST, offsetof(struct openai, headers),
      .help = "More headers, each as \"Name: value\"." },
    { "stream", CONF_BOOL, offsetof(struct openai, stream), .def = "true",
      .help = "Show the answer while it is written." },
    { "stream_usage", CONF_BOOL, offsetof(struct openai, stream_usage), .def = "true",
      .help = "Ask for token counts in a streamed answer; off for servers that refuse it." },
    { "max_tokens_field", CONF_ENUM, offsetof(struct openai, max_tokens_field),
      .def = "max_completion_tokens", .words = max_tokens_words,
      .help = "How the server calls the answer's maximum; max_tokens for older ones." },
    { "temperature", CONF_FLOAT, offsetof(struct openai, temperature), .def = "-1", .min = -1,
      .max = 2, .help = "0 to 2; -1 = the server's own, as reasoning models demand." },
    CONF_END,
};

static const struct openai *of(const struct model *m)
{
    return container_of(m, const struct openai, base);
}

static enum err_kind check(const struct model *m, const char **ret_key, struct err *why)
{
    const struct openai *o = of(m);
    struct str url = str_of(o->base_url);
    *ret_key = "base_url";
    if (!str_starts(url, STR("https://")) && !str_starts(url, STR("http://")))
        return err_set(why, ERR_CONF, "must begin with https:// or http://");
    *ret_key = "headers";
    for (size_t i = 0; i < o->headers.n; i++)
        if (!strchr(o->headers.v[i], ':'))
            return err_set(why, ERR_CONF, "each must be \"Name: value\"");
    return ERR_NONE;
}

/* ---- the request ---- */

static const char *role_word(enum model_role role)
{
    return role == MODEL_ASSISTANT ? "assistant" : "user";
}

static void put_message(struct json_out *o, const char *role, struct str text)
{
    json_open(o, '{');
    json_field_str(o, "role", str_of(role));
    json_field_str(o, "content", text);
    json_close(o, '}');
}

/* https://platform.openai.com/docs/guides/images-vision */
static void put_with_pictures(struct json_out *o, const struct model_message *msg)
{
    json_open(o, '{');
    json_field_str(o, "role", STR("user"));
    json_key(o, "content");
    json_open(o, '[');
    json_open(o, '{');
    json_field_str(o, "type", STR("text"));
    json_field_str(o, "text", msg->text);
    json_close(o, '}');
    for (size_t i = 0; i < msg->n_pictures; i++) {
        json_open(o, '{');
        json_field_str(o, "type", STR("image_url"));
        json_key(o, "image_url");
        json_open(o, '{');
        json_field_str(o, "url", msg->pictures[i]);
        json_close(o, '}');
        json_close(o, '}');
    }
    json_close(o, ']');
    json_close(o, '}');
}

/* All system texts as one, first: templates of some models refuse a second or a later one. */
static void put_system(struct json_out *o, const struct model_ask *ask, struct arena *arena)
{
    struct str all = STR_NONE;
    for (size_t i = 0; i < ask->n_messages; i++) {
        struct str text = ask->messages[i].text;
        if (ask->messages[i].role != MODEL_SYSTEM || !text.n) continue;
        all = all.n ? arena_printf(arena, "%.*s\n\n%.*s", STR_ARG(all), STR_ARG(text)) : text;
    }
    if (all.n) put_message(o, "system", all);
}

static void put_messages(struct json_out *o, const struct model_ask *ask, struct arena *arena)
{
    json_key(o, "messages");
    json_open(o, '[');
    put_system(o, ask, arena);
    for (size_t i = 0; i < ask->n_messages; i++) {
        const struct model_message *msg = &ask->messages[i];
        if (msg->role == MODEL_USER && msg->n_pictures)
            put_with_pictures(o, msg);
        else if (msg->role != MODEL_SYSTEM && msg->text.n)
            put_message(o, role_word(msg->role), msg->text);
    }
    json_close(o, ']');
}

static void put_options(struct json_out *o, const struct openai *m, const struct model_ask *ask)
{
    int64_t max = ask->max_tokens ? ask->max_tokens : m->base.max_tokens;
    if (max > 0 && m->max_tokens_field != OPENAI_NO_MAX_TOKENS)
        json_field_i64(o, max_tokens_words[m->max_tokens_field], max);
    if (m->temperature >= 0) {
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

static void put_headers(const struct openai *m, struct arena *arena, struct http_request *rq)
{
    struct http_header *h = arena_new_array(arena, struct http_header, m->headers.n + 5);
    size_t n = 0;
    h[n++] = (struct http_header){ STR("Content-Type"), STR("application/json") };
    if (m->stream) h[n++] = (struct http_header){ STR("Accept"), STR("text/event-stream") };
    if (*m->api_key)
        h[n++] = (struct http_header){ STR("Authorization"),
                                       arena_printf(arena, "Bearer %s", m->api_key) };
    if (*m->organization)
        h[n++] = (struct http_header){ STR("OpenAI-Organization"), str_of(m->organization) };
    if (*m->project) h[n++] = (struct http_header){ STR("OpenAI-Project"), str_of(m->project) };
    for (size_t i = 0; i < m->headers.n; i++) {
        struct str value = str_of(m->headers.v[i]), name = str_cut(&value, ':');
        h[n++] = (struct http_header){ str_trim(name), str_trim(value) };
    }
    rq->headers = h;
    rq->n_headers = n;
}

static enum err_kind encode(const struct model *base, const struct model_ask *ask,
                            struct arena *arena, struct http_request *rq, struct err *why)
{
    const struct openai *m = of(base);
    _cleanup_(buf_done) struct buf body = BUF_INIT(BODY_MAX);
    struct json_out o = JSON_OUT(&body);
    json_open(&o, '{');
    json_field_str(&o, "model", str_of(model_id(base)));
    put_messages(&o, ask, arena);
    put_options(&o, m, ask);
    json_close(&o, '}');
    if (body.full) return err_set(why, ERR_LIMIT, "the conversation is too long to be sent");

    struct str url = str_of(m->base_url);
    while (str_ends(url, STR("/"))) url.n--;
    rq->method = "POST";
    rq->url = arena_printf(arena, "%.*s/chat/completions", STR_ARG(url)).p;
    rq->body = arena_dup(arena, buf_str(&body));
    put_headers(m, arena, rq);
    return ERR_NONE;
}

/* ---- errors ---- */

/* A string or a number: some send their status as a code. */
static struct str word_of(struct json *obj, const char *key, int *status)
{
    struct str word = STR_NONE;
    int64_t n;
    if (json_get_i64(obj, key, &n) && n >= 400 && n < 600) *status = (int)n;
    json_get_str(obj, key, &word);
    return word;
}

/* {"error":{"message","type","code"}}, {"error":"text"}, {"message"}, {"detail"}. */
static void refusal_read(struct json *doc, struct policy_refusal *r)
{
    struct json *error = json_get(doc, "error");
    struct json *at = json_is_object(error) ? error : doc;
    struct str error_type = STR_NONE;
    r->code = word_of(at, "code", &r->status);
    r->type = word_of(at, "type", &r->status);
    if (json_get_str(json_get(at, "metadata"), "error_type", &error_type)) r->code = error_type;
    if (!json_str(error, &r->message) && !json_get_str(at, "message", &r->message))
        json_get_str(at, "detail", &r->message);
}

static enum err_kind refusal(int http_status, struct str body, uint32_t hint_ms, struct err *why)
{
    struct policy_refusal r = { .status = http_status, .hint_ms = hint_ms };
    struct json *doc = NULL;
    if (http_status / 100 == 3)
        return err_set(why, ERR_CONF, "%d: the server sends us elsewhere; check base_url",
                       http_status);
    if (json_parse(body, &doc, NULL) == ERR_NONE) refusal_read(doc, &r);
    if (!doc && !str_starts(str_trim(body), STR("<"))) r.message = body;
    r.status = http_status;
    enum err_kind kind = policy_refused(&r, why);
    json_free(doc);
    return kind;
}

static bool has_error(struct json *doc)
{
    struct json *error = json_get(doc, "error");
    struct str text;
    bool flag = true;
    if (json_get_bool(doc, "error", &flag)) return flag;
    return error && (!json_str(error, &text) || text.n);
}

/* A failure inside of what began as a good answer. */
static enum err_kind refused_inside(struct json *doc, struct err *why)
{
    struct policy_refusal r = { 0 };
    refusal_read(doc, &r);
    return policy_refused(&r, why);
}

/* ---- the answer ---- */

static void put_text(struct model_decoder *d, struct str text)
{
    if (d->has_marks || d->halves.high) {
        buf_clear(&d->joined);
        halves_join(&d->halves, text, &d->joined);
        text = buf_str(&d->joined);
    }
    if (!text.n) return;
    if (!utf8_valid(text)) {
        buf_clear(&d->clean);
        utf8_clean(&d->clean, text);
        text = buf_str(&d->clean);
    }
    d->sink->alive = true;
    d->sink->text(d->sink, text);
}

/* "text", or [{"type":"text","text":"..."}] as Mistral writes it. */
static void put_content(struct model_decoder *d, struct json *content)
{
    struct str text;
    if (json_str(content, &text)) put_text(d, text);
    for (size_t i = 0; i < json_length(content); i++)
        if (json_get_str(json_at(content, i), "text", &text)) put_text(d, text);
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
    json_get_i64(completion, "reasoning_tokens", &to->reasoning_tokens);
    to->known = has_prompt && has_completion;
}

static const struct {
    const char *word;
    enum model_finish finish;
} finishes[] = {
    { "stop", MODEL_STOP },
    { "length", MODEL_LENGTH },
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

static void read_choice(struct model_decoder *d, struct json *choice)
{
    struct json *delta = json_get(choice, "delta");
    struct str text;
    int64_t index = 0;
    json_get_i64(choice, "index", &index);
    if (index != 0) return;
    if (!delta) delta = json_get(choice, "message");
    if ((json_get_str(delta, "reasoning_content", &text) && text.n) ||
        (json_get_str(delta, "reasoning", &text) && text.n) || json_get(delta, "tool_calls"))
        d->sink->alive = true;
    put_content(d, json_get(delta, "content"));
    if (json_get_str(delta, "refusal", &text) && text.n) {
        d->sink->finish = MODEL_FILTER;
        put_text(d, text);
    }
    read_finish(d, choice);
}

/* One chunk of a stream, or the whole of an unstreamed answer. */
static enum err_kind read_chunk(struct model_decoder *d, struct json *doc, struct err *why)
{
    struct json *groq = json_get(doc, "x_groq");
    if (!json_is_object(doc)) return err_set(why, ERR_PROTO, "an answer that is no JSON object");
    struct json *choices = json_get(doc, "choices");
    for (size_t i = 0; i < json_length(choices); i++) read_choice(d, json_at(choices, i));
    read_usage(json_get(groq, "usage"), &d->sink->usage);
    read_usage(json_get(doc, "usage"), &d->sink->usage);
    if (has_error(doc)) return refused_inside(doc, why);
    if (has_error(groq)) return refused_inside(groq, why);
    return ERR_NONE;
}

/* Some servers cut code points when they count bytes or UTF-16 units: better mended than refused.
 */
static enum err_kind parse(struct model_decoder *d, struct str text, struct json **ret,
                           struct err *why)
{
    enum err_kind kind = json_parse(text, ret, why);
    d->has_marks = false;
    if (kind != ERR_PROTO) return kind;
    buf_clear(&d->mended);
    buf_clear(&d->marked);
    bool mended = !utf8_valid(text) && utf8_clean(&d->mended, text);
    if (mended) text = buf_str(&d->mended);
    d->has_marks = halves_mark(text, &d->marked);
    if (d->has_marks) text = buf_str(&d->marked);
    return mended || d->has_marks ? json_parse(text, ret, why) : kind;
}

static enum err_kind read_json(struct model_decoder *d, struct str text, struct err *why)
{
    struct json *doc = NULL;
    enum err_kind kind = parse(d, text, &doc, why);
    if (kind == ERR_NONE) kind = read_chunk(d, doc, why);
    json_free(doc);
    return kind;
}

static enum err_kind on_event(void *ctx, struct str event, struct str data, struct err *why)
{
    (void)event;
    struct model_decoder *d = ctx;
    data = str_trim(data);
    if (d->sink->ended || !data.n) return ERR_NONE;
    if (str_starts(data, STR("[DONE]"))) {
        d->sink->ended = true;
        return ERR_NONE;
    }
    return read_json(d, data, why);
}

static enum err_kind not_an_api(struct err *why)
{
    return err_set(why, ERR_IO,
                   "a web page came instead of an answer: base_url is wrong, or a proxy failed");
}

/* By the first byte rather than by the type: proxies change one more often than the other. */
static enum err_kind decide(struct model_decoder *d, struct str type, struct str *bytes,
                            struct err *why)
{
    while (bytes->n && strchr(" \t\r\n", bytes->p[0]) && bytes->p[0]) *bytes = str_skip(*bytes, 1);
    if (!bytes->n) return ERR_NONE;
    if (bytes->p[0] == '<' || str_starts_nocase(type, STR("text/html"))) return not_an_api(why);
    d->shape = bytes->p[0] == '{' || bytes->p[0] == '[' ? WHOLE : EVENTS;
    return ERR_NONE;
}

static struct model_decoder *decoder_new(const struct model *m, struct model_sink *sink)
{
    struct model_decoder *d = mem_new(struct model_decoder);
    size_t max = 2 * (size_t)m->reply_max + EVENT_EXTRA;
    d->sink = sink;
    sse_init(&d->sse, max, on_event, d);
    buf_init(&d->whole, max);
    /* A bad byte becomes three. */
    buf_init(&d->mended, 3 * max);
    buf_init(&d->marked, 3 * max);
    buf_init(&d->joined, 3 * max);
    buf_init(&d->clean, 3 * max);
    return d;
}

static void decoder_free(struct model_decoder *d)
{
    sse_done(&d->sse);
    buf_done(&d->whole);
    buf_done(&d->mended);
    buf_done(&d->marked);
    buf_done(&d->joined);
    buf_done(&d->clean);
    free(d);
}

static enum err_kind take(struct model_decoder *d, struct str bytes, struct err *why)
{
    if (d->shape == EVENTS) return sse_feed(&d->sse, bytes, why);
    if (d->shape == UNDECIDED || buf_add(&d->whole, bytes)) return ERR_NONE;
    return err_set(why, ERR_LIMIT, "an answer of more than %zu bytes", d->whole.max);
}

static enum err_kind finish(struct model_decoder *d, struct err *why)
{
    enum err_kind kind = ERR_NONE;
    if (d->shape == WHOLE) kind = read_json(d, buf_str(&d->whole), why);
    if (d->shape == EVENTS) kind = sse_end(&d->sse, why);
    /* Half an event at the end is where the answer broke off, not a mistake of the server. */
    if (d->shape == EVENTS && kind == ERR_PROTO) kind = ERR_NONE;
    buf_clear(&d->joined);
    halves_end(&d->halves, &d->joined);
    if (d->joined.n) d->sink->text(d->sink, buf_str(&d->joined));
    /* Not everybody sends [DONE]. */
    if (d->has_finished) d->sink->ended = true;
    return kind;
}

static enum err_kind decode(struct model_decoder *d, struct str content_type, struct str bytes,
                            bool end, struct err *why)
{
    enum err_kind kind = ERR_NONE;
    if (d->shape == UNDECIDED) kind = decide(d, content_type, &bytes, why);
    if (kind == ERR_NONE) kind = take(d, bytes, why);
    if (kind == ERR_NONE && end) kind = finish(d, why);
    return kind;
}

const struct model_type model_openai = {
    .name = "openai",
    .help = "Any server with OpenAI's chat completions: OpenAI, OpenRouter, Groq, DeepSeek, vLLM, "
            "llama.cpp, LM Studio, Ollama and others.",
    .fields = fields,
    .size = sizeof(struct openai),
    .check = check,
    .encode = encode,
    .decoder_new = decoder_new,
    .decode = decode,
    .decoder_free = decoder_free,
    .refusal = refusal,
};
