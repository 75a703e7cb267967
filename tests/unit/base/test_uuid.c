/*
 * Ids and randomness.
 */
#include "core/base/clock.h"
#include "core/base/rand.h"
#include "core/base/uuid.h"

#include <criterion/criterion.h>

static bool sorted(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->b, b->b, sizeof(a->b)) < 0;
}

static void check_form(const struct uuid *u)
{
    cr_assert_eq(u->b[6] >> 4, 7, "version");
    cr_assert_eq(u->b[8] >> 6, 2, "variant");
}

Test(uuid, strictly_ordered_even_when_time_stands)
{
    clock_virtual(1700000000000);
    struct uuid last = uuid_v7();
    for (int i = 0; i < 600000; i++) { /* runs the counter of a millisecond over, twice */
        struct uuid u = uuid_v7();
        check_form(&u);
        cr_assert(sorted(&last, &u), "number %d", i);
        last = u;
    }
    cr_expect_leq(uuid_wall_ms(&last), INT64_C(1700000000010));
}

Test(uuid, ordered_when_time_goes_back)
{
    clock_virtual(1700000000000);
    struct uuid last = uuid_v7();
    cr_expect_eq(uuid_wall_ms(&last), INT64_C(1700000000000));
    clock_virtual(1600000000000);
    struct uuid next = uuid_v7();
    cr_expect(sorted(&last, &next));
    clock_virtual(1700000000001);
    last = next;
    next = uuid_v7();
    cr_expect(sorted(&last, &next));
    cr_expect_eq(uuid_wall_ms(&next), INT64_C(1700000000001));
}

Test(uuid, text_and_back)
{
    char text[UUID_TEXT_MAX];
    for (int i = 0; i < 1000; i++) {
        struct uuid u = uuid_v7(), back;
        uuid_text(&u, text);
        cr_assert_eq(strlen(text), 36u);
        cr_assert(uuid_parse(str_of(text), &back));
        cr_assert(uuid_eq(&u, &back));
        cr_assert_not(uuid_is_nil(&u));
    }
    struct uuid u;
    cr_expect(uuid_parse(STR("017F22E2-79B0-7CC3-98C4-DC0C0C07398F"), &u));
    uuid_text(&u, text);
    cr_expect_str_eq(text, "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
    cr_expect_eq(uuid_wall_ms(&u), INT64_C(0x017F22E279B0), "the example of RFC 9562");
    cr_expect(uuid_parse(STR("00000000-0000-0000-0000-000000000000"), &u));
    cr_expect(uuid_is_nil(&u));
}

Test(uuid, refuses)
{
    static const char *const bad[] = {
        "",
        "017f22e2",
        "017f22e279b07cc398c4dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f0",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398g",
        "017f22e-279b0-7cc3-98c4-dc0c0c07398f",
        "017f22e2_79b0-7cc3-98c4-dc0c0c07398f",
        "{17f22e2-79b0-7cc3-98c4-dc0c0c07398}",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398 ",
        "-17f22e2-79b0-7cc3-98c4-dc0c0c07398f",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct uuid u = { { 42 } };
        cr_expect_not(uuid_parse(str_of(bad[i]), &u), "%s", bad[i]);
        cr_expect_eq(u.b[0], 42);
    }
}

Test(rand, fills_all_sizes)
{
    for (size_t n = 0; n < 600; n++) {
        unsigned char bytes[601] = { 0 }, any = 0;
        rand_bytes(bytes, n);
        cr_assert_eq(bytes[n], 0, "one byte too many at %zu", n);
        for (size_t i = 0; i < n; i++) any |= bytes[i];
        cr_assert(any || n < 12, "nothing at %zu", n);
    }
    cr_expect_neq(rand_u64(), rand_u64());
}

Test(rand, below)
{
    size_t hits[10] = { 0 };
    for (int i = 0; i < 10000; i++) hits[rand_below(10)]++;
    for (int i = 0; i < 10; i++) cr_expect(hits[i] > 800 && hits[i] < 1200, "%d: %zu", i, hits[i]);
    cr_expect_eq(rand_below(1), 0u);
    for (int i = 0; i < 100; i++) cr_expect_leq(rand_below(UINT64_MAX), UINT64_MAX - 1);
}

Test(rand, hex)
{
    char text[2 * 100 + 2];
    for (size_t n = 0; n <= 100; n++) {
        memset(text, '!', sizeof(text));
        rand_hex(text, n);
        cr_assert_eq(strspn(text, "0123456789abcdef"), 2 * n);
        cr_assert_eq(text[2 * n], '\0');
        cr_assert_eq(text[2 * n + 1], '!');
    }
}
