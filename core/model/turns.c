/* turns: see turns.h. */
#include "core/model/turns.h"

#define EARLIER "[The conversation began earlier.]"

static const struct model_message earlier = { .role = MODEL_USER,
                                              .text = { EARLIER, sizeof(EARLIER) - 1 } };

bool turn_says(const struct model_message *msg)
{
    switch (msg->role) {
    case MODEL_USER: return msg->n_pictures || str_trim(msg->text).n;
    case MODEL_ASSISTANT: return msg->n_calls || msg->kept.n || str_trim(msg->text).n;
    case MODEL_TOOL_RESULT: return true;
    default: return false;
    }
}

bool turns_next(struct turns *t, struct turn *ret)
{
    const struct model_message *v = t->ask->messages;
    size_t n = t->ask->n_messages;
    while (t->at < n && !turn_says(&v[t->at])) t->at++;
    if (t->at == n) return false;

    bool assistant = v[t->at].role == MODEL_ASSISTANT;
    bool headless = assistant && !t->begun;
    t->begun = true;
    *ret = (struct turn){ .v = &earlier, .n = 1 };
    if (headless) return true;

    size_t from = t->at;
    while (t->at < n && (!turn_says(&v[t->at]) || (v[t->at].role == MODEL_ASSISTANT) == assistant))
        t->at++;
    *ret = (struct turn){ .assistant = assistant, .v = v + from, .n = t->at - from };
    return true;
}
