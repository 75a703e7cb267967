/*
 * markup - writes text and Discord's marks for format.c: escapes, separates blocks, quotes lines.
 */
#pragma once
#include "core/chat/walk.h"

struct markup {
    struct buf *to;
    struct walk_lines lines;
    const char *lead; /* a heading's mark, to write before its text; NULL = none */
    bool quoted;      /* lines belong to a quote */
    bool was_quoted;  /* so did the last one that was written */
    bool seen;        /* something was written */
    bool line_start;  /* nothing but marks and blanks on this line: "# " would be a heading */
    bool in_label;    /* of a link */
    bool one_line;    /* line ends become blanks */
    size_t url_end;   /* to->n behind the last bare address */
    size_t closed;    /* to->n behind the last mark that ends a style or code */
    unsigned depth[WALK_STYLES]; /* how often each style is open; only the outermost has marks */
    enum walk_style open[WALK_STYLES];
    size_t n_open, n_written; /* marks are written when there is something between them */
};

/* `to` is empty and nobody else's while the text is written. */
void markup_init(struct markup *m, struct buf *to);

/* A line end inside a block. */
void markup_line(struct markup *m);

/* Text that shall look as it is: escaped where Discord would see markup. */
void markup_text(struct markup *m, struct str text);
void markup_code(struct markup *m, struct str text);
/* language: "" or a word of letters, digits and +#.-_; others are left out */
void markup_pre(struct markup *m, struct str text, struct str language);
/* "- " or "1. " */
void markup_list_mark(struct markup *m, struct str mark);
/* An address that Discord makes a link by itself. */
void markup_url(struct markup *m, struct str url);

/* Styles of one kind may be nested; they close in the reverse order of opening. */
void markup_open(struct markup *m, enum walk_style style);
void markup_close(struct markup *m, enum walk_style style);

/*
 * A link's text comes between markup_label and markup_label_end, or is taken back by
 * markup_label_undo with what markup_label gave: the state and the length of the output before it.
 */
void markup_label(struct markup *m, struct markup *ret_before, size_t *ret_n);
void markup_label_end(struct markup *m, struct str url);
void markup_label_undo(struct markup *m, const struct markup *before, size_t n);
