/*
 * Allocation: zeroed, copied, and the end of the process where it cannot be had.
 */
#include "core/base/buf.h"
#include "core/base/mem.h"

#include <criterion/criterion.h>
#include <signal.h>

Test(mem, zeroed_and_never_null)
{
    unsigned char *p = mem_new_array(unsigned char, 100);
    for (int i = 0; i < 100; i++) cr_assert_eq(p[i], 0);
    p = mem_grow(p, 200);
    cr_expect_eq(p[99], 0);
    free(p);
    p = mem_alloc(0);
    cr_expect_not_null(p);
    free(p);
    p = mem_grow(NULL, 0);
    cr_expect_not_null(p);
    free(p);
}

Test(mem, dup)
{
    _cleanup_(mem_free_p) char *s = mem_dup(STR("a\0b"));
    cr_expect_eq(memcmp(s, "a\0b", 4), 0);
    _cleanup_(mem_free_p) char *none = mem_dup(str_from(NULL, 0));
    cr_expect_str_eq(none, "");
    _cleanup_(mem_free_p) char *never_set = NULL;
    (void)never_set;
}

Test(mem, array_overflow_aborts, .signal = SIGABRT)
{
    size_t n = SIZE_MAX / 2;
    free(mem_alloc_array(n, 3));
}
