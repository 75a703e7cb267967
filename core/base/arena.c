/*
 * arena - bump allocation in blocks, larger ones the more there is; nothing is freed before all of
 * it is.
 */
#include "core/base/arena.h"

#include "core/base/mem.h"

#include <stdarg.h>
#include <stdio.h>

#define ALIGN     _Alignof(max_align_t)
#define BLOCK_MIN 512 /* most turns need little: there may be thousands of them at once */
#define BLOCK_MAX 4096

struct arena_block {
    struct arena_block *next;
    size_t used, cap;
    _Alignas(max_align_t) char bytes[];
};

static struct arena_block *block_new(size_t cap)
{
    struct arena_block *b = mem_grow(NULL, sizeof(*b) + cap);
    b->next = NULL;
    b->used = 0;
    b->cap = cap;
    return b;
}

/* What is left over at the end is a fraction of what is used. */
static size_t size_next(const struct arena *a)
{
    size_t cap = a->used_bytes / 2 / ALIGN * ALIGN;
    return cap < BLOCK_MIN ? BLOCK_MIN : cap > BLOCK_MAX ? BLOCK_MAX : cap;
}

/* A block with room for `n`: the newest, or a new one. */
static struct arena_block *block_for(struct arena *a, size_t n)
{
    struct arena_block *head = a->blocks;
    if (head && head->cap - head->used >= n) return head;

    /* A big one gets a block to itself, behind the newest, whose rest stays in use. */
    size_t cap = size_next(a);
    bool alone = n > cap / 4;
    struct arena_block *b = block_new(alone ? n : cap);
    if (alone && head) {
        b->next = head->next;
        head->next = b;
    } else {
        b->next = head;
        a->blocks = b;
    }
    return b;
}

void arena_init(struct arena *a)
{
    *a = (struct arena){ 0 };
}

void arena_done(struct arena *a)
{
    for (struct arena_block *b = a->blocks, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    arena_init(a);
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2) mem_exhausted(n); /* so that no sum below can overflow */
    n = (n + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_block *b = block_for(a, n);
    void *p = b->bytes + b->used;
    b->used += n;
    a->used_bytes += n;
    return memset(p, 0, n);
}

void *arena_alloc_array(struct arena *a, size_t n, size_t each)
{
    size_t total;
    if (__builtin_mul_overflow(n, each, &total)) mem_exhausted(SIZE_MAX);
    return arena_alloc(a, total);
}

char *arena_cstr(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    if (s.n) memcpy(p, s.p, s.n);
    return p;
}

struct str arena_dup(struct arena *a, struct str s)
{
    return str_from(arena_cstr(a, s), s.n);
}

struct str arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0) n = 0;
    char *p = arena_alloc(a, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    return str_from(p, (size_t)n);
}
