/*
 * When a model is asked again, and after how long.
 */
#include "core/model/model.h"
#include "core/model/policy.h"
#include <criterion/criterion.h>

Test(policy, again)
{
    static const struct {
        enum err_kind kind;
        uint32_t hint_ms;
        struct policy_try t;
        bool again;
        uint32_t min_ms, max_ms;
    } cases[] = {
        { ERR_IO, 0, { 1, 3, false, false, "" }, true, 250, 500 },
        { ERR_IO, 0, { 2, 3, false, true, "" }, true, 500, 1000 },
        { ERR_IO, 0, { 3, 3, false, true, "" }, false, 0, 0 },
        { ERR_IO, 0, { 1, 3, true, true, "" }, false, 0, 0 },
        { ERR_IO, 3000, { 1, 3, false, true, "" }, true, 3000, 3000 },
        { ERR_IO, 30000, { 1, 3, false, true, "" }, false, 0, 0 },
        { ERR_IO, 0, { 1, 3, false, true, "false" }, false, 0, 0 },
        { ERR_UNKNOWN, 0, { 1, 3, false, true, "" }, true, 250, 500 },
        { ERR_UNKNOWN, 0, { 1, 3, true, true, "" }, false, 0, 0 },
        { ERR_UNKNOWN, 0, { 2, 3, false, true, "", 1 }, true, 500, 1000 }, /* cut, in one of two */
        { ERR_UNKNOWN, 0, { 2, 3, false, true, "", 2 }, false, 0, 0 },
        { ERR_UNKNOWN, 0, { 2, 3, false, true, "true", 2 }, true, 500, 1000 },
        { ERR_IO, 0, { 2, 3, false, true, "", 2 }, true, 500, 1000 },
        { ERR_TIMEOUT, 0, { 1, 3, false, false, "" }, true, 250, 500 },
        { ERR_TIMEOUT, 0, { 1, 3, false, true, "" }, false, 0, 0 },
        { ERR_LIMIT, 2000, { 1, 3, false, true, "" }, true, 2000, 2000 },
        { ERR_LIMIT, 20000, { 1, 3, false, true, "" }, true, 20000, 20000 },
        { ERR_LIMIT, 20001, { 1, 3, false, true, "" }, false, 0, 0 },
        { ERR_LIMIT, 0, { 1, 3, false, true, "" }, false, 0, 0 },
        { ERR_AUTH, 0, { 1, 3, false, true, "" }, false, 0, 0 },
        { ERR_AUTH, 0, { 1, 3, false, true, "true" }, true, 250, 500 },
        { ERR_REFUSED, 0, { 1, 3, false, true, "" }, false, 0, 0 },
        { ERR_NOT_FOUND, 0, { 1, 3, false, true, "" }, false, 0, 0 },
        { ERR_PROTO, 0, { 1, 3, false, true, "" }, false, 0, 0 },
        { ERR_CANCELLED, 0, { 1, 3, false, true, "true" }, false, 0, 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err why = { .kind = cases[i].kind, .retry_after_ms = cases[i].hint_ms };
        uint32_t wait_ms = 0;
        cr_expect_eq(policy_again(&cases[i].t, &why, &wait_ms), cases[i].again, "case %zu", i);
        if (!cases[i].again) continue;
        cr_expect(wait_ms >= cases[i].min_ms && wait_ms <= cases[i].max_ms, "case %zu: %u", i,
                  wait_ms);
    }
}

/* A string that nobody has measured must not get far into a log line. */
Test(policy, what_is_quoted_is_short_clean_and_on_one_line)
{
    char long_text[1000];
    memset(long_text, ' ', sizeof(long_text));
    memcpy(long_text, "a\x01\n\xff\xc3\xa4 b", 9);
    memset(long_text + 200, 'x', 800);
    struct policy_refusal r = { .status = 500, .message = str_from(long_text, sizeof(long_text)) };
    struct err why;
    policy_refused(&r, &why);
    cr_expect_leq(strlen(why.msg), 220);
    cr_expect(strstr(why.msg, "a  \xef\xbf\xbd\xc3\xa4 b"), "%s", why.msg);
    cr_expect_eq(policy_refused(&r, NULL), ERR_IO);
}

Test(policy, settings_that_can_be_left_out)
{
    static const struct {
        const char *body;
        unsigned blames;
    } cases[] = {
        { "{\"error\":{\"message\":\"Unsupported value: 'temperature' does not support 0.5\"}}",
          MODEL_WITHOUT_SAMPLING },
        { "{\"error\":{\"message\":\"temperature: Extra inputs are not permitted\"}}",
          MODEL_WITHOUT_SAMPLING },
        { "{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens' is not supported with this "
          "model. Use 'max_completion_tokens' instead.\"}}",
          MODEL_WITHOUT_MAXIMUM },
        { "{\"error\":{\"message\":\"max_tokens is too large: 9. At most 4 are allowed\"}}", 0 },
        { "{\"error\":{\"message\":\"messages must not be empty\"}}", 0 },
        { "", 0 },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_expect_eq(policy_blames(str_of(cases[i].body)), cases[i].blames, "%zu", i);
}

Test(policy, what_a_failure_means_for_its_model_and_for_others)
{
    static const struct {
        enum err_kind kind;
        uint32_t wait_ms;
        bool elsewhere, if_refused;
        enum policy_rest rest;
    } cases[] = {
        { ERR_IO, 0, true, true, POLICY_COUNT },
        { ERR_TIMEOUT, 0, true, true, POLICY_COUNT },
        { ERR_UNKNOWN, 0, true, true, POLICY_COUNT },
        { ERR_PROTO, 0, true, true, POLICY_COUNT },
        { ERR_LIMIT, 5000, true, true, POLICY_REST },
        { ERR_LIMIT, 0, true, true, POLICY_NO_REST }, /* too long for its window */
        { ERR_AUTH, 0, true, true, POLICY_LONG_REST },
        { ERR_NOT_FOUND, 0, true, true, POLICY_LONG_REST },
        { ERR_CONF, 0, true, true, POLICY_LONG_REST },
        { ERR_REFUSED, 0, false, true, POLICY_NO_REST },
        { ERR_CANCELLED, 0, false, false, POLICY_NO_REST },
        { ERR_BUG, 0, false, false, POLICY_NO_REST },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct err why = { .kind = cases[i].kind, .retry_after_ms = cases[i].wait_ms };
        cr_expect_eq(policy_elsewhere(&why, false), cases[i].elsewhere, "%zu", i);
        cr_expect_eq(policy_elsewhere(&why, true), cases[i].if_refused, "%zu", i);
        cr_expect_eq(policy_rest(&why), cases[i].rest, "%zu", i);
    }
}
