/*
 * conf - configuration by libconfig, checked against tables of fields.
 *
 * A table is the one truth: it fills a struct, refuses what it does not know (with file, line and
 * key), and writes the example file. Sections are groups ("chat = { ... };"); "models" and
 * "channels" are lists of groups, each with its own `name` and `type`.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/str.h"

enum conf_type {
    CONF_BOOL,   /* bool */
    CONF_INT,    /* int64_t; min..max */
    CONF_FLOAT,  /* double; min..max */
    CONF_STR,    /* const char *; never NULL, "" by default */
    CONF_SECRET, /* const char *; written as "env:NAME" or "file:PATH", resolved at load, registered
                    with log_secret, never printed. A literal secret is refused. */
    CONF_DURATION, /* int64_t ms; "500ms", "30s", "5m", "1h", "7d", or an integer of seconds;
                      min..max in ms */
    CONF_SIZE,     /* int64_t bytes; "64KB", "1MB" (powers of 1024), or an integer; min..max */
    CONF_ENUM,     /* int; index into `words` */
    CONF_LIST,     /* struct conf_list; strings */
    CONF_OBJECT,   /* const char *; JSON without white space, "" by default; see conf_object.h */
};

struct conf_list {
    size_t n;
    const char **v;
};
bool conf_list_has(const struct conf_list *list, struct str word);

#define CONF_REQUIRED   1u /* absent, or an empty text = refused */
#define CONF_RELOADABLE 2u /* SIGHUP applies it */

struct conf_field {
    const char *key;
    enum conf_type type;
    size_t offset;    /* into the section's struct */
    const char *def;  /* as written, without quotes (a list: "a, b"); NULL = "", 0, false, empty */
    int64_t min, max; /* both 0 = no bound, max < min = no upper one */
    const char *const *words; /* CONF_ENUM: NULL-terminated */
    unsigned flags;
    const char *help; /* one sentence for the example file */
};

#define CONF_END    \
    {               \
        .key = NULL \
    }

struct json;
struct conf_doc;   /* a parsed file; owns every string read from it */
struct conf_group; /* one { } in it; NULL = absent, all defaults */

/* path NULL = an empty document. ERR_CONF: "parley.conf:12: syntax error". */
enum err_kind conf_open(const char *path, struct conf_doc **ret, struct err *why);
/* The same from memory; `name` stands for the path in messages. */
enum err_kind conf_open_text(struct str text, const char *name, struct conf_doc **ret,
                             struct err *why);
/*
 * The same from JSON, the value of one top-level key: an object for a group, an array of objects
 * for a list. Messages name the n-th entry of a list as "NAME:n: ". ERR_CONF also for what a
 * configuration has no word for: null, keys of other characters.
 */
enum err_kind conf_open_json(struct json *value, const char *key, const char *name,
                             struct conf_doc **ret, struct err *why);
void conf_close(struct conf_doc *doc);

/* The group `name` at the top level, or NULL. ERR_CONF if it is there but is not a group. */
enum err_kind conf_section(struct conf_doc *doc, const char *name, struct conf_group **ret,
                           struct err *why);
/* How many groups the list `name` has; 0 when absent. A single group counts as a list of one. */
size_t conf_groups(struct conf_doc *doc, const char *name);
struct conf_group *conf_group_at(struct conf_doc *doc, const char *name, size_t i);
/* A string key of a group before its table is known (`type`, `name`); "" when absent. */
const char *conf_peek(struct conf_group *g, const char *key);
/* Whether the file itself says something of a key. */
bool conf_has(struct conf_group *g, const char *key);

/*
 * Fill `into` from `g` by `fields`: defaults first, then what the file says.
 * ERR_CONF names file, line and key for: unknown key (with the nearest known one), wrong type, out
 * of bounds, unknown word, missing required key, environment variable or file of a secret not there
 * or empty. Keys in `also` (NULL-terminated, may be NULL) are known but belong to somebody else.
 */
enum err_kind conf_read(struct conf_doc *doc, struct conf_group *g, const char *section,
                        const struct conf_field *fields, const char *const *also, void *into,
                        struct err *why);

/* The same, but what `g` does not say stays in `into` as it was. */
enum err_kind conf_overlay(struct conf_doc *doc, struct conf_group *g, const char *section,
                           const struct conf_field *fields, void *into, struct err *why);

/*
 * Strings and lists that are read from now on live in `strings`, instead of as long as the
 * document; NULL = the document again. For those who read it more often than once.
 */
void conf_strings_to(struct conf_doc *doc, struct arena *strings);
/*
 * Which secrets the document may name, each "env:NAME" or "file:PATH", where one * stands for
 * anything; NULL = all. Borrowed. For a document that somebody wrote who may not read the others.
 */
void conf_allow_secrets(struct conf_doc *doc, const struct conf_list *allow);

/*
 * A group of a list, of whichever document. Documents are layers: a group of a later one takes the
 * place of the group of an earlier one that has the same `name` (case does not matter); the others
 * come behind.
 * ret      filled with at most `max`
 * Returns how many there are, which may be more.
 */
struct conf_item {
    struct conf_doc *doc;
    struct conf_group *group;
};
size_t conf_layers(struct conf_doc *const *docs, size_t n_docs, const char *list,
                   struct conf_item *ret, size_t max);

/*
 * A check of the caller's own failed: put the place of `key` in front of the text of *why, or of
 * the group when the key is absent or NULL: "parley.conf:12: ". Returns ERR_CONF.
 */
enum err_kind conf_blame(struct conf_doc *doc, struct conf_group *g, const char *key,
                         struct err *why);

/* Refuse top-level keys not in `known` (NULL-terminated), and others than groups and lists of them.
 */
enum err_kind conf_known(struct conf_doc *doc, const char *const *known, struct err *why);

/*
 * Write a section of the example file: help as comments, `key = default;` lines commented out
 * unless required.
 */
void conf_example(struct buf *to, const char *section, const char *help,
                  const struct conf_field *fields);
/*
 * Write one group of a list, all of it commented out, its values active once it is not:
 * the caller writes "# channels = (" before the first and "# );" behind the last.
 * type     the group's `type` key; NULL = it has none
 * last     no other group follows: a comma would be a syntax error
 */
void conf_example_item(struct buf *to, const char *type, const char *help,
                       const struct conf_field *fields, bool last);

/* True when the two structs differ in a field without CONF_RELOADABLE: *ret_key names the first. */
bool conf_differs(const struct conf_field *fields, const void *a, const void *b,
                  const char **ret_key);
/* Take over the fields with CONF_RELOADABLE. Strings and lists stay `from`'s document's. */
void conf_apply(const struct conf_field *fields, void *to, const void *from);
