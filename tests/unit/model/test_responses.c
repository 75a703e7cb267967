/*
 * The responses codec on answers as servers send them, in tests/fixtures/responses, and what it
 * asks.
 */
#include "core/base/json.h"
#include "core/model/types.h"
#include "tests/unit/model/codec_case.h"

static struct responses responses = {
    .remote.base = { .type = &model_responses,
                     .name = "m",
                     .model = "gpt-x",
                     .max_tokens = 100,
                     .reply_max = 4096 },
    .remote.base_url = "https://api.example/v1/",
    .remote.api_key = "sk-secret",
    .organization = "",
    .project = "",
    .reasoning_effort = "",
    .stream = true,
    .temperature = -1,
};

#define HELLO "Hello, w\xc3\xb6rld \xf0\x9f\x98\x80"
#define USE                    \
    {                          \
        9, 5, 4, 2, true, 1, 0 \
    }
#define NO_USE            \
    {                     \
        0, 0, 0, 0, false \
    }
#define KEPT \
    "[{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"gAAA/+==\"}]"

static const struct codec_case cases[] = {
    { "text.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "crlf.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "with_done.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "data_only.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "no_deltas.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "no_output_at_end.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "cut.sse", ERR_NONE, "Hello, ", false, MODEL_STOP, NO_USE },
    { "cut_midway.sse", ERR_NONE, "Hello, ", false, MODEL_STOP, NO_USE },
    { "incomplete.sse", ERR_NONE, "Hel", true, MODEL_LENGTH, USE },
    { "filtered.sse", ERR_NONE, "Hel", true, MODEL_FILTER, NO_USE },
    { "unknown_incomplete.sse", ERR_NONE, "Hel", true, MODEL_CUT, NO_USE },
    { "refusal.sse", ERR_NONE, "I cannot do that.", true, MODEL_FILTER, USE },
    { "failed.sse", ERR_LIMIT, "", false, MODEL_STOP, NO_USE },
    { "failed_bare.sse", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "error.sse", ERR_IO, "Half", false, MODEL_STOP, NO_USE },
    { "error_nested.sse", ERR_LIMIT, "", false, MODEL_STOP, NO_USE },
    { "tools.sse", ERR_NONE, "", true, MODEL_TOOL, USE,
      "call_a weather {\"q\":\"Par\xc3\xafs\"};call_b time {};", KEPT },
    { "tools_cut.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "tools_done_only.sse", ERR_NONE, "", true, MODEL_TOOL, NO_USE, "call_a weather {\"q\":1};" },
    { "tools_item_only.sse", ERR_NONE, "", true, MODEL_TOOL, NO_USE, "call_a weather {\"q\":1};" },
    { "reasoning_without_calls.sse", ERR_NONE, "Yes.", true, MODEL_STOP, USE },
    { "unknown.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "nulls.sse", ERR_NONE, "fine", true, MODEL_STOP, NO_USE },
    { "whole.json", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "whole_tools.json", ERR_NONE, "I look.", true, MODEL_TOOL, USE, "call_a weather {\"q\":1};",
      KEPT },
    { "whole_incomplete.json", ERR_NONE, "Hel", true, MODEL_LENGTH, USE },
    { "whole_failed.json", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "whole_error.json", ERR_AUTH, "", false, MODEL_STOP, NO_USE },
    { "whole_in_progress.json", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "whole_cut.json", ERR_PROTO, "", false, MODEL_STOP, NO_USE },
    { "halves.sse", ERR_NONE, "\xf0\x9f\x98\x80!", true, MODEL_STOP, NO_USE },
    { "bad_json.sse", ERR_PROTO, "so far", false, MODEL_STOP, NO_USE },
    { "not_an_object.sse", ERR_PROTO, "", false, MODEL_STOP, NO_USE },
    { "page.html", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "empty.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
};

Test(responses, answers_in_any_chunking)
{
    codec_expect_all(&responses.remote.base, "responses", "text/event-stream", cases,
                     sizeof(cases) / sizeof(*cases));
}

Test(responses, calls_are_there_before_the_connection_ends)
{
    codec_expect_before_end(&responses.remote.base, "responses", "tools.sse",
                            "call_a weather {\"q\":\"Par\xc3\xafs\"};call_b time {};", KEPT);
}

Test(responses, reasoning_is_a_sign_of_life_but_no_text)
{
    static const struct {
        const char *in;
        bool alive;
    } signs[] = {
        { "data: {\"type\":\"response.created\",\"response\":{}}\n\n", false },
        { "data: {\"type\":\"response.output_text.delta\",\"delta\":\"\"}\n\n", false },
        { "data: {\"type\":\"response.reasoning_text.delta\",\"delta\":\"Hm\"}\n\n", true },
        { "data: {\"type\":\"response.reasoning_summary_text.delta\",\"delta\":\"Hm\"}\n\n", true },
        { "data: {\"type\":\"response.output_item.added\",\"item\":{\"type\":\"reasoning\"}}\n\n",
          true },
    };
    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
        struct codec_taken t;
        struct err why;
        codec_decode(&responses.remote.base, str_of(signs[i].in), "", 9, &t, &why);
        cr_expect_eq(t.sink.alive, signs[i].alive, "%s", signs[i].in);
        cr_expect_eq(t.text.n, 0);
        codec_taken_done(&t);
    }
}

#define ITEM(index, item)                                                                     \
    "data: {\"type\":\"response.output_item.done\",\"output_index\":" index ",\"item\":" item \
    "}\n\n"

Test(responses, what_has_no_end_has_a_maximum)
{
    struct codec_taken t;
    struct err why;
    struct buf in = BUF_INIT(8 * 1024 * 1024), content = BUF_INIT(250000);
    for (int i = 0; i < 33; i++)
        buf_addf(&in, ITEM("%d", "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"v\"}"),
                 i);
    cr_expect_eq(codec_decode(&responses.remote.base, buf_str(&in), "", 4096, &t, &why), ERR_PROTO);
    codec_taken_done(&t);

    buf_clear(&in); /* more thoughts than are kept: none are, and the call comes all the same */
    for (int i = 0; i < 200000; i++) buf_add_char(&content, 'A');
    for (int i = 0; i < 6; i++)
        buf_addf(&in, ITEM("%d", "{\"type\":\"reasoning\",\"encrypted_content\":\"%s\"}"), i,
                 content.p);
    buf_add_cstr(&in, ITEM("6", "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"v\"}"));
    buf_add_cstr(&in, "data: {\"type\":\"response.completed\"}\n\n");
    cr_expect_eq(codec_decode(&responses.remote.base, buf_str(&in), "", 65536, &t, &why), ERR_NONE,
                 "%s", why.msg);
    cr_expect_eq(t.kept.n, 0);
    cr_expect_str_eq(t.calls.p, "a v {};");
    codec_taken_done(&t);
    buf_done(&in);
    buf_done(&content);
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
    cr_assert_eq(model_responses.encode(&responses.remote.base, ask, &arena, &rq, &why), ERR_NONE);
    cr_assert_eq(json_parse(rq.body, &doc, &why), ERR_NONE);
    return doc;
}

static void expect_json(struct json *v, const char *want)
{
    struct buf got = BUF_INIT(65536);
    json_write(v, &got);
    cr_expect_str_eq(got.p, want);
    buf_done(&got);
}

static void expect_header(const char *name, const char *value)
{
    for (size_t i = 0; i < rq.n_headers; i++)
        if (str_eq(rq.headers[i].name, str_of(name)))
            cr_expect(str_eq(rq.headers[i].value, str_of(value)), "%s", name);
}

static const struct model_message talk[] = {
    { MODEL_SYSTEM, { "Be kind.", 8 } },  { MODEL_USER, { "Hi \"you\"", 8 } },
    { MODEL_ASSISTANT, { "Hello", 5 } },  { MODEL_ASSISTANT, { "", 0 } },
    { MODEL_SYSTEM, { "Be short.", 9 } }, { MODEL_USER, { "Why?", 4 } },
};

Test(responses, encodes_a_conversation)
{
    struct model_ask ask = { talk, 6 };
    struct json *doc = encoded(&ask);
    expect_json(json_get(doc, "model"), "\"gpt-x\"");
    expect_json(json_get(doc, "instructions"), "\"Be kind.\\n\\nBe short.\"");
    expect_json(json_get(doc, "input"), "[{\"role\":\"user\",\"content\":\"Hi \\\"you\\\"\"},"
                                        "{\"role\":\"assistant\",\"content\":\"Hello\"},"
                                        "{\"role\":\"user\",\"content\":\"Why?\"}]");
    expect_json(json_get(doc, "store"), "false");
    expect_json(json_get(doc, "stream"), "true");
    expect_json(json_get(doc, "max_output_tokens"), "100");
    static const char *const absent[] = { "temperature", "tools", "include", "reasoning" };
    for (size_t i = 0; i < sizeof(absent) / sizeof(*absent); i++)
        cr_expect_not(json_get(doc, absent[i]), "%s", absent[i]);
    json_free(doc);
    cr_expect_str_eq(rq.url, "https://api.example/v1/responses");
    expect_header("Authorization", "Bearer sk-secret");
    expect_header("Accept", "text/event-stream");
    arena_done(&arena);
}

Test(responses, encodes_tools_pictures_and_thoughts)
{
    const struct model_call call = { STR("a"), STR("w"), STR("{\"q\":1}") };
    const struct model_picture pictures[] = {
        { .type = STR("image/png"), .data = STR("QUJD") },
        { .url = STR("https://example.org/a.png") },
    };
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Look"), .pictures = pictures, .n_pictures = 2 },
        { .role = MODEL_ASSISTANT,
          .text = STR("I look."),
          .calls = &call,
          .n_calls = 1,
          .kept = STR(KEPT) },
        { .role = MODEL_TOOL_RESULT, .text = STR("cold"), .call_id = STR("a") },
        { .role = MODEL_ASSISTANT,
          .text = STR("So."),
          .kept = STR("[{\"of\":\"another backend\"}]") },
    };
    const struct model_tool tool = { STR("w"), STR("weather"), STR("{\"type\":\"object\"}") };
    struct model_ask ask = { .messages = messages, .n_messages = 4, .tools = &tool, .n_tools = 1 };
    struct json *doc = encoded(&ask), *input = json_get(doc, "input");
    static const char *const items[] = {
        "{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"Look\"},"
        "{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,QUJD\"},"
        "{\"type\":\"input_image\",\"image_url\":\"https://example.org/a.png\"}]}",
        "{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"gAAA/+==\"}",
        "{\"role\":\"assistant\",\"content\":\"I look.\"}",
        "{\"type\":\"function_call\",\"call_id\":\"a\",\"name\":\"w\",\"arguments\":\"{\\\"q\\\":1}\"}",
        "{\"type\":\"function_call_output\",\"call_id\":\"a\",\"output\":\"cold\"}",
        "{\"role\":\"assistant\",\"content\":\"So.\"}",
    };
    size_t n = sizeof(items) / sizeof(*items);
    cr_expect_eq(json_length(input), n);
    for (size_t i = 0; i < n; i++) expect_json(json_at(input, i), items[i]);
    expect_json(json_get(doc, "tools"),
                "[{\"type\":\"function\",\"name\":\"w\",\"description\":\"weather\","
                "\"parameters\":{\"type\":\"object\"},\"strict\":false}]");
    json_free(doc);
    arena_done(&arena);
}

Test(responses, encodes_what_is_configured)
{
    struct model_ask ask = { talk, 6 };
    responses.stream = false;
    responses.keep_reasoning = true;
    responses.reasoning_effort = "low";
    responses.temperature = 0.5;
    responses.remote.base.max_tokens = 0;
    struct json *doc = encoded(&ask);
    expect_json(json_get(doc, "include"), "[\"reasoning.encrypted_content\"]");
    expect_json(json_get(doc, "reasoning"), "{\"effort\":\"low\"}");
    expect_json(json_get(doc, "temperature"), "0.5");
    cr_expect_not(json_get(doc, "stream"));
    cr_expect_not(json_get(doc, "max_output_tokens"));
    json_free(doc);
    arena_done(&arena);
}

Test(responses, refusals)
{
    struct err why;
    cr_expect_eq(
        model_responses.refusal(429, STR("{\"error\":{\"code\":\"insufficient_quota\"}}"), 0, &why),
        ERR_AUTH);
    cr_expect_eq(model_responses.refusal(404, STR("{\"error\":{\"message\":\"no\"}}"), 0, &why),
                 ERR_NOT_FOUND);
}
