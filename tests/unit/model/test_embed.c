/*
 * Vectors of texts: what the codecs ask and what they make of answers, in
 * tests/fixtures/embeddings, and the op against a server on the same loop. Time is virtual.
 */
#include "core/base/json.h"
#include "core/model/types.h"
#include "core/model/vectors.h"
#include "tests/unit/model/codec_case.h"
#include "tests/unit/model/models_case.h"

static struct openai openai = {
    .remote.base = { .type = &model_openai, .name = "e", .model = "text-embed" },
    .remote.base_url = "https://api.example/v1",
    .remote.api_key = "sk-secret",
    .organization = "",
    .project = "",
};
static struct ollama ollama = {
    .remote.base = { .type = &model_ollama, .name = "nomic", .model = "" },
    .remote.base_url = "http://127.0.0.1:11434",
    .remote.api_key = "",
    .keep_alive = "5m",
};
static struct gemini gemini = {
    .remote.base = { .type = &model_gemini, .name = "g", .model = "models/embed-1" },
    .remote.base_url = "https://g.example/v1beta",
    .remote.api_key = "key",
};
static struct cohere cohere = {
    .remote.base = { .type = &model_cohere, .name = "c", .model = "embed-4" },
    .remote.base_url = "https://c.example/v2",
    .remote.api_key = "key",
};

/* ---- answers ---- */

static enum err_kind vectors_of(const struct model_type *type, const char *file, size_t n,
                                struct model_vectors *to, struct err *why)
{
    struct buf in = BUF_INIT(1024 * 1024);
    struct json *doc = NULL;
    struct vectors v;
    codec_fixture("embeddings", file, &in);
    cr_assert_eq(json_parse(buf_str(&in), &doc, why), ERR_NONE, "%s: %s", file, why->msg);
    vectors_init(&v, n, to);
    enum err_kind kind = type->embed_read(doc, &v, why);
    if (kind == ERR_NONE) kind = vectors_check(&v, why);
    json_free(doc);
    buf_done(&in);
    return kind;
}

Test(embed, good_answers)
{
    static const struct {
        const struct model_type *type;
        const char *file;
        size_t n, dimensions;
        int64_t tokens; /* -1: not told */
        float want[6];
    } good[] = {
        { &model_openai, "openai_float.json", 2, 3, 7, { 0.6f, -0.8f, 0, 1, 0, 0 } },
        { &model_openai, "openai_base64.json", 2, 3, 7, { 0.6f, -0.8f, 0, 1, 0, 0 } },
        { &model_openai, "openai_base64_unpadded.json", 2, 3, 7, { 0.6f, -0.8f, 0, 1, 0, 0 } },
        { &model_openai, "openai_base64_padded.json", 2, 1, 7, { 0.5f, 2 } },
        { &model_openai, "openai_out_of_order.json", 2, 3, 7, { 0.6f, -0.8f, 0, 1, 0, 0 } },
        { &model_openai, "openai_no_index.json", 2, 3, -1, { 0.6f, -0.8f, 0, 1, 0, 0 } },
        { &model_openai, "openai_one.json", 1, 3, 7, { 0.6f, -0.8f, 0 } },
        { &model_ollama, "ollama.json", 2, 3, 8, { 0.6f, -0.8f, 0, 1, 0, 0 } },
        { &model_ollama, "ollama_old.json", 1, 3, -1, { 0.6f, -0.8f, 0 } },
        { &model_cohere, "cohere.json", 2, 3, 7, { 0.6f, -0.8f, 0, 1, 0, 0 } },
        { &model_cohere, "cohere_no_count.json", 2, 3, -1, { 0.6f, -0.8f, 0, 1, 0, 0 } },
        { &model_gemini, "gemini.json", 2, 3, -1, { 0.6f, -0.8f, 0, 1, 0, 0 } },
        { &model_gemini, "gemini_counts.json", 2, 3, 9, { 0.6f, -0.8f, 0, 1, 0, 0 } },
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        struct model_vectors v = { 0 };
        struct err why = ERR_INIT;
        cr_expect_eq(vectors_of(good[i].type, good[i].file, good[i].n, &v, &why), ERR_NONE,
                     "%s: %s", good[i].file, why.msg);
        cr_assert_eq(v.dimensions, good[i].dimensions, "%s", good[i].file);
        cr_expect_eq(memcmp(v.v, good[i].want, v.n * v.dimensions * sizeof(float)), 0, "%s",
                     good[i].file);
        cr_expect_eq(v.known, good[i].tokens >= 0, "%s", good[i].file);
        if (v.known) cr_expect_eq(v.tokens, good[i].tokens, "%s", good[i].file);
        model_vectors_done(&v);
    }
}

