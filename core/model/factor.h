/*
 * factor - how many tokens a model makes of what is estimated, learned from what its answers say.
 *
 * A running average of (counted / estimated), in which a new answer counts an eighth. Each process
 * learns by itself, and anew when it starts: until then an estimate is taken as it is.
 */
#pragma once
#include "core/model/model.h"

/* What was asked, and what the model says that this had. What says little of texts is left out:
 * short questions, those with pictures, and usage that was estimated. */
void factor_learn(struct models *models, const struct model *m, const struct model_ask *ask,
                  const struct model_usage *usage);
/* Real tokens for a thousand estimated ones, 1000 to 3000; 1000 = as estimated, less, or not known.
 */
int64_t factor_permille(const struct models *models, const struct model *m);
/* So many estimated ones in tokens of this model. */
int64_t factor_tokens(const struct models *models, const struct model *m, int64_t estimated);

struct factor;
/* For model_drop: the model goes. */
void factor_forget(struct factor **first, const struct model *m);
