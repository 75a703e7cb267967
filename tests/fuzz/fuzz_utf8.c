/*
 * Any bytes: what utf8_clean makes of them is valid, and cutting agrees with counting.
 */
#include "core/base/utf8.h"

#include <stdlib.h>

static void must(bool ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str s = str_from((const char *)data, n);
    _cleanup_(buf_done) struct buf clean = BUF_INIT(3 * n);
    must(utf8_clean(&clean, s));
    struct str c = buf_str(&clean);
    must(utf8_valid(c));
    must(!utf8_valid(s) || str_eq(s, c));
    must(utf8_partial_tail(c) == 0 && utf8_partial_tail(s) <= 3);

    for (int unit = TEXT_BYTES; unit <= TEXT_UTF16; unit++) {
        size_t max = n ? data[0] : 0, cut = utf8_prefix(c, max, (enum text_unit)unit);
        must(utf8_valid(str_head(c, cut)));
        must(utf8_length(str_head(c, cut), (enum text_unit)unit) <= max);
        utf8_prefix(s, max, (enum text_unit)unit);
    }
    size_t n_points = 0;
    for (uint32_t point; c.n; n_points++) {
        size_t step = utf8_decode(c, &point);
        must(step > 0 && point > 0 && point <= 0x10FFFF);
        c = str_skip(c, step);
    }
    must(n_points == utf8_points(buf_str(&clean)));
    return 0;
}
