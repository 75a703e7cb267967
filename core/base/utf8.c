/*
 * utf8 - decoding, checking, repairing and counting. Nearly all text is plain: it is passed eight
 * bytes at a time.
 */
#include "core/base/utf8.h"

#include "core/base/arena.h"

#define REPLACEMENT STR("\xEF\xBF\xBD")

/* How a lead byte goes on: its length, and the bounds of the second byte (which rule out overlong
   forms, surrogates and points above U+10FFFF). */
struct lead {
    unsigned char n, low, high;
};

static struct lead lead_of(unsigned char c)
{
    if (c < 0x80) return (struct lead){ 1, 0, 0 };
    if (c < 0xC2) return (struct lead){ 0, 0, 0 };
    if (c < 0xE0) return (struct lead){ 2, 0x80, 0xBF };
    if (c < 0xF0) return (struct lead){ 3, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF };
    if (c < 0xF5) return (struct lead){ 4, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF };
    return (struct lead){ 0, 0, 0 };
}

/*
 * Bytes at the start of `s` (not empty) that belong together: a code point, or the start of one
 * that goes wrong. *ret_whole tells which. *ret_need is what a whole one would have (0: the first
 * byte cannot start any).
 */
static size_t sequence(struct str s, size_t *ret_need, bool *ret_whole)
{
    const unsigned char *p = (const unsigned char *)s.p;
    struct lead lead = lead_of(p[0]);
    size_t n = 1;
    if (n < lead.n && n < s.n && p[1] >= lead.low && p[1] <= lead.high)
        for (n = 2; n < lead.n && n < s.n && (p[n] & 0xC0) == 0x80;) n++;
    *ret_need = lead.n;
    *ret_whole = n == lead.n;
    return n;
}

/* Bytes at the start of `s` that are plain ASCII without NUL, at least as far as whole words go. */
static size_t plain_run(struct str s)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x8080808080808080;
    size_t at = 0;
    for (uint64_t word; s.n - at >= sizeof(word); at += sizeof(word)) {
        memcpy(&word, s.p + at, sizeof(word));
        if (((word - ones) | word) & highs) /* the subtraction borrows where a byte is 0 */
            break;
    }
    return at;
}

/* Bytes at the start of `s` that are valid. */
static size_t valid_run(struct str s)
{
    size_t at = 0;
    while (at < s.n) {
        size_t need, n = plain_run(str_skip(s, at));
        bool whole;
        at += n;
        if (n == 0) {
            n = sequence(str_skip(s, at), &need, &whole);
            if (!whole || s.p[at] == '\0') break;
            at += n;
        }
    }
    return at;
}

/* One step of what is counted: a code point, or a byte that is none. */
static size_t step(struct str s, enum text_unit unit, size_t *ret_units)
{
    size_t need;
    bool whole;
    size_t n = sequence(s, &need, &whole);
    if (!whole) n = 1;
    *ret_units = unit == TEXT_BYTES ? n : unit == TEXT_UTF16 && n == 4 ? 2 : 1;
    return n;
}

bool utf8_valid(struct str s)
{
    return valid_run(s) == s.n;
}

bool utf8_clean(struct buf *to, struct str s)
{
    size_t n_before = to->n;
    for (;;) {
        size_t need, n = valid_run(s);
        bool whole;
        if (!buf_add(to, str_head(s, n))) break;
        s = str_skip(s, n);
        if (s.n == 0) return true;
        if (!buf_add(to, REPLACEMENT)) break;
        s = str_skip(s, sequence(s, &need, &whole));
    }
    buf_cut(to, n_before);
    return false;
}

struct str utf8_cleaned(struct arena *a, struct str s)
{
    if (utf8_valid(s)) return s;
    _cleanup_(buf_done) struct buf b = BUF_INIT(3 * s.n);
    utf8_clean(&b, s);
    return arena_dup(a, buf_str(&b));
}

size_t utf8_points(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    return n;
}

size_t utf8_utf16_units(struct str s)
{
    size_t n = utf8_points(s);
    for (size_t i = 0; i < s.n; i++) n += (unsigned char)s.p[i] >= 0xF0;
    return n;
}

size_t utf8_length(struct str s, enum text_unit unit)
{
    switch (unit) {
    case TEXT_POINTS: return utf8_points(s);
    case TEXT_UTF16: return utf8_utf16_units(s);
    case TEXT_BYTES: break;
    }
    return s.n;
}

size_t utf8_prefix(struct str s, size_t max, enum text_unit unit)
{
    if (s.n <= max) return s.n; /* no unit is smaller than a byte */
    size_t at = 0, units = 0;
    while (at < s.n) {
        size_t plain = plain_run(str_head(str_skip(s, at), max - units));
        size_t more, n = plain;
        if (plain)
            more = plain;
        else
            n = step(str_skip(s, at), unit, &more);
        if (more > max - units) break;
        at += n;
        units += more;
    }
    return at;
}

size_t utf8_decode(struct str s, uint32_t *ret_point)
{
    static const unsigned char lead_bits[] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
    size_t need;
    bool whole;
    if (s.n == 0) return 0;
    size_t n = sequence(s, &need, &whole);
    if (!whole) return 0;
    uint32_t point = (unsigned char)s.p[0] & lead_bits[n];
    for (size_t i = 1; i < n; i++) point = point << 6 | ((unsigned char)s.p[i] & 0x3F);
    *ret_point = point;
    return n;
}

size_t utf8_bad_length(struct str s)
{
    size_t need;
    bool whole;
    return s.n ? sequence(s, &need, &whole) : 0;
}

size_t utf8_partial_tail(struct str s)
{
    for (size_t n = 1; n <= 3 && n <= s.n; n++) {
        size_t need;
        bool whole;
        struct str tail = str_skip(s, s.n - n);
        if (((unsigned char)tail.p[0] & 0xC0) == 0x80) continue;
        size_t got = sequence(tail, &need, &whole);
        return got == n && need > n ? n : 0;
    }
    return 0;
}
