/*
 * The openai codec on answers as servers send them, in tests/fixtures/openai. Each is decoded whole
 * and in pieces of several sizes, and must come out the same.
 */
#include "core/base/json.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/model/types.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct openai openai = {
    .remote.base = { .type = &model_openai,
                     .name = "m",
                     .model = "gpt-x",
                     .max_tokens = 100,
                     .reply_max = 4096 },
    .remote.base_url = "https://api.example/v1/",
    .remote.api_key = "sk-secret",
    .organization = "",
    .project = "",
    .stream = true,
    .stream_usage = true,
    .temperature = -1,
};

struct taken {
    struct model_sink sink;
    struct buf text;
    struct buf calls; /* "id name arguments;" */
};

static void on_text(struct model_sink *sink, struct str piece)
{
    struct taken *t = container_of(sink, struct taken, sink);
    cr_expect(utf8_valid(piece), "a piece that is not whole code points");
    cr_expect_gt(piece.n, 0);
    buf_add(&t->text, piece);
}

static void on_call(struct model_sink *sink, const struct model_call *call)
{
    struct taken *t = container_of(sink, struct taken, sink);
    buf_addf(&t->calls, "%.*s %.*s %.*s;", STR_ARG(call->id), STR_ARG(call->name),
             STR_ARG(call->arguments));
}

static void fixture_read(const char *name, struct buf *to)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/openai/%s", FIXTURES, name);
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s", path);
    for (size_t n; (n = fread(buf_room(to, 4096), 1, 4096, f)) > 0;) buf_grew(to, n);
    fclose(f);
}

static enum err_kind decode(struct str in, const char *type, size_t step, struct taken *t,
                            struct err *why)
{
    *t = (struct taken){ .sink = { .text = on_text, .call = on_call } };
    buf_init(&t->text, 65536);
    buf_init(&t->calls, 65536);
    struct model_decoder *d = model_openai.decoder_new(&openai.remote.base, &t->sink);
    enum err_kind kind = ERR_NONE;
    for (; in.n && kind == ERR_NONE; in = str_skip(in, step))
        kind = model_openai.decode(d, str_of(type), str_head(in, step), false, why);
    if (kind == ERR_NONE) kind = model_openai.decode(d, str_of(type), STR_NONE, true, why);
    model_openai.decoder_free(d);
    return kind;
}

#define HELLO "Hello, w\xc3\xb6rld \xf0\x9f\x98\x80"
#define NO_USE            \
    {                     \
        0, 0, 0, 0, false \
    }