Test(embed, bad_answers)
{
    static const struct {
        const struct model_type *type;
        const char *file, *msg;
    } bad[] = {
        { &model_openai, "openai_one.json", "1 vectors for 2 texts" },
        { &model_openai, "openai_three.json", "more vectors than the 2 texts" },
        { &model_openai, "openai_twice.json", "vector 0 came twice" },
        { &model_openai, "openai_negative.json", "more vectors than the 2 texts" },
        { &model_openai, "openai_unequal.json", "vector 1 has 2 dimensions, others have 3" },
        { &model_openai, "openai_empty_vector.json", "vector 0 has 0 dimensions" },
        { &model_openai, "openai_infinite.json", "vector 1 is none" },
        { &model_openai, "openai_null.json", "vector 0 is none" },
        { &model_openai, "openai_text.json", "vector 0 is none" },
        { &model_openai, "openai_no_vector.json", "vector 0 is none" },
        { &model_openai, "openai_base64_nan.json", "vector 0 is none" },
        { &model_openai, "openai_base64_odd.json", "vector 0 is none" },
        { &model_openai, "openai_base64_left_over.json", "vector 0 is none" },
        { &model_openai, "openai_base64_bad.json", "vector 0 is none" },
        { &model_openai, "openai_too_long.json", "vector 0 has 16385 dimensions" },
        { &model_openai, "openai_nothing.json", "0 vectors for 2 texts" },
        { &model_openai, "openai_not_an_object.json", "0 vectors for 2 texts" },
        { &model_ollama, "ollama_old.json", "1 vectors for 2 texts" },
        { &model_ollama, "gemini.json", "vector 0 is none" },
        { &model_cohere, "cohere_other_form.json", "0 vectors for 2 texts" },
        { &model_cohere, "cohere_null.json", "vector 1 is none" },
        { &model_cohere, "gemini.json", "0 vectors for 2 texts" },
        { &model_gemini, "gemini_null.json", "vector 1 is none" },
        { &model_gemini, "ollama.json", "vector 0 is none" },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct model_vectors v = { 0 };
        struct err why = ERR_INIT;
        cr_expect_eq(vectors_of(bad[i].type, bad[i].file, 2, &v, &why), ERR_PROTO, "%s",
                     bad[i].file);
        cr_expect_str_eq(why.msg, bad[i].msg, "%s", bad[i].file);
        model_vectors_done(&v);
    }
}

/* ---- questions ---- */

static struct arena arena;
static struct http_request rq;
static const struct str texts[] = { { "one \"1\"", 7 }, { "two", 3 } };

static void expect_body(struct model *m, const char *url, const char *want)
{
    struct err why;
    rq = (struct http_request){ 0 };
    cr_assert_eq(m->type->embed_encode(m, texts, 2, &arena, &rq, &why), ERR_NONE);
    cr_expect_str_eq(rq.url, url);
    cr_expect(str_eq(rq.body, str_of(want)), "%s", rq.body.p);
}

