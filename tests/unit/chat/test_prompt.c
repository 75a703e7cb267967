/*
 * How much history a prompt takes: by estimates, and by what the model has counted.
 */
#include "core/chat/prompt.h"
#include <criterion/criterion.h>

#define N_ENTRIES 20

/* Of ten exchanges of 2 x (25 + 4) tokens, how many messages fit beside the rest. */
static size_t n_history(int64_t window, int64_t history_tokens, int64_t permille)
{
    static char text[151];
    struct context_entry entries[N_ENTRIES];
    struct arena arena;
    const struct chat_conf conf = { .system_prompt = "", .history_tokens = history_tokens };
    const struct model m = { .name = "m", .context_tokens = window + 1000, .max_tokens = 1000 };
    const struct pictures none = { 0 };
    const struct prompt_question question = { .query = STR("abcdef"),
                                              .pictures = &none,
                                              .permille = permille };
    memset(text, 'a', sizeof text - 1); /* a token for six letters */
    cr_assert_eq(tokens_estimate(str_of(text)), 25);
    for (int i = 0; i < N_ENTRIES; i++)
        entries[i] =
            (struct context_entry){ i + 1, i % 2 ? CONTEXT_ASSISTANT : CONTEXT_USER, str_of(text) };
    const struct context_read past = { .entries = entries, .n = N_ENTRIES, .newest = N_ENTRIES };
    arena_init(&arena);
    size_t n = prompt_build(&arena, &conf, &m, &past, &question)->n_messages - 1;
    arena_done(&arena);
    return n;
}

Test(prompt, history_fits_into_the_window)
{
    cr_expect_eq(n_history(10000, 10000, 0), N_ENTRIES);
    /* 9 for the question and no system prompt, 58 an exchange */
    cr_expect_eq(n_history(4 + 5 + 3 * 58, 10000, 0), 6);
    cr_expect_eq(n_history(4 + 5 + 3 * 58 - 1, 10000, 0), 4);
    cr_expect_eq(n_history(10000, 3 * 58, 0), 6);
    cr_expect_eq(n_history(10, 10000, 0), 0, "the question is asked all the same");
}

Test(prompt, a_count_corrects_the_estimate)
{
    int64_t window = 4 + 5 + 4 * 58;
    cr_expect_eq(n_history(window, 10000, 1000), n_history(window, 10000, 0));
    cr_expect_eq(n_history(window, 10000, 2000), 2,
                 "twice as many as estimated: half as much fits");
    cr_expect_eq(n_history(window, 10000, 500), 16, "half as many: twice as much");
    cr_expect_eq(n_history(10000, 3 * 58, 2000), 6, "chat.history_tokens is another matter");
}
