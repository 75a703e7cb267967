/*
 * Buffers: the maximum holds to the byte, and a failed add leaves everything as it was.
 */
#include "core/base/buf.h"

#include <criterion/criterion.h>
#include <stdlib.h>

Test(buf, maximum_holds_to_the_byte)
{
    for (size_t max = 0; max < 200; max += 7) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(max);
        for (size_t i = 0; i < max; i++) cr_assert(buf_add_char(&b, 'x'), "max %zu", max);
        cr_expect_not(b.full);
        cr_expect_not(buf_add_char(&b, 'y'));
        cr_expect(b.full);
        cr_expect_eq(b.n, max);
        cr_expect(buf_add(&b, STR_NONE), "nothing always fits");
    }
}

Test(buf, failed_adds_change_nothing)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(8);
    cr_expect(buf_add_cstr(&b, "12345"));
    cr_expect_not(buf_add(&b, STR("6789")));
    cr_expect_str_eq(b.p, "12345");
    cr_expect_not(buf_addf(&b, "%s", "6789"));
    cr_expect_str_eq(b.p, "12345");
    cr_expect_null(buf_room(&b, SIZE_MAX));
    cr_expect_null(buf_room(&b, 4));
    cr_expect(buf_addf(&b, "%d", 678));
    cr_expect_str_eq(b.p, "12345678");
    cr_expect(b.full, "the flag stays");
    buf_clear(&b);
    cr_expect_not(b.full);
    cr_expect_str_eq(b.p, "");
}

Test(buf, formats_into_none_some_and_new_room)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(10000);
    cr_expect(buf_addf(&b, "%s", ""), "into nothing");
    for (int i = 0; i < 500; i++) cr_assert(buf_addf(&b, "%04d ", i));
    cr_expect_eq(b.n, 2500u);
    cr_expect_eq(strncmp(b.p + 2495, "0499 ", 6), 0);
}

Test(buf, room_front_and_cut)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(100);
    memcpy(buf_room(&b, 6), "abcdef", 6);
    buf_grew(&b, 6);
    buf_drop_front(&b, 2);
    cr_expect_str_eq(b.p, "cdef");
    buf_drop_front(&b, 0);
    buf_cut(&b, 3);
    cr_expect_str_eq(b.p, "cde");
    buf_drop_front(&b, 3);
    cr_expect_str_eq(b.p, "");

    struct buf empty = BUF_INIT(10);
    buf_drop_front(&empty, 0);
    buf_cut(&empty, 0);
    buf_clear(&empty);
    cr_expect_null(empty.p);
    cr_expect_eq(buf_str(&empty).n, 0u);
}

Test(buf, take_gives_a_string)
{
    struct buf b = BUF_INIT(100);
    char *none = buf_take(&b);
    cr_expect_str_eq(none, "");
    free(none);
    buf_add_cstr(&b, "mine");
    char *p = buf_take(&b);
    cr_expect_str_eq(p, "mine");
    free(p);
    cr_expect_null(b.p);
    cr_expect_eq(b.max, 100u);
    cr_expect(buf_add_cstr(&b, "again"));
    buf_done(&b);
    cr_expect_eq(b.max, 100u);
}

Test(buf, no_maximum_to_speak_of)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(SIZE_MAX);
    for (int i = 0; i < 1000; i++) cr_assert(buf_add_cstr(&b, "0123456789"));
    cr_expect_eq(b.n, 10000u);
}
