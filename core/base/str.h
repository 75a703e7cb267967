/*
 * str - a borrowed view of bytes. Not NUL-terminated; whoever owns the bytes outlives the view.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){ "" literal, sizeof(literal) - 1 })
#define STR_NONE     ((struct str){ "", 0 })
/* For printf: "%.*s". */
#define STR_ARG(s)   (int)(s).n, (s).p

static inline struct str str_of(const char *cstr)
{
    return cstr ? (struct str){ cstr, strlen(cstr) } : STR_NONE;
}

static inline struct str str_from(const char *p, size_t n)
{
    return (struct str){ p, n };
}

bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII */
bool str_starts(struct str s, struct str prefix);
bool str_starts_nocase(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);

/* Offset of `needle` in `s`, or SIZE_MAX. An empty needle is at 0. */
size_t str_find(struct str s, struct str needle);
size_t str_find_char(struct str s, char c);

/* ASCII white space off both ends. */
struct str str_trim(struct str s);

/* The first `n` bytes (or all), and what is left after them. */
struct str str_head(struct str s, size_t n);
struct str str_skip(struct str s, size_t n);

/*
 * Cut `s` at the first `sep`: returns what is before it and leaves in *s what comes after.
 * Without a `sep` returns all and leaves *s empty. Loop while (s.n).
 */
struct str str_cut(struct str *s, char sep);

/* 0..15, or -1 for what is no hex digit. */
int str_hex_digit(char c);

/* Whole-string decimal numbers; false on an empty string, junk, a sign on unsigned, or overflow. */
bool str_i64(struct str s, int64_t *ret);
bool str_u64(struct str s, uint64_t *ret);