static const struct {
    const char *file;
    enum err_kind kind;
    const char *text;
    bool ended;
    enum model_finish finish;
    struct model_usage usage;
} cases[] = {
    { "openai.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "openai_crlf.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "openai_cr.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "openai_bom.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "openai_no_space.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "openai_no_final_newline.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "openai_no_done.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "openai_done_blank.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "openai_cut.sse", ERR_NONE, "Hello, ", false, MODEL_STOP, NO_USE },
    { "openai_cut_between.sse", ERR_NONE, "Hello, ", false, MODEL_STOP, NO_USE },
    { "openai_length.sse", ERR_NONE, "Hel", true, MODEL_LENGTH, NO_USE },
    { "openai_filter.sse", ERR_NONE, "Hel", true, MODEL_FILTER, NO_USE },
    { "openai_refusal.sse", ERR_NONE, "I cannot do that.", true, MODEL_FILTER, NO_USE },
    { "openai_tools.sse", ERR_NONE, "", true, MODEL_TOOL, { 9, 5, 0, 0, true } },
    { "azure.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "openrouter.sse", ERR_NONE, "Yes.", true, MODEL_STOP, { 20, 8, 0, 0, true } },
    { "openrouter_error.sse", ERR_IO, "", false, MODEL_CUT, NO_USE },
    { "openrouter_error_midway.sse", ERR_LIMIT, "Half an ans", false, MODEL_CUT, NO_USE },
    { "groq.sse", ERR_NONE, "fast", true, MODEL_STOP, { 11, 3, 0, 0, true } },
    { "groq_error.sse", ERR_IO, "fa", false, MODEL_STOP, NO_USE },
    { "deepseek.sse",
      ERR_NONE,
      "\xe6\xb7\xb1\xe3\x81\x84",
      true,
      MODEL_STOP,
      { 7, 6, 5, 4, true } },
    { "vllm_error.sse", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "vllm_usage_each.sse", ERR_NONE, "ab", true, MODEL_STOP, { 5, 2, 0, 0, true } },
    { "llamacpp.sse", ERR_NONE, "ok", true, MODEL_STOP, { 4, 1, 0, 0, true } },
    { "ollama.sse", ERR_NONE, "Hi there", true, MODEL_STOP, { 26, 28, 0, 0, true } },
    { "nulls.sse", ERR_NONE, "fine", true, MODEL_STOP, { 1, 1, 0, 0, true } },
    { "nul.sse", ERR_NONE,
      "a\xef\xbf\xbd"
      "b",
      true, MODEL_STOP, NO_USE },
    { "bad_utf8.sse", ERR_NONE,
      "a\xef\xbf\xbd"
      "b",
      true, MODEL_STOP, NO_USE },
    { "halves.sse", ERR_NONE,
      "a \xf0\x9f\x98\x80 b \\ud83d \xf0\x9f\x98\x80\xef\xbf\xbd"
      "c\xef\xbf\xbd"
      "d\xef\xbf\xbd",
      true, MODEL_STOP, NO_USE },
    { "bad_json.sse", ERR_PROTO, "so far", false, MODEL_STOP, NO_USE },
    { "done_only.sse", ERR_NONE, "", true, MODEL_STOP, NO_USE },
    { "empty.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "comments_only.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "whole.json", ERR_NONE, "All at once.", true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "whole_after_blank_lines.json",
      ERR_NONE,
      "All at once.",
      true,
      MODEL_STOP,
      { 9, 5, 4, 2, true } },
    { "mistral_whole.json", ERR_NONE, "In parts.", true, MODEL_STOP, { 9, 5, 4, 2, true } },
    { "whole_error.json", ERR_AUTH, "", false, MODEL_STOP, NO_USE },
    { "whole_cut.json", ERR_PROTO, "", false, MODEL_STOP, NO_USE },
    { "page.html", ERR_IO, "", false, MODEL_STOP, NO_USE },
};

static void expect_case(size_t i, struct str in, const char *type, size_t step)
{
    struct taken t;
    struct err why = ERR_INIT;
    const struct model_usage *want = &cases[i].usage, *is = &t.sink.usage;
    enum err_kind kind = decode(in, type, step, &t, &why);
    const char *f = cases[i].file;
    cr_expect_eq(kind, cases[i].kind, "%s by %zu: %u %s", f, step, kind, why.msg);
    cr_expect(str_eq(buf_str(&t.text), str_of(cases[i].text)), "%s by %zu: %s", f, step, t.text.p);
    cr_expect_eq(t.sink.ended, cases[i].ended, "%s by %zu: ended", f, step);
    cr_expect_eq(t.sink.finish, cases[i].finish, "%s by %zu: finish %u", f, step, t.sink.finish);
    cr_expect(is->known == want->known && is->prompt_tokens == want->prompt_tokens &&
                  is->completion_tokens == want->completion_tokens &&
                  is->cached_tokens == want->cached_tokens &&
                  is->reasoning_tokens == want->reasoning_tokens,
              "%s by %zu: usage", f, step);
    buf_done(&t.text);
    buf_done(&t.calls);
}

Test(openai, answers_in_any_chunking)
{
    static const size_t steps[] = { 1, 2, 3, 7, 64, 1000, SIZE_MAX };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf in = BUF_INIT(1024 * 1024);
        fixture_read(cases[i].file, &in);
        for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++)
            expect_case(i, buf_str(&in), "text/event-stream", steps[s]);
        expect_case(i, buf_str(&in), "application/json; charset=utf-8", SIZE_MAX);
        expect_case(i, buf_str(&in), "", 5);
        buf_done(&in);
    }
}

