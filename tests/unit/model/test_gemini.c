/*
 * The gemini codec on answers as Google sends them, in tests/fixtures/gemini, and what it asks.
 */
#include "core/base/json.h"
#include "core/model/types.h"
#include "tests/unit/model/codec_case.h"

static struct gemini gemini = {
    .remote.base = { .type = &model_gemini,
                     .name = "m",
                     .model = "gemini-x",
                     .max_tokens = 100,
                     .reply_max = 4096 },
    .remote.base_url = "https://api.example/v1beta/",
    .remote.api_key = "AIza-secret",
    .stream = true,
    .picture_urls = true,
    .temperature = -1,
};

#define HELLO   "Hello, w\xc3\xb6rld \xf0\x9f\x98\x80"
#define UNKNOWN "\xef\xbf\xbd"
/* 3 said and 6 thought; 4 of the 9 read came from the cache */
#define USE              \
    {                    \
        9, 9, 4, 6, true \
    }
#define BEGUN             \
    {                     \
        9, 0, 0, 0, false \
    }
#define READ             \
    {                    \
        9, 0, 0, 0, true \
    }
#define NO_USE            \
    {                     \
        0, 0, 0, 0, false \
    }

static const struct codec_case cases[] = {
    { "text.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "lf.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "cr.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "bom.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "no_space.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "no_final_newline.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "done.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "done_only.sse", ERR_NONE, "ok", true, MODEL_STOP, NO_USE },
    { "thinking_cut.sse", ERR_NONE, "w\xc3\xb6rld. ", false, MODEL_STOP, NO_USE },
    { "cut.sse", ERR_NONE, HELLO, false, MODEL_STOP, { 9, 2, 0, 0, true } },
    { "cut_between.sse", ERR_NONE, "Hello, ", false, MODEL_STOP, BEGUN },
    { "usage_after.sse", ERR_NONE, "ok", true, MODEL_STOP, USE },
    { "usage_none.sse", ERR_NONE, "ok", true, MODEL_STOP, NO_USE },
    { "usage_absurd.sse", ERR_NONE, "ok", true, MODEL_STOP, NO_USE },
    { "length.sse", ERR_NONE, "Hel", true, MODEL_LENGTH, READ },
    { "continuation.sse", ERR_NONE, "Hel", true, MODEL_LENGTH, READ },
    { "continuation_token.sse", ERR_NONE, "Hel", true, MODEL_PAUSE, READ, NULL,
      "[3,{\"continuationToken\":\"Tok/+=\"}]" },
    { "safety.sse", ERR_NONE, "Hel", true, MODEL_FILTER, READ },
    { "spii.sse", ERR_NONE, "Hel", true, MODEL_FILTER, READ },
    { "image.sse", ERR_NONE, "Hel", true, MODEL_FILTER, READ },
    { "malformed.sse", ERR_NONE, "Hel", true, MODEL_CUT, READ },
    { "language.sse", ERR_NONE, "Hel", true, MODEL_CUT, READ },
    { "new_reason.sse", ERR_NONE, "Hel", true, MODEL_STOP, READ },
    { "blocked.sse", ERR_NONE, "", true, MODEL_FILTER, { 4, 0, 0, 0, true } },
    { "blocked_whole.json", ERR_NONE, "", true, MODEL_FILTER, { 4, 0, 0, 0, true } },
    { "feedback_good.sse", ERR_NONE, "ok", true, MODEL_STOP, USE },
    { "second_candidate.sse", ERR_NONE, "one", true, MODEL_STOP, NO_USE },
    { "tools.sse", ERR_NONE, "I look. ", true, MODEL_TOOL, USE,
      "fc_9 weather {\"city\":\"Par\xc3\xafs\",\"days\":[1,2.5,null]};call_2 now {};"
      "call_3 weather {};" },
    { "tools_cut.sse", ERR_NONE, "", false, MODEL_STOP, USE },
    { "tools_blocked.sse", ERR_NONE, "", true, MODEL_FILTER, USE },
    { "tools_odd.sse", ERR_NONE, "", true, MODEL_TOOL, NO_USE,
      "call_1 a {};call_2 b \"text\";call_3  {};call_4 c {\"q\":\"" UNKNOWN "\"};" },
    { "thinking.sse", ERR_NONE, "w\xc3\xb6rld. So: ", true, MODEL_TOOL, USE,
      "call_1 w {\"q\":1};call_2 v {\"q\":2};",
      "[4,{\"text\":\"ld. \",\"thoughtSignature\":\"Sig1/+=\"},4,"
      "{\"functionCall\":{\"name\":\"w\",\"args\":{\"q\":1}},\"thoughtSignature\":\"Sig2\"},"
      "{\"text\":\"\",\"thoughtSignature\":\"Sig3\"}]" },
    { "thinking_signed.sse", ERR_NONE, "Yes.", true, MODEL_STOP, USE, NULL,
      "[{\"text\":\"Hm\",\"thought\":true,\"thoughtSignature\":\"Sig\"}]" },
    { "unknown.sse", ERR_NONE, "fine", true, MODEL_STOP, USE },
    { "nulls.sse", ERR_NONE, "fine", true, MODEL_STOP, NO_USE },
    { "not_an_object.sse", ERR_PROTO, "so far", false, MODEL_STOP, NO_USE },
    { "bad_json.sse", ERR_PROTO, "so far", false, MODEL_STOP, NO_USE },
    { "nul.sse", ERR_NONE, "a" UNKNOWN "b", true, MODEL_STOP, NO_USE },
    { "bad_utf8.sse", ERR_NONE, "a" UNKNOWN "b", true, MODEL_STOP, NO_USE },
    { "halves.sse", ERR_NONE, "\xf0\x9f\x98\x80!", true, MODEL_STOP, NO_USE },
    { "empty.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "error_midway.sse", ERR_IO, "Half ", false, MODEL_STOP, NO_USE },
    { "error_bare.sse", ERR_IO, "Half ", false, MODEL_STOP, NO_USE },
    { "error_bare_list.sse", ERR_LIMIT, "Half ", false, MODEL_STOP, NO_USE },
    { "error_bare_cut.sse", ERR_NONE, "Half ", false, MODEL_STOP, NO_USE },
    { "bare_goes_on.sse", ERR_NONE, "Half and half.", true, MODEL_STOP, USE },
    { "error_list.json", ERR_REFUSED, "", false, MODEL_STOP, NO_USE },
    { "whole.json", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "list.json", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "list_error.json", ERR_IO, "Hello, ", false, MODEL_STOP, BEGUN },
    { "whole_error.json", ERR_AUTH, "", false, MODEL_STOP, NO_USE },
    { "whole_cut.json", ERR_PROTO, "", false, MODEL_STOP, NO_USE },
    { "page.html", ERR_IO, "", false, MODEL_STOP, NO_USE },
};

Test(gemini, answers_in_any_chunking)
{
    codec_expect_all(&gemini.remote.base, "gemini", "text/event-stream", cases,
                     sizeof(cases) / sizeof(*cases));
}

#define PARTS(parts) "data: {\"candidates\":[{\"content\":{\"parts\":[" parts "]}}]}\n\n"

Test(gemini, what_is_a_sign_of_life)
{
    static const struct {
        const char *in;
        bool alive;
    } signs[] = {
        { "data: {\"usageMetadata\":{\"promptTokenCount\":4}}\n\n", false },
        { PARTS("{\"text\":\"\"}"), false },
        { PARTS("{\"text\":\"Hm\",\"thought\":true}"), true },
        { PARTS("{\"text\":\"Hm\",\"thought\":false}"), true },
        { PARTS("{\"functionCall\":{\"name\":\"w\"}}"), true },
    };
    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
        struct codec_taken t;
        struct err why;
        codec_decode(&gemini.remote.base, str_of(signs[i].in), "", 9, &t, &why);
        cr_expect_eq(t.sink.alive, signs[i].alive, "%zu", i);
        codec_taken_done(&t);
    }
}

Test(gemini, what_has_no_end_has_a_maximum)
{
    static const char *const begins[] = { "data: {\"x\":\"", "[\"", "data: {}\n\n{\"x\":\"" };
    struct codec_taken t;
    struct err why;
    struct buf in = BUF_INIT(4 * 1024 * 1024);
    for (size_t i = 0; i < sizeof(begins) / sizeof(*begins); i++) {
        buf_clear(&in);
        buf_add_cstr(&in, begins[i]);
        for (int k = 0; k < 40000; k++) buf_add_cstr(&in, "xxxxxxxxxx");
        cr_expect_eq(codec_decode(&gemini.remote.base, buf_str(&in), "", 5000, &t, &why),
                     ERR_PROTO);
        codec_taken_done(&t);
    }
    buf_clear(&in);
    for (int i = 0; i < 33; i++) buf_add_cstr(&in, PARTS("{\"functionCall\":{\"name\":\"v\"}}"));
    cr_expect_eq(codec_decode(&gemini.remote.base, buf_str(&in), "", 4096, &t, &why), ERR_PROTO);
    codec_taken_done(&t);
    buf_done(&in);
}

/* ---- requests ---- */

static struct arena arena;
static struct http_request rq;

static struct json *encoded(const struct model_ask *ask)
{
    struct json *doc = NULL;
    struct err why;
    arena_done(&arena);
    rq = (struct http_request){ 0 };
    cr_assert_eq(model_gemini.encode(&gemini.remote.base, ask, &arena, &rq, &why), ERR_NONE);
    cr_assert_eq(json_parse(rq.body, &doc, &why), ERR_NONE, "%s", rq.body.p);
    return doc;
}

static void expect_contents(const struct model_message *messages, size_t n, const char *want)
{
    struct model_ask ask = { .messages = messages, .n_messages = n };
    struct json *doc = encoded(&ask);
    codec_expect_json(json_get(doc, "contents"), want);
    json_free(doc);
}

#define USER(text)  "{\"role\":\"user\",\"parts\":[{\"text\":\"" text "\"}]}"
#define MODEL(text) "{\"role\":\"model\",\"parts\":[{\"text\":\"" text "\"}]}"

static const struct model_message talk[] = {
    { MODEL_SYSTEM, { "Be kind.", 8 } },  { MODEL_USER, { "Hi \"you\"", 8 } },
    { MODEL_ASSISTANT, { "Hello", 5 } },  { MODEL_ASSISTANT, { "", 0 } },
    { MODEL_SYSTEM, { "Be short.", 9 } }, { MODEL_USER, { "Why?", 4 } },
};

Test(gemini, encodes_a_conversation)
{
    struct model_ask ask = { talk, 6 };
    struct json *doc = encoded(&ask);
    codec_expect_json(doc,
                      "{\"systemInstruction\":{\"parts\":[{\"text\":\"Be kind.\\n\\nBe short.\"}]},"
                      "\"contents\":[" USER("Hi \\\"you\\\"") "," MODEL("Hello") "," USER(
                          "Why?") "],\"generationConfig\":{\"maxOutputTokens\":100}}");
    json_free(doc);
    cr_expect_str_eq(rq.method, "POST");
    cr_expect_str_eq(rq.url,
                     "https://api.example/v1beta/models/gemini-x:streamGenerateContent?alt=sse");
    cr_expect_str_eq(codec_header(&rq, "x-goog-api-key", &arena), "AIza-secret");
    cr_expect_str_eq(codec_header(&rq, "Content-Type", &arena), "application/json");
    cr_expect_null(codec_header(&rq, "Authorization", &arena));
    arena_done(&arena);
}

Test(gemini, turns_alternate_and_people_begin)
{
    static const struct model_message neighbours[] = {
        { MODEL_USER, { " ", 1 } },         { MODEL_ASSISTANT, { "Welcome", 7 } },
        { MODEL_ASSISTANT, { "all", 3 } },  { MODEL_USER, { "[ann] one", 9 } },
        { MODEL_USER, { "[bob] two", 9 } },
    };
    expect_contents(
        neighbours, 5,
        "[" USER(
            "[The conversation began earlier.]") ","
                                                 "{\"role\":\"model\",\"parts\":[{\"text\":\"Welcome\"},{\"text\":\"all\"}]},"
                                                 "{\"role\":\"user\",\"parts\":[{\"text\":\"[ann] one\"},"
                                                 "{\"text\":\"[bob] two\"}]}]");
    arena_done(&arena);
}

Test(gemini, encodes_pictures)
{
    const struct model_picture pictures[] = {
        { .type = STR("image/png"), .data = STR("QUJD") },
        { .url = STR("https://example.org/a.png"), .type = STR("image/png") },
        { .url = STR("https://example.org/b") },
    };
    const struct model_message message = {
        .role = MODEL_USER, .text = STR("Look"), .pictures = pictures, .n_pictures = 3
    };
    expect_contents(
        &message, 1,
        "[{\"role\":\"user\",\"parts\":["
        "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"QUJD\"}},"
        "{\"fileData\":{\"mimeType\":\"image/png\",\"fileUri\":\"https://example.org/a.png\"}},"
        "{\"fileData\":{\"fileUri\":\"https://example.org/b\"}},{\"text\":\"Look\"}]}]");
    gemini.picture_urls = false;
    expect_contents(
        &message, 1,
        "[{\"role\":\"user\",\"parts\":["
        "{\"inlineData\":{\"mimeType\":\"image/png\",\"data\":\"QUJD\"}},"
        "{\"text\":\"[A picture that cannot be shown to you: https://example.org/a.png]\"},"
        "{\"text\":\"[A picture that cannot be shown to you: https://example.org/b]\"},"
        "{\"text\":\"Look\"}]}]");
    arena_done(&arena);
}

/* An id that the server did not give stays here. */
Test(gemini, encodes_tools_and_their_results)
{
    const struct model_call calls[] = { { STR("fc_1"), STR("w"), STR("{\"q\":1}") },
                                        { STR("call_2"), STR("v"), STR("no json") } };
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Weather?") },
        { .role = MODEL_ASSISTANT, .text = STR("I look."), .calls = calls, .n_calls = 2 },
        { .role = MODEL_TOOL_RESULT,
          .text = STR("cold"),
          .call_id = STR("fc_1"),
          .call_name = STR("w") },
        { .role = MODEL_TOOL_RESULT,
          .text = STR("no"),
          .call_id = STR("call_2"),
          .call_name = STR("v"),
          .failed = true },
        { .role = MODEL_USER, .text = STR("And?") },
    };
    const struct model_tool tools[] = {
        { STR("w"), STR("weather"), STR("{\"type\":\"object\"}") },
        { STR("v"), STR_NONE, STR("{\"type\":\"object\"}") },
    };
    struct model_ask ask = { messages, 5, tools, 2 };
    struct json *doc = encoded(&ask), *list = json_get(doc, "contents");
    codec_expect_json(
        json_at(list, 1),
        "{\"role\":\"model\",\"parts\":[{\"text\":\"I look.\"},"
        "{\"functionCall\":{\"id\":\"fc_1\",\"name\":\"w\",\"args\":{\"q\":1}}},"
        "{\"functionCall\":{\"name\":\"v\",\"args\":{\"not_an_object\":\"no json\"}}}]}");
    codec_expect_json(
        json_at(list, 2),
        "{\"role\":\"user\",\"parts\":[{\"functionResponse\":{\"id\":\"fc_1\",\"name\":\"w\","
        "\"response\":{\"output\":\"cold\"}}},{\"functionResponse\":{\"name\":\"v\",\"response\":"
        "{\"error\":\"no\"}}},{\"text\":\"And?\"}]}");
    codec_expect_json(json_get(doc, "tools"),
                      "[{\"functionDeclarations\":[{\"name\":\"w\",\"description\":\"weather\","
                      "\"parametersJsonSchema\":{\"type\":\"object\"}},"
                      "{\"name\":\"v\",\"parametersJsonSchema\":{\"type\":\"object\"}}]}]");
    json_free(doc);
    arena_done(&arena);
}