Test(embed, questions)
{
    expect_body(&openai.remote.base, "https://api.example/v1/embeddings",
                "{\"model\":\"text-embed\",\"encoding_format\":\"base64\","
                "\"input\":[\"one \\\"1\\\"\",\"two\"]}");
    cr_expect(str_eq(rq.headers[1].value, STR("Bearer sk-secret")));
    openai.embedding_format = 1;
    openai.remote.base.dimensions = 256;
    expect_body(&openai.remote.base, "https://api.example/v1/embeddings",
                "{\"model\":\"text-embed\",\"encoding_format\":\"float\",\"dimensions\":256,"
                "\"input\":[\"one \\\"1\\\"\",\"two\"]}");
    expect_body(&ollama.remote.base, "http://127.0.0.1:11434/api/embed",
                "{\"model\":\"nomic\",\"truncate\":false,\"keep_alive\":\"5m\","
                "\"input\":[\"one \\\"1\\\"\",\"two\"]}");
    expect_body(&gemini.remote.base, "https://g.example/v1beta/models/embed-1:batchEmbedContents",
                "{\"requests\":[{\"model\":\"models/embed-1\",\"content\":{\"parts\":[{\"text\":"
                "\"one \\\"1\\\"\"}]}},{\"model\":\"models/embed-1\",\"content\":{\"parts\":[{"
                "\"text\":\"two\"}]}}]}");
    cr_expect(str_eq(rq.headers[1].value, STR("key")));
    gemini.remote.base.dimensions = 64;
    struct err why;
    cr_assert_eq(gemini_embed_encode(&gemini.remote.base, texts, 1, &arena, &rq, &why), ERR_NONE);
    cr_expect_neq(str_find(rq.body, STR("]},\"outputDimensionality\":64}]}")), SIZE_MAX);
    expect_body(&cohere.remote.base, "https://c.example/v2/embed",
                "{\"model\":\"embed-4\",\"input_type\":\"search_document\",\"embedding_types\":"
                "[\"float\"],\"truncate\":\"NONE\",\"texts\":[\"one \\\"1\\\"\",\"two\"]}");
    cr_expect(str_eq(rq.headers[1].value, STR("Bearer key")));
    cohere.embedding_input = 1;
    cohere.remote.base.dimensions = 256;
    expect_body(&cohere.remote.base, "https://c.example/v2/embed",
                "{\"model\":\"embed-4\",\"input_type\":\"search_query\",\"embedding_types\":"
                "[\"float\"],\"truncate\":\"NONE\",\"output_dimension\":256,"
                "\"texts\":[\"one \\\"1\\\"\",\"two\"]}");
    arena_done(&arena);
}

Test(embed, more_texts_than_cohere_takes_at_once)
{
    struct str many[97];
    struct err why;
    for (size_t i = 0; i < 97; i++) many[i] = STR("x");
    const struct model *m = &cohere.remote.base;
    cr_expect_eq(m->type->embed_encode(m, many, 96, &arena, &rq, &why), ERR_NONE);
    cr_expect_eq(m->type->embed_encode(m, many, 97, &arena, &rq, &why), ERR_LIMIT);
    cr_expect_str_eq(why.msg, "1 to 96 texts at once, not 97");
    arena_done(&arena);
}

/* ---- the op ---- */

static struct model_vectors vectors;

static void teardown(void)
{
    op_cancel(&op);
    model_vectors_done(&vectors);
    case_close();
}

TestSuite(embed_op, .init = case_open, .fini = teardown, .timeout = 60);

static void serve(void (*on_request)(struct stub_conn *c, unsigned nth), const char *more)
{
    char text[500];
    struct err why;
    stub_open(&stub, &loop, on_request);
    snprintf(text, sizeof(text),
             "models = ( { name = \"chat\"; type = \"demo\"; }, { name = \"e\"; type = \"openai\"; "
             "base_url = \"http://127.0.0.1:%u/v1\"; embeds = true; tries = 3; %s } );",
             stub.port, more);
    cr_assert_eq(configure(text, &why), ERR_NONE, "%s", why.msg);
}

static void begin(const struct str *v, size_t n)
{
    model_vectors_done(&vectors);
    n_done = 0;
    model_embed(models, models_embedder(models, STR("E")), &op, v, n, &vectors);
    cr_assert_eq(n_done, 0);
}

static void ask(const struct str *v, size_t n)
{
    begin(v, n);
    for (int i = 0; i < 400 && !n_done; i++) loop_run_for(&loop, 1000);
    cr_assert_eq(n_done, 1);
    loop_run_for(&loop, 20);
    cr_assert_eq(n_done, 1);
}

static void expect_failure(enum err_kind kind, const char *msg, unsigned n_requests)
{
    cr_expect_eq(op.err.kind, kind, "%u", op.err.kind);
    cr_expect_str_eq(op.err.msg, msg);
    cr_expect_null(vectors.v);
    cr_expect_eq(stub.n_requests, n_requests, "%u requests", stub.n_requests);
}

