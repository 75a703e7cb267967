/* prompt: messages for the model, oldest first. */
#include "core/chat/prompt.h"

#include "core/base/json.h"

#define TOKENS_A_MESSAGE 4 /* role and separators, as measured against OpenAI's chat format */

void prompt_history(struct arena *a, const struct pg_rows *rows, int message_count,
                    struct context_read *ret)
{
    size_t n = (size_t)rows->n;
    ret->entries = arena_new_array(a, struct context_entry, n * 2 + 1);
    ret->n = 0;
    for (int i = rows->n - 1; i >= 0; i--) {
        int64_t ordinal = message_count - 2 * i;
        ret->entries[ret->n++] = (struct context_entry){ ordinal - 1, CONTEXT_USER,
                                                         arena_dup(a, pg_rows_str(rows, i, 0)) };
        ret->entries[ret->n++] = (struct context_entry){ ordinal, CONTEXT_ASSISTANT,
                                                         arena_dup(a, pg_rows_str(rows, i, 1)) };
    }
    ret->newest = message_count;
}

void prompt_pictures(struct arena *a, struct str array, struct pictures *to)
{
    struct json *doc = NULL;
    if (!array.n || json_parse(array, &doc, NULL) != ERR_NONE) return;
    size_t n = json_length(doc);
    struct model_picture *all = arena_new_array(a, struct model_picture, to->n + n + 1);
    if (to->n) memcpy(all, to->v, to->n * sizeof *all);
    to->v = all;
    for (size_t i = 0; i < n; i++) {
        struct str address;
        if (json_str(json_at(doc, i), &address)) to->v[to->n++].url = arena_dup(a, address);
    }
    json_free(doc);
}

static int64_t cost(struct str text)
{
    return tokens_estimate(text) + TOKENS_A_MESSAGE;
}

static struct model_message message_of(const struct context_entry *e)
{
    return (struct model_message){ .role = e->role == CONTEXT_USER ? MODEL_USER : MODEL_ASSISTANT,
                                   .text = e->text };
}

/* permille   of prompt_question: the window in tokens as they are estimated */
static int64_t history_room(const struct chat_conf *conf, const struct model *m, int64_t permille,
                            struct str system, struct str query)
{
    int64_t window = m->context_tokens - m->max_tokens;
    if (permille) window = window * 1000 / permille;
    window -= cost(system) + cost(query);
    return window < conf->history_tokens ? window : conf->history_tokens;
}

/* Calls and results come before any history: without them the answer would be begun anew. */
static int64_t cost_of_tools(const struct prompt_question *question)
{
    int64_t sum = question->tools_tokens;
    for (size_t i = 0; i < question->n_more; i++) {
        const struct model_message *m = &question->more[i];
        sum += cost(m->text);
        for (size_t k = 0; k < m->n_calls; k++) sum += cost(m->calls[k].arguments);
    }
    return sum;
}

/* The first entry that still fits, going back from the newest by whole exchanges; none that the
 * summary covers. */
static size_t history_start(const struct context_read *context, int64_t covered, int64_t room)
{
    size_t first = context->n;
    while (first >= 2 && context->entries[first - 1].ordinal > covered) {
        room -= cost(context->entries[first - 1].text) + cost(context->entries[first - 2].text);
        if (room < 0) break;
        first -= 2;
    }
    return first;
}

#define SUMMARY "Your notes of the conversation so far, before what follows:\n"
#define GO_ON                                                                                         \
    "Your answer broke off there. Go on exactly where it ends: do not repeat anything of it, and do " \
    "not comment on this."

struct model_ask *prompt_build(struct arena *a, const struct chat_conf *conf, const struct model *m,
                               const struct context_read *context,
                               const struct prompt_question *question)
{
    struct str system = question->system.n ? question->system : str_of(conf->system_prompt);
    struct str query = question->query;
    const struct pictures *pictures = question->pictures;
    int64_t room =
        history_room(conf, m, question->permille, system, query) - cost_of_tools(question);
    if (m->sees) room -= (int64_t)pictures->n * TOKENS_A_PICTURE;
    if (question->so_far.n) room -= cost(question->so_far) + cost(STR(GO_ON));
    struct str summary = STR_NONE;
    if (question->summary.n) {
        summary = arena_printf(a, SUMMARY "%.*s", STR_ARG(question->summary));
        room -= cost(summary);
    }
    size_t first = history_start(context, summary.n ? question->summary_until : 0, room);
    if (question->shorter) first += (context->n - first + 2) / 4 * 2; /* whole exchanges */
    struct model_message *v =
        arena_new_array(a, struct model_message, context->n - first + 5 + question->n_more);
    size_t n = 0;
    if (system.n) v[n++] = (struct model_message){ .role = MODEL_SYSTEM, .text = system };
    if (summary.n) v[n++] = (struct model_message){ .role = MODEL_SYSTEM, .text = summary };
    for (size_t i = first; i < context->n; i++) v[n++] = message_of(&context->entries[i]);
    v[n++] = (struct model_message){ .role = MODEL_USER,
                                     .text = query,
                                     .pictures = pictures->v,
                                     .n_pictures = m->sees ? pictures->n : 0 };
    for (size_t i = 0; i < question->n_more; i++) v[n++] = question->more[i];
    if (question->so_far.n) {
        v[n++] = (struct model_message){ .role = MODEL_ASSISTANT, .text = question->so_far };
        v[n++] = (struct model_message){ .role = MODEL_USER, .text = STR(GO_ON) };
    }
    struct model_ask *ask = arena_new(a, struct model_ask);
    *ask = (struct model_ask){ .messages = v, .n_messages = n };
    return ask;
}
