/*
 * The anthropic codec on answers as the server sends them, in tests/fixtures/anthropic, and what it
 * asks.
 */
#include "core/base/json.h"
#include "core/model/types.h"
#include "tests/unit/model/codec_case.h"

static struct anthropic anthropic = {
    .remote.base = { .type = &model_anthropic,
                     .name = "m",
                     .model = "claude-x",
                     .max_tokens = 100,
                     .reply_max = 4096 },
    .remote.base_url = "https://api.example/v1/",
    .remote.api_key = "sk-ant-secret",
    .version = ANTHROPIC_2023_06_01,
    .stream = true,
    .temperature = -1,
};

#define HELLO   "Hello, w\xc3\xb6rld \xf0\x9f\x98\x80"
#define UNKNOWN "\xef\xbf\xbd"
/* 12 read, 5 written to the cache, 100 out of it */
#define USE                      \
    {                            \
        117, 7, 100, 0, true, 5, \
    }
#define BEGUN                     \
    {                             \
        117, 1, 100, 0, false, 5, \
    }
#define NO_USE            \
    {                     \
        0, 0, 0, 0, false \
    }

static const struct codec_case cases[] = {
    { "text.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "crlf.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "cr.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "bom.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "no_space.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "data_only.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "no_final_newline.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "after_the_end.sse", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "cut.sse", ERR_NONE, "Hello, ", false, MODEL_STOP, BEGUN },
    { "cut_between.sse", ERR_NONE, "Hello, ", false, MODEL_STOP, BEGUN },
    { "cut_before_stop.sse", ERR_NONE, HELLO, false, MODEL_STOP, USE },
    { "length.sse", ERR_NONE, "Hel", true, MODEL_LENGTH, USE },
    { "window.sse", ERR_NONE, "Hel", true, MODEL_LENGTH, USE },
    { "stop_sequence.sse", ERR_NONE, "Hel", true, MODEL_STOP, USE },
    { "refusal.sse", ERR_NONE, "Hel", true, MODEL_FILTER, USE },
    { "pause.sse", ERR_NONE, "So far", true, MODEL_PAUSE, USE, NULL,
      "[{\"type\":\"server_tool_use\",\"id\":\"srvtoolu_1\",\"name\":\"web_search\","
      "\"input\":{\"query\":\"x\"}},"
      "{\"type\":\"web_search_tool_result\",\"tool_use_id\":\"srvtoolu_1\",\"content\":[]}]" },
    { "pause_whole.json", ERR_NONE, "I look. Well: ", true, MODEL_PAUSE, USE, NULL,
      "[8,{\"type\":\"mcp_tool_use\",\"id\":\"m1\",\"name\":\"w\",\"server_name\":\"s\","
      "\"input\":{\"q\":{}}},"
      "{\"type\":\"mcp_tool_result\",\"tool_use_id\":\"m1\",\"is_error\":false,\"content\":"
      "[{\"type\":\"text\",\"text\":\"\\\"input\\\":{}\"}]}]" },
    { "usage_late.sse", ERR_NONE, "ok", true, MODEL_STOP, { 43, 9, 0, 4, true, 3 } },
    { "usage_absurd.sse", ERR_NONE, "ok", true, MODEL_STOP, { 0, 0, 0, 0, false } },
    { "usage_zero.sse", ERR_NONE, "ok", true, MODEL_STOP, NO_USE },
    { "tools.sse", ERR_NONE, "I look. ", true, MODEL_TOOL, USE,
      "toolu_1 weather {\"city\":\"Par\xc3\xafs\",\"days\":[1,2]};toolu_2 now {};" },
    { "tools_cut.sse", ERR_NONE, "", false, MODEL_TOOL, USE },
    { "tools_odd.sse", ERR_NONE, "", true, MODEL_TOOL, USE,
      "call_1 a {\"q\":1};toolu_2 b {\"q\":3};toolu_3 c {not json;call_4 d {};" },
    { "tools_halves.sse", ERR_NONE, "", true, MODEL_TOOL, USE,
      "t a {\"q\":\"\xf0\x9f\x98\x80 " UNKNOWN "\"};" },
    { "thinking.sse",
      ERR_NONE,
      "w\xc3\xb6rld",
      true,
      MODEL_TOOL,
      { 117, 20, 100, 11, true, 5 },
      "toolu_1 w {};",
      "[{\"type\":\"thinking\",\"thinking\":\"Let me see: \\\"w\xc3\xb6rld\\\"\","
      "\"signature\":\"EqQB/+==\"},{\"type\":\"redacted_thinking\",\"data\":\"EmwKA/+=\"},6,"
      "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"Sig2\"}]" },
    { "thinking_unsigned.sse", ERR_NONE, "Yes.", true, MODEL_STOP, USE, NULL,
      "[{\"type\":\"thinking\",\"thinking\":\"A\",\"signature\":\"Sig\"}]" },
    { "thinking_cut.sse", ERR_NONE, "", false, MODEL_STOP, BEGUN },
    { "unknown.sse", ERR_NONE, "fine", true, MODEL_STOP, USE },
    { "nulls.sse", ERR_NONE, "fine", true, MODEL_STOP, NO_USE },
    { "not_an_object.sse", ERR_PROTO, "so far", false, MODEL_STOP, BEGUN },
    { "bad_json.sse", ERR_PROTO, "so far", false, MODEL_STOP, BEGUN },
    { "nul.sse", ERR_NONE, "a" UNKNOWN "b", true, MODEL_STOP, USE },
    { "bad_utf8.sse", ERR_NONE, "a" UNKNOWN "bc" UNKNOWN "d", true, MODEL_STOP, USE },
    { "halves.sse", ERR_NONE, "\xf0\x9f\x98\x80!", true, MODEL_STOP, USE },
    { "empty.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "comments_only.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "error.sse", ERR_LIMIT, "", false, MODEL_STOP, NO_USE },
    { "error_midway.sse", ERR_IO, "Half ", false, MODEL_STOP, BEGUN },
    { "error_invalid.sse", ERR_REFUSED, "", false, MODEL_STOP, BEGUN },
    { "error_unknown.sse", ERR_IO, "", false, MODEL_STOP, BEGUN },
    { "error_bare.sse", ERR_IO, "Half ", false, MODEL_STOP, BEGUN },
    { "whole.json", ERR_NONE, HELLO, true, MODEL_STOP, USE },
    { "whole_tools.json", ERR_NONE, "I look.", true, MODEL_TOOL, USE,
      "toolu_1 w {\"q\":[\"\xc3\xb6\",1.5,{\"z\":null}]};",
      "[{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"Sig\"}]" },
    { "whole_cut.json", ERR_PROTO, "", false, MODEL_STOP, NO_USE },
    { "whole_error.json", ERR_AUTH, "", false, MODEL_STOP, NO_USE },
    { "page.html", ERR_IO, "", false, MODEL_STOP, NO_USE },
};

Test(anthropic, answers_in_any_chunking)
{
    codec_expect_all(&anthropic.remote.base, "anthropic", "text/event-stream", cases,
                     sizeof(cases) / sizeof(*cases));
}

Test(anthropic, calls_do_not_wait_for_the_connection_to_close)
{
    codec_expect_before_end(&anthropic.remote.base, "anthropic", "tools.sse",
                            "toolu_1 weather {\"city\":\"Par\xc3\xafs\",\"days\":[1,2]};"
                            "toolu_2 now {};",
                            NULL);
}

#define EVENT(json) "event: e\ndata: " json "\n\n"

Test(anthropic, what_is_a_sign_of_life)
{
    static const struct {
        const char *in;
        bool alive;
    } signs[] = {
        { EVENT("{\"type\":\"ping\"}"), false },
        { EVENT("{\"type\":\"message_start\",\"message\":{\"usage\":{}}}"), false },
        { EVENT("{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"text\","
                "\"text\":\"\"}}"),
          false },
        { EVENT("{\"type\":\"content_block_start\",\"content_block\":"
                "{\"type\":\"redacted_thinking\",\"data\":\"E\"}}"),
          true },
        { EVENT("{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"thinking\"}}"),
          true },
        { EVENT("{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"thinking_delta\","
                "\"thinking\":\"Hm\"}}"),
          true },
        { EVENT("{\"type\":\"content_block_start\",\"content_block\":{\"type\":\"tool_use\"}}"),
          true },
    };
    for (size_t i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
        struct codec_taken t;
        struct err why;
        codec_decode(&anthropic.remote.base, str_of(signs[i].in), "", 9, &t, &why);
        cr_expect_eq(t.sink.alive, signs[i].alive, "%zu", i);
        cr_expect_eq(t.text.n, 0);
        codec_taken_done(&t);
    }
}

Test(anthropic, what_has_no_end_has_a_maximum)
{
    struct codec_taken t;
    struct err why;
    struct buf in = BUF_INIT(16 * 1024 * 1024);
    buf_add_cstr(&in, "data: {\"type\":\"ping\",\"x\":\"");
    for (int i = 0; i < 40000; i++) buf_add_cstr(&in, "xxxxxxxxxx"); /* an event without an end */
    cr_expect_eq(codec_decode(&anthropic.remote.base, buf_str(&in), "", 5000, &t, &why), ERR_PROTO);
    codec_taken_done(&t);

    buf_clear(&in);
    for (int i = 0; i < 33; i++)
        buf_addf(&in,
                 EVENT("{\"type\":\"content_block_start\",\"index\":%d,\"content_block\":"
                       "{\"type\":\"tool_use\",\"name\":\"v\"}}"),
                 i);
    cr_expect_eq(codec_decode(&anthropic.remote.base, buf_str(&in), "", 4096, &t, &why), ERR_PROTO);
    codec_taken_done(&t);

    buf_clear(&in); /* more thoughts than are kept: none are, and the text comes all the same */
    buf_add_cstr(&in, EVENT("{\"type\":\"content_block_start\",\"content_block\":"
                            "{\"type\":\"redacted_thinking\",\"data\":\"E\"}}"));
    buf_add_cstr(&in, EVENT("{\"type\":\"content_block_start\",\"content_block\":"
                            "{\"type\":\"thinking\",\"signature\":\"Sig\"}}"));
    for (int i = 0; i < 15000; i++)
        buf_add_cstr(&in, EVENT("{\"type\":\"content_block_delta\",\"delta\":{\"thinking\":"
                                "\"0123456789012345678901234567890123456789012345678901234567890123"
                                "456789\"}}"));
    buf_add_cstr(&in, EVENT("{\"type\":\"content_block_delta\",\"delta\":{\"text\":\"So.\"}}"));
    buf_add_cstr(&in, EVENT("{\"type\":\"message_stop\"}"));
    cr_expect_eq(codec_decode(&anthropic.remote.base, buf_str(&in), "", 4096, &t, &why), ERR_NONE);
    cr_expect_eq(t.kept.n, 0);
    cr_expect_str_eq(t.text.p, "So.");
    cr_expect(t.sink.alive);
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
    cr_assert_eq(model_anthropic.encode(&anthropic.remote.base, ask, &arena, &rq, &why), ERR_NONE);
    cr_assert_eq(json_parse(rq.body, &doc, &why), ERR_NONE, "%s", rq.body.p);
    return doc;
}

static void expect_body(const struct model_ask *ask, const char *key, const char *want)
{
    struct json *doc = encoded(ask);
    codec_expect_json(json_get(doc, key), want);
    json_free(doc);
}

static void expect_messages(const struct model_message *messages, size_t n, const char *want)
{
    struct model_ask ask = { .messages = messages, .n_messages = n };
    expect_body(&ask, "messages", want);
}

#define USER(text) "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}"
#define MODEL(text) \
    "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}"

static const struct model_message talk[] = {
    { MODEL_SYSTEM, { "Be kind.", 8 } },  { MODEL_USER, { "Hi \"you\"", 8 } },
    { MODEL_ASSISTANT, { "Hello", 5 } },  { MODEL_ASSISTANT, { "", 0 } },
    { MODEL_SYSTEM, { "Be short.", 9 } }, { MODEL_USER, { "Why?", 4 } },
};

Test(anthropic, encodes_a_conversation)
{
    struct model_ask ask = { talk, 6 };
    struct json *doc = encoded(&ask);
    codec_expect_json(doc, "{\"model\":\"claude-x\",\"system\":\"Be kind.\\n\\nBe short.\","
                           "\"messages\":[" USER("Hi \\\"you\\\"") "," MODEL("Hello") "," USER(
                               "Why?") "],\"max_tokens\":100,\"stream\":true}");
    json_free(doc);
    cr_expect_str_eq(rq.method, "POST");
    cr_expect_str_eq(rq.url, "https://api.example/v1/messages");
    cr_expect_str_eq(codec_header(&rq, "x-api-key", &arena), "sk-ant-secret");
    cr_expect_str_eq(codec_header(&rq, "anthropic-version", &arena), "2023-06-01");
    cr_expect_str_eq(codec_header(&rq, "Content-Type", &arena), "application/json");
    cr_expect_str_eq(codec_header(&rq, "Accept", &arena), "text/event-stream");
    cr_expect_null(codec_header(&rq, "Authorization", &arena));
    arena_done(&arena);
}

Test(anthropic, turns_alternate_and_people_begin)
{
    static const struct model_message neighbours[] = {
        { MODEL_USER, { " \n", 2 } },        { MODEL_ASSISTANT, { "Welcome", 7 } },
        { MODEL_ASSISTANT, { "all", 3 } },   { MODEL_USER, { "[ann] one", 9 } },
        { MODEL_SYSTEM, { "Be kind.", 8 } }, { MODEL_USER, { "\t", 1 } },
        { MODEL_USER, { "[bob] two", 9 } },  { MODEL_ASSISTANT, { "  ", 2 } },
        { MODEL_USER, { "three", 5 } },
    };
    expect_messages(
        neighbours, 9,
        "[" USER(
            "[The conversation began earlier.]") ","
                                                 "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"Welcome\"},"
                                                 "{\"type\":\"text\",\"text\":\"all\"}]},"
                                                 "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"[ann] one\"},"
                                                 "{\"type\":\"text\",\"text\":\"[bob] two\"},{\"type\":\"text\",\"text\":\"three\"}]}]");
    expect_messages(neighbours, 1, "[]");
    struct model_ask blank = { neighbours + 3, 1 };
    expect_body(&blank, "system", "null");
    arena_done(&arena);
}

Test(anthropic, encodes_pictures)
{
    const struct model_picture pictures[] = {
        { .type = STR("image/png"), .data = STR("QUJD") },
        { .url = STR("https://example.org/a.png"), .type = STR("image/png") },
        { .type = STR("image/heic"), .data = STR("QUJD") },
    };
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Look"), .pictures = pictures, .n_pictures = 3 },
        { .role = MODEL_USER, .pictures = pictures, .n_pictures = 1 },
    };
    expect_messages(messages, 2,
                    "[{\"role\":\"user\",\"content\":["
                    "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
                    "\"image/png\",\"data\":\"QUJD\"}},"
                    "{\"type\":\"image\",\"source\":{\"type\":\"url\",\"url\":"
                    "\"https://example.org/a.png\"}},"
                    "{\"type\":\"text\",\"text\":\"[A picture in a format that cannot be shown to "
                    "you.]\"},"
                    "{\"type\":\"text\",\"text\":\"Look\"},"
                    "{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":"
                    "\"image/png\",\"data\":\"QUJD\"}}]}]");
    arena_done(&arena);
}

