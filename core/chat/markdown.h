/*
 * markdown - a reply's Markdown as a stream of enter and exit events, from which each channel
 * formats. GitHub's flavour: tables, strikethrough, bare links.
 */
#pragma once
#include "core/base/err.h"
#include "core/base/str.h"

enum md_type {
    /* blocks */
    MD_DOCUMENT,
    MD_QUOTE,
    MD_LIST, /* children: MD_ITEM */
    MD_ITEM,
    MD_CODE_BLOCK, /* leaf: text, info */
    MD_HTML_BLOCK, /* leaf: text */
    MD_PARAGRAPH,
    MD_HEADING,
    MD_RULE,  /* leaf */
    MD_TABLE, /* children: MD_ROW, the first is the header */
    MD_ROW,   /* children: MD_CELL */
    MD_CELL,
    /* inlines */
    MD_TEXT,       /* leaf: text */
    MD_SOFT_BREAK, /* leaf: a line end of the source */
    MD_HARD_BREAK, /* leaf */
    MD_CODE,       /* leaf: text */
    MD_HTML,       /* leaf: text, one tag as written */
    MD_EMPH,
    MD_STRONG,
    MD_STRIKE,
    MD_LINK,  /* url */
    MD_IMAGE, /* url; children: the alternative text */
};

enum md_align { MD_ALIGN_NONE, MD_ALIGN_LEFT, MD_ALIGN_CENTER, MD_ALIGN_RIGHT };

/* One step of the walk. Leaves have an enter event only. Strings live until the next step. */
struct md_event {
    enum md_type type;
    bool enter;          /* else exit */
    struct str text;     /* of a leaf */
    struct str url;      /* MD_LINK, MD_IMAGE: unescaped, any scheme; the channel decides */
    struct str info;     /* MD_CODE_BLOCK: what stands behind the fence; "" = none */
    int level;           /* MD_HEADING: 1..6 */
    bool ordered, tight; /* MD_LIST; `tight` also for MD_ITEM and a paragraph in one */
    int64_t number;      /* MD_LIST: of its first item; MD_ITEM: its own; when ordered */
    bool header;         /* MD_ROW */
    int columns;         /* MD_TABLE */
    enum md_align align; /* MD_CELL */
};

/* More is refused: the parser's worst case grows with the square of its input. */
#define MARKDOWN_MAX (256 * 1024)

struct markdown;

/*
 * text     valid UTF-8, copied; at most MARKDOWN_MAX bytes, else ERR_LIMIT
 * ret      free with markdown_free. Anything is valid Markdown: there is no other error.
 */
enum err_kind markdown_parse(struct str text, struct markdown **ret, struct err *why);
void markdown_free(struct markdown *m);    /* NULL is fine */
void markdown_free_p(struct markdown **m); /* for _cleanup_ */

/* The next event, in the order of the text; false at the end. */
bool markdown_next(struct markdown *m, struct md_event *ret);
