/*
 * Any text becomes parts that fit, are not blank, and joined are the text again. The first byte
 * chooses the rule.
 */
#include "core/chat/split.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1) return 0;
    struct split_rule rule = { .max = SPLIT_MAX_MIN + data[0] / 3, .unit = data[0] % 3 };
    struct buf clean = BUF_INIT(4 * n), joined = BUF_INIT(4 * n);
    struct text_part *parts;
    struct arena arena;
    arena_init(&arena);
    utf8_clean(&clean, str_from((const char *)data + 1, n - 1));
    struct str text = buf_str(&clean);
    if (data[0] & 128) rule.parts_max = 2, rule.cut_mark = STR("\n\n(cut)");

    size_t n_parts = split_text(&arena, text, &rule, &parts);
    for (size_t i = 0; i < n_parts; i++) {
        struct str t = parts[i].text;
        if (utf8_length(t, rule.unit) > rule.max || !utf8_valid(t) || !str_trim(t).n) abort();
    }
    split_join(&joined, parts, n_parts);
    struct str at = text, whole = buf_str(&joined);
    while (at.n && strchr(" \t\n\v\f\r", at.p[0]) && !str_starts(at, whole)) at = str_skip(at, 1);
    if (!str_starts(at, whole)) abort();
    if (!rule.parts_max && str_trim(str_skip(at, whole.n)).n) abort();
    arena_done(&arena);
    buf_done(&clean);
    buf_done(&joined);
    return 0;
}
