/*
 * Any bytes as server-sent events: whole and byte by byte must give the same events.
 */
#include "core/net/sse.h"
#include <stdlib.h>

static enum err_kind on_event(void *ctx, struct str event, struct str data, struct err *why)
{
    (void)why;
    buf_add(ctx, event);
    buf_add_char(ctx, '|');
    buf_add(ctx, data);
    buf_add_char(ctx, '|');
    return ERR_NONE;
}

static void run(struct str in, size_t step, struct buf *out)
{
    struct sse s;
    sse_init(&s, 4096, on_event, out);
    enum err_kind kind = ERR_NONE;
    for (; in.n && kind == ERR_NONE; in = str_skip(in, step))
        kind = sse_feed(&s, str_head(in, step), NULL);
    if (kind == ERR_NONE) sse_end(&s, NULL);
    sse_done(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str in = str_from((const char *)data, n < 4096 ? n : 4096);
    _cleanup_(buf_done) struct buf whole = BUF_INIT(65536), single = BUF_INIT(65536);
    run(in, SIZE_MAX, &whole);
    run(in, 1, &single);
    if (!str_eq(buf_str(&whole), buf_str(&single))) abort();
    return 0;
}