Test(gemini, signed_parts_go_back_where_they_stood)
{
    struct buf in = BUF_INIT(65536);
    struct codec_taken t;
    struct err why;
    const struct model_call calls[] = { { STR("call_1"), STR("w"), STR("{\"q\":1}") },
                                        { STR("call_2"), STR("v"), STR("{\"q\":2}") } };
    codec_fixture("gemini", "thinking.sse", &in);
    codec_decode(&gemini.remote.base, buf_str(&in), "", 64, &t, &why);
    struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Hm?") },
        { .role = MODEL_ASSISTANT,
          .text = STR("w\xc3\xb6rld. So: "),
          .calls = calls,
          .n_calls = 2,
          .kept = buf_str(&t.kept) },
    };
    static const char *const foreign[] = {
        "\"Hm\"",
        "[{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"S\"}]",
        "[{\"functionCall\":{\"name\":\"another\"},\"thoughtSignature\":\"S\"},null,7]",
        "no json",
    };
    expect_contents(
        messages, 2,
        "[" USER(
            "Hm?") ",{\"role\":\"model\",\"parts\":[{\"text\":\"w\xc3\xb6r\"},"
                   "{\"text\":\"ld. \",\"thoughtSignature\":\"Sig1/+=\"},{\"text\":\"So: \"},"
                   "{\"functionCall\":{\"name\":\"w\",\"args\":{\"q\":1}},"
                   "\"thoughtSignature\":\"Sig2\"},{\"text\":\"\",\"thoughtSignature\":\"Sig3\"},"
                   "{\"functionCall\":{\"name\":\"v\",\"args\":{\"q\":2}}}]}]");
    messages[1].n_calls = 0;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
        messages[1].kept = str_of(foreign[i]);
        expect_contents(messages, 2, "[" USER("Hm?") "," MODEL("w\xc3\xb6rld. So: ") "]");
    }
    codec_taken_done(&t);
    buf_done(&in);
    arena_done(&arena);
}