Test(anthropic, encodes_tools_and_their_results)
{
    const struct model_call calls[] = { { STR("a"), STR("w"), STR("{\"q\":1}") },
                                        { STR("b"), STR("w"), STR("no \"json") },
                                        { STR("c"), STR("w"), STR_NONE },
                                        { STR("d"), STR("w"), STR("[1]") } };
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Weather?") },
        { .role = MODEL_ASSISTANT, .text = STR("I look."), .calls = calls, .n_calls = 4 },
        { .role = MODEL_TOOL_RESULT, .text = STR("cold"), .call_id = STR("a") },
        { .role = MODEL_USER, .text = STR("Hurry") },
        { .role = MODEL_TOOL_RESULT, .text = STR("no"), .call_id = STR("b"), .failed = true },
        { .role = MODEL_TOOL_RESULT, .call_id = STR("c") },
    };
    const struct model_tool tools[] = {
        { STR("w"), STR("weather"), STR("{\"type\":\"object\"}") },
        { STR("v"), STR_NONE, STR("{\"type\":\"object\"}") },
    };
    struct model_ask ask = { messages, 6, tools, 2 };
    struct json *doc = encoded(&ask), *list = json_get(doc, "messages");
    codec_expect_json(
        json_at(list, 1),
        "{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"I look.\"},"
        "{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"w\",\"input\":{\"q\":1}},"
        "{\"type\":\"tool_use\",\"id\":\"b\",\"name\":\"w\",\"input\":"
        "{\"not_an_object\":\"no \\\"json\"}},"
        "{\"type\":\"tool_use\",\"id\":\"c\",\"name\":\"w\",\"input\":{}},"
        "{\"type\":\"tool_use\",\"id\":\"d\",\"name\":\"w\",\"input\":"
        "{\"not_an_object\":\"[1]\"}}]}");
    codec_expect_json(
        json_at(list, 2),
        "{\"role\":\"user\",\"content\":["
        "{\"type\":\"tool_result\",\"tool_use_id\":\"a\",\"content\":\"cold\"},"
        "{\"type\":\"tool_result\",\"tool_use_id\":\"b\",\"content\":\"no\",\"is_error\":true},"
        "{\"type\":\"tool_result\",\"tool_use_id\":\"c\"},"
        "{\"type\":\"text\",\"text\":\"Hurry\"}]}");
    codec_expect_json(
        json_get(doc, "tools"),
        "[{\"name\":\"w\",\"description\":\"weather\",\"input_schema\":{\"type\":\"object\"}},"
        "{\"name\":\"v\",\"input_schema\":{\"type\":\"object\"}}]");
    json_free(doc);
    arena_done(&arena);
}

