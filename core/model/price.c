/* price: see price.h. */
#include "core/model/price.h"
#include <inttypes.h>
#include <stdio.h>

#define DIGITS_MAX     18
#define EXPONENT_MAX   60
#define A_MILLION      1000000
#define TOKEN_SCALE    15  /* dollars a token -> nano a million tokens */
#define ESTIMATE_SLACK 115 /* % */

/* ---- decimals ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

struct decimal {
    int64_t mantissa;
    int exponent;
};

/* Digits with at most one point; those that have no room any more only move the point. */
static bool read_digits(struct str *s, struct decimal *d)
{
    size_t n = 0, n_kept = 0;
    bool point = false;
    for (; s->n && (is_digit(s->p[0]) || (s->p[0] == '.' && !point)); *s = str_skip(*s, 1)) {
        if (s->p[0] == '.') {
            point = true;
            continue;
        }
        n++;
        bool keep = n_kept < DIGITS_MAX;
        if (keep) d->mantissa = d->mantissa * 10 + (s->p[0] - '0');
        if (d->mantissa > 0) n_kept++;
        d->exponent += (keep ? 0 : 1) - (point ? 1 : 0);
    }
    return n > 0;
}

static bool read_exponent(struct str *s, struct decimal *d)
{
    int64_t exponent;
    if (!s->n || (s->p[0] != 'e' && s->p[0] != 'E')) return true;
    *s = str_skip(*s, 1);
    if (s->n && s->p[0] == '+') *s = str_skip(*s, 1);
    if (!str_i64(*s, &exponent) || exponent < -EXPONENT_MAX || exponent > EXPONENT_MAX)
        return false;
    d->exponent += (int)exponent;
    *s = STR_NONE;
    return true;
}

bool price_decimal(struct str text, int scale, int64_t *ret)
{
    struct decimal d = { 0, 0 };
    text = str_trim(text);
    if (!read_digits(&text, &d) || !read_exponent(&text, &d) || text.n) return false;
    int64_t v = d.mantissa;
    int shift = d.exponent + scale;
    for (; shift > 0 && v; shift--)
        if (__builtin_mul_overflow(v, (int64_t)10, &v)) return false;
    for (; shift < -1 && v; shift++) v /= 10;
    if (shift < 0) v = (v + 5) / 10;
    *ret = v;
    return true;
}

/* ---- an entry of a list ---- */

static const struct {
    const char *key;
    size_t offset;
} keys[] = {
    { "input_cost_per_token", offsetof(struct price_rates, input) },
    { "output_cost_per_token", offsetof(struct price_rates, output) },
    { "cache_read_input_token_cost", offsetof(struct price_rates, cached) },
    { "cache_creation_input_token_cost", offsetof(struct price_rates, written) },
    { "output_cost_per_reasoning_token", offsetof(struct price_rates, reasoning) },
};
#define N_KEYS (sizeof(keys) / sizeof(*keys))

static int64_t *rate_at(struct price_rates *r, size_t i)
{
    return (int64_t *)((char *)r + keys[i].offset);
}

static enum err_kind read_rate(struct str key, struct json *value, int64_t *ret, struct err *why)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(64);
    if (!value) return ERR_NONE; /* null: it has none */
    if (!json_write(value, &text) || !price_decimal(buf_str(&text), TOKEN_SCALE, ret))
        return err_set(why, ERR_PROTO, "%.*s is no price", STR_ARG(key));
    if (*ret > PRICE_MAX)
        return err_set(why, ERR_PROTO, "%.*s: more than 0.1 dollars a token", STR_ARG(key));
    return ERR_NONE;
}

/* "_above_200k_tokens" -> 200000; 0 = it is not of that form. */
static int64_t above_of(struct str suffix)
{
    int64_t thousands;
    const struct str head = STR("_above_"), tail = STR("k_tokens");
    if (!str_starts(suffix, head) || !str_ends(suffix, tail)) return 0;
    struct str digits = str_skip(suffix, head.n);
    digits.n -= tail.n;
    return str_i64(digits, &thousands) && thousands > 0 && thousands < 1000000 ? thousands * 1000
                                                                               : 0;
}

static const struct price_rates no_rates = { PRICE_SAME, PRICE_SAME, PRICE_SAME, PRICE_SAME,
                                             PRICE_SAME };

