/*
 * Any Markdown, split as the channel splits it, becomes mrkdwn that wakes nobody, or is left to be
 * sent as it is; and Markdown in which Slack reads nothing of its own.
 */
#include "../unit/channels/slack_text.h"

#include "core/chat/split.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void expect(const char *problem, struct str markdown, const struct buf *made)
{
    if (!problem) return;
    fprintf(stderr, "%s:\n%.*s\n%s\n", problem, STR_ARG(markdown), made->p);
    abort();
}

static void check(struct str markdown)
{
    struct buf out = BUF_INIT(1 << 20), safe = BUF_INIT(1 << 20);
    if (slack_format(markdown, &out))
        expect(slack_problem(buf_str(&out)), markdown, &out);
    else if (out.n || out.full)
        abort();
    if (slack_markdown(markdown, &safe))
        expect(slack_markdown_problem(buf_str(&safe)), markdown, &safe);
    else if (safe.n || safe.full)
        abort();
    buf_done(&out);
    buf_done(&safe);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct split_rule rule = { .max = 2700, .unit = TEXT_UTF16 };
    struct buf clean = BUF_INIT(4 * n + 4);
    struct text_part *parts;
    struct arena arena;
    arena_init(&arena);
    utf8_clean(&clean, str_from((const char *)data, n));
    check(buf_str(&clean));
    size_t n_parts = split_text(&arena, buf_str(&clean), &rule, &parts);
    for (size_t i = 0; n_parts > 1 && i < n_parts; i++) check(parts[i].text);
    arena_done(&arena);
    buf_done(&clean);
    return 0;
}