#define TWO                                                                            \
    "{\"data\":[{\"index\":1,\"embedding\":[3,4]},{\"index\":0,\"embedding\":[1,2]}]," \
    "\"usage\":{\"prompt_tokens\":5}}"

static void good(struct stub_conn *c, unsigned nth)
{
    (void)nth;
    stub_answer(c, 200, "application/json", "", STR(TWO));
}

Test(embed_op, makes_vectors)
{
    serve(good, "");
    ask(texts, 2);
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_assert(vectors.n == 2 && vectors.dimensions == 2);
    cr_expect(model_vector(&vectors, 0)[1] == 2 && model_vector(&vectors, 1)[0] == 3);
    cr_expect(vectors.known && vectors.tokens == 5);
    cr_expect(str_starts(buf_str(&stub.last_head), STR("POST /v1/embeddings ")));
}

static int bad_status;
static const char *bad_body, *bad_extra;
static void bad_then_good(struct stub_conn *c, unsigned nth)
{
    if (nth > 1)
        good(c, nth);
    else
        stub_answer(c, bad_status, "application/json", bad_extra, str_of(bad_body));
}

static void ask_bad(int status, const char *extra, const char *body)
{
    bad_status = status, bad_extra = extra, bad_body = body;
    serve(bad_then_good, "");
    ask(texts, 2);
}

Test(embed_op, asks_again_when_that_may_help)
{
    uint64_t began = clock_ms();
    ask_bad(429, "Retry-After: 7\r\n", "{}");
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(stub.n_requests, 2);
    cr_expect_geq(clock_ms() - began, 7000);
    cr_expect_eq(vectors.n, 2);
}

Test(embed_op, does_not_wait_longer_than_there_is_time)
{
    bad_status = 429, bad_extra = "Retry-After: 7\r\n", bad_body = "{}";
    serve(bad_then_good, "total_timeout = \"5s\";");
    ask(texts, 2);
    expect_failure(ERR_LIMIT, "openai/e: 429: too many requests", 1);
    cr_expect_eq(op.err.retry_after_ms, 7000);
}

Test(embed_op, a_web_page_may_be_a_proxy_that_fails)
{
    ask_bad(200, "", "\n<html>It works!</html>");
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(stub.n_requests, 2);
}

Test(embed_op, an_error_inside_a_good_answer)
{
    ask_bad(200, "", "{\"error\":{\"message\":\"loading\",\"code\":503}}");
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(stub.n_requests, 2);
}

Test(embed_op, a_refused_key_is_final)
{
    ask_bad(401, "", "{\"error\":{\"message\":\"sk-wrong\"}}");
    expect_failure(ERR_AUTH, "openai/e: 401: the API key was refused", 1);
}

Test(embed_op, an_answer_that_is_wrong_is_final)
{
    ask_bad(200, "", "{\"data\":[{\"embedding\":[1]}]}");
    expect_failure(ERR_PROTO, "openai/e: 1 vectors for 2 texts", 1);
}

Test(embed_op, no_json)
{
    ask_bad(200, "", "{\"data\":[{\"embedding\":[NaN]}]}");
    cr_expect_eq(op.err.kind, ERR_PROTO, "%s", op.err.msg);
    cr_expect_eq(stub.n_requests, 1);
}

Test(embed_op, other_dimensions_than_configured)
{
    serve(good, "dimensions = 3;");
    ask(texts, 2);
    expect_failure(ERR_CONF, "openai/e: it makes 2 dimensions whatever it is asked for", 1);
}

static void long_answer(struct stub_conn *c, unsigned nth)
{
    struct buf b = BUF_INIT(1024 * 1024);
    (void)nth;
    buf_add_cstr(&b, "{\"data\":[{\"embedding\":[0.5");
    for (int i = 1; i < 16384; i++) buf_add_cstr(&b, ",-0.12345678901234567");
    buf_add_cstr(&b, "]}]}");
    stub_answer(c, 200, "application/json", "", buf_str(&b));
    buf_done(&b);
}

Test(embed_op, a_long_answer_is_parsed_elsewhere)
{
    serve(long_answer, "");
    ask(texts, 1);
    cr_expect_eq(op.err.kind, ERR_NONE, "%s", op.err.msg);
    cr_expect_eq(vectors.dimensions, 16384);
    cr_expect_eq(vectors.v[0], 0.5f);
}