/* Of several thresholds the lowest counts: it is dearer than to be too cheap. */
static enum err_kind read_member(struct str key, struct json *value, struct price *p,
                                 struct err *why)
{
    for (size_t i = 0; i < N_KEYS; i++) {
        struct str known = str_of(keys[i].key);
        if (!str_starts(key, known)) continue;
        struct str suffix = str_skip(key, known.n);
        int64_t above = above_of(suffix);
        if (!suffix.n) return read_rate(key, value, rate_at(&p->base, i), why);
        if (!above || !value) return ERR_NONE;
        if (p->large_tokens && above > p->large_tokens) return ERR_NONE;
        if (above != p->large_tokens) p->large = no_rates; /* those of a higher one */
        p->large_tokens = above;
        return read_rate(key, value, rate_at(&p->large, i), why);
    }
    return ERR_NONE;
}

enum err_kind price_read(struct json *entry, struct price *ret, struct err *why)
{
    struct price p = { .base = no_rates, .large = no_rates };
    struct json_member m = { .begun = false };
    if (!json_is_object(entry)) return err_set(why, ERR_PROTO, "no JSON object");
    while (json_next(entry, &m))
        if (read_member(m.key, m.value, &p, why)) return why->kind;
    if (p.base.input == PRICE_SAME && p.base.output == PRICE_SAME)
        return err_set(why, ERR_NOT_FOUND, "it has no price of tokens");
    /* Others do without one of them: what makes vectors writes nothing. */
    if (p.base.input == PRICE_SAME || p.base.output == PRICE_SAME) {
        struct str mode;
        if (json_get_str(entry, "mode", &mode) &&
            (str_eq(mode, STR("chat")) || str_eq(mode, STR("responses"))))
            return err_set(why, ERR_NOT_FOUND, "half of its prices are missing");
    }
    if (p.base.input == PRICE_SAME) p.base.input = 0;
    if (p.base.output == PRICE_SAME) p.base.output = 0;
    for (size_t i = 0; i < N_KEYS; i++) /* what a large request does not change */
        if (*rate_at(&p.large, i) == PRICE_SAME) *rate_at(&p.large, i) = *rate_at(&p.base, i);
    p.known = true;
    *ret = p;
    return ERR_NONE;
}

/* ---- costs ---- */

static int64_t or_same(int64_t rate, int64_t other)
{
    return rate == PRICE_SAME ? other : rate;
}

static __int128 times(int64_t tokens, int64_t rate)
{
    return tokens > 0 ? (__int128)tokens * rate : 0;
}

static int64_t at_most(int64_t n, int64_t max)
{
    return n < max ? n : max;
}

int64_t price_cost(const struct price *p, const struct model_usage *u)
{
    if (u->cost_nano > 0) return at_most(u->cost_nano, COST_MAX_NANO);
    if (!p->known) return COST_UNKNOWN;
    bool large = p->large_tokens && u->prompt_tokens > p->large_tokens;
    const struct price_rates *r = large ? &p->large : &p->base;
    int64_t cached = at_most(u->cached_tokens, u->prompt_tokens);
    int64_t written = at_most(u->written_tokens, u->prompt_tokens - cached);
    int64_t reasoning = at_most(u->reasoning_tokens, u->completion_tokens);
    __int128 sum = times(u->prompt_tokens - cached - written, r->input) +
                   times(cached, or_same(r->cached, r->input)) +
                   times(written, or_same(r->written, r->input)) +
                   times(u->completion_tokens - reasoning, r->output) +
                   times(reasoning, or_same(r->reasoning, r->output));
    __int128 nano = (sum + A_MILLION - 1) / A_MILLION;
    return nano > COST_MAX_NANO ? COST_MAX_NANO : (int64_t)nano;
}

int64_t price_estimate(const struct price *p, int64_t prompt_tokens, int64_t max_tokens,
                       bool writes)
{
    int64_t prompt = prompt_tokens * ESTIMATE_SLACK / 100 + 1, most = COST_UNKNOWN;
    for (unsigned dear = 0; dear < 4; dear++) {
        const struct model_usage u = { .prompt_tokens = prompt,
                                       .written_tokens = writes && dear & 1 ? prompt : 0,
                                       .completion_tokens = max_tokens,
                                       .reasoning_tokens = dear & 2 ? max_tokens : 0 };
        int64_t cost = price_cost(p, &u);
        if (cost > most) most = cost;
    }
    return most;
}

const char *price_tell(int64_t nano, struct price_text *to)
{
    int digits = 2; /* cents, or as small as it is */
    for (int64_t step = 10000000; digits < 9 && nano > 0 && nano < step * 100; step /= 10) digits++;
    int64_t unit = 1;
    for (int i = digits; i < 9; i++) unit *= 10;
    int64_t rounded = nano / unit + (nano % unit * 2 >= unit);
    int64_t a_dollar = NANO_A_DOLLAR / unit;
    snprintf(to->text, sizeof(to->text), "$%" PRId64 ".%0*" PRId64, rounded / a_dollar, digits,
             rounded % a_dollar);
    return to->text;
}
