/*
 * kept - what a backend wants back word for word (signed thoughts), and where between the text it
 * stood. Pure.
 *
 * One JSON array: the backend's parts, and numbers: so many bytes of text stand before the next
 * part.
 */
#pragma once
#include "core/base/json.h"
#include "core/model/model.h"

#define KEPT_MAX (1024 * 1024)

struct kept {
    struct buf json;
    struct json_out out;
    size_t said;
};

void kept_init(struct kept *k); /* no part yet; then kept_done */
void kept_done(struct kept *k);
/* Where to write the next part, one JSON value, which stands after `said` bytes of text. */
struct json_out *kept_part(struct kept *k, size_t said);
/* Hand all of it to the sink, if there is anything, and forget it. Half of it would be refused:
 * what is longer than KEPT_MAX is dropped. */
void kept_end(struct kept *k, struct model_sink *sink);

struct kept_walk {
    struct json *doc;
    size_t at;
    struct str text; /* what is left of it */
};

/* Both live until kept_close. Anything else than such an array has no parts. */
void kept_open(struct kept_walk *w, struct str kept, struct str text);
void kept_close(struct kept_walk *w);
/* The next part, and the text before it. NULL: there is none, and *ret_text is the rest. */
struct json *kept_next(struct kept_walk *w, struct str *ret_text);
/* The part that came last stands for the next n bytes of the text. */
void kept_skip(struct kept_walk *w, size_t n);

/* A parsed value as part of what is written. */
void kept_copy(struct json_out *o, struct json *v);
