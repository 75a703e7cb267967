/*
 * permit - calls that need a person's yes: the question, what has to be kept until the answer, and
 * the command that answers.
 */
#pragma once
#include "core/chat/turn.h"

/* What the person is asked about these calls, in the turn's memory. */
struct str permit_question(struct turn *t, const struct model_call *calls, size_t n);
/* What was said between model and tools, and how far it is, as JSON in the turn's memory. "": it is
 * too much to be kept. */
struct str permit_save(struct turn *t);
/*
 * The opposite of permit_save: fill t->toolbox.
 * ret_calls  that were asked about
 * False: it cannot be read.
 */
bool permit_restore(struct turn *t, struct str saved, const struct model_call **ret_calls,
                    size_t *ret_n);

/* /tool yes|no [the request that asked]: the latter is what a button says, see press.h. */
enum flow_rc permit_run(struct turn *t, struct str args);
enum flow_rc permit_done(struct turn *t);
/* From the turn's end. */
void permit_end(struct turn *t);
