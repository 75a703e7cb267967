/*
 * Inflating, see inflate.h. zlib keeps its window of 32 KiB and nothing else, so that a bomb costs
 * no more than what the maximum lets through.
 */
#include "core/net/inflate.h"
#include "core/base/mem.h"
#include <limits.h>
#include <zlib.h>

#define PIECE_BYTES  16384
#define WINDOW_BYTES 32768

struct inflate {
    z_stream z;
    size_t message_max, n_plain; /* n_plain: of this message */
    uint32_t tail;               /* the last four compressed bytes */
    struct err broken;
    bool ended;
};

static enum err_kind broke(struct inflate *z, enum err_kind kind, const char *text)
{
    return err_set(&z->broken, kind, "inflate: %s", text);
}

/* Decides on what zlib said about a step that gave `n` bytes, of which `left` were allowed. */
static enum err_kind judge(struct inflate *z, int said, size_t n, size_t left)
{
    if (n > left) return broke(z, ERR_LIMIT, "message too large");
    switch (said) {
    case Z_OK:
    case Z_BUF_ERROR: return ERR_NONE; /* the latter: nothing left to do */
    case Z_STREAM_END: z->ended = true; return ERR_NONE;
    case Z_MEM_ERROR: mem_exhausted(WINDOW_BYTES);
    case Z_NEED_DICT: return broke(z, ERR_PROTO, "a dictionary that nobody has");
    default: return broke(z, ERR_PROTO, z->z.msg ? z->z.msg : "damaged data");
    }
}

/* *ret_more: call again. */
static enum err_kind step(struct inflate *z, bool (*sink)(void *, struct str), void *ctx,
                          bool *ret_more)
{
    unsigned char plain[PIECE_BYTES];
    size_t left = z->message_max - z->n_plain;
    /* One byte more than is allowed tells a message that is too large from one that just fits. */
    size_t room = left < sizeof plain ? left + 1 : sizeof plain;

    if (z->ended) return broke(z, ERR_PROTO, "bytes behind the end of the stream");
    z->z.next_out = plain;
    z->z.avail_out = (uInt)room;
    int said = inflate(&z->z, Z_SYNC_FLUSH);
    size_t n = room - z->z.avail_out;
    enum err_kind kind = judge(z, said, n, left);
    if (kind != ERR_NONE) return kind;
    z->n_plain += n;
    if (n && !sink(ctx, str_from((char *)plain, n))) return broke(z, ERR_CANCELLED, "stopped");
    *ret_more = z->z.avail_in > 0 || (!z->z.avail_out && !z->ended);
    return ERR_NONE;
}

static void remember_tail(struct inflate *z, struct str in)
{
    for (size_t i = in.n > 4 ? in.n - 4 : 0; i < in.n; i++)
        z->tail = z->tail << 8 | (unsigned char)in.p[i];
}

struct inflate *inflate_new(size_t message_max)
{
    struct inflate *z = mem_new(struct inflate);

    z->message_max = message_max;
    if (inflateInit(&z->z) != Z_OK) mem_exhausted(sizeof z->z);
    return z;
}

void inflate_free(struct inflate *z)
{
    if (!z) return;
    inflateEnd(&z->z);
    free(z);
}

enum err_kind inflate_feed(struct inflate *z, struct str in,
                           bool (*sink)(void *ctx, struct str plain), void *ctx, struct err *why)
{
    enum err_kind kind = z->broken.kind;

    remember_tail(z, in);
    while (kind == ERR_NONE && in.n) {
        struct str head = str_head(in, UINT_MAX);
        bool more = true;
        in = str_skip(in, head.n);
        z->z.next_in = (Bytef *)(uintptr_t)head.p; /* zlib only reads there */
        z->z.avail_in = (uInt)head.n;
        while (more && kind == ERR_NONE) kind = step(z, sink, ctx, &more);
    }
    if (kind != ERR_NONE && why) *why = z->broken;
    return kind;
}

bool inflate_at_boundary(const struct inflate *z)
{
    return z->tail == 0x0000ffff;
}

void inflate_mark(struct inflate *z)
{
    z->n_plain = 0;
}