Test(openai, reasoning_is_a_sign_of_life_but_no_text)
{
    struct taken t;
    struct err why;
    decode(STR("data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"),
           "", 9, &t, &why);
    cr_expect_not(t.sink.alive);
    decode(STR("data: {\"choices\":[{\"delta\":{\"reasoning_content\":\"Hm\"}}]}\n\n"), "", 9, &t,
           &why);
    cr_expect(t.sink.alive);
    cr_expect_eq(t.text.n, 0);
}

#define CALLS(x) "data: {\"choices\":[{\"delta\":{\"tool_calls\":[" x "]}}]}\n\n"
#define FINISH                                                                  \
    "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n" \
    "data: [DONE]\n\n"

Test(openai, tool_calls_in_fragments)
{
    static const struct {
        const char *in, *want;
    } calls[] = {
        { CALLS("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"w\",\"arguments\":\"\"}}")
              CALLS("{\"index\":0,\"function\":{\"arguments\":\"{\\\"q\\\":\"}}")
                  CALLS("{\"index\":0,\"function\":{\"arguments\":\"1}\"}}") FINISH,
          "a w {\"q\":1};" },
        /* two at once, mixed; then no index, no id, a name that is repeated */
        { CALLS("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"v\"}},"
                "{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"w\"}}")
              CALLS("{\"index\":1,\"function\":{\"arguments\":\"[2]\"}}")
                  CALLS("{\"index\":0,\"function\":{\"arguments\":\"[1]\"}}") FINISH,
          "a v [1];b w [2];" },
        { CALLS("{\"function\":{\"name\":\"v\",\"arguments\":\"{}\"}}")
              CALLS("{\"function\":{\"name\":\"w\",\"arguments\":\"not json\"}}") FINISH,
          "call_1 v {};call_2 w not json;" },
        { CALLS("{\"id\":\"a\",\"function\":{\"name\":\"v\",\"arguments\":\"{\"}}")
              CALLS("{\"id\":\"a\",\"function\":{\"name\":\"v\",\"arguments\":\"}\"}}") FINISH,
          "a v {};" },
        { CALLS("{\"id\":null,\"function\":{\"name\":\"v\",\"arguments\":null}}") FINISH,
          "call_1 v {};" },
    };
    struct taken t;
    struct err why;
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        cr_assert_eq(decode(str_of(calls[i].in), "", 11, &t, &why), ERR_NONE);
        cr_expect(str_eq(buf_str(&t.calls), str_of(calls[i].want)), "%zu: %s", i, t.calls.p);
        buf_done(&t.calls);
    }
    struct buf many = BUF_INIT(65536);
    for (int i = 0; i < 33; i++)
        buf_addf(&many, CALLS("{\"index\":%d,\"id\":\"a\",\"function\":{\"name\":\"v\"}}"), i);
    cr_expect_eq(decode(buf_str(&many), "", 4096, &t, &why), ERR_PROTO);
    buf_done(&many);
}

/* An answer that broke off must not be acted upon. */
Test(openai, calls_of_a_cut_answer_are_dropped)
{
    struct taken t;
    struct err why;
    decode(STR(CALLS("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"rm\"}}")), "", 11, &t,
           &why);
    cr_expect_eq(t.calls.n, 0);
    cr_expect(t.sink.alive);
}

Test(openai, an_event_or_answer_over_the_maximum)
{
    struct taken t;
    struct err why;
    size_t n = 400000;
    char *big = mem_alloc(n);
    memset(big, 'x', n);
    memcpy(big, "data: {", 7);
    cr_expect_eq(decode(str_from(big, n), "", 5000, &t, &why), ERR_PROTO);
    memset(big, ' ', n);
    big[0] = '{';
    cr_expect_eq(decode(str_from(big, n), "", 5000, &t, &why), ERR_PROTO);
    free(big);
}

