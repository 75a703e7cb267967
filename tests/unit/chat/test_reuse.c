/* The key of an answer: each thing that decides the answer changes it, and nothing else does. */
#include "core/chat/reuse.h"
#include "core/model/types.h"
#include "core/net/sign.h"
#include <criterion/criterion.h>

static const struct model_picture pictures[] = { { .type = STR("image/png"),
                                                   .data = STR("QUJD") } },
                                  others[] = { { .type = STR("image/png"), .data = STR("QUJE") } },
                                  jpeg[] = { { .type = STR("image/jpeg"), .data = STR("QUJD") } },
                                  linked[] = { { .url = STR("https://example.com/a.png") } };
static const struct model_tool search[] = { { .name = STR("search") } };
static const struct model_tool search_otherwise[] = { { .name = STR("search"),
                                                        .description = STR("In files.") } };
static const struct model_tool fetch[] = { { .name = STR("fetch") } };

/* A question that each case changes in one place. */
struct question {
    struct openai model;
    struct model_message messages[4];
    struct model_ask ask;
    struct str scope;
};

static void question_init(struct question *q)
{
    *q = (struct question){
        .model = { .remote = { .base = { .type = &model_openai,
                                         .name = "small",
                                         .model = "gpt-small",
                                         .max_tokens = 100 },
                               .base_url = "https://a.example/v1",
                               .api_key = "sk-1" },
                   .organization = "",
                   .project = "",
                   .temperature = 0.5 },
        .messages = { { .role = MODEL_SYSTEM, .text = STR("Be brief.") },
                      { .role = MODEL_USER, .text = STR("One?") },
                      { .role = MODEL_ASSISTANT, .text = STR("Yes.") },
                      { .role = MODEL_USER, .text = STR("Two?") } },
        .scope = STR("person:1"),
    };
    q->ask = (struct model_ask){ .messages = q->messages, .n_messages = 4 };
}

static void name(struct question *q)
{
    q->model.remote.base.name = "large";
}
static void backend_id(struct question *q)
{
    q->model.remote.base.model = "gpt-large";
}
static void backend(struct question *q)
{
    static struct model_type other;
    other = model_openai;
    other.name = "other";
    q->model.remote.base.type = &other;
}
static void base_url(struct question *q)
{
    q->model.remote.base_url = "https://b.example/v1";
}
static void temperature(struct question *q)
{
    q->model.temperature = 0.6;
}
static void extra(struct question *q)
{
    q->model.remote.extra = "{\"top_k\":1}";
}
static void max_tokens(struct question *q)
{
    q->model.remote.base.max_tokens = 101;
}
static void max_tokens_asked(struct question *q)
{
    q->ask.max_tokens = 50;
}
static void headers(struct question *q)
{
    static const char *list[] = { "X-Mode: other" };
    q->model.remote.headers = (struct conf_list){ 1, list };
}
static void system_prompt(struct question *q)
{
    q->messages[0].text = STR("Be long.");
}
static void history(struct question *q)
{
    q->messages[2].text = STR("No.");
}
static void query(struct question *q)
{
    q->messages[3].text = STR("Two??");
}
static void role(struct question *q)
{
    q->messages[1].role = MODEL_ASSISTANT;
}
static void order(struct question *q)
{
    q->messages[1].text = STR("Two?");
    q->messages[3].text = STR("One?");
}
/* The same bytes, but the border between two texts is another. */
static void border(struct question *q)
{
    q->messages[0].text = STR("Be brief.\nrole 1\ntext 4:One?");
    q->messages[1] = q->messages[2];
    q->messages[2] = q->messages[3];
    q->ask.n_messages = 3;
}
static void shorter(struct question *q)
{
    q->ask.messages = q->messages + 1;
    q->ask.n_messages = 3;
}
static void picture(struct question *q)
{
    q->messages[3].pictures = pictures;
    q->messages[3].n_pictures = 1;
}
static void other_picture(struct question *q)
{
    q->messages[3].pictures = others;
    q->messages[3].n_pictures = 1;
}
static void picture_type(struct question *q)
{
    q->messages[3].pictures = jpeg;
    q->messages[3].n_pictures = 1;
}
static void picture_elsewhere(struct question *q)
{
    q->messages[1].pictures = pictures;
    q->messages[1].n_pictures = 1;
}
static void tool(struct question *q)
{
    q->ask.tools = search;
    q->ask.n_tools = 1;
}
static void tool_otherwise(struct question *q)
{
    q->ask.tools = search_otherwise;
    q->ask.n_tools = 1;
}
static void other_tool(struct question *q)
{
    q->ask.tools = fetch;
    q->ask.n_tools = 1;
}
static void person(struct question *q)
{
    q->scope = STR("person:2");
}
static void channel(struct question *q)
{
    q->scope = STR("channel:1");
}

static const struct {
    const char *what;
    void (*change)(struct question *q);
} changes[] = {
    { "name", name },
    { "backend's id", backend_id },
    { "backend", backend },
    { "base_url", base_url },
    { "temperature", temperature },
    { "extra", extra },
    { "max_tokens", max_tokens },
    { "max_tokens of the question", max_tokens_asked },
    { "headers", headers },
    { "system prompt", system_prompt },
    { "history", history },
    { "query", query },
    { "role", role },
    { "order", order },
    { "border", border },
    { "shorter", shorter },
    { "picture", picture },
    { "other picture", other_picture },
    { "picture's type", picture_type },
    { "picture elsewhere", picture_elsewhere },
    { "tool", tool },
    { "tool that does something else", tool_otherwise },
    { "other tool", other_tool },
    { "person", person },
    { "channel", channel },
};
#define N_CHANGES (sizeof changes / sizeof *changes)

static bool key_of(const struct question *q, char ret[REUSE_KEY_MAX])
{
    return reuse_key(&q->model.remote.base, &q->ask, q->scope, ret);
}

Test(reuse, each_ingredient_changes_the_key)
{
    char keys[N_CHANGES + 1][REUSE_KEY_MAX];
    struct question q;
    sign_setup();
    question_init(&q);
    cr_assert(key_of(&q, keys[N_CHANGES]));
    cr_assert_eq(strlen(keys[N_CHANGES]), 64);
    for (size_t i = 0; i < N_CHANGES; i++) {
        question_init(&q);
        changes[i].change(&q);
        cr_assert(key_of(&q, keys[i]), "%s", changes[i].what);
    }
    for (size_t i = 0; i < N_CHANGES; i++)
        for (size_t j = i + 1; j <= N_CHANGES; j++)
            cr_expect_str_neq(keys[i], keys[j], "%s, %s", changes[i].what,
                              j < N_CHANGES ? changes[j].what : "unchanged");
}

Test(reuse, what_does_not_decide_the_answer_does_not_change_the_key)
{
    char key[REUSE_KEY_MAX], again[REUSE_KEY_MAX];
    struct question q;
    sign_setup();
    question_init(&q);
    cr_assert(key_of(&q, key));
    q.model.remote.api_key = "sk-2";
    q.model.remote.base.total_ms = 7;
    q.model.remote.base.input_price = "3";
    cr_assert(key_of(&q, again));
    cr_assert_str_eq(key, again);
}

Test(reuse, a_picture_by_its_address_has_no_key)
{
    char key[REUSE_KEY_MAX];
    struct question q;
    sign_setup();
    question_init(&q);
    q.messages[1].pictures = linked;
    q.messages[1].n_pictures = 1;
    cr_assert_not(key_of(&q, key));
}