/* The same request once more, with the newest token; what came out of it is no part of that. */
Test(gemini, goes_on_after_a_pause_by_its_token)
{
    const struct model_call call = { STR("call_1"), STR("w"), STR("{}") };
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Hm?") },
        { .role = MODEL_ASSISTANT,
          .text = STR("Hel"),
          .kept = STR("[3,{\"continuationToken\":\"T1\"}]") },
        { .role = MODEL_ASSISTANT,
          .text = STR("lo"),
          .kept = STR("[2,{\"continuationToken\":\"T2\"}]") },
        { .role = MODEL_ASSISTANT, .text = STR("!"), .calls = &call, .n_calls = 1 },
        { .role = MODEL_TOOL_RESULT, .text = STR("ok"), .call_name = STR("w") },
    };
    struct model_ask ask = { messages, 3 };
    struct json *doc = encoded(&ask);
    codec_expect_json(json_get(doc, "contents"), "[" USER("Hm?") "]");
    codec_expect_json(json_get(doc, "continuationToken"), "\"T2\"");
    json_free(doc);

    ask.n_messages = 5;
    doc = encoded(&ask);
    cr_expect_not(json_get(doc, "continuationToken"));
    codec_expect_json(json_at(json_get(doc, "contents"), 1),
                      "{\"role\":\"model\",\"parts\":[{\"text\":\"Hel\"},{\"text\":\"lo\"},"
                      "{\"text\":\"!\"},{\"functionCall\":{\"name\":\"w\",\"args\":{}}}]}");
    json_free(doc);
    arena_done(&arena);
}

