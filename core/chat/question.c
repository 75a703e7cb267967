/* question: see question.h. */
#include "core/chat/question.h"
#include "core/chat/prompt.h"
#include "core/chat/turn.h"
#include "core/model/factor.h"

static struct context_read past_of(const struct turn *t)
{
    struct context_read past = t->context;
    if (t->anew && past.n >= 2) past.n -= 2;
    return past;
}

#define MARGIN 115 /* percent: a text may have more tokens than others of the same length */

/* Up: what is counted for must fit. */
static int64_t permille_of(const struct turn *t, const struct model *m)
{
    const struct counted *c = &t->counted;
    if (c->by == m) return (c->tokens * 1000 + c->estimated - 1) / c->estimated;
    return factor_permille(t->models, m) * MARGIN / 100;
}

static struct model_ask *build(struct turn *t, const struct model *m, struct str so_far)
{
    const struct context_read past = past_of(t);
    const struct prompt_question question = {
        .query = t->query,
        .system = t->switched.system_prompt,
        .pictures = &t->pictures,
        .so_far = arena_dup(&t->arena, so_far),
        .summary = t->request.summary,
        .summary_until = t->request.summary_until,
        .more = toolbox_messages(t, m),
        .n_more = t->toolbox.n,
        .tools_tokens = m->tools ? t->toolbox.tokens : 0,
        .permille = permille_of(t, m),
        .shorter = t->shorter,
    };
    struct model_ask *ask = prompt_build(&t->arena, &t->chat->conf, m, &past, &question);
    ask->tools = t->toolbox.tools;
    ask->n_tools = m->tools ? t->toolbox.n_tools : 0;
    return ask;
}

const struct model_ask *question_draft(struct turn *t, const struct model *m, struct str so_far)
{
    return build(t, m, so_far);
}

const struct model_ask *question_make(struct turn *t, const struct model *m, struct str so_far)
{
    const struct context_read past = past_of(t);
    struct model_ask *ask = build(t, m, so_far);
    t->model = m;
    t->history_seen = 0;
    for (size_t i = 0; i < ask->n_messages; i++)
        t->history_seen += ask->messages[i].role != MODEL_SYSTEM;
    t->history_seen -= 1 + t->toolbox.n + (so_far.n ? 2 : 0); /* all but what is asked now */
    t->history_summarised = 0;
    for (size_t i = 0; i < past.n && t->request.summary.n; i++)
        t->history_summarised += past.entries[i].ordinal <= t->request.summary_until;
    t->history_left_out = past.n - t->history_seen - t->history_summarised;
    t->question = ask;
    return ask;
}

void question_counted(void *ctx, const struct model *m, int64_t tokens)
{
    struct turn *t = ctx;
    t->counted = (struct counted){ m, tokens, tokens_of_ask(t->question) };
}
