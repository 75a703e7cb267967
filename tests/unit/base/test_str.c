/*
 * Views: comparing, searching, cutting, numbers at their bounds.
 */
#include "core/base/str.h"

#include <criterion/criterion.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void expect(struct str got, const char *want)
{
    cr_expect(str_eq(got, str_of(want)), "'%.*s' is not '%s'", STR_ARG(got), want);
}

Test(str, compares)
{
    cr_expect(str_eq(STR_NONE, str_of(NULL)));
    cr_expect(str_eq(str_from(NULL, 0), STR("")));
    cr_expect(str_eq(STR("a\0b"), STR("a\0b")));
    cr_expect_not(str_eq(STR("a\0b"), STR("a\0c")));
    cr_expect_not(str_eq(STR("a"), STR("ab")));
    cr_expect(str_eq_nocase(STR("Content-Type"), STR("cONTENT-tYPE")));
    cr_expect_not(str_eq_nocase(STR("["), STR("{")), "only letters have a case");
    cr_expect_not(str_eq_nocase(STR("\xC3\x84"), STR("\xC3\xA4")), "ASCII only");
    cr_expect(str_starts(STR("/new x"), STR("/new")));
    cr_expect(str_starts(STR(""), STR("")));
    cr_expect_not(str_starts(STR("/n"), STR("/new")));
    cr_expect(str_starts_nocase(STR("BEARER x"), STR("Bearer ")));
    cr_expect(str_ends(STR("a.json"), STR(".json")));
    cr_expect_not(str_ends(STR("json"), STR(".json")));
}

Test(str, finds)
{
    static const struct {
        const char *s, *needle;
        size_t at;
    } table[] = {
        { "", "", 0 },
        { "abc", "", 0 },
        { "", "a", SIZE_MAX },
        { "abcabc", "c", 2 },
        { "abc", "abcd", SIZE_MAX },
        { "aab", "ab", 1 },
        { "abc", "abc", 0 },
        { "abc", "x", SIZE_MAX },
    };
    for (size_t i = 0; i < COUNT(table); i++)
        cr_expect_eq(str_find(str_of(table[i].s), str_of(table[i].needle)), table[i].at, "row %zu",
                     i);
    cr_expect_eq(str_find_char(STR("a=b=c"), '='), 1u);
    cr_expect_eq(str_find_char(STR("abc"), '='), SIZE_MAX);
    cr_expect_eq(str_find_char(str_from(NULL, 0), '='), SIZE_MAX);
}

Test(str, cuts)
{
    expect(str_trim(STR(" \t\r\n\v\f a b \n")), "a b");
    expect(str_trim(STR("   ")), "");
    expect(str_trim(STR_NONE), "");
    expect(str_head(STR("abc"), 2), "ab");
    expect(str_head(STR("abc"), 9), "abc");
    expect(str_skip(STR("abc"), 2), "c");
    expect(str_skip(STR("abc"), 9), "");
    expect(str_skip(str_from(NULL, 0), 9), "");

    struct str s = STR("a,,b,");
    expect(str_cut(&s, ','), "a");
    expect(str_cut(&s, ','), "");
    expect(str_cut(&s, ','), "b");
    expect(s, "");
    s = STR("no separator");
    expect(str_cut(&s, ','), "no separator");
    cr_expect_eq(s.n, 0u);
}

Test(str, reads_signed_numbers)
{
    static const struct {
        const char *s;
        bool ok;
        int64_t v;
    } table[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "007", true, 7 },
        { "9223372036854775807", true, INT64_MAX },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775808", true, INT64_MIN },
        { "-9223372036854775809", false, 0 },
        { "99999999999999999999999", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { "--1", false, 0 },
        { "+1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1.0", false, 0 },
        { "0x1", false, 0 },
        { "/", false, 0 },
        { ":", false, 0 },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t v = 42;
        cr_expect_eq(str_i64(str_of(table[i].s), &v), table[i].ok, "'%s'", table[i].s);
        cr_expect_eq(v, table[i].ok ? table[i].v : 42, "'%s'", table[i].s);
    }
}

Test(str, reads_unsigned_numbers)
{
    static const struct {
        const char *s;
        bool ok;
        uint64_t v;
    } table[] = {
        { "18446744073709551615", true, UINT64_MAX },
        { "18446744073709551616", false, 0 },
        { "28446744073709551615", false, 0 },
        { "-1", false, 0 },
        { "12", true, 12 },
        { "", false, 0 },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        uint64_t v = 42;
        cr_expect_eq(str_u64(str_of(table[i].s), &v), table[i].ok, "'%s'", table[i].s);
        cr_expect_eq(v, table[i].ok ? table[i].v : 42, "'%s'", table[i].s);
    }
}

Test(str, hex_digits)
{
    const char digits[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    int n_others = 0;
    for (int i = 0; i < 16; i++) {
        cr_expect_eq(str_hex_digit(digits[i]), i);
        cr_expect_eq(str_hex_digit(upper[i]), i);
    }
    for (int c = -128; c < 128; c++) n_others += str_hex_digit((char)c) < 0;
    cr_expect_eq(n_others, 256 - 22);
}
