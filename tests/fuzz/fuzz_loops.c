/*
 * The repetitions that a text may end with: the input over and over, in pieces of so many bytes as
 * its first one says, and once as it is.
 */
#include "core/base/buf.h"
#include "core/model/loops.h"
#include <stdlib.h>

#define TEXT_MAX 20000

static void feed(struct str text, size_t piece)
{
    struct loops l = { 0 };
    for (size_t n = 0; n < text.n && !loops_caught(&l, str_head(text, n));) {
        struct str next = str_head(str_skip(text, n), piece);
        loops_piece(&l, str_head(text, n), next);
        n += next.n;
        if (l.line > n || l.looked > n) abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) return 0;
    struct str input = str_from((const char *)data + 1, size - 1);
    struct buf text = BUF_INIT(TEXT_MAX);
    while (buf_add(&text, input)) {}
    feed(buf_str(&text), data[0] + 1U);
    feed(input, data[0] + 1U);
    buf_done(&text);
    return 0;
}
