/*
 * Errors: the table is complete, texts are cut at a code point, context goes in front.
 */
#include "core/base/err.h"
#include "core/base/utf8.h"

#include <criterion/criterion.h>

Test(err, every_kind_has_a_rule)
{
    for (int kind = 0; kind < ERR_N; kind++) {
        const struct err_rule *rule = err_rule((enum err_kind)kind);
        cr_assert_not_null(rule->name, "kind %d", kind);
        cr_assert_not_null(rule->user_text, "kind %d", kind);
        cr_expect(kind == ERR_NONE || *rule->user_text, "kind %d", kind);
        for (int other = 0; other < kind; other++)
            cr_expect_str_neq(rule->name, err_rule((enum err_kind)other)->name);
    }
    cr_expect_str_eq(err_rule((enum err_kind)99)->name, "bug");
    cr_expect_not(err_rule(ERR_UNKNOWN)->retry, "what may have happened is not repeated");
    cr_expect_not(err_rule(ERR_AUTH)->retry);
    cr_expect(err_rule(ERR_TIMEOUT)->retry);
}

Test(err, set_and_add)
{
    struct err why = { .retry_after_ms = 7 };
    cr_expect_eq(err_set(&why, ERR_LIMIT, "status %d", 429), ERR_LIMIT);
    cr_expect_eq(why.retry_after_ms, 0u, "an old hint does not outlive a new error");
    why.retry_after_ms = 3000;
    cr_expect_eq(err_add(&why, "telegram %s: ", "support"), ERR_LIMIT);
    cr_expect_str_eq(why.msg, "telegram support: status 429");
    cr_expect_eq(why.retry_after_ms, 3000u);

    cr_expect_eq(err_set(&why, ERR_IO, "again: %s", why.msg), ERR_IO, "its own text as argument");
    cr_expect_str_eq(why.msg, "again: telegram support: status 429");
}

Test(err, nobody_asked)
{
    cr_expect_eq(err_set(NULL, ERR_IO, "x"), ERR_IO);
    cr_expect_eq(err_add(NULL, "x"), ERR_NONE);
}

Test(err, cuts_at_a_code_point)
{
    static const char *const points[] = { "x", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x98\x80" };
    for (size_t p = 0; p < 4; p++) {
        for (int shift = 0; shift < 4; shift++) {
            char text[2 * ERR_MSG_MAX] = "";
            for (int i = 0; i < shift; i++) strcat(text, "-");
            while (strlen(text) < ERR_MSG_MAX + 8) strcat(text, points[p]);
            struct err why = ERR_INIT;
            err_set(&why, ERR_PROTO, "%s", text);
            cr_expect(utf8_valid(str_of(why.msg)), "point %zu shift %d", p, shift);
            cr_expect_geq(strlen(why.msg), (size_t)ERR_MSG_MAX - 4);
            err_add(&why, "%s", "context: ");
            cr_expect(utf8_valid(str_of(why.msg)), "point %zu shift %d", p, shift);
        }
    }
}

Test(err, context_longer_than_the_room)
{
    char text[2 * ERR_MSG_MAX];
    memset(text, 'c', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct err why = ERR_INIT;
    err_set(&why, ERR_PROTO, "text");
    cr_expect_eq(err_add(&why, "%s", text), ERR_PROTO);
    cr_expect_eq(strlen(why.msg), (size_t)ERR_MSG_MAX - 1);
}
