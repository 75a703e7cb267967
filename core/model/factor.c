/* factor: see factor.h. */
#include "core/model/factor.h"
#include "core/base/mem.h"
#include "core/model/models.h"

/* Servers leave tools or a template out of their count, not out of the window. */
#define LEAST      1000
#define MOST       3000 /* beyond, it is a server that says anything, not a tokenizer */
#define PART       8
#define TOKENS_MIN 200 /* of less, what a chat template adds is too large a part */

struct factor {
    struct factor *next;
    const struct model *model;
    int64_t permille;
};

static struct factor *find(const struct models *models, const struct model *m)
{
    struct factor *f = models->common->factors;
    while (f && f->model != m) f = f->next;
    return f;
}

static bool says_something(const struct model_ask *ask, const struct model_usage *usage)
{
    for (size_t i = 0; i < ask->n_messages; i++)
        if (ask->messages[i].n_pictures) return false;
    return usage->known && usage->prompt_tokens > 0;
}

void factor_learn(struct models *models, const struct model *m, const struct model_ask *ask,
                  const struct model_usage *usage)
{
    if (!says_something(ask, usage)) return;
    int64_t estimated = tokens_of_ask(ask);
    if (estimated < TOKENS_MIN) return;
    int64_t now =
        usage->prompt_tokens < INT64_MAX / 1000 ? usage->prompt_tokens * 1000 / estimated : MOST;
    now = now < LEAST ? LEAST : now > MOST ? MOST : now;
    struct factor *f = find(models, m);
    if (f) {
        f->permille += (now - f->permille) / PART;
        return;
    }
    f = mem_new(struct factor);
    *f = (struct factor){ .next = models->common->factors, .model = m, .permille = now };
    models->common->factors = f;
}

int64_t factor_permille(const struct models *models, const struct model *m)
{
    const struct factor *f = find(models, m);
    return f ? f->permille : LEAST;
}

int64_t factor_tokens(const struct models *models, const struct model *m, int64_t estimated)
{
    return (estimated * factor_permille(models, m) + 999) / 1000;
}

void factor_forget(struct factor **first, const struct model *m)
{
    for (struct factor **at = first; *at; at = &(*at)->next) {
        struct factor *f = *at;
        if (f->model != m) continue;
        *at = f->next;
        free(f);
        return;
    }
}
