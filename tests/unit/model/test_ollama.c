/*
 * The ollama codec on answers as Ollama sends them, in tests/fixtures/ollama, and what it asks.
 */
#include "core/base/json.h"
#include "core/model/types.h"
#include "tests/unit/model/codec_case.h"

static struct ollama ollama = {
    .remote.base = { .type = &model_ollama,
                     .name = "m",
                     .model = "llama3.2:latest",
                     .context_tokens = 8192,
                     .max_tokens = 100,
                     .reply_max = 4096 },
    .remote.base_url = "http://127.0.0.1:11434/",
    .remote.api_key = "",
    .stream = true,
    .keep_alive = "",
    .temperature = -1,
};

#define HELLO "Hello, w\xc3\xb6rld \xf0\x9f\x98\x80"
#define USE                \
    {                      \
        26, 28, 0, 0, true \
    }
#define NO_USE            \
    {                     \
        0, 0, 0, 0, false \
    }

static const struct codec_case cases[] = {
    { "chat.ndjson", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "crlf.ndjson", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "no_final_newline.ndjson", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "blank_lines.ndjson", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "whole.json", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "after_the_end.ndjson", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "no_prompt_count.ndjson", ERR_NONE, HELLO, true, MODEL_STOP, { 0, 3, 0, 0, true } },
    { "zero_counts.ndjson", ERR_NONE, "Hi", true, MODEL_STOP, NO_USE },
    { "no_counts.ndjson", ERR_NONE, HELLO, true, MODEL_STOP, NO_USE },
    { "no_reason.ndjson", ERR_NONE, HELLO, true, MODEL_STOP, NO_USE },
    { "length.ndjson", ERR_NONE, "Hel", true, MODEL_LENGTH, USE },
    { "runner_gone.ndjson", ERR_NONE, "Hel", true, MODEL_CUT, NO_USE },
    { "load.ndjson", ERR_NONE, "", true, MODEL_STOP, NO_USE },
    { "cut.ndjson", ERR_NONE, "Hello, ", false, MODEL_STOP, NO_USE },
    { "cut_between.ndjson", ERR_NONE, "Hello, ", false, MODEL_STOP, NO_USE },
    { "error.ndjson", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "error_midway.ndjson", ERR_IO, "Half ", false, MODEL_STOP, NO_USE },
    { "too_long.ndjson", ERR_LIMIT, "", false, MODEL_STOP, NO_USE },
    { "thinking.ndjson", ERR_NONE, "Yes.", true, MODEL_STOP, USE },
    { "tools.ndjson", ERR_NONE, "", true, MODEL_TOOL, USE,
      "call_1 weather {\"city\":\"Par\xc3\xafs\",\"days\":[1,2.5,null]};",
      "\"Look \\\"it\\\" up.\"" },
    { "tools_two.ndjson", ERR_NONE, "I look. ", true, MODEL_TOOL, USE,
      "call_x a {};call_2 a {\"n\":1};call_3 b {};call_4 c {\"s\":1};" },
    { "tools_cut.ndjson", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "nulls.ndjson", ERR_NONE, "fine", true, MODEL_STOP, NO_USE },
    { "not_an_object.ndjson", ERR_PROTO, "so far", false, MODEL_STOP, NO_USE },
    { "bad_json.ndjson", ERR_PROTO, "so far", false, MODEL_STOP, NO_USE },
    { "bad_utf8.ndjson",
      ERR_NONE,
      "a\xef\xbf\xbd"
      "b",
      true,
      MODEL_STOP,
      { 1, 1, 0, 0, true } },
    { "halves.ndjson", ERR_NONE, "\xf0\x9f\x98\x80!", true, MODEL_STOP, NO_USE },
    { "nul.ndjson", ERR_NONE,
      "a\xef\xbf\xbd"
      "b",
      true, MODEL_STOP, NO_USE },
    { "page.html", ERR_IO, "", false, MODEL_STOP, NO_USE },
    { "empty.ndjson", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "text.txt", ERR_NONE, "", false, MODEL_STOP, NO_USE },
};

