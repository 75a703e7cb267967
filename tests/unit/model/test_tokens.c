/*
 * The estimator against counts by o200k_base: never far under, never absurdly over.
 */
#include "core/model/model.h"
#include <criterion/criterion.h>

static const struct {
    const char *text;
    int64_t truth; /* by o200k_base */
} samples[] = {
    { "The quick brown fox jumps over the lazy dog.", 10 },
    { "Hello world", 2 },
    { "ok thx, see u tmrw at 8!! lol", 14 },
    { "{\"id\": 12, \"name\": \"Ada\", \"tags\": [\"a\", \"b\"]}", 22 },
    { "https://example.com/path?query=1&other=two", 13 },
    { "for (int i = 0; i < n; i++) {\n    sum += a[i] * 2;\n}\n", 26 },
    { "Heute ist das Wetter schön, und wir gehen im Park spazieren.", 14 },
    { "今天天气很好，我们去公园吧。", 10 },
    { "Привет, как дела?", 6 },
    { "مرحبا كيف حالك اليوم؟", 7 },
    { "a8f3e92b7c61d04f5e8a9b7c", 21 },
    { "😀🎉👍🏽", 6 },
};

Test(tokens, near_the_truth)
{
    for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
        int64_t n = tokens_estimate(str_of(samples[i].text));
        cr_expect_geq(n * 100, samples[i].truth * 75, "%s: %ld", samples[i].text, n);
        cr_expect_leq(n * 100, samples[i].truth * 160 + 100, "%s: %ld", samples[i].text, n);
    }
}

Test(tokens, by_the_rules)
{
    static const struct {
        struct str text;
        int64_t want;
    } cases[] = {
        { STR(""), 0 },
        { STR(" "), 0 },
        { STR("a"), 1 },
        { STR("abcdef"), 1 },
        { STR("abcdefg"), 2 },
        { STR("a b c"), 3 },
        { STR("1234"), 2 },
        { STR("\n\n\n"), 1 },
        { STR("a  b"), 3 },
        { STR("...."), 3 },
        { STR("\xc3\xa4\xc3\xb6"), 1 },
        { STR("\xff\xff"), 3 },
        { STR("\0\0\0\0"), 3 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_expect_eq(tokens_estimate(cases[i].text), cases[i].want, "case %zu: %ld", i,
                     tokens_estimate(cases[i].text));
}

Test(tokens, of_a_request)
{
    struct model_message m[] = { { MODEL_SYSTEM, STR("word") }, { MODEL_USER, STR("two words") } };
    struct model_ask ask = { m, 2, 0 };
    cr_expect_eq(tokens_of_ask(&ask), 3 + 2 * 4 + 1 + 2);
    m[1].n_pictures = 2; /* they are not free: a budget reserves for them */
    cr_expect_eq(tokens_of_ask(&ask), 3 + 2 * 4 + 1 + 2 + 2 * 1600);
}
