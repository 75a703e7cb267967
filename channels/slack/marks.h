/*
 * marks - writes text and marks for format.c, as mrkdwn.h has them: separates blocks, quotes
 * lines, ends styles with their line.
 */
#pragma once
#include "core/chat/walk.h"

struct marks {
    struct buf *to;
    struct walk_lines lines;
    bool quoted;                 /* lines belong to a quote */
    bool was_quoted;             /* so did the last one that was written */
    bool seen;                   /* something was written */
    unsigned depth[WALK_STYLES]; /* how often each style is open; only the outermost has marks */
    enum walk_style open[WALK_STYLES];
    size_t n_open, n_written; /* marks are written when there is something between them */
};

/* `to` is empty and nobody else's while the text is written. */
void marks_init(struct marks *m, struct buf *to);

/* A line end inside a block. */
void marks_line(struct marks *m);

void marks_text(struct marks *m, struct str text);
void marks_code(struct marks *m, struct str text);
/* Stands outside of quotes, which hold lines of text only. */
void marks_pre(struct marks *m, struct str text);
void marks_list_mark(struct marks *m, struct str mark);
/* label: one line; "" = the address is what is shown */
void marks_link(struct marks *m, struct str url, struct str label);

/* Styles of one kind may be nested; they close in the reverse order of opening. */
void marks_open(struct marks *m, enum walk_style style);
void marks_close(struct marks *m, enum walk_style style);