Test(embed_op, texts_that_no_backend_takes)
{
    struct str many[MODEL_TEXTS_MAX + 1];
    const struct str blank[] = { { "x", 1 }, { " \n", 2 } };
    for (size_t i = 0; i <= MODEL_TEXTS_MAX; i++) many[i] = STR("x");
    serve(good, "");
    ask(many, MODEL_TEXTS_MAX + 1);
    expect_failure(ERR_LIMIT, "1 to 128 texts at once, not 129", 0);
    ask(many, 0);
    expect_failure(ERR_LIMIT, "1 to 128 texts at once, not 0", 0);
    ask(blank, 2);
    expect_failure(ERR_REFUSED, "text 2 is empty: it has no vector", 0);
}

static void silence(struct stub_conn *c, unsigned nth)
{
    (void)c, (void)nth;
}

Test(embed_op, a_mute_server)
{
    serve(silence, "first_token_timeout = \"30s\";");
    ask(texts, 2);
    cr_expect_eq(op.err.kind, ERR_TIMEOUT, "%s", op.err.msg);
    cr_expect_eq(stub.n_requests, 1);
}

Test(embed_op, cancel_at_each_stage)
{
    serve(silence, "");
    begin(texts, 2); /* at once */
    op_cancel(&op);
    begin(texts, 2); /* while waiting for the answer */
    loop_run_for(&loop, 50);
    op_cancel(&op);
    loop_run_for(&loop, 50);
    cr_expect_eq(stub.n_open, 0, "the server still works");

    stub.on_request = bad_then_good; /* while waiting to ask again */
    stub.n_requests = 0;
    bad_status = 503, bad_extra = bad_body = "";
    begin(texts, 2);
    loop_run_for(&loop, 100);
    cr_expect_eq(stub.n_requests, 1);
    op_cancel(&op);
    loop_run_for(&loop, 20000);
    cr_expect_eq(stub.n_requests, 1);

    stub.on_request = long_answer; /* here and there, also while another thread parses */
    for (uint64_t ms = 1; ms <= 20; ms++) {
        begin(texts, 1);
        loop_run_for(&loop, ms);
        op_cancel(&op);
        n_done = 0;
    }

    begin(NULL, 0); /* what was refused without asking */
    op_cancel(&op);
    loop_run_for(&loop, 100);
    cr_expect_eq(n_done, 0);
    cr_expect_null(vectors.v);
}

/* ---- which models there are ---- */

Test(embed_op, nobody_chats_with_them)
{
    serve(good, "");
    cr_expect_eq(models_count(models), 1);
    cr_expect_str_eq(models_at(models, 0)->name, "chat");
    cr_expect_null(models_find(models, STR("e")));
    cr_expect_eq(models_embedder(models, STR_NONE), models_embedder(models, STR("e")));
    cr_expect_eq(models_embedder_at(models, 0), models_embedder(models, STR("e")));
    cr_expect_null(models_embedder_at(models, 1));
    cr_expect_null(models_embedder(models, STR("chat")));
}

Test(embed_op, alone_they_leave_the_demo)
{
    struct err why;
    cr_assert_eq(
        configure("models = ( { name = \"e\"; type = \"ollama\"; embeds = true; } );", &why),
        ERR_NONE, "%s", why.msg);
    cr_expect_str_eq(models_at(models, 0)->name, "demo");
    cr_expect_str_eq(models_embedder(models, STR_NONE)->name, "e");
}

Test(embed_op, bad_configurations)
{
    static const struct {
        const char *text, *msg;
    } bad[] = {
        { "models = ( { name = \"e\"; type = \"demo\"; embeds = true; } );",
          "the type \"demo\" makes no vectors" },
        { "models = ( { name = \"e\"; type = \"ollama\"; embeds = true; },"
          " { name = \"E\"; type = \"demo\"; } );",
          "another model is named \"E\"" },
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct err why = ERR_INIT;
        cr_expect_eq(configure(bad[i].text, &why), ERR_CONF);
        cr_expect(strstr(why.msg, bad[i].msg), "%s", why.msg);
        conf_close(conf);
        conf = NULL;
    }
}
