/*
 * policy - what a failure of a model means, and whether to ask again. Pure, and the same for every
 * backend.
 */
#pragma once
#include "core/base/err.h"
#include "core/base/str.h"

/* A refusal as a backend worded it; what it did not say is empty. */
struct policy_refusal {
    int status;            /* of HTTP, or a code of that kind inside the body; 0 = none */
    struct str code, type; /* "insufficient_quota", "server_error" */
    struct str message;    /* for people; quoted with what looks like a key masked */
    uint32_t hint_ms;      /* how long the server asks to wait; 0 = it does not */
};
/* Returns the kind and sets *why: text and retry_after_ms. */
enum err_kind policy_refused(const struct policy_refusal *r, struct err *why);

/*
 * Which settings a refused request (400, 422) is blamed on: MODEL_WITHOUT_... of model.h; 0 = none
 * that can be left out. Models for reasoning take no temperature, and call the longest answer
 * otherwise than older ones.
 */
unsigned policy_blames(struct str body);

/* Another model may answer what this one did not. on_refusal: even if content rules refused. */
bool policy_elsewhere(const struct err *why, bool on_refusal);

/* What a failure says about its model. */
enum policy_rest {
    POLICY_NO_REST,   /* nothing: the question was at fault */
    POLICY_COUNT,     /* it failed; some in a row, and it rests */
    POLICY_REST,      /* it rests for why->retry_after_ms: its limit is reached */
    POLICY_LONG_REST, /* until a human has done something: key, credit, name */
};
enum policy_rest policy_rest(const struct err *why); /* why: of model_ask, not ERR_NONE */

struct policy_try {
    unsigned n, max;          /* this was try n of max */
    bool shown;               /* the person has seen a piece: never again */
    bool sent;                /* the request may have reached the server */
    const char *should_retry; /* the header x-should-retry: "true", "false" or "" */
    unsigned n_cut;           /* so many of the n broke off after their answer had begun */
};
/* True: ask again after *ret_wait_ms. */
bool policy_again(const struct policy_try *t, const struct err *why, uint32_t *ret_wait_ms);
