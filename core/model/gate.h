/*
 * gate - how many questions a model answers at once in this process, and who is next: as in deficit
 * round robin, channels share the model by tokens, and within a channel its people do, so that a
 * noisy group does not starve a quiet one, nor long questions the short ones. Whoever had least
 * since they began to wait is next, an answer at a time.
 *
 * Models with the same `provider` wait in one row: the limit is theirs together.
 */
#pragma once
#include "core/base/list.h"
#include "core/base/str.h"
#include "core/loop/op.h"
#include "core/model/model.h"

struct gate;

#define GATE_WAIT_MAX_MS 3600000

/* Who waits. The caller's memory; zeroed before its first use. */
struct gate_ticket {
    struct gate *gate; /* NULL = outside */
    struct op *op;
    struct list link;
    struct gate_person *person;
    size_t running_max;
    uint64_t tokens;
    bool admitted;
    /* Told when it waits: its place, 1 = next, and how long that may take. May be NULL. */
    void (*on_place)(void *ctx, size_t place, uint64_t wait_ms);
    void *ctx;
};

/* How many may be asked at once; 0 = any number, then there is nothing to wait for. */
static inline bool gate_is_open(const struct model *m)
{
    return m->running_max == 0;
}
/*
 * Wait for a place.
 * channel, person   copied
 * tokens            of the question, estimated
 * t                 borrowed until gate_leave
 * op                finishes with a place, which is given back by gate_leave. ERR_LIMIT: too many
 *                   wait already. ERR_TIMEOUT after GATE_WAIT_MAX_MS. Cancel: gate_leave all the
 * same.
 */
void gate_enter(struct models *models, const struct model *m, struct gate_ticket *t, struct op *op,
                struct str channel, struct str person, int64_t tokens);
/* Give the place back, or stop waiting; harmless twice. ms: how long the model took; 0 = not known.
 */
void gate_leave(struct gate_ticket *t, uint64_t ms);

/* For model_drop and models_close: nobody waits for it any more. */
void gate_forget(struct gate **first, const struct model *m);
void gates_free(struct gate *first); /* the list; nobody waits. NULL is fine */