/* What was kept of an answer, sent back, must be the very bytes in the very order. */
Test(anthropic, thoughts_go_back_where_they_stood)
{
    struct buf in = BUF_INIT(65536);
    struct codec_taken t;
    struct err why;
    const struct model_call call = { STR("toolu_1"), STR("w"), STR("{}") };
    codec_fixture("anthropic", "thinking.sse", &in);
    codec_decode(&anthropic.remote.base, buf_str(&in), "", 64, &t, &why);
    struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Hm?") },
        { .role = MODEL_ASSISTANT,
          .text = STR("w\xc3\xb6rld"),
          .calls = &call,
          .n_calls = 1,
          .kept = buf_str(&t.kept) },
    };
    static const char *const foreign[] = {
        "\"Hm\"",
        "[{\"type\":\"reasoning\",\"text\":\"Hm\"},3,7]",
        "[{\"thoughtSignature\":\"S\"}]",
        "[{\"type\":\"thinking\",\"thinking\":\"Hm\"}, null]",
        "no json",
        "[2,-1,1e9]",
    };
    expect_messages(
        messages, 2,
        "[" USER(
            "Hm?") ",{\"role\":\"assistant\",\"content\":["
                   "{\"type\":\"thinking\",\"thinking\":\"Let me see: \\\"w\xc3\xb6rld\\\"\","
                   "\"signature\":\"EqQB/+==\"},{\"type\":\"redacted_thinking\",\"data\":"
                   "\"EmwKA/+=\"},{\"type\":\"text\",\"text\":\"w\xc3\xb6rld\"},"
                   "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"Sig2\"},"
                   "{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"name\":\"w\",\"input\":{}}]}]");
    messages[1].n_calls = 0;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(*foreign); i++) {
        messages[1].kept = str_of(foreign[i]);
        expect_messages(messages, 2, "[" USER("Hm?") "," MODEL("w\xc3\xb6rld") "]");
    }
    codec_taken_done(&t);
    buf_done(&in);
    arena_done(&arena);
}

