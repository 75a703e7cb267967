/*
 * UTF-8: the table of what is invalid and how much of it one U+FFFD stands for, counting, cutting,
 * streams.
 */
#include "core/base/utf8.h"

#include <criterion/criterion.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s)            \
    {                       \
        "" s, sizeof(s) - 1 \
    }
#define R     "\xEF\xBF\xBD"
#define EURO  "\xE2\x82\xAC"
#define SMILE "\xF0\x9F\x98\x80"

Test(utf8, valid)
{
    static const struct str table[] = {
        BYTES(""),
        BYTES("plain, longer than one word of eight bytes"),
        BYTES("\x01\x7F"),
        BYTES("\xC2\x80"),
        BYTES("\xDF\xBF"),
        BYTES("\xE0\xA0\x80"),
        BYTES("\xED\x9F\xBF"),
        BYTES("\xEE\x80\x80"),
        BYTES("\xEF\xBF\xBF"),
        BYTES("\xF0\x90\x80\x80"),
        BYTES("\xF4\x8F\xBF\xBF"),
        BYTES("1234567" EURO "1234567" SMILE),
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        _cleanup_(buf_done) struct buf to = BUF_INIT(1000);
        cr_expect(utf8_valid(table[i]), "row %zu", i);
        cr_expect(utf8_clean(&to, table[i]), "row %zu", i);
        cr_expect(str_eq(buf_str(&to), table[i]), "row %zu", i);
    }
    cr_expect(utf8_valid(str_from(NULL, 0)));
}

Test(utf8, invalid)
{
    static const struct {
        struct str bad;
        const char *clean;
    } table[] = {
        { BYTES("\0"), R },
        { BYTES("12345678\0abcdefgh"), "12345678" R "abcdefgh" },
        { BYTES("\x80"), R },
        { BYTES("\xBF\xBF"), R R },
        { BYTES("\xC0\x80"), R R },
        { BYTES("\xC1\xBF"), R R },
        { BYTES("\xC3"), R },
        { BYTES("\xC3("), R "(" },
        { BYTES("\xE0\x80\x80"), R R R },
        { BYTES("\xE0\x9F\xBF"), R R R },
        { BYTES("\xED\xA0\x80"), R R R },
        { BYTES("\xED\xBF\xBF"), R R R },
        { BYTES("\xE2\x82"), R },
        { BYTES("\xE2\x82x"), R "x" },
        { BYTES("\xF0\x8F\xBF\xBF"), R R R R },
        { BYTES("\xF0\x9F\x98"), R },
        { BYTES("\xF0\x9F\x98\xF0\x9F\x98\x80"), R SMILE },
        { BYTES("\xF4\x90\x80\x80"), R R R R },
        { BYTES("\xF5\x80\x80\x80"), R R R R },
        { BYTES("\xFE\xFF"), R R },
        { BYTES("abcdefg\xFFhijklmnop"), "abcdefg" R "hijklmnop" },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        _cleanup_(buf_done) struct buf to = BUF_INIT(1000);
        cr_expect_not(utf8_valid(table[i].bad), "row %zu", i);
        cr_expect(utf8_clean(&to, table[i].bad), "row %zu", i);
        cr_expect_str_eq(to.p, table[i].clean, "row %zu", i);
        cr_expect(utf8_valid(buf_str(&to)), "row %zu", i);
    }
}

Test(utf8, clean_fills_no_half)
{
    _cleanup_(buf_done) struct buf to = BUF_INIT(5);
    buf_add_cstr(&to, "ab");
    cr_expect_not(utf8_clean(&to, STR("c\xFF")));
    cr_expect_str_eq(to.p, "ab");
    cr_expect(to.full);
    buf_clear(&to);
    cr_expect(utf8_clean(&to, STR("ab\xFF")));
}

Test(utf8, decodes_every_point)
{
    for (uint32_t point = 0; point <= 0x10FFFF; point++) {
        char s[4];
        size_t n = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
        static const unsigned char lead[] = { 0, 0, 0xC0, 0xE0, 0xF0 };
        for (size_t i = n - 1; i > 0; i--) s[i] = (char)(0x80 | (point >> 6 * (n - 1 - i) & 0x3F));
        s[0] = (char)(lead[n] | point >> 6 * (n - 1));

        uint32_t got = UINT32_MAX;
        bool surrogate = point >= 0xD800 && point <= 0xDFFF;
        cr_assert_eq(utf8_decode(str_from(s, n), &got), surrogate ? 0 : n, "U+%04X", point);
        cr_assert_eq(got, surrogate ? UINT32_MAX : point);
        cr_assert_eq(utf8_valid(str_from(s, n)), !surrogate && point != 0, "U+%04X", point);
        cr_assert_eq(utf8_decode(str_from(s, n - 1), &got), 0u);
    }
}