Test(ollama, answers_in_any_chunking)
{
    codec_expect_all(&ollama.remote.base, "ollama", "application/x-ndjson", cases,
                     sizeof(cases) / sizeof(*cases));
}

Test(ollama, calls_are_there_before_the_connection_ends)
{
    codec_expect_before_end(&ollama.remote.base, "ollama", "tools_two.ndjson",
                            "call_x a {};call_2 a {\"n\":1};call_3 b {};call_4 c {\"s\":1};", NULL);
}

Test(ollama, thinking_is_a_sign_of_life_but_no_text)
{
    struct codec_taken t;
    struct err why;
    codec_decode(&ollama.remote.base, STR("{\"message\":{\"content\":\"\",\"thinking\":\"\"}}\n"),
                 "", 9, &t, &why);
    cr_expect_not(t.sink.alive);
    codec_taken_done(&t);
    codec_decode(&ollama.remote.base, STR("{\"message\":{\"content\":\"\",\"thinking\":\"H\"}}\n"),
                 "", 9, &t, &why);
    cr_expect(t.sink.alive);
    cr_expect_eq(t.text.n, 0);
    codec_taken_done(&t);
}

Test(ollama, what_has_no_end_has_a_maximum)
{
    struct codec_taken t;
    struct err why;
    struct buf in = BUF_INIT(4 * 1024 * 1024);
    buf_add_cstr(&in, "{\"message\":{\"content\":\"");
    for (int i = 0; i < 40000; i++) buf_add_cstr(&in, "xxxxxxxxxx"); /* a line without an end */
    cr_expect_eq(codec_decode(&ollama.remote.base, buf_str(&in), "", 5000, &t, &why), ERR_PROTO);
    codec_taken_done(&t);

    buf_clear(&in);
    for (int i = 0; i < 33; i++)
        buf_add_cstr(&in, "{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"v\"}}]}}\n");
    cr_expect_eq(codec_decode(&ollama.remote.base, buf_str(&in), "", 4096, &t, &why), ERR_PROTO);
    codec_taken_done(&t);

    buf_clear(&in); /* more thoughts than are kept: none are, and the call comes all the same */
    for (int i = 0; i < 1000; i++) buf_add_cstr(&in, "{\"message\":{\"thinking\":\"hmmmm\"}}\n");
    buf_add_cstr(&in, "{\"message\":{\"tool_calls\":[{\"function\":{\"name\":\"v\"}}]}}\n");
    buf_add_cstr(&in, "{\"done\":true}\n");
    cr_expect_eq(codec_decode(&ollama.remote.base, buf_str(&in), "", 4096, &t, &why), ERR_NONE);
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
    cr_assert_eq(model_ollama.encode(&ollama.remote.base, ask, &arena, &rq, &why), ERR_NONE);
    cr_assert_eq(json_parse(rq.body, &doc, &why), ERR_NONE);
    return doc;
}

/* The value at `key` of `obj`, as it was written. */
static void expect_json(struct json *v, const char *want)
{
    struct buf got = BUF_INIT(65536);
    json_write(v, &got);
    cr_expect_str_eq(got.p, want);
    buf_done(&got);
}

static const struct model_message talk[] = {
    { MODEL_SYSTEM, { "Be kind.", 8 } },  { MODEL_USER, { "Hi \"you\"", 8 } },
    { MODEL_ASSISTANT, { "Hello", 5 } },  { MODEL_ASSISTANT, { "", 0 } },
    { MODEL_SYSTEM, { "Be short.", 9 } }, { MODEL_USER, { "Why?", 4 } },
};

