/*
 * vectors - the vectors of an answer, put in their places and checked: a hole, a vector of another
 * length or a number that is none would spoil every comparison made later. Pure.
 */
#pragma once
#include "core/base/json.h"
#include "core/model/model.h"

struct vectors {
    struct model_vectors *to;
    bool have[MODEL_TEXTS_MAX];
    size_t n_have;
};

/* n   how many are expected, <= MODEL_TEXTS_MAX; to   freed by model_vectors_done */
void vectors_init(struct vectors *v, size_t n, struct model_vectors *to);
/*
 * value   an array of numbers, or base64 of little-endian float32
 * ERR_PROTO: no such place, taken already, no vector, too long, or not as long as the others.
 */
enum err_kind vectors_put(struct vectors *v, size_t i, struct json *value, struct err *why);
/* After the last. ERR_PROTO: some are missing. */
enum err_kind vectors_check(const struct vectors *v, struct err *why);
