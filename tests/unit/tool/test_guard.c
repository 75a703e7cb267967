/*
 * Loops of calls: each rule at its border, and what must not be taken for one.
 */
#include "core/net/sign.h"
#include "core/tool/guard.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/*
 * A story: each letter a call (upper case: with the result "same", lower case: with a new one each
 * time), each verdict a character: '.' fine, 'w' warning, 'S' stop.
 */
static const struct row {
    const char *what, *calls, *verdicts;
} rows[] = {
    { "different calls", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", ".........................." },
    { "the same, with news", "aaaaaaaaaaaaa", ".......wwwwSS" },
    { "the same, among others", "axaybzacadaeafagah", "................w." },
    { "polling without news", "AAAAAA", "....wS" },
    { "polling with news", "aaaaaa", "......" },
    { "a change begins anew", "AAAABAAAA", "........w" },
    { "in turn", "ababab", ".....w" },
    { "in turn, five", "ababa", "....." },
    { "in turn, the same results", "ABABABABABA", ".....wwwwwS" },
    { "three in a cycle", "ABCABCABCABCABCA", "...............S" },
    { "three in a cycle, with news", "abcabcabcabcabca", "...............w" },
    { "five in a cycle", "ABCDEABCDEABCDEABCDEABCDEA", ".........................S" },
    { "six in a cycle", "ABCDEFABCDEFABCDEFABCDEFABCDEFA", "..............................." },
    { "a cycle with one foreign", "ABCABCABCABXABCA", "................" },
};

static void tell(const struct row *row, char *ret)
{
    static const char marks[] = { [GUARD_FINE] = '.', [GUARD_WARN] = 'w', [GUARD_STOP] = 'S' };
    struct guard g;
    guard_init(&g);
    for (size_t i = 0; row->calls[i]; i++) {
        char tool[2] = { (char)(row->calls[i] | 32), '\0' }, result[16];
        const char *why = NULL;
        enum guard_verdict v = guard_call(&g, str_of(tool), STR("{\"a\":1}"), &why);
        cr_expect_eq(v == GUARD_FINE, why == NULL, "%s: a verdict has a reason", row->what);
        bool same = row->calls[i] < 'a';
        snprintf(result, sizeof(result), "%zu", same ? 0 : i + 1);
        guard_result(&g, 0, str_of(result));
        ret[i] = marks[v];
        ret[i + 1] = '\0';
    }
}

Test(guard, stories)
{
    cr_assert(sign_setup());
    for (size_t i = 0; i < COUNT(rows); i++) {
        char got[64] = "";
        tell(&rows[i], got);
        cr_expect_str_eq(got, rows[i].verdicts, "%s: %s", rows[i].what, got);
    }
}

static size_t calls_until_warned(const char *const *arguments, size_t n)
{
    struct guard g;
    const char *why;
    guard_init(&g);
    for (size_t i = 0; i < 64; i++)
        if (guard_call(&g, STR("t"), str_of(arguments[i % n]), &why) != GUARD_FINE) return i + 1;
    return 0;
}

Test(guard, arguments)
{
    static const char *const white[] = { "{\"a\":1,\"b\":[2]}", " { \"a\" : 1,\n\"b\":[ 2 ] }" };
    static const char *const broken[] = { "{not json" };
    static const char *const others[] = { "1", "2", "3", "4", "5", "6", "7" };
    cr_assert(sign_setup());
    cr_expect_eq(calls_until_warned(white, 2), 8u, "white space makes no difference");
    cr_expect_eq(calls_until_warned(broken, 1), 8u);
    cr_expect_eq(calls_until_warned(others, 7), 0u);
}

Test(guard, results_of_calls_made_at_once)
{
    struct guard g;
    const char *why;
    cr_assert(sign_setup());
    guard_init(&g);
    for (int i = 0; i < 2; i++) {
        guard_call(&g, STR("t"), STR("{}"), &why);
        guard_call(&g, STR("t"), STR("{}"), &why);
        guard_result(&g, 1, STR("same"));
        guard_result(&g, 0, STR("same"));
    }
    cr_expect_eq(guard_call(&g, STR("t"), STR("{}"), &why), GUARD_WARN);
    guard_result(&g, 99, STR("too far back is nobody's"));
}
