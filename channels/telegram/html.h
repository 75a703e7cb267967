/*
 * html - writes text and tags for format.c: escapes, separates blocks, counts what is seen.
 */
#pragma once
#include "core/chat/walk.h"

enum html_style {
    HTML_BOLD,
    HTML_ITALIC,
    HTML_UNDERLINE,
    HTML_STRIKE,
    HTML_LINK,
    HTML_QUOTE,
    HTML_N
};

struct html {
    struct buf *to;
    struct walk_lines lines;
    size_t units;           /* visible, UTF-16 */
    unsigned depth[HTML_N]; /* how often each style is open; only the outermost has a tag */
    bool seen;              /* something that is not blank was written */
};

/* A line end inside a block. */
void html_line(struct html *h);

void html_text(struct html *h, struct str text);
void html_code(struct html *h, struct str text);
/* language: "" or a word of letters, digits and +#.-_; others are left out */
void html_pre(struct html *h, struct str text, struct str language);

/* Styles of one kind may be nested; they close in the reverse order of opening. */
void html_open(struct html *h, enum html_style style, struct str url);
void html_close(struct html *h, enum html_style style);