/* ---- requests ---- */

static struct arena arena;
static struct http_request rq;

static struct json *encoded(const struct model_message *messages, size_t n)
{
    struct model_ask ask = { .messages = messages, .n_messages = n };
    struct json *doc = NULL;
    struct err why;
    arena_done(&arena);
    rq = (struct http_request){ 0 };
    cr_assert_eq(model_openai.encode(&openai.remote.base, &ask, &arena, &rq, &why), ERR_NONE);
    cr_assert_eq(json_parse(rq.body, &doc, &why), ERR_NONE);
    return doc;
}

static const char *header(const char *name)
{
    for (size_t i = 0; i < rq.n_headers; i++)
        if (str_eq(rq.headers[i].name, str_of(name)))
            return arena_cstr(&arena, rq.headers[i].value);
    return NULL;
}

static void expect_message(struct json *doc, size_t i, const char *role, const char *content)
{
    struct json *m = json_at(json_get(doc, "messages"), i);
    struct str got_role, got;
    cr_assert(json_get_str(m, "role", &got_role) && json_get_str(m, "content", &got));
    cr_expect(str_eq(got_role, str_of(role)) && str_eq(got, str_of(content)),
              "message %zu: %.*s %.*s", i, STR_ARG(got_role), STR_ARG(got));
}

static const struct model_message talk[] = {
    { MODEL_SYSTEM, { "Be kind.", 8 } },  { MODEL_USER, { "Hi \"you\"", 8 } },
    { MODEL_ASSISTANT, { "Hello", 5 } },  { MODEL_ASSISTANT, { "", 0 } },
    { MODEL_SYSTEM, { "Be short.", 9 } }, { MODEL_USER, { "Why?", 4 } },
};

Test(openai, encodes_tools_and_their_results)
{
    const struct model_call call = { STR("a"), STR("w"), STR("{\"q\":1}") };
    const struct model_picture picture = { .type = STR("image/png"), .data = STR("QUJD") };
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Look"), .pictures = &picture, .n_pictures = 1 },
        { .role = MODEL_ASSISTANT, .calls = &call, .n_calls = 1 },
        { .role = MODEL_TOOL_RESULT, .text = STR("cold"), .call_id = STR("a") },
    };
    const struct model_tool tool = { STR("w"), STR("weather"), STR("{\"type\":\"object\"}") };
    struct model_ask ask = { .messages = messages, .n_messages = 3, .tools = &tool, .n_tools = 1 };
    struct err why;
    cr_assert_eq(model_openai.encode(&openai.remote.base, &ask, &arena, &rq, &why), ERR_NONE);
    const char *const parts[] = {
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,QUJD\"}}",
        "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\","
        "\"function\":{\"name\":\"w\",\"arguments\":\"{\\\"q\\\":1}\"}}]}",
        "{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"cold\"}",
        "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"w\",\"description\":\"weather\","
        "\"parameters\":{\"type\":\"object\"}}}]",
    };
    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        cr_expect_neq(str_find(rq.body, str_of(parts[i])), SIZE_MAX, "%s in %s", parts[i],
                      rq.body.p);
}

Test(openai, encodes_a_conversation)
{
    struct json *doc = encoded(talk, 6);
    struct str model;
    int64_t max = 0;
    bool stream = false, usage = false;
    cr_expect(json_get_str(doc, "model", &model) && str_eq(model, STR("gpt-x")));
    cr_expect_eq(json_length(json_get(doc, "messages")), 4);
    expect_message(doc, 0, "system", "Be kind.\n\nBe short.");
    expect_message(doc, 1, "user", "Hi \"you\"");
    expect_message(doc, 2, "assistant", "Hello");
    expect_message(doc, 3, "user", "Why?");
    cr_expect(json_get_i64(doc, "max_completion_tokens", &max) && max == 100);
    cr_expect_not(json_get(doc, "max_tokens"));
    cr_expect_not(json_get(doc, "temperature"));
    cr_expect(json_get_bool(doc, "stream", &stream) && stream);
    cr_expect(json_get_bool(json_get(doc, "stream_options"), "include_usage", &usage) && usage);
    json_free(doc);
    cr_expect_str_eq(rq.method, "POST");
    cr_expect_str_eq(rq.url, "https://api.example/v1/chat/completions");
    cr_expect_str_eq(header("Authorization"), "Bearer sk-secret");
    cr_expect_str_eq(header("Content-Type"), "application/json");
    cr_expect_null(header("OpenAI-Organization"));
    arena_done(&arena);
}

