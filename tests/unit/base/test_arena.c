/*
 * Arenas: alignment, zeros, big blocks beside small ones, use after done.
 */
#include "core/base/arena.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdalign.h>

Test(arena, aligned_zeroed_and_apart)
{
    struct arena a;
    unsigned char *seen[300];
    size_t size[300];
    arena_init(&a);
    for (size_t i = 0; i < 300; i++) {
        size[i] = i * 37 % 6000; /* some in a block, some in a block of their own */
        seen[i] = arena_alloc(&a, size[i]);
        cr_assert_eq((uintptr_t)seen[i] % alignof(max_align_t), 0u);
        for (size_t k = 0; k < size[i]; k++) cr_assert_eq(seen[i][k], 0);
        memset(seen[i], (int)(i & 0xFF), size[i]);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t k = 0; k < size[i]; k++) cr_assert_eq(seen[i][k], i & 0xFF);
    cr_expect_gt(a.used_bytes, (size_t)0);
    arena_done(&a);
    cr_expect_eq(a.used_bytes, 0u);
    cr_expect_null(a.blocks);
}

Test(arena, a_big_one_leaves_the_rest_of_the_block)
{
    struct arena a;
    arena_init(&a);
    char *small = arena_alloc(&a, 16);
    struct arena_block *first = a.blocks;
    static const size_t big[] = { 1000, 100000 };
    for (size_t i = 0; i < 2; i++) {
        arena_alloc(&a, big[i]);
        cr_expect_eq(a.blocks, first);
        cr_expect_eq(arena_alloc(&a, 16), small += 16);
    }
    arena_done(&a);
}

Test(arena, strings)
{
    struct arena a;
    arena_init(&a);
    struct str s = arena_dup(&a, STR("a\0b"));
    cr_expect_eq(s.n, 3u);
    cr_expect_eq(s.p[3], '\0');
    cr_expect_str_eq(arena_cstr(&a, str_from(NULL, 0)), "");
    cr_expect_str_eq(arena_printf(&a, "%d-%s", 7, "x").p, "7-x");
    cr_expect_eq(arena_printf(&a, "%0*d", 5000, 1).n, 5000u);
    int64_t *v = arena_new_array(&a, int64_t, 10);
    cr_expect_eq(v[9], 0);
    arena_done(&a);
    cr_expect_str_eq(arena_cstr(&a, STR("again")), "again");
    arena_done(&a);
}

Test(arena, array_overflow_aborts, .signal = SIGABRT)
{
    struct arena a;
    arena_init(&a);
    arena_alloc_array(&a, SIZE_MAX / 2, 3);
}
