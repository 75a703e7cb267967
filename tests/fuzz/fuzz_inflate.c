/*
 * Any bytes as a zlib stream: whole and byte by byte must give the same, and never too much.
 */
#include "core/base/buf.h"
#include "core/net/inflate.h"
#include <stdlib.h>

#define MESSAGE_MAX 100000

static bool sink(void *ctx, struct str plain)
{
    return buf_add(ctx, plain);
}

static enum err_kind run(struct str in, size_t step, struct buf *out)
{
    struct inflate *z = inflate_new(MESSAGE_MAX);
    enum err_kind kind = ERR_NONE;
    for (; in.n && kind == ERR_NONE; in = str_skip(in, step))
        kind = inflate_feed(z, str_head(in, step), sink, out, NULL);
    inflate_free(z);
    return kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str in = str_from((const char *)data, n);
    /* A buffer that is full would stop the stream: the maximum must keep it from that. */
    _cleanup_(buf_done) struct buf whole = BUF_INIT(MESSAGE_MAX), single = BUF_INIT(MESSAGE_MAX);
    enum err_kind kind = run(in, SIZE_MAX, &whole);
    if (kind == ERR_CANCELLED || run(in, 1, &single) != kind) abort();
    if (kind == ERR_NONE && !str_eq(buf_str(&whole), buf_str(&single))) abort();
    return 0;
}