static void decode_file(const char *file, struct codec_taken *t)
{
    struct buf in = BUF_INIT(65536);
    struct err why;
    codec_fixture("anthropic", file, &in);
    codec_decode(&anthropic.remote.base, buf_str(&in), "", 64, t, &why);
    buf_done(&in);
}

/* https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons#pause-turn */
Test(anthropic, what_was_said_before_a_pause_goes_back_as_it_was)
{
    struct codec_taken t;
    decode_file("pause.sse", &t);
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = STR("Hm?") },
        { .role = MODEL_ASSISTANT, .text = buf_str(&t.text), .kept = buf_str(&t.kept) },
    };
    expect_messages(
        messages, 2,
        "[" USER(
            "Hm?") ",{\"role\":\"assistant\",\"content\":["
                   "{\"type\":\"server_tool_use\",\"id\":\"srvtoolu_1\",\"name\":\"web_search\","
                   "\"input\":{\"query\":\"x\"}},{\"type\":\"web_search_tool_result\","
                   "\"tool_use_id\":\"srvtoolu_1\",\"content\":[]},"
                   "{\"type\":\"text\",\"text\":\"So far\"}]}]");
    codec_taken_done(&t);
    arena_done(&arena);
}

/* Half of what is wanted back would be refused: then nothing is. */
Test(anthropic, an_input_that_is_no_json_is_not_kept)
{
    static const char in[] = EVENT("{\"type\":\"content_block_start\",\"content_block\":{\"type\":"
                                   "\"server_tool_use\",\"id\":\"s\",\"name\":\"w\",\"input\":{}}}")
        EVENT("{\"type\":\"content_block_delta\",\"delta\":{\"partial_json\":\"{\\\"q\"}}")
            EVENT("{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"pause_turn\"}}")
                EVENT("{\"type\":\"message_stop\"}");
    struct codec_taken t;
    struct err why;
    cr_expect_eq(codec_decode(&anthropic.remote.base, str_of(in), "", 64, &t, &why), ERR_NONE);
    cr_expect_eq(t.sink.finish, MODEL_PAUSE);
    cr_expect_eq(t.kept.n, 0);
    codec_taken_done(&t);
}

