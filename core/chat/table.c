/*
 * table - gathers cells, measures columns, pads.
 */
#include "core/chat/table.h"

#include "core/base/grapheme.h"

/* A cell wider than this is shown whole but makes its column no wider. */
#define COLUMN_MAX 40

struct table_cell {
    struct str text;
    size_t width;
    enum md_align align;
};

void table_init(struct table *t, struct arena *a, size_t columns)
{
    *t = (struct table){ .arena = a, .n_columns = columns, .cap = 2 * columns };
    t->cells = arena_new_array(a, struct table_cell, t->cap);
}

void table_add(struct table *t, struct str text, enum md_align align)
{
    if (t->n_cells == t->cap) {
        struct table_cell *more = arena_new_array(t->arena, struct table_cell, t->cap * 2);
        t->cells = memcpy(more, t->cells, t->cap * sizeof(*more));
        t->cap *= 2;
    }
    t->cells[t->n_cells++] =
        (struct table_cell){ arena_dup(t->arena, text), grapheme_columns(text), align };
}

static size_t column_width(const struct table *t, size_t column)
{
    size_t width = 1;
    for (size_t i = column; i < t->n_cells; i += t->n_columns) {
        size_t w = t->cells[i].width;
        if (w > width) width = w < COLUMN_MAX ? w : COLUMN_MAX;
    }
    return width;
}

static void add_blanks(struct buf *to, size_t n)
{
    buf_addf(to, "%*s", (int)n, "");
}

static void add_cell(struct buf *to, const struct table_cell *c, size_t width, bool last)
{
    size_t pad = c->width < width ? width - c->width : 0;
    size_t left = c->align == MD_ALIGN_RIGHT ? pad : c->align == MD_ALIGN_CENTER ? pad / 2 : 0;
    add_blanks(to, left);
    buf_add(to, c->text);
    if (!last) add_blanks(to, pad - left);
}

static void add_row(const struct table *t, size_t from, const size_t *widths, struct buf *to)
{
    for (size_t i = 0; i < t->n_columns && from + i < t->n_cells; i++) {
        if (i) buf_add_cstr(to, " | ");
        add_cell(to, &t->cells[from + i], widths[i], i + 1 == t->n_columns);
    }
}

static void add_rule(const struct table *t, const size_t *widths, struct buf *to)
{
    buf_add_char(to, '\n');
    for (size_t i = 0; i < t->n_columns; i++) {
        if (i) buf_add_cstr(to, "-+-");
        for (size_t k = 0; k < widths[i]; k++) buf_add_char(to, '-');
    }
}

void table_format(const struct table *t, bool aligned, struct buf *to)
{
    size_t *widths = arena_new_array(t->arena, size_t, t->n_columns);
    for (size_t i = 0; aligned && i < t->n_columns; i++) widths[i] = column_width(t, i);
    for (size_t from = 0; from < t->n_cells; from += t->n_columns) {
        if (from) buf_add_char(to, '\n');
        add_row(t, from, widths, to);
        if (!from && aligned) add_rule(t, widths, to);
    }
}
