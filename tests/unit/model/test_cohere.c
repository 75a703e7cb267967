/*
 * The cohere codec on answers as Cohere sends them, in tests/fixtures/cohere, and what it asks.
 */
#include "core/base/json.h"
#include "core/model/types.h"
#include "tests/unit/model/codec_case.h"

static struct cohere cohere = {
    .remote.base = { .type = &model_cohere,
                     .name = "m",
                     .model = "command-x",
                     .max_tokens = 100,
                     .reply_max = 4096 },
    .remote.base_url = "https://co.example/v2/",
    .remote.api_key = "co-key",
    .stream = true,
    .temperature = -1,
};

#define HELLO "Hello, w\xc3\xb6rld \xf0\x9f\x98\x80"
#define USE                                                       \
    {                                                             \
        .prompt_tokens = 5, .completion_tokens = 7, .known = true \
    }
#define NO_USE         \
    {                  \
        .known = false \
    }
#define CALLS "weather_p1 weather {\"city\": \"Par\xc3\xafs\"};"
#define TIME  "time_7k time {};"

static const struct codec_case cases[] = {
    { "text.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "crlf.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "no_final_newline.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "data_only.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "after_the_end.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "stop_sequence.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "length.sse", ERR_NONE, "Hel", true, MODEL_LENGTH, USE },
    { "timeout.sse", ERR_NONE, "Hel", true, MODEL_CUT, NO_USE },
    { "cut.sse", ERR_NONE, "Hello, ", false, MODEL_STOP, NO_USE },
    { "cut_between.sse", ERR_NONE, "Hello, ", false, MODEL_STOP, NO_USE },
    { "error.sse", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "error_midway.sse", ERR_IO, "Half ", false, MODEL_STOP, NO_USE },
    { "error_event.sse", ERR_IO, "Half ", false, MODEL_STOP, NO_USE },
    { "thinking.sse", ERR_NONE, "Yes.", true, MODEL_STOP, USE },
    { "tools.sse", ERR_NONE, "", true, MODEL_TOOL, USE, CALLS TIME,
      "{\"tool_plan\":\"I will look \\\"it\\\" up.\"}" },
    { "tools_thinking.sse", ERR_NONE, "", true, MODEL_TOOL, USE, CALLS TIME,
      "{\"thinking\":\"Hm.\"}" },
    { "tools_text.sse", ERR_NONE, "I look. ", true, MODEL_TOOL, USE, CALLS },
    { "tools_cut.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "tools_halves.sse", ERR_NONE, "", true, MODEL_TOOL, USE, TIME,
      "{\"tool_plan\":\"\xf0\x9f\x98\x80\"}" },
    { "citations.sse", ERR_NONE, "It is cold.", true, MODEL_STOP, USE },
    { "unknown.sse", ERR_NONE, "fine", true, MODEL_STOP, USE },
    { "nulls.sse", ERR_NONE, "fine", true, MODEL_STOP, NO_USE },
    { "usage_tokens.sse", ERR_NONE, HELLO, true, MODEL_STOP, { 71, 9, 64, 0, true } },
    { "usage_zero.sse", ERR_NONE, HELLO, true, MODEL_STOP, NO_USE },
    { "usage_absurd.sse", ERR_NONE, HELLO, true, MODEL_STOP, NO_USE },
    { "bad_json.sse", ERR_PROTO, "so far", false, MODEL_STOP, NO_USE },
    { "not_an_object.sse", ERR_PROTO, "so far", false, MODEL_STOP, NO_USE },
    { "bad_utf8.sse", ERR_NONE,
      "a\xef\xbf\xbd"
      "b",
      true, MODEL_STOP, USE },
    { "halves.sse", ERR_NONE, "\xf0\x9f\x98\x80!", true, MODEL_STOP, USE },
    { "nul.sse", ERR_NONE,
      "a\xef\xbf\xbd"
      "b",
      true, MODEL_STOP, USE },
    { "page.html", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "empty.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
};

static const struct codec_case whole[] = {
    { "whole.json", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "whole_thinking.json", ERR_NONE, "Yes.", true, MODEL_STOP, USE },
    { "whole_tools.json", ERR_NONE, "", true, MODEL_TOOL, USE,
      "weather_p1 weather {\"city\":\"Par\xc3\xafs\"};" TIME, "{\"tool_plan\":\"I will look.\"}" },
    { "whole_error.json", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "whole_refusal.json", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "whole_cut.json", ERR_PROTO, "", false, MODEL_STOP, NO_USE },
};

Test(cohere, answers_in_any_chunking)
{
    codec_expect_all(&cohere.remote.base, "cohere", "text/event-stream", cases,
                     sizeof(cases) / sizeof(*cases));
    codec_expect_all(&cohere.remote.base, "cohere", "application/json", whole,
                     sizeof(whole) / sizeof(*whole));
}

Test(cohere, calls_are_there_before_the_connection_ends)
{
    codec_expect_before_end(&cohere.remote.base, "cohere", "tools.sse", CALLS TIME,
                            "{\"tool_plan\":\"I will look \\\"it\\\" up.\"}");
}

Test(cohere, thoughts_and_plans_are_a_sign_of_life_but_no_text)
{
    static const struct {
        const char *message;
        bool alive;
    } events[] = {
        { "{\"content\":{\"thinking\":\"\"}}", false },
        { "{\"content\":{\"thinking\":\"H\"}}", true },
        { "{\"tool_plan\":\"\"}", false },
        { "{\"tool_plan\":\"I\"}", true },
        { "{\"tool_calls\":[]}", false },
        { "{\"tool_calls\":{\"id\":\"a\"}}", true },
    };
    for (size_t i = 0; i < sizeof(events) / sizeof(*events); i++) {
        struct codec_taken t;
        struct err why;
        struct buf in = BUF_INIT(4096);
        buf_addf(&in, "data: {\"type\":\"x\",\"delta\":{\"message\":%s}}\n\n", events[i].message);
        codec_decode(&cohere.remote.base, buf_str(&in), "text/event-stream", 9, &t, &why);
        cr_expect_eq(t.sink.alive, events[i].alive, "%zu", i);
        cr_expect_eq(t.text.n, 0);
        codec_taken_done(&t);
        buf_done(&in);
    }
}

Test(cohere, what_has_no_end_has_a_maximum)
{
    struct codec_taken t;
    struct err why;
    struct buf in = BUF_INIT(4 * 1024 * 1024);
    for (int i = 0; i < 33; i++)
        buf_addf(&in,
                 "data: {\"type\":\"tool-call-start\",\"index\":%d,\"delta\":{\"message\":"
                 "{\"tool_calls\":{\"function\":{\"name\":\"v\"}}}}}\n\n",
                 i);
    cr_expect_eq(codec_decode(&cohere.remote.base, buf_str(&in), "", 4096, &t, &why), ERR_PROTO);
    codec_taken_done(&t);

    buf_clear(&in); /* more of a plan than is kept: none is, and the call comes all the same */
    for (int i = 0; i < 1000; i++)
        buf_add_cstr(&in, "data: {\"delta\":{\"message\":{\"tool_plan\":\"hmmmm\"}}}\n\n");
    buf_add_cstr(
        &in, "data: {\"delta\":{\"message\":{\"tool_calls\":{\"function\":{\"name\":\"v\"}}}}}\n\n"
             "data: {\"type\":\"message-end\",\"delta\":{\"finish_reason\":\"TOOL_CALL\"}}\n\n");
    cr_expect_eq(codec_decode(&cohere.remote.base, buf_str(&in), "", 4096, &t, &why), ERR_NONE);
    cr_expect_eq(t.kept.n, 0);
    cr_expect_str_eq(t.calls.p, "call_1 v {};");
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
    cr_assert_eq(model_cohere.encode(&cohere.remote.base, ask, &arena, &rq, &why), ERR_NONE);
    cr_assert_eq(json_parse(rq.body, &doc, &why), ERR_NONE);
    return doc;
}

static const struct model_message talk[] = {
    { MODEL_SYSTEM, { "Be kind.", 8 } },  { MODEL_USER, { "Hi \"you\"", 8 } },
    { MODEL_ASSISTANT, { "Hello", 5 } },  { MODEL_ASSISTANT, { "\n", 1 } },
    { MODEL_SYSTEM, { "Be short.", 9 } }, { MODEL_USER, { " ", 1 } },
    { MODEL_USER, { "Why?", 4 } },
};

Test(cohere, encodes_a_conversation)
{
    struct model_ask ask = { talk, 7 };
    struct json *doc = encoded(&ask);
    codec_expect_json(doc, "{\"model\":\"command-x\",\"messages\":["
                           "{\"role\":\"system\",\"content\":\"Be kind.\\n\\nBe short.\"},"
                           "{\"role\":\"user\",\"content\":\"Hi \\\"you\\\"\"},"
                           "{\"role\":\"assistant\",\"content\":\"Hello\"},"
                           "{\"role\":\"user\",\"content\":\"Why?\"}],"
                           "\"max_tokens\":100,\"stream\":true}");
    json_free(doc);
    cr_expect_str_eq(rq.method, "POST");
    cr_expect_str_eq(rq.url, "https://co.example/v2/chat");
    cr_expect_str_eq(codec_header(&rq, "Authorization", &arena), "Bearer co-key");
    cr_expect_str_eq(codec_header(&rq, "Accept", &arena), "text/event-stream");
    arena_done(&arena);
}

Test(cohere, encodes_tools_pictures_and_what_was_kept)
{
    const struct model_call calls[] = { { STR("a"), STR("w"), STR("{\"q\":1}") },
                                        { STR("b"), STR("w"), STR("no json") } };
    const struct model_picture pictures[] = {
        { .type = STR("image/png"), .data = STR("QUJD") },
        { .url = STR("https://example.org/a.png"), .type = STR("image/png") },
    };
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Look"), .pictures = pictures, .n_pictures = 2 },
        { .role = MODEL_USER, .pictures = pictures, .n_pictures = 1 },
        { .role = MODEL_ASSISTANT,
          .calls = calls,
          .n_calls = 2,
          .kept = STR("{\"tool_plan\":\"I look.\"}") },
        { .role = MODEL_TOOL_RESULT, .text = STR("cold"), .call_id = STR("a") },
        { .role = MODEL_TOOL_RESULT, .call_id = STR("b") },
        { .role = MODEL_ASSISTANT, .text = STR("So."), .kept = STR("{\"thinking\":\"Hm\"}") },
        { .role = MODEL_ASSISTANT, .text = STR("So."), .kept = STR("\"of another backend\"") },
    };
    const char *const want[] = {
        "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Look\"},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,QUJD\"}},"
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.org/a.png\"}}]}",
        "{\"role\":\"user\",\"content\":["
        "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,QUJD\"}}]}",
        "{\"role\":\"assistant\",\"tool_plan\":\"I look.\",\"tool_calls\":["
        "{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"w\",\"arguments\":"
        "\"{\\\"q\\\":1}\"}},"
        "{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"w\",\"arguments\":"
        "\"{\\\"not_an_object\\\":\\\"no json\\\"}\"}}]}",
        "{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":["
        "{\"type\":\"text\",\"text\":\"cold\"}]}",
        "{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":["
        "{\"type\":\"text\",\"text\":\"[It returned nothing.]\"}]}",
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"Hm\"},"
        "{\"type\":\"text\",\"text\":\"So.\"}]}",
        "{\"role\":\"assistant\",\"content\":\"So.\"}",
    };
    const struct model_tool tool = { STR("w"), STR("weather"), STR("{\"type\":\"object\"}") };
    struct model_ask ask = { .messages = messages, .n_messages = 7, .tools = &tool, .n_tools = 1 };
    struct json *doc = encoded(&ask), *list = json_get(doc, "messages");
    cr_assert_eq(json_length(list), 7);
    for (size_t i = 0; i < 7; i++) codec_expect_json(json_at(list, i), want[i]);
    codec_expect_json(
        json_get(doc, "tools"),
        "[{\"type\":\"function\",\"function\":{\"name\":\"w\",\"description\":\"weather\","
        "\"parameters\":{\"type\":\"object\"}}}]");
    json_free(doc);
    arena_done(&arena);
}

Test(cohere, encodes_what_is_configured)
{
    struct model_ask ask = { talk, 2, .max_tokens = 7 };
    cohere.temperature = 0.5;
    cohere.thinking = 2;
    cohere.stream = false;
    cohere.remote.api_key = "";
    struct json *doc = encoded(&ask);
    codec_expect_json(json_get(doc, "max_tokens"), "7");
    codec_expect_json(json_get(doc, "temperature"), "0.5");
    codec_expect_json(json_get(doc, "thinking"), "{\"type\":\"disabled\"}");
    codec_expect_json(json_get(doc, "stream"), "false");
    json_free(doc);
    cr_expect_null(codec_header(&rq, "Authorization", &arena));
    cr_expect_null(codec_header(&rq, "Accept", &arena));

    ask.without = MODEL_WITHOUT_SAMPLING | MODEL_WITHOUT_MAXIMUM;
    doc = encoded(&ask);
    cr_expect_not(json_get(doc, "max_tokens"));
    cr_expect_not(json_get(doc, "temperature"));
    json_free(doc);
    arena_done(&arena);
}

/* ---- refusals ---- */

Test(cohere, refusals)
{
    static const struct codec_refusal refusals[] = {
        { 400, "{\"id\":\"x\",\"message\":\"tool call id not found in previous tool calls\"}", 0,
          ERR_REFUSED, 0,
          "400: the request was refused: tool call id not found in previous tool calls" },
        { 400,
          "{\"message\":\"too many tokens: total number of tokens in the prompt cannot exceed 4081 - "
          "received 4292.\"}",
          0, ERR_LIMIT, 0,
          "400: the conversation is too long for this model: too many tokens: total number of "
          "tokens in the prompt cannot exceed 4081 - received 4292." },
        { 400, "{\"message\":\"too many tokens: size limit exceeded by 11326 tokens.\"}", 0,
          ERR_LIMIT, 0,
          "400: the conversation is too long for this model: too many tokens: size limit exceeded "
          "by 11326 tokens." },
        { 401, "{\"message\":\"invalid api token\"}", 0, ERR_AUTH, 0,
          "401: the API key was refused" },
        { 402, "{\"message\":\"Maximum billing reached\"}", 0, ERR_AUTH, 0,
          "402: no credit is left, or a spending limit is reached: Maximum billing reached" },
        { 404, "{\"message\":\"model 'xyz' not found\"}", 0, ERR_NOT_FOUND, 0,
          "404: no such model, or a wrong address: model 'xyz' not found" },
        { 429, "{\"message\":\"Please wait and try again later\"}", 0, ERR_LIMIT, 5000,
          "429: too many requests: Please wait and try again later" },
        { 498, "{\"message\":\"a blocked token\"}", 0, ERR_REFUSED, 0,
          "498: refused by the provider's content rules: a blocked token" },
        { 499, "{\"message\":\"request cancelled\"}", 700, ERR_IO, 700,
          "499: the server is overloaded or failing: request cancelled" },
        { 499, "no json", 0, ERR_IO, 0, "499: the server is overloaded or failing" },
        { 503, "<html>", 0, ERR_IO, 0, "503: the server is overloaded or failing" },
        { 301, "", 0, ERR_CONF, 0, "301: the server sends us elsewhere; check base_url" },
    };
    codec_expect_refusals(&model_cohere, refusals, sizeof(refusals) / sizeof(*refusals));
}
