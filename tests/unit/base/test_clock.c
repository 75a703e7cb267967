/*
 * Clocks and retry arithmetic.
 */
#include "core/base/clock.h"
#include "core/base/retry.h"

#include <criterion/criterion.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

Test(clock, real_moves_forward)
{
    uint64_t before = clock_ms();
    cr_expect_geq(clock_ms(), before);
    cr_expect_gt(clock_wall_ms(), INT64_C(1700000000000));
}

Test(clock, virtual_stands_until_advanced)
{
    clock_virtual(5000);
    cr_expect_eq(clock_ms(), 5000u);
    cr_expect_eq(clock_wall_ms(), 5000);
    clock_advance(250);
    cr_expect_eq(clock_ms(), 5250u);
    cr_expect_eq(clock_wall_ms(), 5250);
    clock_real();
    cr_expect_gt(clock_wall_ms(), INT64_C(1700000000000));
}

Test(clock, text)
{
    static const struct {
        int64_t ms;
        const char *text;
    } table[] = {
        { 0, "1970-01-01T00:00:00.000Z" },
        { -1, "1969-12-31T23:59:59.999Z" },
        { 1795377669123, "2026-11-22T20:01:09.123Z" },
        { 951782400000, "2000-02-29T00:00:00.000Z" },
        { INT64_MAX, "9999-12-31T23:59:59.999Z" },
        { INT64_MIN, "0001-01-01T00:00:00.000Z" },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[CLOCK_TEXT_MAX];
        clock_text(table[i].ms, text);
        cr_expect_str_eq(text, table[i].text);
    }
}

Test(clock, span)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } table[] = {
        { 0, "0 s" },          { 1, "1 s" },         { 1000, "1 s" },
        { 59000, "59 s" },     { 59001, "1 min" },   { 60001, "2 min" },
        { 3540000, "59 min" }, { 3540001, "1 h" },   { 7200000, "2 h" },
        { 169200000, "47 h" }, { 172800000, "2 d" }, { UINT64_MAX, "213503982335 d" },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        char text[CLOCK_SPAN_MAX];
        clock_span(table[i].ms, text);
        cr_expect_str_eq(text, table[i].text);
    }
}

Test(retry, stays_in_its_bounds)
{
    static const struct {
        struct retry r;
        unsigned attempt;
        uint32_t hint, least, most;
    } table[] = {
        { { 500, 30000 }, 0, 0, 250, 500 },
        { { 500, 30000 }, 1, 0, 250, 500 },
        { { 500, 30000 }, 3, 0, 1000, 2000 },
        { { 500, 30000 }, 7, 0, 15000, 30000 },
        { { 500, 30000 }, UINT32_MAX, 0, 15000, 30000 },
        { { 500, 30000 }, 1, 9000, 9000, 9000 },
        { { 500, 30000 }, 1, 300, 300, 500 },
        { { 500, 30000 }, 1, UINT32_MAX, UINT32_MAX, UINT32_MAX },
        { { UINT32_MAX, UINT32_MAX }, 5, 0, UINT32_MAX / 2, UINT32_MAX },
        { { 0, 30000 }, 5, 0, 0, 0 },
        { { 1, 1 }, 5, 0, 0, 1 },
        { { 500, 100 }, 1, 0, 50, 100 },
        { { 3, 3 }, 1, 0, 1, 3 },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        for (int k = 0; k < 200; k++) {
            uint32_t ms = retry_delay_ms(&table[i].r, table[i].attempt, table[i].hint);
            cr_assert(ms >= table[i].least && ms <= table[i].most, "row %zu: %u", i, ms);
        }
    }
}

Test(retry, reaches_both_ends)
{
    const struct retry r = { 4, 4 };
    bool seen[5] = { false };
    for (int k = 0; k < 1000; k++) seen[retry_delay_ms(&r, 1, 0)] = true;
    cr_expect(!seen[0] && !seen[1] && seen[2] && seen[3] && seen[4]);
}
