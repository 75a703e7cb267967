/*
 * halves - see halves.h.
 */
#include "core/model/halves.h"
#include "core/base/json.h"
#include "core/base/utf8.h"

/* In plane 16: private, and seen nowhere. The mark of unit u is MARK + u - 0xD800. */
#define MARK 0x100000

static bool is_high(uint32_t unit)
{
    return unit >= 0xD800 && unit < 0xDC00;
}

static bool is_low(uint32_t unit)
{
    return unit >= 0xDC00 && unit < 0xE000;
}

static void add_point(struct buf *to, uint32_t c)
{
    const char bytes[] = { (char)(0xF0 | c >> 18), (char)(0x80 | (c >> 12 & 0x3F)),
                           (char)(0x80 | (c >> 6 & 0x3F)), (char)(0x80 | (c & 0x3F)) };
    buf_add(to, str_from(bytes, sizeof(bytes)));
}

static void add_unknown(struct buf *to)
{
    buf_add_cstr(to, "\xef\xbf\xbd");
}

static void add_mark(struct buf *to, uint32_t unit)
{
    add_point(to, MARK + unit - 0xD800);
}

bool halves_mark(struct str json, struct buf *to)
{
    return json_mend_halves(json, to, add_mark);
}

static void take_unit(struct halves *h, uint32_t unit, struct buf *to)
{
    if (h->high && is_low(unit))
        add_point(to, 0x10000 + ((uint32_t)(h->high - 0xD800) << 10) + (unit - 0xDC00));
    else if (h->high || is_low(unit))
        add_unknown(to);
    h->high = is_high(unit) ? (uint16_t)unit : 0;
}

void halves_join(struct halves *h, struct str text, struct buf *to)
{
    while (text.n) {
        uint32_t c;
        size_t n = utf8_decode(text, &c);
        if (n == 4 && c >= MARK && c < MARK + 0x800) {
            take_unit(h, c - MARK + 0xD800, to);
        } else {
            halves_end(h, to);
            buf_add(to, str_head(text, n ? n : 1));
        }
        text = str_skip(text, n ? n : 1);
    }
}

void halves_end(struct halves *h, struct buf *to)
{
    if (h->high) add_unknown(to);
    h->high = 0;
}

void halves_whole(struct str text, struct buf *to)
{
    struct halves h = { 0 };
    halves_join(&h, text, to);
    halves_end(&h, to);
}