Test(ollama, encodes_a_conversation)
{
    struct model_ask ask = { talk, 6 };
    struct json *doc = encoded(&ask);
    expect_json(json_get(doc, "messages"),
                "[{\"role\":\"system\",\"content\":\"Be kind.\\n\\nBe short.\"},"
                "{\"role\":\"user\",\"content\":\"Hi \\\"you\\\"\"},"
                "{\"role\":\"assistant\",\"content\":\"Hello\"},"
                "{\"role\":\"user\",\"content\":\"Why?\"}]");
    expect_json(json_get(doc, "model"), "\"llama3.2:latest\"");
    expect_json(json_get(doc, "options"), "{\"num_ctx\":8192,\"num_predict\":100}");
    expect_json(json_get(doc, "stream"), "true");
    cr_expect_not(json_get(doc, "think"));
    cr_expect_not(json_get(doc, "keep_alive"));
    cr_expect_not(json_get(doc, "tools"));
    json_free(doc);
    cr_expect_str_eq(rq.method, "POST");
    cr_expect_str_eq(rq.url, "http://127.0.0.1:11434/api/chat");
    for (size_t i = 0; i < rq.n_headers; i++)
        cr_expect_not(str_eq(rq.headers[i].name, STR("Authorization")));
    arena_done(&arena);
}

Test(ollama, encodes_tools_pictures_and_thoughts)
{
    const struct model_call calls[] = { { STR("a"), STR("w"), STR("{\"q\":1}") },
                                        { STR("b"), STR("w"), STR("no json") } };
    const struct model_picture pictures[] = {
        { .type = STR("image/png"), .data = STR("QUJD") },
        { .url = STR("https://example.org/a.png"), .type = STR("image/png") },
    };
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Look"), .pictures = pictures, .n_pictures = 2 },
        { .role = MODEL_ASSISTANT, .calls = calls, .n_calls = 2, .kept = STR("\"Hm\"") },
        { .role = MODEL_TOOL_RESULT,
          .text = STR("cold"),
          .call_id = STR("a"),
          .call_name = STR("w") },
        { .role = MODEL_ASSISTANT, .text = STR("So."), .kept = STR("[\"of another backend\"]") },
    };
    const struct model_tool tool = { STR("w"), STR("weather"), STR("{\"type\":\"object\"}") };
    struct model_ask ask = { .messages = messages, .n_messages = 4, .tools = &tool, .n_tools = 1 };
    struct json *doc = encoded(&ask), *list = json_get(doc, "messages");
    expect_json(json_at(list, 0),
                "{\"role\":\"user\",\"content\":\"Look\\n\\n[1 of the pictures sent with this "
                "cannot be shown.]\",\"images\":[\"QUJD\"]}");
    expect_json(json_at(list, 1),
                "{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"Hm\",\"tool_calls\":["
                "{\"id\":\"a\",\"function\":{\"name\":\"w\",\"arguments\":{\"q\":1}}},"
                "{\"id\":\"b\",\"function\":{\"name\":\"w\",\"arguments\":{}}}]}");
    expect_json(json_at(list, 2), "{\"role\":\"tool\",\"tool_name\":\"w\",\"tool_call_id\":\"a\","
                                  "\"content\":\"cold\"}");
    expect_json(json_at(list, 3), "{\"role\":\"assistant\",\"content\":\"So.\"}");
    expect_json(json_get(doc, "tools"),
                "[{\"type\":\"function\",\"function\":{\"name\":\"w\",\"description\":\"weather\","
                "\"parameters\":{\"type\":\"object\"}}}]");
    json_free(doc);
    arena_done(&arena);
}