Test(openai, encodes_what_is_configured)
{
    const char *headers[] = { "X-Title: Parley ", "HTTP-Referer:https://x" };
    int64_t max = 0;
    double temperature = 0;
    openai.max_tokens_field = OPENAI_MAX_TOKENS;
    openai.temperature = 0.5;
    openai.stream = false;
    openai.remote.api_key = "";
    openai.organization = "org";
    openai.project = "proj";
    openai.remote.headers = (struct conf_list){ 2, headers };
    struct json *doc = encoded(talk, 6);
    cr_expect(json_get_i64(doc, "max_tokens", &max) && max == 100);
    cr_expect_not(json_get(doc, "max_completion_tokens"));
    cr_expect(json_get_f64(doc, "temperature", &temperature) && temperature == 0.5);
    cr_expect_not(json_get(doc, "stream"));
    cr_expect_not(json_get(doc, "stream_options"));
    json_free(doc);
    cr_expect_null(header("Authorization"));
    cr_expect_str_eq(header("OpenAI-Organization"), "org");
    cr_expect_str_eq(header("OpenAI-Project"), "proj");
    cr_expect_str_eq(header("X-Title"), "Parley");
    cr_expect_str_eq(header("HTTP-Referer"), "https://x");

    openai.max_tokens_field = OPENAI_NO_MAX_TOKENS;
    doc = encoded(talk, 6);
    cr_expect_not(json_get(doc, "max_tokens"));
    json_free(doc);
    arena_done(&arena);
}

/* ---- refusals ---- */

