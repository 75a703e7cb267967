/*
 * rule - what is set, compiled for looking up: pure.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/err.h"
#include "core/flag/flag.h"

#define FLAG_SHARE_ALL 10000 /* a percentage in steps of 0.01 */

struct flag_rule {
    uint64_t key; /* of the most specific thing it names */
    int64_t id;
    struct flag_value value;
    struct str channel_type, channel, workspace, place, thread; /* "" = any */
    struct uuid person;                                         /* nil = anybody */
    int64_t from_ms, until_ms;                                  /* 0 = no bound */
    uint32_t share;                                             /* of FLAG_SHARE_ALL */
    bool by_place; /* the percentage is of places, not of people */
};

/* Of one flag. */
struct flag_set {
    struct flag_value value; /* not set: the default */
    bool killed;
    uint64_t seed; /* of its name, for percentages */
    struct {
        struct flag_rule *v; /* by key, then in the order of precedence */
        size_t n;
    } level[FLAG_LEVELS];
};

struct flag_table {
    struct arena arena;
    struct flag_set v[FLAG_N];
    unsigned n_ignored; /* values that this program cannot make sense of */
};

/* What look-ups see: flags.c keeps it up to date. */
struct flags {
    struct flag_table *table; /* NULL: nothing is set */
};

/*
 * Read what flags_document() of the database says. What is not known, or has a value that does not
 * fit (a newer program wrote it), is as if it was not set, and counted.
 * NULL: ERR_PROTO, it is no JSON object.
 */
struct flag_table *flag_table_parse(struct str doc, struct err *why);
void flag_table_free(struct flag_table *t); /* NULL is fine */

struct json;
/* A value that the flag may have; its text lives in `a`. False: it may not. */
bool flag_value_read(struct arena *a, enum flag_id id, struct json *v, struct flag_value *ret);

/* As flag_find. t NULL = nothing is set. */
const struct flag_value *flag_table_find(const struct flag_table *t, enum flag_id id,
                                         const struct flag_who *who, struct flag_why *why);

/* The latest moment until `now_ms` at which a rule started or ended; 0 = none did. */
int64_t flag_table_since(const struct flag_table *t, int64_t now_ms);

/*
 * Where a unit stands in a flag's roll-out: 0 .. FLAG_SHARE_ALL - 1; it is in while that is less
 * than the share. FNV-1a (64 bit) over the flag's name, a zero byte and the unit's bytes, mixed by
 * the finaliser of MurmurHash3, of which the upper half is scaled. Never to be changed: people
 * would change sides.
 */
uint32_t flag_bucket(uint64_t seed, const void *unit, size_t n);
uint64_t flag_seed(const char *name);