Test(gemini, encodes_what_is_configured)
{
    struct model_ask ask = { talk, 6, .max_tokens = 7 };
    gemini.temperature = 0.5;
    gemini.stream = false;
    gemini.remote.api_key = "";
    gemini.remote.base.model = "tunedModels/mine";
    struct json *doc = encoded(&ask);
    codec_expect_json(json_get(doc, "generationConfig"),
                      "{\"maxOutputTokens\":7,\"temperature\":0.5}");
    json_free(doc);
    cr_expect_str_eq(rq.url, "https://api.example/v1beta/tunedModels/mine:generateContent");
    cr_expect_null(codec_header(&rq, "x-goog-api-key", &arena));
    cr_expect_null(codec_header(&rq, "Accept", &arena));

    gemini.temperature = -1;
    gemini.remote.base.max_tokens = 0;
    ask.max_tokens = 0;
    doc = encoded(&ask);
    cr_expect_not(json_get(doc, "generationConfig"));
    json_free(doc);

    gemini.thinking = 2;
    doc = encoded(&ask);
    codec_expect_json(json_get(doc, "generationConfig"),
                      "{\"thinkingConfig\":{\"thinkingLevel\":\"LOW\",\"includeThoughts\":true}}");
    json_free(doc);
    arena_done(&arena);
}

