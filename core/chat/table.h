/*
 * table - a Markdown table as lines of aligned text.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/chat/markdown.h"

struct table {
    struct arena *arena;
    struct table_cell *cells; /* row after row */
    size_t n_cells, cap, n_columns;
};

/* columns > 0; cells live in `a` */
void table_init(struct table *t, struct arena *a, size_t columns);
/* The next cell, left to right, top to bottom; the first row is the header. Copied. */
void table_add(struct table *t, struct str text, enum md_align align);

/* aligned: pad cells to columns of one width, with a rule under the header; else only bars. */
void table_format(const struct table *t, bool aligned, struct buf *to);
