/*
 * Written values: units, bounds, and the nearest word to a misspelt one.
 */
#include "core/base/conf_value.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define GUESS_WORD_MAX 48 /* longer words are not worth a guess */

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 }, { NULL, 0 },
};
static const struct unit sizes[] = {
    { "GB", 1 << 30 }, { "MB", 1 << 20 }, { "KB", 1 << 10 }, { "B", 1 }, { NULL, 0 },
};

/* "30s" by `units`; a bare number counts in `bare`. */
static bool parse_units(struct str text, const struct unit *units, int64_t bare, int64_t *ret)
{
    size_t n = 0;
    while (n < text.n && text.p[n] >= '0' && text.p[n] <= '9') n++;

    struct str unit = str_skip(text, n);
    int64_t v, factor = unit.n ? 0 : bare;
    for (const struct unit *u = units; u->name; u++)
        if (str_eq(unit, str_of(u->name))) factor = u->factor;
    return factor && str_i64(str_head(text, n), &v) && !__builtin_mul_overflow(v, factor, ret);
}

static void format_units(int64_t v, const struct unit *units, char ret[CONF_VALUE_MAX])
{
    const struct unit *u = units;

    while (u[1].name && v % u->factor != 0) u++;
    snprintf(ret, CONF_VALUE_MAX, "%" PRId64 "%s", v / u->factor, u->name);
}

static bool parse_bool(struct str text, bool *ret)
{
    *ret = str_eq(text, STR("true"));
    return *ret || str_eq(text, STR("false"));
}

static bool parse_float(struct str text, double *ret)
{
    char copy[64], *end;

    if (text.n == 0 || text.n >= sizeof(copy)) return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *ret = strtod(copy, &end);
    return *end == '\0';
}

static bool parse_word(const struct conf_field *f, struct str text, int *ret)
{
    for (int i = 0; f->words[i]; i++) {
        if (!str_eq(text, str_of(f->words[i]))) continue;
        *ret = i;
        return true;
    }
    return false;
}

static bool parse(const struct conf_field *f, struct str text, union conf_any *ret)
{
    switch (f->type) {
    case CONF_BOOL: return parse_bool(text, &ret->b);
    case CONF_INT: return str_i64(text, &ret->i);
    case CONF_FLOAT: return parse_float(text, &ret->f);
    case CONF_DURATION: return parse_units(text, durations, 1000, &ret->i);
    case CONF_SIZE: return parse_units(text, sizes, 1, &ret->i);
    case CONF_ENUM: return parse_word(f, text, &ret->word);
    case CONF_STR:
    case CONF_SECRET:
    case CONF_OBJECT:
    case CONF_LIST: break;
    }
    return false;
}

/* Levenshtein's distance; a pair of neighbours in the wrong order counts as one, too. */
static size_t word_distance(struct str a, struct str b)
{
    size_t rows[3][GUESS_WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.n; j++) last[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t best = last[j - 1] + (a.p[i - 1] != b.p[j - 1]);
            if (last[j] + 1 < best) best = last[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            row[j] = best;
        }
        size_t *free_row = before;
        before = last;
        last = row;
        row = free_row;
    }
    return last[b.n];
}

void conf_guess_offer(struct conf_guess *g, const char *candidate)
{
    struct str c = str_of(candidate);

    if (c.n > GUESS_WORD_MAX || g->word.n > GUESS_WORD_MAX) return;
    size_t distance = word_distance(g->word, c);
    if (distance > 1 + c.n / 4 || distance >= c.n || (g->best && distance >= g->distance)) return;
    g->best = candidate;
    g->distance = distance;
}

enum err_kind conf_value_refuse(const struct conf_field *f, struct str text, struct err *why)
{
    static const char *const form[] = {
        [CONF_BOOL] = "must be true or false",
        [CONF_INT] = "must be a whole number",
        [CONF_FLOAT] = "must be a number",
        [CONF_STR] = "must be a string in quotes",
        [CONF_SECRET] = "must be \"env:NAME\" or \"file:PATH\"",
        [CONF_DURATION] =
            "must be a duration: \"500ms\", \"30s\", \"5m\", \"1h\", \"7d\" or seconds",
        [CONF_SIZE] = "must be a size: \"64KB\", \"1MB\" or bytes",
        [CONF_ENUM] = "must be one of",
        [CONF_LIST] = "must be a list of strings: [ \"a\", \"b\" ]",
        [CONF_OBJECT] = "must be a group { ... }, or a JSON object in quotes",
    };
    _cleanup_(buf_done) struct buf must = BUF_INIT(ERR_MSG_MAX);
    struct conf_guess guess = { .word = text };

    buf_add_cstr(&must, form[f->type]);
    for (const char *const *w = f->words; f->type == CONF_ENUM && *w; w++) {
        buf_addf(&must, "%s %s", w == f->words ? "" : ",", *w);
        conf_guess_offer(&guess, *w);
    }
    if (guess.best) buf_addf(&must, " (did you mean %s?)", guess.best);
    return err_set(why, ERR_CONF, "%s", must.p);
}

enum err_kind conf_value_parse(const struct conf_field *f, struct str text, union conf_any *ret,
                               struct err *why)
{
    return parse(f, text, ret) ? ERR_NONE : conf_value_refuse(f, text, why);
}

enum err_kind conf_value_check(const struct conf_field *f, const union conf_any *v, struct err *why)
{
    char bounds[CONF_BOUNDS_MAX], value[CONF_VALUE_MAX];
    bool bounded = f->min != 0 || f->max != 0, below, above;

    if (f->type == CONF_FLOAT) {
        if (!isfinite(v->f)) return conf_value_refuse(f, STR_NONE, why);
        below = bounded && v->f < (double)f->min;
        above = bounded && f->max >= f->min && v->f > (double)f->max;
        snprintf(value, sizeof(value), "%g", v->f);
    } else if (f->type == CONF_INT || f->type == CONF_DURATION || f->type == CONF_SIZE) {
        if (f->type != CONF_INT && v->i < 0) return conf_value_refuse(f, STR_NONE, why);
        below = bounded && v->i < f->min;
        above = bounded && f->max >= f->min && v->i > f->max;
        conf_value_format(f, v->i, value);
    } else {
        return ERR_NONE;
    }
    if (!below && !above) return ERR_NONE;
    conf_value_bounds(f, bounds);
    return err_set(why, ERR_CONF, "%s is out of bounds (%s)", value, bounds);
}

void conf_value_format(const struct conf_field *f, int64_t v, char ret[CONF_VALUE_MAX])
{
    if (f->type == CONF_DURATION && v != 0)
        format_units(v, durations, ret);
    else if (f->type == CONF_SIZE && v != 0)
        format_units(v, sizes, ret);
    else
        snprintf(ret, CONF_VALUE_MAX, "%" PRId64, v);
}

void conf_value_bounds(const struct conf_field *f, char ret[CONF_BOUNDS_MAX])
{
    char min[CONF_VALUE_MAX], max[CONF_VALUE_MAX];

    conf_value_format(f, f->min, min);
    conf_value_format(f, f->max, max);
    if (f->min == 0 && f->max == 0)
        ret[0] = '\0';
    else if (f->max < f->min)
        snprintf(ret, CONF_BOUNDS_MAX, "at least %s", min);
    else
        snprintf(ret, CONF_BOUNDS_MAX, "%s to %s", min, max);
}
