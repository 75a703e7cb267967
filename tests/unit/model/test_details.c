/*
 * What OpenRouter's models thought, put together by the openai codec and handed back by it, and
 * other shapes that only some servers have.
 */
#include "core/base/mem.h"
#include "core/model/types.h"
#include "tests/unit/model/codec_case.h"

static struct openai openai = {
    .remote.base = { .type = &model_openai, .name = "m", .model = "", .reply_max = 4096 },
    .remote.base_url = "https://api.example/v1",
    .remote.api_key = "",
    .organization = "",
    .project = "",
    .temperature = -1,
};

#define NO_USE            \
    {                     \
        0, 0, 0, 0, false \
    }
#define KEPT                                                                                  \
    "[{\"type\":\"reasoning.text\",\"text\":\"Let me \\\"look\\\".\",\"signature\":\"c2ln\"," \
    "\"format\":\"anthropic-claude-v1\",\"index\":0},"                                        \
    "{\"type\":\"reasoning.encrypted\",\"data\":\"eA==\",\"id\":\"rs_1\",\"index\":1},"       \
    "{\"type\":\"reasoning.summary\",\"summary\":\"I looked.\"}]"

static const struct codec_case cases[] = {
    { "openrouter_tools.sse", ERR_NONE, "", true, MODEL_TOOL, NO_USE, "a w {};", KEPT },
    { "openrouter_signed_twice.sse", ERR_NONE, "", true, MODEL_TOOL, NO_USE, "a w {};",
      "[{\"type\":\"reasoning.text\",\"text\":\"one\",\"signature\":\"s1\"},"
      "{\"type\":\"reasoning.text\",\"text\":\"two\",\"signature\":\"s2\"},"
      "{\"type\":\"reasoning.text\",\"text\":\"\"}]" },
    { "openrouter_tools_cut.sse", ERR_NONE, "", false, MODEL_STOP, NO_USE },
    { "vllm_error_flat.sse", ERR_LIMIT, "Half", false, MODEL_STOP, NO_USE },
    { "mistral_thinking.sse", ERR_NONE, "Yes.", true, MODEL_LENGTH, { 1, 2, 0, 0, true } },
    { "object_arguments.sse", ERR_NONE, "", true, MODEL_TOOL, NO_USE, "a w {\"q\":[1,\"x\"]};" },
};

Test(details, answers_in_any_chunking)
{
    codec_expect_all(&openai.remote.base, "openai", "text/event-stream", cases,
                     sizeof(cases) / sizeof(*cases));
}

Test(details, are_there_before_the_connection_ends)
{
    codec_expect_before_end(&openai.remote.base, "openai", "openrouter_tools.sse", "a w {};", KEPT);
}

Test(details, go_back_as_they_came)
{
    const struct model_call call = { STR("a"), STR("w"), STR("{}") };
    const struct model_message message = {
        .role = MODEL_ASSISTANT, .calls = &call, .n_calls = 1, .kept = STR(KEPT)
    };
    struct model_ask ask = { .messages = &message, .n_messages = 1 };
    struct http_request rq = { 0 };
    struct arena arena;
    struct err why;
    arena_init(&arena);
    cr_assert_eq(model_openai.encode(&openai.remote.base, &ask, &arena, &rq, &why), ERR_NONE);
    cr_expect_neq(str_find(rq.body, STR("\"reasoning_details\":" KEPT)), SIZE_MAX, "%s", rq.body.p);
    arena_done(&arena);
}

/* Eight of 200 KB: of one text that is too long, or of two that are too long together. */
static void expect_dropped(int fragments_each)
{
    struct codec_taken t;
    struct err why;
    struct buf in = BUF_INIT(8 * 1024 * 1024);
    char *text = mem_alloc(200001);
    memset(text, 'x', 200000);
    for (int i = 0; i < 8; i++)
        buf_addf(&in,
                 "data: {\"choices\":[{\"delta\":{\"reasoning_details\":[{\"type\":"
                 "\"reasoning.text\",\"index\":%d,\"text\":\"%s\"}]}}]}\n\n",
                 i / fragments_each, text);
    buf_add_cstr(&in, "data: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"id\":\"a\",\"function\":"
                      "{\"name\":\"w\"}}]},\"finish_reason\":\"tool_calls\"}]}\n\n");
    cr_expect_eq(codec_decode(&openai.remote.base, buf_str(&in), "", 65536, &t, &why), ERR_NONE);
    cr_expect_eq(t.kept.n, 0);
    cr_expect_str_eq(t.calls.p, "a w {};");
    codec_taken_done(&t);
    buf_done(&in);
    free(text);
}

Test(details, too_many_are_dropped_and_the_call_is_not)
{
    expect_dropped(8);
    expect_dropped(4);
}
