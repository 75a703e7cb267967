/*
 * buf - growing by doubling, up to the maximum and never a byte beyond it.
 */
#include "core/base/buf.h"

#include "core/base/mem.h"

#include <assert.h>
#include <stdio.h>

#define FIRST_CAP 64

/* Memory for `n` bytes more and the NUL behind them. */
static bool reserve(struct buf *b, size_t n)
{
    if (n > b->max - b->n) {
        b->full = true;
        return false;
    }
    size_t need = b->n + n + 1;
    if (need <= b->cap) return true;

    size_t cap = b->cap > b->max / 2 ? b->max + 1 : b->cap * 2;
    if (cap < FIRST_CAP) cap = FIRST_CAP;
    b->cap = cap < need ? need : cap;
    b->p = mem_grow(b->p, b->cap);
    return true;
}

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf)BUF_INIT(max);
}

void buf_done(struct buf *b)
{
    free(b->p);
    buf_init(b, b->max);
}

char *buf_room(struct buf *b, size_t n)
{
    return reserve(b, n) ? b->p + b->n : NULL;
}

void buf_grew(struct buf *b, size_t n)
{
    assert(n < b->cap - b->n);
    b->n += n;
    b->p[b->n] = '\0';
}

bool buf_add(struct buf *b, struct str s)
{
    char *to = buf_room(b, s.n);
    if (!to) return false;
    if (s.n) memcpy(to, s.p, s.n);
    buf_grew(b, s.n);
    return true;
}

bool buf_add_char(struct buf *b, char c)
{
    return buf_add(b, str_from(&c, 1));
}

bool buf_add_cstr(struct buf *b, const char *s)
{
    return buf_add(b, str_of(s));
}

bool buf_vaddf(struct buf *b, const char *fmt, va_list args)
{
    va_list again;
    va_copy(again, args);
    size_t room = b->cap - b->n;
    int n = vsnprintf(b->p ? b->p + b->n : NULL, room, fmt, args);

    bool fits = n >= 0 && reserve(b, (size_t)n);
    if (fits && (size_t)n >= room) vsnprintf(b->p + b->n, (size_t)n + 1, fmt, again);
    va_end(again);
    if (!fits) {
        b->full = true;
        if (b->p) b->p[b->n] = '\0'; /* the first try may have written over it */
        return false;
    }
    b->n += (size_t)n;
    return true;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    bool ok = buf_vaddf(b, fmt, args);
    va_end(args);
    return ok;
}

void buf_clear(struct buf *b)
{
    b->full = false;
    buf_cut(b, 0);
}

void buf_drop_front(struct buf *b, size_t n)
{
    assert(n <= b->n);
    if (n == 0) return;
    memmove(b->p, b->p + n, b->n - n + 1);
    b->n -= n;
}

void buf_cut(struct buf *b, size_t n)
{
    assert(n <= b->n);
    b->n = n;
    if (b->p) b->p[n] = '\0';
}

char *buf_take(struct buf *b)
{
    char *p = b->p ? b->p : mem_dup(STR_NONE);
    buf_init(b, b->max);
    return p;
}
