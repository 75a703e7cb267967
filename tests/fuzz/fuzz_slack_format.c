/*
 * Any Markdown, split as the channel splits it, becomes mrkdwn in which nothing but our own marks
 * counts, or cannot be formatted; as Slack's Markdown it calls nobody, and its lines stay what they
 * were when more follow.
 */
#include "../unit/channels/slack_text.h"

#include "core/chat/split.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(const char *problem, struct str in, const struct buf *out)
{
    if (!problem) return;
    fprintf(stderr, "%s:\n%.*s\n%.*s\n", problem, STR_ARG(in), STR_ARG(buf_str(out)));
    abort();
}

static void check_format(struct str markdown)
{
    struct buf out = BUF_INIT(1 << 20);
    if (slack_format(markdown, &out))
        check(slack_problem(buf_str(&out)), markdown, &out);
    else
        check(out.n || out.full ? "something is left" : NULL, markdown, &out);
    buf_done(&out);
}

static void check_markdown(struct str markdown, size_t cut)
{
    struct buf all = BUF_INIT(8 * markdown.n + 8), part = BUF_INIT(8 * markdown.n + 8);
    if (!slack_markdown(markdown, &all) || !slack_markdown(str_head(markdown, cut), &part)) abort();
    check(slack_markdown_problem(buf_str(&all)), markdown, &all);
    while (part.n && part.p[part.n - 1] != '\n') buf_cut(&part, part.n - 1);
    check(str_starts(buf_str(&all), buf_str(&part)) ? NULL : "a line changed", markdown, &all);
    buf_done(&all);
    buf_done(&part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct split_rule rule = { .max = 3500, .unit = TEXT_UTF16 };
    struct buf clean = BUF_INIT(4 * n + 4);
    struct text_part *parts;
    struct arena arena;
    if (n < 1) return 0;
    arena_init(&arena);
    utf8_clean(&clean, str_from((const char *)data + 1, n - 1));
    check_format(buf_str(&clean));
    check_markdown(buf_str(&clean), clean.n * data[0] / 255);
    size_t n_parts = split_text(&arena, buf_str(&clean), &rule, &parts);
    for (size_t i = 0; i < n_parts && n_parts > 1; i++) check_format(parts[i].text);
    arena_done(&arena);
    buf_done(&clean);
    return 0;
}
