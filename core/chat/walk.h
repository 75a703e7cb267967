/*
 * walk - a reply's Markdown, step by step, for a channel's formatter: what is the same in every
 * dialect (where lines and paragraphs begin, lists with their marks and indentation, tables as
 * aligned code), with hooks for what is not.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/chat/markdown.h"
#include "core/chat/table.h"

#define WALK_LISTS_MAX 8 /* deeper lists are not indented any further */

/* What the formatter writes before its next text. */
struct walk_lines {
    unsigned breaks; /* line ends */
    unsigned indent; /* blanks, at the start of every line */
    bool fresh;      /* nothing in this block yet: at the start, behind a list mark */
};

/* Begin a new line (1) or a new paragraph (2) before what comes next. */
void walk_break(struct walk_lines *l, unsigned n);
/* The same for a block inside another: the first one stays on the line where it is. */
void walk_block(struct walk_lines *l, unsigned n);

enum walk_style { WALK_BOLD, WALK_ITALIC, WALK_STRIKE, WALK_STYLES };

struct walk;

/* A dialect. `w` is the first member of the formatter's own struct. */
struct walk_hooks {
    const char *marks[3]; /* of lists without numbers, by depth; the last one for all deeper */
    bool boxes;           /* "[ ] " behind a list's mark becomes a box */
    size_t bytes_max;     /* of a table, and of a cell */

    /* In a cell, too: see walk_cell. */
    void (*text)(struct walk *w, struct str s);
    void (*link)(struct walk *w, const struct md_event *e); /* and MD_IMAGE */
    void (*tag)(struct walk *w, struct str tag); /* of HTML, but for <br>; NULL = it is text */

    /* Not in a cell: there are no lines and no markup in a table. */
    void (*line)(struct walk *w);
    void (*code)(struct walk *w, struct str s);
    void (*style)(struct walk *w, enum walk_style style, bool enter);

    void (*heading)(struct walk *w, const struct md_event *e); /* NULL = bold */
    void (*quote)(struct walk *w, bool enter);                 /* w->quotes are around it */
    void (*mark)(struct walk *w, struct str mark);
    void (*pre)(struct walk *w, struct str code, struct str language);
    void (*leave)(struct walk *w);      /* before a block or a style ends; NULL = nothing to do */
    bool (*full)(const struct walk *w); /* it is too long already */
};

struct walk {
    const struct walk_hooks *hooks;
    struct walk_lines *lines;
    bool aligned;           /* pad tables */
    unsigned level;         /* blocks and styles around us */
    unsigned quotes, lists; /* around us */
    bool in_cell;
    /* the walk's own */
    unsigned indents[WALK_LISTS_MAX]; /* of each list's marks */
    bool item_starts;                 /* nothing behind the list mark yet */
    struct arena arena;               /* of tables */
    struct table table;
    struct buf cell; /* its text */
    enum md_align align;
    bool failed;
};

/*
 * Walk all of `markdown`. The caller has set hooks, lines and aligned, the rest is 0.
 * False: it cannot be parsed, or became too long on the way.
 */
bool walk_markdown(struct walk *w, struct str markdown);

/* For hooks. Begin a block that stands close to the others in a tight list. */
void walk_begin(struct walk *w, bool tight);
/* Is this a cell? Then it has taken `s`. */
bool walk_cell(struct walk *w, struct str s);
