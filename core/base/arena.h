/*
 * arena - memory of one turn: many small allocations, freed together.
 */
#pragma once
#include "core/base/str.h"

struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used_bytes;
};

void arena_init(struct arena *a);
void arena_done(struct arena *a); /* frees all; the arena can be used again */

void *arena_alloc(struct arena *a, size_t n);                    /* zeroed, aligned for anything */
void *arena_alloc_array(struct arena *a, size_t n, size_t each); /* aborts on overflow */
struct str arena_dup(struct arena *a, struct str s); /* NUL-terminated behind the view */
char *arena_cstr(struct arena *a, struct str s);
struct str arena_printf(struct arena *a, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#define arena_new(a, type)          ((type *)arena_alloc((a), sizeof(type)))
#define arena_new_array(a, type, n) ((type *)arena_alloc_array((a), (n), sizeof(type)))
