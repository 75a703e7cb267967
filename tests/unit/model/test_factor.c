/* What is learned of a model's tokens. */
#include "core/model/factor.h"
#include "core/model/models.h"
#include <criterion/criterion.h>

static struct models_common common;
static struct models models = { .common = &common };
static const struct model one = { .name = "one" }, two = { .name = "two" };
static const char words[] =
    "It is said that whoever counts the tokens of a long text by hand grows "
    "old over it, and that the text is no better for it afterwards. ";
static char text[8 * sizeof(words)];
static struct model_message message = { .role = MODEL_USER };
static const struct model_ask ask = { .messages = &message, .n_messages = 1 };
static int64_t estimated;

static void setup(void)
{
    for (int i = 0; i < 8; i++) strcat(text, words);
    message = (struct model_message){ .role = MODEL_USER, .text = str_of(text) };
    estimated = tokens_of_ask(&ask);
    cr_assert_gt(estimated, 200);
}

static void teardown(void)
{
    factor_forget(&common.factors, &one);
    factor_forget(&common.factors, &two);
    cr_assert_null(common.factors);
}

TestSuite(factor, .init = setup, .fini = teardown);

static void answered(const struct model *m, int64_t permille)
{
    const struct model_usage usage = { .known = true,
                                       .prompt_tokens = estimated * permille / 1000 + 1 };
    factor_learn(&models, m, &ask, &usage);
}

static void expect_near(const struct model *m, int64_t want, int64_t by)
{
    int64_t got = factor_permille(&models, m);
    cr_expect(got >= want - by && got <= want + by, "%d, not %d", (int)got, (int)want);
}

Test(factor, nothing_is_known_at_first)
{
    cr_expect_eq(factor_permille(&models, &one), 1000);
    cr_expect_eq(factor_tokens(&models, &one, 123), 123);
}

Test(factor, the_first_answer_counts_whole_and_the_next_ones_an_eighth)
{
    answered(&one, 1400);
    expect_near(&one, 1400, 5);
    answered(&one, 2200);
    expect_near(&one, 1500, 5);
    for (int i = 0; i < 40; i++) answered(&one, 1200);
    expect_near(&one, 1200, 10);
    cr_expect_eq(factor_permille(&models, &two), 1000, "each model has its own");
    cr_expect_gt(factor_tokens(&models, &one, 1000), 1180);
}

/* It may be what the server leaves out: the definitions of tools, or its template. */
Test(factor, less_than_estimated_is_taken_as_estimated)
{
    answered(&one, 700);
    cr_expect_eq(factor_permille(&models, &one), 1000);
    cr_expect_eq(factor_tokens(&models, &one, 1000), 1000);
}

Test(factor, a_server_that_says_anything_is_not_believed)
{
    answered(&one, 100000);
    cr_expect_eq(factor_permille(&models, &one), 3000);
    answered(&two, 1);
    cr_expect_eq(factor_permille(&models, &two), 1000);
    static const struct model_usage all = { .known = true, .prompt_tokens = INT64_MAX };
    factor_learn(&models, &two, &ask, &all);
    cr_expect_leq(factor_permille(&models, &two), 3000);
}

Test(factor, what_says_little_is_left_out)
{
    static const struct model_usage guess = { .known = false, .prompt_tokens = 5000 };
    static const struct model_usage told = { .known = true, .prompt_tokens = 5000 };
    static const struct model_picture picture;
    static const struct model_ask none = { .n_messages = 0 };
    factor_learn(&models, &one, &ask, &guess);
    factor_learn(&models, &one, &none, &told);
    message.pictures = &picture;
    message.n_pictures = 1;
    factor_learn(&models, &one, &ask, &told);
    cr_expect_eq(factor_permille(&models, &one), 1000);
}
