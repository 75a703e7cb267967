/*
 * conf_value - how the values of a configuration are written: durations, sizes, words, bounds.
 * Text only; what concerns the file is in conf.c.
 */
#pragma once
#include "core/base/conf.h"

/* One value of any type; which member counts is in the field. */
union conf_any {
    bool b;
    int64_t i; /* CONF_INT, CONF_DURATION, CONF_SIZE */
    double f;
    int word;
    const char *s;
    struct conf_list list;
};

/*
 * Parse what is written in quotes, or stands in a table as default. Not for CONF_STR, CONF_SECRET,
 * CONF_LIST and CONF_OBJECT. ERR_CONF: "must be ...", which goes behind the place and the key.
 */
enum err_kind conf_value_parse(const struct conf_field *f, struct str text, union conf_any *ret,
                               struct err *why);

/* ERR_CONF when a number is outside of the field's bounds. */
enum err_kind conf_value_check(const struct conf_field *f, const union conf_any *v,
                               struct err *why);

/* Set *why to what a value of this field looks like, with the word nearest to `text`. ERR_CONF. */
enum err_kind conf_value_refuse(const struct conf_field *f, struct str text, struct err *why);

/* A number as it is written for this field: "90s", "64KB", "12". */
#define CONF_VALUE_MAX 32
void conf_value_format(const struct conf_field *f, int64_t v, char ret[CONF_VALUE_MAX]);

/* "1s to 5m", "at least 1", or "" without bounds. */
#define CONF_BOUNDS_MAX (2 * CONF_VALUE_MAX + 8)
void conf_value_bounds(const struct conf_field *f, char ret[CONF_BOUNDS_MAX]);

/* Which of the words a person may have meant: offer them all, then see `best` (NULL: none). */
struct conf_guess {
    struct str word;
    const char *best;
    size_t distance;
};
void conf_guess_offer(struct conf_guess *g, const char *candidate);
