/*
 * markup - writes text and Discord's marks for format.c: escapes, separates blocks, quotes lines.
 */
#pragma once
#include "core/base/buf.h"

enum markup_style { MARKUP_BOLD, MARKUP_ITALIC, MARKUP_STRIKE, MARKUP_N };

struct markup {
    struct buf *to;
    unsigned breaks;  /* line ends to write before anything else */
    unsigned indent;  /* blanks at the start of every line */
    const char *lead; /* a heading's mark, to write before its text; NULL = none */
    bool quoted;      /* lines belong to a quote */
    bool was_quoted;  /* so did the last one that was written */
    bool fresh;       /* nothing in this block yet: at the start, behind a list mark */
    bool seen;        /* something was written */
    bool line_start;  /* nothing but marks and blanks on this line: "# " would be a heading */
    bool in_label;    /* of a link */
    bool one_line;    /* line ends become blanks */
    size_t url_end;   /* to->n behind the last bare address */
    size_t closed;    /* to->n behind the last mark that ends a style or code */
    unsigned depth[MARKUP_N]; /* how often each style is open; only the outermost has marks */
    enum markup_style open[MARKUP_N];
    size_t n_open, n_written; /* marks are written when there is something between them */
};

/* `to` is empty and nobody else's while the text is written. */
void markup_init(struct markup *m, struct buf *to);

/* Begin a new line (1) or a new paragraph (2) before what comes next. */
void markup_break(struct markup *m, unsigned n);
/* The same for a block inside another: the first one stays on the line where it is. */
void markup_block(struct markup *m, unsigned n);
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
void markup_open(struct markup *m, enum markup_style style);
void markup_close(struct markup *m, enum markup_style style);

/*
 * A link's text comes between markup_label and markup_label_end, or is taken back by
 * markup_label_undo with what markup_label gave: the state and the length of the output before it.
 */
void markup_label(struct markup *m, struct markup *ret_before, size_t *ret_n);
void markup_label_end(struct markup *m, struct str url);
void markup_label_undo(struct markup *m, const struct markup *before, size_t n);
