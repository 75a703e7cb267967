/*
 * split - one Markdown reply into the parts that fit a platform's message.
 *
 * A part ends, in this order of liking, between blocks, lines, lines of code, sentences, words; or,
 * when a single word is too long, between two characters as a person sees them. A code fence that
 * is cut is closed, and opened again with its language in the next part; both are counted.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/utf8.h"

#define SPLIT_MAX_MIN 512 /* a part must have room for a fence's first line and its end */

struct split_rule {
    size_t max; /* units in a part, >= SPLIT_MAX_MIN */
    enum text_unit unit;
    size_t parts_max; /* 0 = no bound */
    /* Ends the last part when parts_max cuts the rest off; taken as it is; at most 64 bytes. */
    struct str cut_mark;
};

struct text_part {
    struct str text; /* what is sent; never blank */
    size_t head;     /* bytes at its start that are not the original's: a fence opened again */
    size_t tail;     /* the same at its end: a fence closed, the mark */
    struct str gap;  /* blanks of the original before this part, shown in none */
};

/*
 * text     valid UTF-8. Views of it are in the parts: it lives as long as they do
 * a        holds the array and the texts that had to be made
 * Returns the number of parts; 0 when there is nothing but blanks.
 */
size_t split_text(struct arena *a, struct str text, const struct split_rule *rule,
                  struct text_part **ret);

/*
 * The reverse: what the parts were made from, less blank lines at its start, blanks at its end, and
 * what the mark stands for. False: `to` is full.
 */
bool split_join(struct buf *to, const struct text_part *parts, size_t n);