Test(utf8, counts)
{
    struct str s = STR("a\xC3\xA4" EURO SMILE);
    cr_expect_eq(utf8_points(s), 4u);
    cr_expect_eq(utf8_utf16_units(s), 5u);
    cr_expect_eq(utf8_length(s, TEXT_BYTES), 10u);
    cr_expect_eq(utf8_length(s, TEXT_POINTS), 4u);
    cr_expect_eq(utf8_length(s, TEXT_UTF16), 5u);
}

Test(utf8, prefix)
{
    static const struct {
        const char *s;
        size_t max;
        enum text_unit unit;
        size_t want;
    } table[] = {
        { "", 0, TEXT_BYTES, 0 },
        { "abc", 0, TEXT_POINTS, 0 },
        { "abc", 2, TEXT_BYTES, 2 },
        { "abc", 9, TEXT_BYTES, 3 },
        { "a" EURO, 3, TEXT_BYTES, 1 },
        { "a" EURO, 4, TEXT_BYTES, 4 },
        { "a" EURO "b", 2, TEXT_POINTS, 4 },
        { "a" SMILE "b", 2, TEXT_UTF16, 1 },
        { "a" SMILE "b", 3, TEXT_UTF16, 5 },
        { "a" SMILE "b", 2, TEXT_POINTS, 5 },
        { "0123456789012345" SMILE, 16, TEXT_UTF16, 16 },
        { "0123456789012345" SMILE, 17, TEXT_UTF16, 16 },
        { "0123456789012345" SMILE, 18, TEXT_UTF16, 20 },
        { SMILE SMILE, 1, TEXT_UTF16, 0 },
        { "\xFF\xFF\xFF", 2, TEXT_POINTS, 2 },
    };
    for (size_t i = 0; i < COUNT(table); i++)
        cr_expect_eq(utf8_prefix(str_of(table[i].s), table[i].max, table[i].unit), table[i].want,
                     "row %zu", i);
}

Test(utf8, prefix_agrees_with_length)
{
    struct str s = STR("abcdefghij\xC3\xA4" EURO SMILE "0123456789" SMILE "xyz" EURO);
    for (int unit = TEXT_BYTES; unit <= TEXT_UTF16; unit++) {
        for (size_t max = 0; max <= s.n; max++) {
            size_t n = utf8_prefix(s, max, (enum text_unit)unit);
            cr_assert(utf8_valid(str_head(s, n)));
            cr_assert_leq(utf8_length(str_head(s, n), (enum text_unit)unit), max);
            uint32_t point;
            size_t more = utf8_decode(str_skip(s, n), &point);
            if (more) cr_assert_gt(utf8_length(str_head(s, n + more), (enum text_unit)unit), max);
        }
    }
}

Test(utf8, partial_tail)
{
    static const struct {
        const char *s;
        size_t want;
    } table[] = {
        { "", 0 },
        { "a", 0 },
        { EURO, 0 },
        { SMILE, 0 },
        { "a\xC3", 1 },
        { "a\xE2", 1 },
        { "a\xE2\x82", 2 },
        { "\xF0\x9F\x98", 3 },
        { "\xF0\x9F", 2 },
        { "\xF0", 1 },
        { "\x80", 0 },
        { "\x80\x80\x80\x80", 0 },
        { "\xE0\x80", 0 },
        { "\xED\xA0", 0 },
        { "\xF4\x90", 0 },
        { "\xFF", 0 },
        { "\xC3\xA4\xC3", 1 },
        { "\xC0", 0 },
        { "\xF5", 0 },
        { "\xE2\x82\xAC\x80", 0 },
    };
    for (size_t i = 0; i < COUNT(table); i++)
        cr_expect_eq(utf8_partial_tail(str_of(table[i].s)), table[i].want, "row %zu", i);
}

Test(utf8, bad_length)
{
    cr_expect_eq(utf8_bad_length(STR_NONE), 0u);
    cr_expect_eq(utf8_bad_length(STR("\xFF\xFF")), 1u);
    cr_expect_eq(utf8_bad_length(STR("\xF0\x9F\x98xx")), 3u);
    cr_expect_eq(utf8_bad_length(STR("\xED\xA0\x80")), 1u);
}
