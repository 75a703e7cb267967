/*
 * details - what OpenRouter's models thought ("reasoning_details"), put together from its fragments
 * so that it can be handed back: a signature is good only for the whole text that it ends. Pure.
 * https://openrouter.ai/docs/use-cases/reasoning-tokens
 */
#pragma once
#include "core/base/json.h"
#include "core/model/model.h"

struct details {
    struct buf list; /* the finished ones: a JSON array without its end */
    const char *key; /* of the text that grows, in the one that is not finished; NULL = none is */
    int64_t index;
    struct buf text, id, format, signature;
};

void details_init(struct details *d); /* none came; then details_done */
void details_done(struct details *d);
/* fragments   the array of one event; anything else is ignored */
void details_add(struct details *d, struct json *fragments);
/* Hand all of them to the sink and forget them; those that were too long together are dropped. */
void details_end(struct details *d, struct model_sink *sink);