Test(anthropic, encodes_what_is_configured)
{
    const char *headers[] = { "anthropic-beta: x " };
    struct model_ask ask = { talk, 6, .max_tokens = 7 };
    anthropic.temperature = 0.5;
    anthropic.stream = false;
    anthropic.remote.api_key = "";
    anthropic.remote.headers = (struct conf_list){ 1, headers };
    struct json *doc = encoded(&ask);
    codec_expect_json(json_get(doc, "temperature"), "0.5");
    codec_expect_json(json_get(doc, "max_tokens"), "7");
    cr_expect_not(json_get(doc, "stream"));
    cr_expect_not(json_get(doc, "thinking"));
    cr_expect_not(json_get(doc, "cache_control"));
    json_free(doc);
    cr_expect_null(codec_header(&rq, "x-api-key", &arena));
    cr_expect_null(codec_header(&rq, "Accept", &arena));
    cr_expect_str_eq(codec_header(&rq, "anthropic-beta", &arena), "x");

    /* The later version refuses sampling; the server demands a maximum. */
    anthropic.version = ANTHROPIC_2026_10_21;
    anthropic.thinking = 1;
    cr_expect_not(model_writes_cache(&anthropic.remote.base));
    anthropic.cache = true;
    cr_expect(model_writes_cache(&anthropic.remote.base));
    anthropic.remote.base.max_tokens = 0;
    ask.max_tokens = 0;
    doc = encoded(&ask);
    cr_expect_not(json_get(doc, "temperature"));
    codec_expect_json(json_get(doc, "max_tokens"), "8192");
    codec_expect_json(json_get(doc, "thinking"), "{\"type\":\"adaptive\"}");
    codec_expect_json(json_get(doc, "cache_control"), "{\"type\":\"ephemeral\"}");
    json_free(doc);
    cr_expect_str_eq(codec_header(&rq, "anthropic-version", &arena), "2026-10-21");
    arena_done(&arena);
}

