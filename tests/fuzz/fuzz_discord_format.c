/*
 * Any Markdown, split as the channel splits it, becomes text that Discord shows as it was meant, or
 * is left to be sent as it is.
 */
#include "../unit/channels/discord_text.h"

#include "core/chat/split.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(struct str markdown)
{
    struct buf out = BUF_INIT(1 << 20);
    if (discord_format(markdown, &out)) {
        const char *problem = discord_problem(buf_str(&out));
        if (problem) {
            fprintf(stderr, "%s:\n%.*s\n%s\n", problem, STR_ARG(markdown), out.p);
            abort();
        }
    } else if (out.n || out.full) {
        abort();
    }
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct split_rule rule = { .max = 1900, .unit = TEXT_UTF16 };
    struct buf clean = BUF_INIT(4 * n + 4);
    struct text_part *parts;
    struct arena arena;
    arena_init(&arena);
    utf8_clean(&clean, str_from((const char *)data, n));
    check(buf_str(&clean));
    size_t n_parts = split_text(&arena, buf_str(&clean), &rule, &parts);
    for (size_t i = 0; i < n_parts; i++) {
        if (utf8_utf16_units(parts[i].text) > rule.max) abort();
        if (n_parts > 1) check(parts[i].text);
    }
    arena_done(&arena);
    buf_done(&clean);
    return 0;
}