Test(ollama, encodes_what_is_configured)
{
    static const struct {
        const char *keep_alive, *keep_alive_want;
        int think;
        const char *think_want;
    } settings[] = {
        { "10m", "\"10m\"", 1, "false" }, { "-1", "-1", 2, "true" }, { "0", "0", 3, "\"low\"" },
        { "300", "300", 6, "\"max\"" },   { "", "null", 0, "null" },
    };
    struct model_ask ask = { talk, 6, .max_tokens = 7 };
    ollama.temperature = 0.5;
    ollama.stream = false;
    ollama.remote.api_key = "secret";
    for (size_t i = 0; i < sizeof(settings) / sizeof(*settings); i++) {
        ollama.keep_alive = settings[i].keep_alive;
        ollama.think = settings[i].think;
        struct json *doc = encoded(&ask);
        expect_json(json_get(doc, "keep_alive"), settings[i].keep_alive_want);
        expect_json(json_get(doc, "think"), settings[i].think_want);
        expect_json(json_get(doc, "stream"), "false");
        expect_json(json_get(doc, "options"),
                    "{\"num_ctx\":8192,\"num_predict\":7,\"temperature\":0.5}");
        json_free(doc);
    }
    cr_expect(str_eq(rq.headers[1].value, STR("Bearer secret")));
    ollama.remote.base.max_tokens = 0;
    ask.max_tokens = 0;
    struct json *doc = encoded(&ask);
    cr_expect_not(json_get(json_get(doc, "options"), "num_predict"));
    json_free(doc);
    arena_done(&arena);
}

/* ---- refusals and settings ---- */

Test(ollama, refusals)
{
    static const struct {
        int status;
        const char *body;
        enum err_kind kind;
        uint32_t wait_ms;
        const char *text;
    } refusals[] = {
        { 400, "{\"error\":\"\\\"m\\\" does not support tools\"}", ERR_REFUSED, 0,
          "400: the request was refused: \"m\" does not support tools" },
        { 404, "{\"error\":\"model 'm' not found\"}", ERR_NOT_FOUND, 0,
          "\"ollama pull\" it first? 404: no such model, or a wrong address: model 'm' not found" },
        { 429, "{\"error\":\"slow down\"}", ERR_LIMIT, 5000, "429: too many requests: slow down" },
        { 499, "{\"error\":\"request canceled\"}", ERR_REFUSED, 0,
          "499: the request was refused: request canceled" },
        { 500, "{\"error\":\"llama runner process has terminated\"}", ERR_IO, 0,
          "500: the server is overloaded or failing: llama runner process has terminated" },
        { 502, "{\"error\":\"cloud\"}", ERR_IO, 0,
          "502: the server is overloaded or failing: cloud" },
        { 503, "{\"error\":\"server busy, please try again\"}", ERR_IO, 0,
          "503: the server is overloaded or failing: server busy, please try again" },
        { 404, "404 page not found", ERR_NOT_FOUND, 0,
          "\"ollama pull\" it first? 404: no such model, or a wrong address: 404 page not found" },
        { 301, "", ERR_CONF, 0, "301: the server sends us elsewhere; check base_url" },
    };
    for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
        struct err why;
        enum err_kind kind =
            model_ollama.refusal(refusals[i].status, str_of(refusals[i].body), 0, &why);
        cr_expect_eq(kind, refusals[i].kind, "%zu: %u", i, kind);
        cr_expect_eq(why.kind, refusals[i].kind);
        cr_expect_str_eq(why.msg, refusals[i].text);
        cr_expect_eq(why.retry_after_ms, refusals[i].wait_ms);
    }
    cr_expect_eq(model_ollama.refusal(404, STR_NONE, 0, NULL), ERR_NOT_FOUND);
}

Test(ollama, bad_settings_are_refused)
{
    static const char *const bad[] = { "localhost:11434", "http://x/v1", "http://x:1/api/" };
    const char *key = NULL;
    struct err why;
    struct ollama m = ollama;
    cr_expect_eq(model_ollama.check(&m.remote.base, &key, &why), ERR_NONE);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        m.remote.base_url = bad[i];
        cr_expect_eq(model_ollama.check(&m.remote.base, &key, &why), ERR_CONF, "%s", bad[i]);
        cr_expect_str_eq(key, "base_url");
    }
}
