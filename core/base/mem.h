/*
 * mem - allocation that aborts when memory runs out: an untested error path is worse than a
 * restart.
 */
#pragma once
#include "core/base/str.h"
#include <stddef.h>
#include <stdlib.h>

void *mem_alloc(size_t n); /* zeroed */
void *mem_grow(void *p, size_t n);
char *mem_dup(struct str s); /* NUL-terminated copy */
void mem_free_p(void *pp);   /* for _cleanup_(mem_free_p) char *p */

#define mem_new(type)          ((type *)mem_alloc(sizeof(type)))
#define mem_new_array(type, n) ((type *)mem_alloc_array((n), sizeof(type)))
void *mem_alloc_array(size_t n, size_t each); /* zeroed; aborts on overflow */

/* Says that `n` bytes (SIZE_MAX: more than can be counted) are not to be had, and aborts. */
_Noreturn void mem_exhausted(size_t n);
