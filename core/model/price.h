/*
 * price - what a model's tokens cost. Pure, without floats: money is counted in billionths of a US
 * dollar ("nano"), prices in nano a million tokens, so that a price of 0.000001 a million still is
 * one.
 */
#pragma once
#include "core/base/err.h"
#include "core/base/json.h"
#include "core/model/model.h"

#define PRICE_SAME    (-1)                     /* no price of its own: see the field */
#define PRICE_MAX     INT64_C(100000000000000) /* 100,000 dollars a million tokens: a mistake */
#define COST_UNKNOWN  (-1)
#define NANO_A_DOLLAR INT64_C(1000000000)
#define COST_MAX_NANO INT64_C(999999000000000) /* numeric(14,8) holds no more; it is a mistake */

struct price_rates {
    int64_t input, output;
    int64_t cached,
        written;       /* of the prompt: read from, written to the cache; PRICE_SAME: as input */
    int64_t reasoning; /* of the answer; PRICE_SAME: as output */
};
struct price {
    bool known;
    struct price_rates base;
    int64_t large_tokens; /* a longer prompt makes the whole request cost `large`; 0 = none does */
    struct price_rates large;
    char version[40]; /* of the list; "configuration" */
};

/*
 * A decimal number ("2.5e-06") times 10^scale, rounded half up: exact, however small.
 * False: no number, negative, or over int64.
 */
bool price_decimal(struct str text, int scale, int64_t *ret);

/*
 * An entry of a list in the form of litellm's model_prices_and_context_window.json:
 * input_cost_per_token, output_cost_per_token, cache_read_input_token_cost,
 * cache_creation_input_token_cost, output_cost_per_reasoning_token, and of each
 * ..._above_<N>k_tokens. ERR_NOT_FOUND: it has no price of tokens. ERR_PROTO: one is no number,
 * negative or absurd.
 * https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json
 */
enum err_kind price_read(struct json *entry, struct price *ret, struct err *why);

/* What it cost, in nano, rounded up, at most COST_MAX_NANO; COST_UNKNOWN without a price, unless
 * the backend said it. */
int64_t price_cost(const struct price *p, const struct model_usage *usage);
/*
 * The most that a question may cost: its tokens with 15 % more, and the longest answer, all of it
 * thoughts, where that is dearer.
 * writes   the server may write the tokens to its cache, see model_writes_cache
 */
int64_t price_estimate(const struct price *p, int64_t prompt_tokens, int64_t max_tokens,
                       bool writes);
/* "$0.0123", with as many digits as it takes to see something. */
struct price_text {
    char text[32];
};
const char *price_tell(int64_t nano, struct price_text *to);