Test(openai, refusals)
{
    static const struct {
        int status;
        const char *body;
        uint32_t hint_ms;
        enum err_kind kind;
        uint32_t wait_ms;
        const char *text;
    } refusals[] = {
        { 401, "{\"error\":{\"message\":\"Incorrect API key provided: sk-abc***xyz\"}}", 0,
          ERR_AUTH, 0, "401: the API key was refused" },
        { 403, "{\"error\":{\"message\":\"Country not supported\"}}", 0, ERR_AUTH, 0,
          "403: access was denied: Country not supported" },
        { 429, "{\"error\":{\"message\":\"Slow\",\"code\":\"rate_limit_exceeded\"}}", 1500,
          ERR_LIMIT, 1500, "429: too many requests: Slow" },
        { 429, "{\"error\":{\"message\":\"Pay\",\"code\":\"insufficient_quota\"}}", 1500, ERR_AUTH,
          0, "429: no credit is left, or a spending limit is reached: Pay" },
        { 429, "{\"error\":{\"code\":\"slow_down\"}}", 0, ERR_LIMIT, 10000, "429: asked too fast" },
        { 429, "", 0, ERR_LIMIT, 5000, "429: too many requests" },
        { 404, "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}", 0, ERR_NOT_FOUND, 0,
          "404: no such model, or a wrong address: no" },
        { 404, "{\"detail\":\"Not Found\"}", 0, ERR_NOT_FOUND, 0,
          "404: no such model, or a wrong address: Not Found" },
        { 400, "{\"error\":{\"message\":\"m\",\"code\":\"context_length_exceeded\"}}", 0, ERR_LIMIT,
          0, "400: the conversation is too long for this model: m" },
        { 400, "{\"object\":\"error\",\"message\":\"This model's maximum context length is 4096\"}",
          0, ERR_LIMIT, 0,
          "400: the conversation is too long for this model: This model's maximum context length is "
          "4096" },
        { 400, "{\"error\":{\"message\":\"Unsupported parameter\",\"code\":null}}", 0, ERR_REFUSED,
          0, "400: the request was refused: Unsupported parameter" },
        { 500, "{\"error\":\"boom\"}", 0, ERR_IO, 0,
          "500: the server is overloaded or failing: boom" },
        { 503, "<html><body>nginx</body></html>", 3000, ERR_IO, 3000,
          "503: the server is overloaded or failing" },
        { 502, "Bad\nGateway", 0, ERR_IO, 0,
          "502: the server is overloaded or failing: Bad Gateway" },
        { 529, "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"O\"}}",
          0, ERR_IO, 0, "529: the server is overloaded or failing: O" },
        { 402, "{\"error\":{\"code\":402,\"message\":\"Insufficient credits\"}}", 0, ERR_AUTH, 0,
          "402: no credit is left, or a spending limit is reached: Insufficient credits" },
        { 402, "{\"error\":{\"code\":402,\"message\":\"budget\"}}", 2000, ERR_LIMIT, 2000,
          "402: too many requests: budget" },
        { 403,
          "{\"error\":{\"code\":403,\"message\":\"flagged\",\"metadata\":{\"error_type\":"
          "\"content_policy_violation\"}}}",
          0, ERR_REFUSED, 0, "403: refused by the provider's content rules: flagged" },
        { 403,
          "{\"error\":{\"code\":403,\"message\":\"m\",\"metadata\":{\"reasons\":[\"violence\"],"
          "\"flagged_input\":\"f\",\"provider_name\":\"p\"}}}",
          0, ERR_REFUSED, 0, "403: refused by the provider's content rules: m" },
        { 403, "{\"error\":{\"code\":403,\"message\":\"m\",\"metadata\":{}}}", 0, ERR_AUTH, 0,
          "403: access was denied: m" },
        { 302, "", 0, ERR_CONF, 0, "302: the server sends us elsewhere; check base_url" },
        { 500,
          "{\"error\":{\"message\":\"key sk-proj-abcdefghij is odd, as is "
          "a8f3e92b7c61d04f5e8a9b7c\"}}",
          0, ERR_IO, 0, "500: the server is overloaded or failing: key *** is odd, as is ***" },
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        struct err why;
        enum err_kind kind = model_openai.refusal(refusals[i].status, str_of(refusals[i].body),
                                                  refusals[i].hint_ms, &why);
        cr_expect_eq(kind, refusals[i].kind, "%zu: %u", i, kind);
        cr_expect_str_eq(why.msg, refusals[i].text);
        cr_expect_eq(why.retry_after_ms, refusals[i].wait_ms, "%zu: %u", i, why.retry_after_ms);
    }
    struct buf in = BUF_INIT(4096);
    struct err why;
    fixture_read("llamacpp_too_long.json", &in);
    cr_expect_eq(model_openai.refusal(400, buf_str(&in), 0, &why), ERR_LIMIT);
    cr_expect_eq(why.retry_after_ms, 0);
    buf_done(&in);
}

Test(openai, bad_settings_are_refused)
{
    const char *key = NULL, *bad_header[] = { "no colon" };
    struct err why;
    struct openai m = openai;
    cr_expect_eq(model_openai.check(&m.remote.base, &key, &why), ERR_NONE);
    m.remote.base_url = "api.example/v1";
    cr_expect_eq(model_openai.check(&m.remote.base, &key, &why), ERR_CONF);
    cr_expect_str_eq(key, "base_url");
    m = openai;
    m.remote.headers = (struct conf_list){ 1, bad_header };
    cr_expect_eq(model_openai.check(&m.remote.base, &key, &why), ERR_CONF);
    cr_expect_str_eq(key, "headers");
}
