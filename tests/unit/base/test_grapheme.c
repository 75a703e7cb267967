#include "core/base/grapheme.h"

#include <criterion/criterion.h>

static const struct {
    const char *text;
    size_t first, columns;
} cases[] = {
    { "", 0, 0 },
    { "ab", 1, 2 },
    { "\r\nx", 2, 2 },
    { "e\xCC\x81x", 3, 2 },                                     /* e with an accent */
    { "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80!", 11, 3 }, /* an astronaut */
    { "\xF0\x9F\x91\x8D\xF0\x9F\x8F\xBD", 8, 2 },               /* a dark thumb */
    { "\xF0\x9F\x87\xA9\xF0\x9F\x87\xAA\xF0\x9F\x87\xAB\xF0\x9F\x87\xB7", 8, 4 }, /* two flags */
    { "\xE6\x97\xA5\xE6\x9C\xAC", 3, 4 },                                         /* Nihon */
    { "\xE0\xA4\x95\xE0\xA5\x8D\xE0\xA4\xB7", 6, 2 }, /* an Indic sign */
    { "\xFFz", 1, 2 },                                /* no UTF-8 */
};

Test(grapheme, table)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str s = str_of(cases[i].text);
        cr_expect_eq(grapheme_next(s), cases[i].first, "%zu", i);
        cr_expect_eq(grapheme_columns(s), cases[i].columns, "%zu: %zu", i, grapheme_columns(s));
    }
}

Test(grapheme, heaps_of_marks_are_bounded)
{
    char zalgo[1 + 2 * 500 + 1] = "a";
    for (size_t i = 0; i < 500; i++) memcpy(zalgo + 1 + 2 * i, "\xCC\x81", 2);
    size_t n = grapheme_next(str_of(zalgo));
    cr_expect(n > 1 && n <= GRAPHEME_MAX);
}
