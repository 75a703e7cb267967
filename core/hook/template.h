/*
 * template - a message out of JSON: a small part of Mustache
 * (https://mustache.github.io/mustache.5.html), with filters.
 *
 *   {{ pull_request.title }}        a field; {{ commits.0.id }} one of a list, {{ commits.length }}
 *   {{ body | default: "none" }}    filters, see below
 *   {{#commits}} ... {{/commits}}   once for each of a list, or if it is there and neither false
 * nor ""
 *   {{#commits | first: 5}}         of a list, the first
 *   {{^draft}} ... {{/draft}}       if it is not
 *   {{ . }}                         in a section: the item itself
 *   {{! a comment }}
 *
 * A name is looked for in the innermost section first, then outwards. A section's tag that is alone
 * in its line leaves no line.
 *
 *   default: "text"                 when the field is missing, null or empty
 *   upper, lower                    of ASCII letters
 *   line                            the first line
 *   truncate: 80                    at most so many characters, then "…"
 *   short: 7                        the first characters, and no word of the others
 *   branch                          without refs/heads/ or refs/tags/ before it
 *   count: "commit"                 "1 commit", "2 commits"; of a number or a list; the plural can
 * be given: count: "entry", "entries"
 *
 *   code, block                     as code: in the line, or as a block of its own lines
 *
 * The text around the fields is Markdown. A field's value is not: what Markdown would understand in
 * it is escaped, and behind "](" it can only be an address of the web. An @name in it wakes nobody.
 *
 * Pure; bounded in time and memory whatever template and JSON are.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/base/json.h"

#define TEMPLATE_MAX       (8 * 1024) /* bytes of a template */
#define TEMPLATE_TAGS_MAX  500
#define TEMPLATE_DEPTH_MAX 8
#define TEMPLATE_STEPS_MAX 20000 /* tags and texts gone through, lists included */

struct template;

/*
 * text     copied into the arena, with all else
 * why      ERR_PROTO: what is wrong and in which line
 */
enum err_kind template_parse(struct arena *a, struct str text, struct template **ret,
                             struct err *why);

enum template_for {
    TEMPLATE_MARKDOWN, /* people read it: values are escaped */
    TEMPLATE_PLAIN,    /* a model reads it: they are as they are */
};

/*
 * Append the message to `to`; valid UTF-8 without U+0000. What does not fit there is left out, and
 * to->full says so.
 * value    an object, mostly
 * why      ERR_NOT_FOUND: a field is missing, which one. ERR_PROTO: a field is no text. ERR_LIMIT:
 *          TEMPLATE_STEPS_MAX.
 */
enum err_kind template_render(const struct template *t, enum template_for whom, struct json *value,
                              struct buf *to, struct err *why);
