/*
 * template_impl - what a parsed template is, for template.c (parse), template_render.c and
 * template_escape.c.
 */
#pragma once
#include "core/hook/template.h"

#define FILTERS_MAX 6
#define PARTS_MAX   12 /* names in a path */

enum filter_kind {
    FILTER_DEFAULT,
    FILTER_UPPER,
    FILTER_LOWER,
    FILTER_LINE,
    FILTER_TRUNCATE,
    FILTER_SHORT,
    FILTER_BRANCH,
    FILTER_COUNT,
    FILTER_CODE,
    FILTER_BLOCK,
    FILTER_FIRST,
};

struct filter {
    enum filter_kind kind;
    struct str text, more; /* default, count */
    int64_t n;             /* truncate, short, first */
};

/* Where a value stands, as Markdown sees it. */
enum setting {
    IN_TEXT,
    IN_ADDRESS,    /* of a link, after something of it */
    AS_AN_ADDRESS, /* right behind "](": it says itself where to */
    AS_CODE,       /* by the filters of that name */
    AS_A_BLOCK,
};

enum node_kind { NODE_TEXT, NODE_VALUE, NODE_SECTION, NODE_INVERTED };

struct node {
    enum node_kind kind;
    enum setting setting;
    struct str text; /* NODE_TEXT; else the path as written */
    struct str parts[PARTS_MAX];
    size_t n_parts; /* 0: the item itself */
    struct filter filters[FILTERS_MAX];
    size_t n_filters;
    size_t end; /* of a section: the node behind its last */
};

struct template
{
    struct node *nodes;
    size_t n;
};

/* Append `s`, valid UTF-8, so that it stays what it is in that setting. */
void template_escape(struct buf *to, struct str s, enum setting setting);
