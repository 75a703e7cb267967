/*
 * mem - allocation that cannot fail, only end the process.
 */
#include "core/base/mem.h"

#include <stdio.h>

static void *checked(void *p, size_t n)
{
    if (!p) mem_exhausted(n);
    return p;
}

void mem_exhausted(size_t n)
{
    fprintf(stderr, "parley: out of memory asking for %zu bytes\n", n);
    abort();
}

void *mem_alloc(size_t n)
{
    return checked(calloc(1, n ? n : 1), n);
}

void *mem_alloc_array(size_t n, size_t each)
{
    size_t total;
    if (__builtin_mul_overflow(n, each, &total)) mem_exhausted(SIZE_MAX);
    return mem_alloc(total);
}

void *mem_grow(void *p, size_t n)
{
    return checked(realloc(p, n ? n : 1), n);
}

char *mem_dup(struct str s)
{
    char *copy = checked(malloc(s.n + 1), s.n + 1);
    if (s.n) memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

void mem_free_p(void *pp)
{
    void *p;
    memcpy(&p, pp, sizeof(p));
    free(p);
}
