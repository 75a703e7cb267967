/*
 * buf - a growing byte buffer that is born with a maximum.
 *
 * Hitting the maximum is an ordinary event: the add fails, the content stays as it was and `full`
 * is set, so that a chain of adds can be checked once at its end. Memory running out aborts.
 */
#pragma once
#include "core/base/str.h"
#include <stdarg.h>

struct buf {
    char *p; /* NUL-terminated whenever not NULL */
    size_t n, cap, max;
    bool full; /* an add did not fit; cleared by buf_clear */
};

#define BUF_INIT(maximum) \
    {                     \
        .max = (maximum)  \
    }

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b); /* frees; the buffer can be used again with the same maximum */

bool buf_add(struct buf *b, struct str s);
bool buf_add_char(struct buf *b, char c);
bool buf_add_cstr(struct buf *b, const char *s);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vaddf(struct buf *b, const char *fmt, va_list args);

/* Room for `n` more bytes at the end: write there, then buf_grew. NULL: over the maximum. */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);

void buf_clear(struct buf *b);                /* empty, memory kept */
void buf_drop_front(struct buf *b, size_t n); /* n <= b->n */
void buf_cut(struct buf *b, size_t n);        /* keep the first n, n <= b->n */

static inline struct str buf_str(const struct buf *b)
{
    return (struct str){ b->p ? b->p : "", b->n };
}

/* The content as a C string that is now the caller's to free; the buffer is empty again. */
char *buf_take(struct buf *b);

/* For locals: _cleanup_(buf_done) struct buf b = BUF_INIT(4096); */
#define _cleanup_(f) __attribute__((cleanup(f)))
