/*
 * Counting the tokens of a question: what the codecs ask and what they make of answers, and the op
 * against a server on the same loop. Time is virtual.
 */
#include "core/base/json.h"
#include "core/model/types.h"
#include "tests/unit/model/codec_case.h"
#include "tests/unit/model/models_case.h"

#define REMOTE(t, id, url, key)                                                     \
    .remote.base = { .type = &(t), .name = "m", .model = (id), .max_tokens = 100 }, \
    .remote.base_url = (url), .remote.api_key = (key)

static struct anthropic anthropic = {
    REMOTE(model_anthropic, "claude-x", "https://a.example/v1/", "sk-ant"),
    .stream = true,
    .cache = true,
    .temperature = 0.5,
};
static struct gemini gemini = {
    REMOTE(model_gemini, "gem-1", "https://g.example/v1beta", "key"),
    .stream = true,
    .temperature = 0.5,
};
static struct responses responses = {
    REMOTE(model_responses, "gpt-x", "https://o.example/v1", "sk"),
    .stream = true,
    .organization = "",
    .project = "",
    .reasoning_effort = "low",
    .temperature = 0.5,
};
static struct openai openai = {
    REMOTE(model_openai, "local", "http://l.example:8000/v1/", "sk"),
    .stream = true,
    .organization = "",
    .project = "",
    .temperature = 0.5,
};

/* ---- questions ---- */

static const struct model_message talk[] = {
    { MODEL_SYSTEM, { "Be kind.", 8 } },
    { MODEL_USER, { "Hi \"you\"", 8 } },
};
static const struct model_tool tool = { { "now", 3 }, { "The time.", 9 }, { "{}", 2 } };
static const struct model_ask question = { talk, 2, &tool, 1 };

static void expect_question(const struct model *m, const char *url, const char *want)
{
    struct arena arena;
    struct http_request rq = { 0 };
    struct err why = ERR_INIT;
    arena_init(&arena);
    cr_assert_eq(m->type->count_encode(m, &question, &arena, &rq, &why), ERR_NONE, "%s", why.msg);
    cr_expect_str_eq(rq.method, "POST");
    cr_expect_str_eq(rq.url, url);
    cr_expect(str_eq(rq.body, str_of(want)), "%s", rq.body.p);
    cr_expect_null(codec_header(&rq, "Accept", &arena));
    arena_done(&arena);
}

Test(count, questions)
{
    expect_question(
        &anthropic.remote.base, "https://a.example/v1/messages/count_tokens",
        "{\"model\":\"claude-x\",\"system\":\"Be kind.\",\"messages\":[{\"role\":\"user\","
        "\"content\":[{\"type\":\"text\",\"text\":\"Hi \\\"you\\\"\"}]}],\"tools\":[{"
        "\"name\":\"now\",\"description\":\"The time.\",\"input_schema\":{}}]}");
    expect_question(
        &gemini.remote.base, "https://g.example/v1beta/models/gem-1:countTokens",
        "{\"generateContentRequest\":{\"model\":\"models/gem-1\",\"systemInstruction\":{"
        "\"parts\":[{\"text\":\"Be kind.\"}]},\"contents\":[{\"role\":\"user\","
        "\"parts\":[{\"text\":\"Hi \\\"you\\\"\"}]}],\"tools\":[{"
        "\"functionDeclarations\":[{\"name\":\"now\",\"description\":\"The time.\","
        "\"parametersJsonSchema\":{}}]}]}}");
    expect_question(&responses.remote.base, "https://o.example/v1/responses/input_tokens",
                    "{\"model\":\"gpt-x\",\"instructions\":\"Be kind.\",\"input\":[{\"role\":"
                    "\"user\",\"content\":\"Hi \\\"you\\\"\"}],\"tools\":[{\"type\":\"function\","
                    "\"name\":\"now\",\"description\":\"The time.\",\"parameters\":{},"
                    "\"strict\":false}],\"reasoning\":{\"effort\":\"low\"}}");
    expect_question(&openai.remote.base, "http://l.example:8000/tokenize",
                    "{\"model\":\"local\",\"messages\":[{\"role\":\"system\",\"content\":\"Be "
                    "kind.\"},{\"role\":\"user\",\"content\":\"Hi \\\"you\\\"\"}],\"tools\":[{"
                    "\"type\":\"function\",\"function\":{\"name\":\"now\",\"description\":\"The "
                    "time.\",\"parameters\":{}}}],\"content\":\"<system>\\nBe kind.\\n<user>\\nHi "
                    "\\\"you\\\"\\nnow The time.\\n{}\\n\",\"add_special\":true}");
}

Test(count, tokenize_stands_beside_the_version)
{
    openai.remote.base_url = "http://l.example/api";
    struct arena arena;
    struct http_request rq = { 0 };
    arena_init(&arena);
    cr_assert_eq(model_openai.count_encode(&openai.remote.base, &question, &arena, &rq, NULL),
                 ERR_NONE);
    cr_expect_str_eq(rq.url, "http://l.example/api/tokenize");
    cr_expect_str_eq(codec_header(&rq, "Authorization", &arena), "Bearer sk");
    arena_done(&arena);
}

