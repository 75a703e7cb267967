/*
 * question - what a model is asked in a turn: the prompt, with what is known of the history, the
 * tools, and half an answer to go on with.
 */
#pragma once
#include "core/model/model.h"

struct turn;

/*
 * The question as a model can take it; from now on it is the one that the turn has asked.
 * so_far  half an answer to go on with; "" = none
 * It lives as long as the turn.
 */
const struct model_ask *question_make(struct turn *t, const struct model *m, struct str so_far);
/* The same for who only wants to know what it would be: the model is not asked it. */
const struct model_ask *question_draft(struct turn *t, const struct model *m, struct str so_far);
/* For route_asker.on_count; ctx: the turn. The next question is estimated by what this one had. */
void question_counted(void *ctx, const struct model *m, int64_t tokens);
