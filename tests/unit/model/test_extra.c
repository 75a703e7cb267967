/* More members of a request: where they are written, and which are refused, whatever the backend.
 */
#include "core/model/types.h"
#include "tests/unit/model/codec_case.h"
#include "tests/unit/model/models_case.h"

TestSuite(extra, .init = case_open, .fini = case_close, .timeout = 60);

static enum err_kind configure_with(const char *type, const char *more, struct err *why)
{
    static char text[1000];
    snprintf(text, sizeof text,
             "models = ( { name = \"m\"; type = \"%s\"; base_url = \"https://api.example\";\n%s } "
             ");",
             type, more);
    return configure(text, why);
}

static void expect_member(const char *type, const char *more, const char *key, const char *want)
{
    static const struct model_message hi = { .role = MODEL_USER, .text = { "hi", 2 } };
    const struct model_ask ask = { .messages = &hi, .n_messages = 1 };
    const struct model *m;
    struct http_request rq = { .method = "" };
    struct json *doc = NULL;
    struct arena arena;
    struct err why;
    cr_assert_eq(configure_with(type, more, &why), ERR_NONE, "%s: %s", type, why.msg);
    m = models_find(models, STR("m"));
    arena_init(&arena);
    cr_assert_eq(m->type->encode(m, &ask, &arena, &rq, &why), ERR_NONE);
    cr_assert_eq(json_parse(rq.body, &doc, &why), ERR_NONE, "%s", rq.body.p);
    codec_expect_json(json_get(doc, key), want);
    json_free(doc);
    arena_done(&arena);
    models_close(models);
    conf_close(conf);
    models = NULL;
    conf = NULL;
}

Test(extra, is_written_by_every_backend)
{
    for (const struct model_type *const *t = model_types; *t; t++)
        if (!(*t)->local)
            expect_member((*t)->name, "extra = { provider = { order = [ \"a\", \"b\" ]; }; };",
                          "provider", "{\"order\":[\"a\",\"b\"]}");
}

Test(extra, may_say_what_is_not_configured)
{
    expect_member("openai", "extra = { temperature = 0.25; };", "temperature", "0.25");
    expect_member("openai", "extra = \"{\\\"logit_bias\\\": {\\\"50256\\\": null}}\";",
                  "logit_bias", "{\"50256\":null}");
    expect_member("anthropic", "extra = { thinking = { type = \"enabled\"; }; };", "thinking",
                  "{\"type\":\"enabled\"}");
}

Test(extra, options_are_written_by_both)
{
    expect_member("ollama",
                  "context_tokens = 4096; max_tokens = 0; extra = { options = { top_k = 40; }; };",
                  "options", "{\"num_ctx\":4096,\"top_k\":40}");
    expect_member("gemini", "max_tokens = 7; extra = { generationConfig = { topK = 40; }; };",
                  "generationConfig", "{\"maxOutputTokens\":7,\"topK\":40}");
    expect_member("gemini", "max_tokens = 0; extra = { generationConfig = { topK = 40; }; };",
                  "generationConfig", "{\"topK\":40}");
}

/* What is set aside for a question must have room for it. */
Test(extra, may_have_the_server_write_its_cache)
{
    struct err why;
    cr_assert_eq(configure_with("anthropic",
                                "extra = { cache_control = { type = \"ephemeral\"; }; };", &why),
                 ERR_NONE);
    cr_expect(model_writes_cache(models_find(models, STR("m"))));
}

Test(extra, what_is_ours_is_refused)
{
    static const struct {
        const char *type, *more, *key;
    } ours[] = {
        { "openai", "extra = { model = \"x\"; };", "model" },
        { "openai", "extra = { messages = ( ); };", "messages" },
        { "openai", "extra = { tools = ( ); };", "tools" },
        { "openai", "stream = false; extra = { stream = true; };", "stream" },
        { "openai", "extra = { stream_options = { }; };", "stream_options" },
        { "openai", "extra = { top_k = 1; max_completion_tokens = 1; };", "max_completion_tokens" },
        { "openai", "temperature = 0.5; extra = { temperature = 1; };", "temperature" },
        { "openai", "extra = \"{\\\"model\\\": null}\";", "model" },
        { "responses", "extra = { input = \"x\"; };", "input" },
        { "responses", "extra = { store = true; };", "store" },
        { "anthropic", "extra = { system = \"x\"; };", "system" },
        { "anthropic", "thinking = \"disabled\"; extra = { thinking = { }; };", "thinking" },
        { "gemini", "extra = { contents = ( ); };", "contents" },
        { "gemini", "extra = { systemInstruction = { }; };", "systemInstruction" },
        { "gemini", "extra = { generationConfig = { maxOutputTokens = 1; }; };",
          "maxOutputTokens" },
        { "ollama", "extra = { options = { top_k = 1; num_ctx = 1; }; };", "num_ctx" },
        { "ollama", "extra = { options = 7; };", "options" },
        { "ollama", "keep_alive = \"5m\"; extra = { keep_alive = 7; };", "keep_alive" },
        { "cohere", "extra = { messages = ( ); };", "messages" },
    };
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) {
        char want[200];
        struct err why;
        cr_expect_eq(configure_with(ours[i].type, ours[i].more, &why), ERR_CONF, "%s",
                     ours[i].more);
        snprintf(want, sizeof want, "t.conf:2: extra may not set \"%s\": Parley does", ours[i].key);
        cr_expect_str_eq(why.msg, want, "%s: %s", ours[i].more, why.msg);
        conf_close(conf);
        conf = NULL;
    }
}

Test(extra, what_cannot_be_read_is_named)
{
    static const struct {
        const char *more, *why;
    } bad[] = {
        { "extra = \"{no json\";", "t.conf:2: models.extra: must be a JSON object: " },
        { "extra = \"[]\";", "t.conf:2: models.extra: must be a JSON object" },
        { "extra = ( 1 );",
          "t.conf:2: models.extra: must be a group { ... }, or a JSON object in quotes" },
        { "embeds = true; extra = { dimension = 7; };", "t.conf:2: extra is for models that chat" },
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err why;
        cr_expect_eq(configure_with("openai", bad[i].more, &why), ERR_CONF, "%s", bad[i].more);
        cr_expect(str_starts(str_of(why.msg), str_of(bad[i].why)), "%s: %s", bad[i].more, why.msg);
        conf_close(conf);
        conf = NULL;
    }
}