/* ---- refusals ---- */

#define ERROR(type, message) \
    "{\"type\":\"error\",\"error\":{\"type\":\"" type "\",\"message\":\"" message "\"}}"

static const struct codec_refusal refusals[] = {
    { 400, ERROR("invalid_request_error", "max_tokens: required"), 0, ERR_REFUSED, 0,
      "400: the request was refused: max_tokens: required" },
    { 400, ERROR("invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum"), 0,
      ERR_LIMIT, 0,
      "400: the conversation is too long for this model: prompt is too long: 210000 tokens > 200000 "
      "maximum" },
    { 400,
      ERROR("invalid_request_error", "input length and `max_tokens` exceed context limit: 1 + 2"),
      0, ERR_LIMIT, 0,
      "400: the conversation is too long for this model: input length and `max_tokens` exceed "
      "context limit: 1 + 2" },
    { 401, ERROR("authentication_error", "invalid x-api-key"), 0, ERR_AUTH, 0,
      "401: the API key was refused" },
    { 402, ERROR("billing_error", "Pay"), 0, ERR_AUTH, 0,
      "402: no credit is left, or a spending limit is reached: Pay" },
    { 403, ERROR("permission_error", "No"), 0, ERR_AUTH, 0, "403: access was denied: No" },
    { 404, ERROR("not_found_error", "model: claude-x"), 0, ERR_NOT_FOUND, 0,
      "404: no such model, or a wrong address: model: claude-x" },
    { 409, ERROR("conflict_error", "Busy"), 0, ERR_IO, 0,
      "409: the server is overloaded or failing: Busy" },
    { 413, ERROR("request_too_large", "Big"), 0, ERR_LIMIT, 0,
      "413: the conversation is too long for this model: Big" },
    { 429, ERROR("rate_limit_error", "Slow"), 1500, ERR_LIMIT, 1500,
      "429: too many requests: Slow" },
    { 429, ERROR("rate_limit_error", "Slow"), 0, ERR_LIMIT, 5000, "429: too many requests: Slow" },
    { 429,
      "{\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"Spent\","
      "\"details\":{\"error_code\":\"enforced_spend_limit_reached\"}}}",
      1500, ERR_AUTH, 0, "429: no credit is left, or a spending limit is reached: Spent" },
    { 500, ERROR("api_error", "Internal server error"), 0, ERR_IO, 0,
      "500: the server is overloaded or failing: Internal server error" },
    { 504, ERROR("timeout_error", "Late"), 0, ERR_IO, 0,
      "504: the server is overloaded or failing: Late" },
    { 529, ERROR("overloaded_error", "Overloaded"), 2000, ERR_IO, 2000,
      "529: the server is overloaded or failing: Overloaded" },
    { 503, "<html><body>nginx</body></html>", 0, ERR_IO, 0,
      "503: the server is overloaded or failing" },
    { 502, "Bad\nGateway", 0, ERR_IO, 0, "502: the server is overloaded or failing: Bad Gateway" },
    { 500, "{\"error\":\"boom\"}", 0, ERR_IO, 0, "500: the server is overloaded or failing: boom" },
    { 404, "{\"message\":\"no route\"}", 0, ERR_NOT_FOUND, 0,
      "404: no such model, or a wrong address: no route" },
    { 400, "[null]", 0, ERR_REFUSED, 0, "400: the request was refused" },
    { 302, "", 0, ERR_CONF, 0, "302: the server sends us elsewhere; check base_url" },
};