/* ---- answers ---- */

Test(count, answers)
{
    static const struct {
        const struct model_type *type;
        const char *body;
        int64_t want; /* -1: there is no number */
    } answers[] = {
        { &model_anthropic, "{\"input_tokens\":2095}", 2095 },
        { &model_anthropic, "{\"input_tokens\":\"many\"}", -1 },
        { &model_anthropic, "{}", -1 },
        { &model_gemini, "{\"totalTokens\":31,\"promptTokensDetails\":[]}", 31 },
        { &model_gemini, "{\"totalTokens\":null}", -1 },
        { &model_gemini, "[]", -1 },
        { &model_responses, "{\"object\":\"response.input_tokens\",\"input_tokens\":11}", 11 },
        { &model_responses, "{\"object\":\"response.input_tokens\"}", -1 },
        { &model_openai, "{\"count\":3,\"max_model_len\":4096,\"tokens\":[1,2,3]}", 3 },
        { &model_openai, "{\"tokens\":[1,2,3,4]}", 4 },
        { &model_openai, "{\"tokens\":[{\"id\":1,\"piece\":\"a\"}]}", 1 },
        { &model_openai, "{\"tokens\":[]}", -1 },
        { &model_openai, "{\"tokens\":\"3\"}", -1 },
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
        struct json *doc = NULL;
        int64_t n = -1;
        cr_assert_eq(json_parse(str_of(answers[i].body), &doc, NULL), ERR_NONE);
        bool told = answers[i].type->count_read(doc, &n);
        cr_expect_eq(told, answers[i].want >= 0, "%s", answers[i].body);
        if (told) cr_expect_eq(n, answers[i].want, "%s", answers[i].body);
        json_free(doc);
    }
}

/* ---- the op ---- */

static int64_t n_tokens;

TestSuite(count_op, .init = case_open, .fini = case_close, .timeout = 60);

static void begin(void (*on_request)(struct stub_conn *c, unsigned nth))
{
    char text[300];
    struct err why;
    stub_open(&stub, &loop, on_request);
    snprintf(text, sizeof(text),
             "models = ( { name = \"m\"; type = \"anthropic\"; count = \"exact\"; "
             "base_url = \"http://127.0.0.1:%u/v1\"; } );",
             stub.port);
    cr_assert_eq(configure(text, &why), ERR_NONE, "%s", why.msg);
    cr_assert_eq(models_at(models, 0)->count, MODEL_COUNTS);
    n_tokens = -1;
    model_count(models, models_at(models, 0), &op, &question, &n_tokens);
    cr_assert_eq(n_done, 0);
}

static void count_with(void (*on_request)(struct stub_conn *c, unsigned nth))
{
    begin(on_request);
    for (int i = 0; i < 100 && !n_done; i++) loop_run_for(&loop, 100);
    cr_assert_eq(n_done, 1);
    cr_expect_eq(stub.n_requests, 1, "never twice");
}

static void answer(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 200, "application/json", "", STR("{\"input_tokens\":17}"));
}

Test(count_op, counts)
{
    count_with(answer);
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(n_tokens, 17);
}

static void no_number(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 200, "application/json", "", STR("{\"input_tokens\":-3}"));
}

static void web_page(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 200, "text/html", "", STR("<html>"));
}

static void overloaded(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 529, "application/json", "",
                STR("{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}"));
}

static void says_nothing(struct stub_conn *c, unsigned nth)
{
    (void)c, (void)nth;
}

Test(count_op, what_is_no_number_fails)
{
    count_with(no_number);
    cr_expect_eq(op.err.kind, ERR_PROTO);
    cr_expect_eq(n_tokens, -1);
}

Test(count_op, a_web_page_fails)
{
    count_with(web_page);
    cr_expect_eq(op.err.kind, ERR_PROTO);
    cr_expect_str_eq(op.err.msg, "anthropic/m: an answer without a number of tokens");
}

Test(count_op, a_refusal_fails)
{
    count_with(overloaded);
    cr_expect_eq(op.err.kind, ERR_IO);
}

Test(count_op, nobody_waits_for_long)
{
    uint64_t began = clock_ms();
    count_with(says_nothing);
    cr_expect_neq(op.err.kind, ERR_NONE);
    cr_expect_leq(clock_ms() - began, 3200);
}

Test(count_op, cancel_is_silent)
{
    begin(says_nothing);
    loop_run_for(&loop, 100);
    op_cancel(&op);
    loop_run_for(&loop, 5000);
    cr_expect_eq(n_done, 0);
}

Test(count_op, who_cannot_count_is_not_said_to)
{
    struct err why;
    cr_expect_eq(
        configure("models = ( { name = \"m\"; type = \"ollama\"; count = \"exact\"; } );", &why),
        ERR_CONF);
    cr_expect_neq(str_find(str_of(why.msg), STR("the type \"ollama\" does not count")), SIZE_MAX,
                  "%s", why.msg);
    models = NULL;
}