/* ---- refusals ---- */

#define ERROR(code, status, message, details)                                               \
    "{\"error\":{\"code\":" #code ",\"message\":\"" message "\",\"status\":\"" status "\"," \
    "\"details\":[" details "]}}"
#define RETRY(delay) "{\"@type\":\"RetryInfo\",\"retryDelay\":\"" delay "\"}"

static const struct codec_refusal refusals[] = {
    { 400, ERROR(400, "INVALID_ARGUMENT", "Odd", ""), 0, ERR_REFUSED, 0,
      "400: the request was refused: Odd" },
    { 400,
      ERROR(400, "INVALID_ARGUMENT",
            "The input token count (9) exceeds the maximum number of tokens allowed (8).", ""),
      0, ERR_LIMIT, 0,
      "400: the conversation is too long for this model: The input token count (9) exceeds the "
      "maximum number of tokens allowed (8)." },
    { 400, ERROR(400, "INVALID_ARGUMENT", "API key not valid.", "{\"reason\":\"API_KEY_INVALID\"}"),
      0, ERR_AUTH, 0, "400: the API key was refused" },
    { 400, ERROR(400, "FAILED_PRECONDITION", "Enable billing", ""), 0, ERR_AUTH, 0,
      "400: no credit is left, or a spending limit is reached: Enable billing" },
    { 401, ERROR(401, "UNAUTHENTICATED", "Who?", ""), 0, ERR_AUTH, 0,
      "401: the API key was refused" },
    { 403, ERROR(403, "PERMISSION_DENIED", "No", ""), 0, ERR_AUTH, 0,
      "403: access was denied: No" },
    { 404, ERROR(404, "NOT_FOUND", "models/x is not found", ""), 0, ERR_NOT_FOUND, 0,
      "404: no such model, or a wrong address: models/x is not found" },
    { 429, ERROR(429, "RESOURCE_EXHAUSTED", "quota", RETRY("36.5s")), 0, ERR_LIMIT, 36500,
      "429: too many requests: quota" },
    { 429, ERROR(429, "RESOURCE_EXHAUSTED", "quota", RETRY("3s")), 0, ERR_LIMIT, 3000,
      "429: too many requests: quota" },
    { 429, ERROR(429, "RESOURCE_EXHAUSTED", "quota", "{}," RETRY("0.123456789s")), 0, ERR_LIMIT,
      123, "429: too many requests: quota" },
    { 429, ERROR(429, "RESOURCE_EXHAUSTED", "quota", RETRY("3s")), 1500, ERR_LIMIT, 1500,
      "429: too many requests: quota" },
    { 429,
      ERROR(429, "RESOURCE_EXHAUSTED", "quota",
            RETRY("99999999999s") "," RETRY("3") "," RETRY("1.xs") "," RETRY("s") ",null"),
      0, ERR_LIMIT, 5000, "429: too many requests: quota" },
    { 500, ERROR(500, "INTERNAL", "An internal error", ""), 0, ERR_IO, 0,
      "500: the server is overloaded or failing: An internal error" },
    { 503, ERROR(503, "UNAVAILABLE", "Overloaded", ""), 0, ERR_IO, 0,
      "503: the server is overloaded or failing: Overloaded" },
    { 504, ERROR(504, "DEADLINE_EXCEEDED", "Late", ""), 0, ERR_IO, 0,
      "504: the server is overloaded or failing: Late" },
    { 429, "[" ERROR(429, "RESOURCE_EXHAUSTED", "quota", RETRY("2s")) "]", 0, ERR_LIMIT, 2000,
      "429: too many requests: quota" },
    { 502, "<html></html>", 0, ERR_IO, 0, "502: the server is overloaded or failing" },
    { 500, "boom", 0, ERR_IO, 0, "500: the server is overloaded or failing: boom" },
    { 400, "{\"error\":\"text\"}", 0, ERR_REFUSED, 0, "400: the request was refused: text" },
    { 400, "[]", 0, ERR_REFUSED, 0, "400: the request was refused" },
    { 302, "", 0, ERR_CONF, 0, "302: the server sends us elsewhere; check base_url" },
};