Test(anthropic, refusals)
{
    codec_expect_refusals(&model_anthropic, refusals, sizeof(refusals) / sizeof(*refusals));
}

Test(anthropic, an_error_inside_an_answer_says_what_it_is)
{
    static const struct {
        const char *in, *want;
    } errors[] = {
        { EVENT(ERROR("overloaded_error", "O")), "529: the server is overloaded or failing: O" },
        { EVENT(ERROR("api_error", "A")), "500: the server is overloaded or failing: A" },
        { EVENT(ERROR("surprise_error", "S")), "the server is overloaded or failing: S" },
        { ERROR("not_found_error", "N"), "404: no such model, or a wrong address: N" },
        { "{\"error\":\"text\"}", "the server is overloaded or failing: text" },
    };
    for (size_t i = 0; i < sizeof(errors) / sizeof(*errors); i++) {
        struct codec_taken t;
        struct err why = ERR_INIT;
        codec_decode(&anthropic.remote.base, str_of(errors[i].in), "", 5, &t, &why);
        cr_expect_str_eq(why.msg, errors[i].want);
        codec_taken_done(&t);
    }
}

Test(anthropic, bad_settings_are_refused)
{
    const char *key = NULL;
    struct err why;
    struct anthropic m = anthropic;
    cr_expect_eq(model_anthropic.check(&m.remote.base, &key, &why), ERR_NONE);
    m.remote.base_url = "api.example/v1";
    cr_expect_eq(model_anthropic.check(&m.remote.base, &key, &why), ERR_CONF);
    cr_expect_str_eq(key, "base_url");
}
