/*
 * mrkdwn - writes text and marks for format.c: escapes, separates blocks, begins lines.
 */
#pragma once
#include "core/base/buf.h"

struct mrkdwn {
    struct buf *to;
    unsigned breaks; /* line ends to write before anything else */
    unsigned indent; /* blanks at the start of every line */
    unsigned quotes; /* quotes around us */
    bool fresh;      /* nothing in this block yet: at the start, behind a list's mark */
    bool seen;       /* something that is not blank was written */
    bool closed;     /* a mark was closed: what follows must not stick to it */
};

/* Begin a new line (1) or a new paragraph (2) before what comes next; a block inside another stays
 * on its first line. */
void mrkdwn_block(struct mrkdwn *m, unsigned breaks);
void mrkdwn_line(struct mrkdwn *m); /* a line end inside a block */
void mrkdwn_text(struct mrkdwn *m, struct str text);
void mrkdwn_mark(struct mrkdwn *m, char sign, bool enter); /* '*', '_' or '~' */
void mrkdwn_code(struct mrkdwn *m, struct str text);
void mrkdwn_pre(struct mrkdwn *m, struct str text); /* a block of its own */
void mrkdwn_link(struct mrkdwn *m, struct str url, struct str label);