Test(gemini, refusals)
{
    struct buf in = BUF_INIT(4096);
    struct err why;
    codec_expect_refusals(&model_gemini, refusals, sizeof(refusals) / sizeof(*refusals));
    codec_fixture("gemini", "quota.json", &in);
    cr_expect_eq(model_gemini.refusal(429, buf_str(&in), 0, &why), ERR_LIMIT);
    cr_expect_eq(why.retry_after_ms, 36500);
    buf_clear(&in);
    codec_fixture("gemini", "bad_key.json", &in);
    cr_expect_eq(model_gemini.refusal(400, buf_str(&in), 0, &why), ERR_AUTH);
    buf_done(&in);
}

Test(gemini, an_error_without_a_code_says_what_it_is)
{
    static const struct {
        const char *status;
        enum err_kind kind;
    } errors[] = {
        { "INVALID_ARGUMENT", ERR_REFUSED },
        { "FAILED_PRECONDITION", ERR_AUTH },
        { "UNAUTHENTICATED", ERR_AUTH },
        { "PERMISSION_DENIED", ERR_AUTH },
        { "NOT_FOUND", ERR_NOT_FOUND },
        { "RESOURCE_EXHAUSTED", ERR_LIMIT },
        { "INTERNAL", ERR_IO },
        { "UNAVAILABLE", ERR_IO },
        { "DEADLINE_EXCEEDED", ERR_IO },
        { "NEWLY_INVENTED", ERR_IO },
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct codec_taken t;
        struct err why;
        struct buf in = BUF_INIT(4096);
        buf_addf(&in, "data: {\"error\":{\"status\":\"%s\"}}\n\n", errors[i].status);
        cr_expect_eq(codec_decode(&gemini.remote.base, buf_str(&in), "", 5, &t, &why),
                     errors[i].kind, "%s", errors[i].status);
        codec_taken_done(&t);
        buf_done(&in);
    }
}

Test(gemini, an_error_inside_an_answer_says_how_long_to_wait)
{
    struct codec_taken t;
    struct err why;
    struct buf in = BUF_INIT(4096);
    codec_fixture("gemini", "error_bare_list.sse", &in);
    cr_expect_eq(codec_decode(&gemini.remote.base, buf_str(&in), "", 5, &t, &why), ERR_LIMIT);
    cr_expect_str_eq(why.msg, "429: too many requests: quota");
    cr_expect_eq(why.retry_after_ms, 36500);
    codec_taken_done(&t);
    buf_done(&in);
}

Test(gemini, bad_settings_are_refused)
{
    const char *key = NULL;
    struct err why;
    struct gemini m = gemini;
    cr_expect_eq(model_gemini.check(&m.remote.base, &key, &why), ERR_NONE);
    m.remote.base_url = "api.example";
    cr_expect_eq(model_gemini.check(&m.remote.base, &key, &why), ERR_CONF);
    cr_expect_str_eq(key, "base_url");
}
