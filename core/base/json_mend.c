/*
 * json_mend - lone halves of surrogate pairs, found in the text: no parser of Unicode takes them.
 */
#include "core/base/json.h"

static bool is_high(uint32_t unit)
{
    return unit >= 0xD800 && unit < 0xDC00;
}

static bool is_low(uint32_t unit)
{
    return unit >= 0xDC00 && unit < 0xE000;
}

/* The UTF-16 unit of the "\uXXXX" at the start of `s`; 0 = there is none. */
static uint32_t escaped_unit(struct str s)
{
    uint32_t unit = 0;
    if (s.n < 6 || s.p[0] != '\\' || s.p[1] != 'u') return 0;
    for (size_t i = 2; i < 6; i++) {
        int digit = str_hex_digit(s.p[i]);
        if (digit < 0) return 0;
        unit = unit << 4 | (uint32_t)digit;
    }
    return unit;
}

/* Bytes of the escape, or pair of them, at the start of `s`. */
static size_t escape_length(struct str s, uint32_t unit)
{
    if (is_high(unit) && is_low(escaped_unit(str_skip(s, 6)))) return 12;
    return unit ? 6 : 2;
}

static void put_unknown(struct buf *to, uint32_t unit)
{
    (void)unit;
    buf_add_cstr(to, "\\ufffd");
}

bool json_mend_halves(struct str text, struct buf *to, void (*put)(struct buf *to, uint32_t unit))
{
    bool found = false;
    if (!put) put = put_unknown;
    for (size_t at; (at = str_find_char(text, '\\')) != SIZE_MAX;) {
        buf_add(to, str_head(text, at));
        text = str_skip(text, at);
        uint32_t unit = escaped_unit(text);
        size_t n = escape_length(text, unit);
        bool lone = n == 6 && (is_high(unit) || is_low(unit));
        if (lone)
            put(to, unit);
        else
            buf_add(to, str_head(text, n));
        found |= lone;
        text = str_skip(text, n);
    }
    buf_add(to, text);
    return found && !to->full;
}
