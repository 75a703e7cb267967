/*
 * grapheme - clusters and columns by two tables of ranges.
 */
#include "core/base/grapheme.h"

#include "core/base/utf8.h"

#define ZERO_WIDTH_JOINER 0x200D

struct range {
    uint32_t first, last;
};

/* Points that belong to the one before them. Sorted. */
static const struct range extends[] = {
    { 0x0300, 0x036F },   { 0x0483, 0x0489 }, { 0x0591, 0x05BD },   { 0x05BF, 0x05BF },
    { 0x05C1, 0x05C2 },   { 0x05C4, 0x05C5 }, { 0x05C7, 0x05C7 },   { 0x0610, 0x061A },
    { 0x064B, 0x065F },   { 0x0670, 0x0670 }, { 0x06D6, 0x06DC },   { 0x06DF, 0x06E4 },
    { 0x06E7, 0x06E8 },   { 0x06EA, 0x06ED }, { 0x0711, 0x0711 },   { 0x0730, 0x074A },
    { 0x0900, 0x0903 },   { 0x093A, 0x093C }, { 0x093E, 0x094F },   { 0x0951, 0x0957 },
    { 0x0962, 0x0963 },   { 0x0981, 0x0983 }, { 0x09BC, 0x09BC },   { 0x09BE, 0x09CD },
    { 0x0A01, 0x0A03 },   { 0x0A3C, 0x0A4D }, { 0x0A81, 0x0A83 },   { 0x0ABC, 0x0ABC },
    { 0x0ABE, 0x0ACD },   { 0x0B01, 0x0B03 }, { 0x0B3C, 0x0B3C },   { 0x0B3E, 0x0B4D },
    { 0x0BBE, 0x0BCD },   { 0x0C00, 0x0C04 }, { 0x0C3E, 0x0C4D },   { 0x0C81, 0x0C83 },
    { 0x0CBC, 0x0CBC },   { 0x0CBE, 0x0CCD }, { 0x0D00, 0x0D03 },   { 0x0D3B, 0x0D3C },
    { 0x0D3E, 0x0D4D },   { 0x0DCA, 0x0DDF }, { 0x0E31, 0x0E31 },   { 0x0E34, 0x0E3A },
    { 0x0E47, 0x0E4E },   { 0x0EB1, 0x0EB1 }, { 0x0EB4, 0x0EBC },   { 0x0EC8, 0x0ECD },
    { 0x0F18, 0x0F19 },   { 0x0F71, 0x0F84 }, { 0x102B, 0x103E },   { 0x1160, 0x11FF },
    { 0x135D, 0x135F },   { 0x17B4, 0x17D3 }, { 0x1AB0, 0x1AFF },   { 0x1DC0, 0x1DFF },
    { 0x200C, 0x200D },   { 0x20D0, 0x20FF }, { 0x302A, 0x302F },   { 0x3099, 0x309A },
    { 0xFE00, 0xFE0F },   { 0xFE20, 0xFE2F }, { 0x1F3FB, 0x1F3FF }, { 0xE0020, 0xE007F },
    { 0xE0100, 0xE01EF },
};

/* Points that fill two columns. Sorted. */
static const struct range wide[] = {
    { 0x1100, 0x115F },   { 0x231A, 0x231B },   { 0x23E9, 0x23EC },   { 0x25FD, 0x25FE },
    { 0x2614, 0x2615 },   { 0x2648, 0x2653 },   { 0x26A1, 0x26A1 },   { 0x26BD, 0x26BE },
    { 0x2705, 0x2705 },   { 0x270A, 0x270B },   { 0x2728, 0x2728 },   { 0x274C, 0x274E },
    { 0x2753, 0x2757 },   { 0x2795, 0x2797 },   { 0x2B1B, 0x2B1C },   { 0x2B50, 0x2B55 },
    { 0x2E80, 0x303E },   { 0x3041, 0x33FF },   { 0x3400, 0x4DBF },   { 0x4E00, 0x9FFF },
    { 0xA000, 0xA4CF },   { 0xA960, 0xA97C },   { 0xAC00, 0xD7A3 },   { 0xF900, 0xFAFF },
    { 0xFE30, 0xFE6F },   { 0xFF01, 0xFF60 },   { 0xFFE0, 0xFFE6 },   { 0x1F1E6, 0x1F1FF },
    { 0x1F300, 0x1F64F }, { 0x1F680, 0x1F6FF }, { 0x1F7E0, 0x1F7EB }, { 0x1F900, 0x1FAFF },
    { 0x20000, 0x3FFFD },
};

static bool in_ranges(const struct range *v, size_t n, uint32_t point)
{
    size_t low = 0;
    while (low < n) {
        size_t mid = low + (n - low) / 2;
        if (point < v[mid].first)
            n = mid;
        else if (point > v[mid].last)
            low = mid + 1;
        else
            return true;
    }
    return false;
}

#define IN(table, point) in_ranges(table, sizeof(table) / sizeof((table)[0]), point)

static bool is_regional(uint32_t point)
{
    return point >= 0x1F1E6 && point <= 0x1F1FF;
}

size_t grapheme_next(struct str s)
{
    uint32_t before, point;
    if (s.n == 0) return 0;
    if (s.n > 1 && s.p[0] == '\r' && s.p[1] == '\n') return 2;
    if ((unsigned char)s.p[0] < 0x80 && (s.n == 1 || (unsigned char)s.p[1] < 0x80)) return 1;

    size_t n = utf8_decode(s, &before);
    if (n == 0) return 1;            /* not UTF-8: byte by byte */
    bool flag = is_regional(before); /* two of them make a flag */
    for (size_t more; (more = utf8_decode(str_skip(s, n), &point)) != 0; n += more) {
        bool joins =
            IN(extends, point) || before == ZERO_WIDTH_JOINER || (flag && is_regional(point));
        if (!joins || n + more > GRAPHEME_MAX) break;
        flag = false;
        before = point;
    }
    return n;
}

size_t grapheme_columns(struct str s)
{
    size_t columns = 0;
    for (size_t n; (n = grapheme_next(s)) != 0; s = str_skip(s, n)) {
        uint32_t point = 0;
        utf8_decode(s, &point);
        columns += IN(wide, point) ? 2 : 1;
    }
    return columns;
}
