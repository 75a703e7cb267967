/* visible - see visible.h. https://www.unicode.org/reports/tr36/ (security considerations) */
#include "core/tool/visible.h"
#include "core/base/utf8.h"

/*
 * Not among them: U+200C and U+200D, which Persian and emoji are written with, U+200E and U+200F,
 * which turn nothing around, and U+FE00 to U+FE0F, which choose between two pictures.
 */
static const struct range {
    uint32_t first, last;
} unseen[] = {
    { 0x01, 0x08 },       { 0x0B, 0x1F },       { 0x7F, 0x9F },
    { 0xAD, 0xAD },       { 0x034F, 0x034F },   { 0x115F, 0x1160 },
    { 0x17B4, 0x17B5 },   { 0x180B, 0x180F },   { 0x200B, 0x200B },
    { 0x202A, 0x202E }, /* embeddings and overrides of direction */
    { 0x2060, 0x206F },   { 0x3164, 0x3164 },   { 0xFEFF, 0xFEFF },
    { 0xFFA0, 0xFFA0 },   { 0xFFF0, 0xFFFB },   { 0x1BCA0, 0x1BCA3 },
    { 0x1D173, 0x1D17A }, { 0xE0000, 0xE0FFF }, /* tags and further selectors: ASCII in disguise */
};

static bool is_unseen(uint32_t point)
{
    for (size_t i = 0; i < sizeof(unseen) / sizeof(*unseen); i++)
        if (point >= unseen[i].first && point <= unseen[i].last) return true;
    return false;
}

static size_t plain_run(struct str s)
{
    size_t n = 0;
    while (n < s.n && ((s.p[n] >= ' ' && s.p[n] <= '~') || s.p[n] == '\n' || s.p[n] == '\t')) n++;
    return n;
}

bool visible_add(struct buf *to, struct str text)
{
    while (text.n) {
        uint32_t point = 0;
        size_t n = plain_run(text);
        buf_add(to, str_head(text, n));
        text = str_skip(text, n);
        if (!text.n) break;
        n = utf8_decode(text, &point);
        if (n == 0 || point == 0) {
            buf_add(to, STR("\xEF\xBF\xBD"));
            n = n ? n : utf8_bad_length(text);
        } else if (!is_unseen(point)) {
            buf_add(to, str_head(text, n));
        }
        text = str_skip(text, n);
    }
    return !to->full;
}
