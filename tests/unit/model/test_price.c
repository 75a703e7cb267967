/* Prices and costs, against numbers worked out by hand. */
#include "core/model/price.h"
#include <criterion/criterion.h>

Test(price, decimals)
{
    static const struct {
        const char *text;
        int scale;
        bool ok;
        int64_t want;
    } cases[] = {
        { "2.5e-06", 15, true, INT64_C(2500000000) },
        { "0.0000025", 15, true, INT64_C(2500000000) },
        { "2.5E-6", 15, true, INT64_C(2500000000) },
        { "1e-15", 15, true, 1 },
        { "1.5e-15", 15, true, 2 },
        { "4e-16", 15, true, 0 },
        { "5e-16", 15, true, 1 },
        { "1e-40", 15, true, 0 },
        { "0", 15, true, 0 },
        { "0.0", 9, true, 0 },
        { "1.00", 9, true, INT64_C(1000000000) },
        { "20", 9, true, INT64_C(20000000000) },
        { "+1", 9, false, 0 },
        { "-1", 9, false, 0 },
        { "", 9, false, 0 },
        { ".", 9, false, 0 },
        { "1.2.3", 9, false, 0 },
        { "1e", 9, false, 0 },
        { "1e99", 9, false, 0 },
        { "1e20", 9, false, 0 },
        { "12x", 9, false, 0 },
        { "\"1\"", 9, false, 0 },
        { "0.1234567890123456789", 9, true, 123456789 },
        { "00000000000000000000001", 0, true, 1 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t v = 0;
        bool ok = price_decimal(str_of(cases[i].text), cases[i].scale, &v);
        cr_expect_eq(ok, cases[i].ok, "%s", cases[i].text);
        if (ok) cr_expect_eq(v, cases[i].want, "%s: %ld", cases[i].text, v);
    }
}

static enum err_kind read_entry(const char *text, struct price *p, struct err *why)
{
    struct json *doc = NULL;
    cr_assert_eq(json_parse(str_of(text), &doc, why), ERR_NONE, "%s", why->msg);
    enum err_kind kind = price_read(doc, p, why);
    json_free(doc);
    return kind;
}

/* As litellm lists a model whose long prompts are dearer. */
#define SONNET                                                                              \
    "{\"litellm_provider\":\"anthropic\",\"mode\":\"chat\",\"input_cost_per_token\":3e-06," \
    "\"output_cost_per_token\":1.5e-05,\"cache_read_input_token_cost\":3e-07,"              \
    "\"cache_creation_input_token_cost\":3.75e-06,"                                         \
    "\"input_cost_per_token_above_200k_tokens\":6e-06,"                                     \
    "\"output_cost_per_token_above_200k_tokens\":2.25e-05,"                                 \
    "\"input_cost_per_token_batches\":1.5e-06,\"max_tokens\":64000,\"supports_vision\":true}"

Test(price, costs)
{
    static const struct {
        struct model_usage usage;
        int64_t nano;
    } cases[] = {
        /* 1000 x 3 + 500 x 15 dollars a million = 0.0105 */
        { { .prompt_tokens = 1000, .completion_tokens = 500 }, 10500000 },
        /* 200 x 3 + 700 x 0.3 + 100 x 3.75 + 10 x 15 = 600 + 210 + 375 + 150 */
        { { .prompt_tokens = 1000,
            .completion_tokens = 10,
            .cached_tokens = 700,
            .written_tokens = 100 },
          1335000 },
        /* all of it at the price above 200k: 200001 x 6 + 1 x 22.5 */
        { { .prompt_tokens = 200001, .completion_tokens = 1 }, INT64_C(1200028500) },
        { { .prompt_tokens = 200000, .completion_tokens = 1 }, INT64_C(600015000) },
        { { .prompt_tokens = 1 }, 3000 },
        { { .completion_tokens = 0 }, 0 },
        /* more cached than there were: no negative part */
        { { .prompt_tokens = 10, .cached_tokens = 50 }, 3000 },
        { { .prompt_tokens = 1000, .cost_nano = 42 }, 42 },
        /* no more than can be kept, whoever says so */
        { { .prompt_tokens = INT64_MAX, .completion_tokens = INT64_MAX }, COST_MAX_NANO },
        { { .cost_nano = INT64_MAX }, COST_MAX_NANO },
    };
    struct price p;
    struct err why;
    cr_assert_eq(read_entry(SONNET, &p, &why), ERR_NONE, "%s", why.msg);
    cr_assert_eq(p.large_tokens, 200000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t nano = price_cost(&p, &cases[i].usage);
        cr_expect_eq(nano, cases[i].nano, "%zu: %ld", i, nano);
    }
    /* 115 % of 1000 tokens and one, written to the cache, and 4096 of the answer */
    cr_expect_eq(price_estimate(&p, 1000, 4096, true), INT64_C(1151 * 3750 + 4096 * 15000));
    cr_expect_eq(price_estimate(&p, 1000, 4096, false), INT64_C(1151 * 3000 + 4096 * 15000));
    p.known = false;
    cr_expect_eq(price_cost(&p, &cases[0].usage), COST_UNKNOWN);
    cr_expect_eq(price_cost(&p, &cases[7].usage), 42);
}

Test(price, reasoning_may_have_a_price_of_its_own)
{
    struct price p;
    struct err why;
    const struct model_usage u = { .completion_tokens = 100, .reasoning_tokens = 60 };
    cr_assert_eq(
        read_entry("{\"output_cost_per_token\":1e-06,\"output_cost_per_reasoning_token\":3e-06}",
                   &p, &why),
        ERR_NONE);
    cr_expect_eq(price_cost(&p, &u), 40 * 1000 + 60 * 3000);
    cr_expect_eq(price_estimate(&p, 0, 100, true), 100 * 3000, "it may think all the time");
}

/* The order of the members makes no difference. */
Test(price, of_several_thresholds_the_lowest_counts)
{
    static const char *const entries[] = {
        "{\"input_cost_per_token\":1e-06,\"output_cost_per_token\":1e-06,"
        "\"input_cost_per_token_above_200k_tokens\":9e-06,"
        "\"output_cost_per_token_above_128k_tokens\":2e-06}",
        "{\"output_cost_per_token_above_128k_tokens\":2e-06,\"input_cost_per_token\":1e-06,"
        "\"input_cost_per_token_above_200k_tokens\":9e-06,\"output_cost_per_token\":1e-06}",
    };
    for (size_t i = 0; i < 2; i++) {
        struct price p;
        struct err why = ERR_INIT;
        cr_assert_eq(read_entry(entries[i], &p, &why), ERR_NONE, "%s", why.msg);
        cr_expect_eq(p.large_tokens, 128000);
        cr_expect_eq(p.large.input, p.base.input, "%zu", i);
        cr_expect_eq(p.large.output, 2 * p.base.output, "%zu", i);
    }
}

Test(price, entries_that_are_none)
{
    static const struct {
        const char *text;
        enum err_kind kind;
    } cases[] = {
        { "{\"mode\":\"image_generation\",\"output_cost_per_image\":0.04}", ERR_NOT_FOUND },
        { "{}", ERR_NOT_FOUND },
        { "{\"mode\":\"chat\",\"input_cost_per_token\":1e-06}", ERR_NOT_FOUND },
        { "{\"mode\":\"embedding\",\"input_cost_per_token\":1e-06}", ERR_NONE },
        { "{\"input_cost_per_token\":null}", ERR_NOT_FOUND },
        { "{\"input_cost_per_token\":\"cheap\"}", ERR_PROTO },
        { "{\"input_cost_per_token\":-1e-06}", ERR_PROTO },
        { "{\"input_cost_per_token\":0.2}", ERR_PROTO },
        { "[]", ERR_PROTO },
        { "{\"input_cost_per_token\":0,\"output_cost_per_token\":0}", ERR_NONE },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct price p;
        struct err why = ERR_INIT;
        cr_expect_eq(read_entry(cases[i].text, &p, &why), cases[i].kind, "%s: %s", cases[i].text,
                     why.msg);
    }
}

Test(price, told_to_people)
{
    static const struct {
        int64_t nano;
        const char *text;
    } cases[] = {
        { 0, "$0.00" },
        { INT64_C(12340000000), "$12.34" },
        { INT64_C(999999999999), "$1000.00" },
        { 123400000, "$0.123" },
        { 10500000, "$0.0105" },
        { 1234567, "$0.00123" },
        { 42, "$0.000000042" },
        { 1, "$0.000000001" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct price_text t;
        cr_expect_str_eq(price_tell(cases[i].nano, &t), cases[i].text, "%s", t.text);
    }
}
