/*
 * prompt - what the model is given: system prompt, as much history as fits, the question. Pure.
 *
 * Tokens are estimated by tokens_estimate (core/model/model.h), corrected by what the model counted
 * if it did, and bounded by the smaller of chat.history_tokens and what the model's window leaves
 * after its answer. History is dropped from the oldest, an exchange at a time.
 */
#pragma once
#include "core/chat/turn.h"

/* Rows of store_history (newest first: question, answer) -> context, oldest first. */
void prompt_history(struct arena *a, const struct pg_rows *rows, int message_count,
                    struct context_read *ret);

/* Adds the addresses of a JSON array ("" = none) to `to`, which grows in the arena. */
void prompt_pictures(struct arena *a, struct str array, struct pictures *to);

struct prompt_question {
    struct str query;
    struct str system;               /* instead of the configured one; "" = none */
    const struct pictures *pictures; /* left out for a model that does not see */
    struct str summary;              /* stands for the entries up to the ordinal summary_until */
    int64_t summary_until;
    struct str so_far;                /* half an answer, to be gone on with; "" = none */
    const struct model_message *more; /* calls of tools and their results so far */
    size_t n_more;
    int64_t tools_tokens; /* what the definitions of the tools cost */
    int64_t permille;     /* real tokens for a thousand estimated ones; 0 = not known */
    bool shorter;         /* with half of what would fit by the estimate, which was wrong */
};
/*
 * The question for `m`: what fits of the context and what must be in it. In the arena, which may
 * outlive neither `context` nor the strings of `question`: it points into both.
 */
struct model_ask *prompt_build(struct arena *a, const struct chat_conf *conf, const struct model *m,
                               const struct context_read *context,
                               const struct prompt_question *question);
