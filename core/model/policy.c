/*
 * policy - see policy.h. Servers word the same refusal in many ways: what is inside the body
 * decides first, then the HTTP status, and of the free text only the few phrases by which a server
 * says that the conversation is too long.
 */
#include "core/model/policy.h"
#include "core/base/buf.h"
#include "core/base/retry.h"
#include "core/base/utf8.h"
#include "core/model/model.h"
#include <stdio.h>

#define RATE_WAIT_MS  5000  /* 429 without a hint */
#define RAMP_WAIT_MS  10000 /* asked too fast, though under the limit: a longer pause */
#define WAIT_MAX_MS   20000 /* nobody waits longer in a chat: the person is told instead */
#define CUT_MAX       1     /* tries that broke off in an answer of which nothing was shown yet */
#define QUOTE_MAX     160
#define KEY_LIKE_MIN  20
#define KEY_PLAIN_MIN 40

enum class {
    NO_CLASS,
    FAILING, /* overloaded, starting, broken: another try may work */
    RATE,    /* too many requests or tokens: wait */
    RAMP,
    QUOTA, /* no money: a human must act */
    AUTH,
    NO_MODEL,
    TOO_LONG, /* for the model's context */
    POLICY,   /* the provider's content rules */
    BAD,
};

static const struct {
    const char *word;
    enum class class;
} words[] = {
    { "rate_limit_exceeded", RATE },
    { "rate_limit_error", RATE },
    { "too_many_requests", RATE },
    { "resource_exhausted", RATE },
    { "slow_down", RAMP },
    { "capacity_exceeded", RAMP },
    { "insufficient_quota", QUOTA },
    { "credit_balance_exhausted", QUOTA },
    { "enforced_spend_limit_reached", QUOTA },
    { "billing_hard_limit_reached", QUOTA },
    { "billing_error", QUOTA },
    { "payment_required", QUOTA },
    { "failed_precondition", QUOTA }, /* Gemini: billing is not set up */
    { "billing_disabled", QUOTA },
    { "insufficient_balance", QUOTA },
    { "invalid_api_key", AUTH },
    { "authentication_error", AUTH },
    { "permission_error", AUTH },
    { "api_key_invalid", AUTH },
    { "permission_denied", AUTH },
    { "unauthenticated", AUTH },
    { "model_not_found", NO_MODEL },
    { "not_found_error", NO_MODEL },
    { "not_found", NO_MODEL },
    { "context_length_exceeded", TOO_LONG },
    { "exceed_context_size_error", TOO_LONG },
    { "request_too_large", TOO_LONG },
    { "content_filter", POLICY },
    { "content_policy_violation", POLICY },
    { "moderation", POLICY },
    { "invalid_argument", BAD },
    { "server_error", FAILING },
    { "server_is_overloaded", FAILING },
    { "service_unavailable_error", FAILING },
    { "unavailable_error", FAILING },
    { "overloaded_error", FAILING },
    { "provider_overloaded", FAILING },
    { "provider_unavailable", FAILING },
    { "timeout_error", FAILING },
    { "timeout", FAILING },
    { "server", FAILING },
    { "api_error", FAILING },
};

static const char *const too_long_phrases[] = {
    "maximum context length",
    "context_length_exceeded",
    "prompt is too long",
    "input length and max_tokens exceed",
    "input length and `max_tokens` exceed",
    "exceeds the available context size",
    "exceeds the maximum number of tokens",
    "exceeds the context length",         /* Ollama */
    "tokens in the prompt cannot exceed", /* Cohere */
    "too many tokens: size limit exceeded",
};

static enum class class_of_word(struct str word) {
    for (size_t i = 0; i < sizeof(words) / sizeof(*words);
         i++) if (str_eq_nocase(word, str_of(words[i].word))) return words[i]
        .class;
    return NO_CLASS;
}

static enum class class_of_status(int status) {
    switch (status){
        case 401 : case 403 : return AUTH; case 402 : return QUOTA; case 404 : return NO_MODEL;
        case 413 : return TOO_LONG;
        case 429 : return RATE;
        case 498 : return RAMP;
        case 0 : case 408 : case 409 : case 425 : return FAILING;
        default : return status >= 500 ? FAILING : BAD;
    }
}

static bool says_too_long(struct str message)
{
    for (size_t i = 0; i < sizeof(too_long_phrases) / sizeof(*too_long_phrases); i++)
        if (str_find(message, str_of(too_long_phrases[i])) != SIZE_MAX) return true;
    return false;
}

static enum class classify(const struct policy_refusal *r) {
    enum class c = class_of_word(r->code); if (c == NO_CLASS) c = class_of_word(r->type);
    /* In-flight credit of OpenRouter: it comes back. */
    if (r->status == 402 && r->hint_ms) return RATE;
    if (c == NO_CLASS) c = class_of_status(r->status);
    if ((c == BAD || c == FAILING) && says_too_long(r->message)) return TOO_LONG;
    return c;
}

/* Prefixed as many providers do it, or just long and random. */
static bool is_key_like(struct str word)
{
    static const char *const prefixes[] = { "sk-", "sk_", "gsk_", "pk-", "AIza", "xai-", "hf_" };
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
        if (str_starts(word, str_of(prefixes[i])) && word.n > 6) return true;
    size_t n_digits = 0;
    for (size_t i = 0; i < word.n; i++) n_digits += word.p[i] >= '0' && word.p[i] <= '9';
    return (word.n >= KEY_LIKE_MIN && n_digits >= 6 && str_find_char(word, '-') == SIZE_MAX) ||
           (word.n >= KEY_PLAIN_MIN && n_digits > 0);
}

static bool is_word_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
           c == '_' || c == '*';
}

/* The server's words on one line, without what may be a credential. */
static void quote(struct str s, struct buf *to)
{
    _cleanup_(buf_done) struct buf clean = BUF_INIT(QUOTE_MAX * 4);
    utf8_clean(&clean, str_head(str_trim(s), QUOTE_MAX));
    s = str_head(buf_str(&clean), utf8_prefix(buf_str(&clean), QUOTE_MAX, TEXT_BYTES));
    while (s.n) {
        size_t n = 0;
        while (n < s.n && is_word_char(s.p[n])) n++;
        if (n)
            buf_add(to, is_key_like(str_head(s, n)) ? STR("***") : str_head(s, n));
        else
            buf_add_char(to, (unsigned char)s.p[0] < ' ' ? ' ' : s.p[0]);
        s = str_skip(s, n ? n : 1);
    }
}

/* "503: it is overloaded or failing: the server's words" */
static enum err_kind explain(const struct policy_refusal *r, enum err_kind kind, const char *text,
                             bool quoted, struct err *why)
{
    _cleanup_(buf_done) struct buf words_ = BUF_INIT(QUOTE_MAX * 2);
    char status[16] = "";
    if (r->status) snprintf(status, sizeof(status), "%d: ", r->status);
    if (quoted) quote(r->message, &words_);
    return err_set(why, kind, "%s%s%s%s", status, text, *text && words_.n ? ": " : "",
                   buf_str(&words_).p);
}

enum err_kind policy_refused(const struct policy_refusal *r, struct err *why)
{
    uint32_t wait_ms = 0;
    enum err_kind kind;
    switch (classify(r)) {
    case FAILING:
        kind = explain(r, ERR_IO, "the server is overloaded or failing", true, why);
        wait_ms = r->hint_ms;
        break;
    case RATE:
        kind = explain(r, ERR_LIMIT, "too many requests", true, why);
        wait_ms = r->hint_ms ? r->hint_ms : RATE_WAIT_MS;
        break;
    case RAMP:
        kind = explain(r, ERR_LIMIT, "asked too fast", true, why);
        wait_ms = r->hint_ms ? r->hint_ms : RAMP_WAIT_MS;
        break;
    case QUOTA:
        kind = explain(r, ERR_AUTH, "no credit is left, or a spending limit is reached", true, why);
        break;
    case AUTH:
        /* What is said to this may quote a part of the key. */
        kind = r->status == 403 ? explain(r, ERR_AUTH, "access was denied", true, why)
                                : explain(r, ERR_AUTH, "the API key was refused", false, why);
        break;
    case NO_MODEL:
        kind = explain(r, ERR_NOT_FOUND, "no such model, or a wrong address", true, why);
        break;
    case TOO_LONG:
        kind = explain(r, ERR_LIMIT, "the conversation is too long for this model", true, why);
        break;
    case POLICY:
        kind = explain(r, ERR_REFUSED, "refused by the provider's content rules", true, why);
        break;
    default: kind = explain(r, ERR_REFUSED, "the request was refused", true, why);
    }
    if (why) why->retry_after_ms = wait_ms;
    return kind;
}

static bool names(struct str body, const char *const *list)
{
    for (; *list; list++)
        if (str_find(body, str_of(*list)) != SIZE_MAX) return true;
    return false;
}

unsigned policy_blames(struct str body)
{
    static const char *const sampling[] = { "temperature", "top_p", "top_k", NULL };
    static const char *const maximum[] = { "max_tokens", "max_completion_tokens", NULL };
    static const char *const unknown[] = { "nsupported",  "not supported",
                                           "nrecognized", "not permitted",
                                           "xtra inputs", "nknown",
                                           "deprecated",  NULL };
    if (names(body, sampling)) return MODEL_WITHOUT_SAMPLING;
    return names(body, maximum) && names(body, unknown) ? MODEL_WITHOUT_MAXIMUM : 0;
}

bool policy_elsewhere(const struct err *why, bool on_refusal)
{
    switch (why->kind) {
    case ERR_CANCELLED:
    case ERR_BUG: return false;
    case ERR_REFUSED: return on_refusal;
    default: return true;
    }
}

enum policy_rest policy_rest(const struct err *why)
{
    switch (why->kind) {
    case ERR_NONE:
    case ERR_CANCELLED:
    case ERR_REFUSED:
    case ERR_BUG: return POLICY_NO_REST;
    case ERR_LIMIT: return why->retry_after_ms ? POLICY_REST : POLICY_NO_REST;
    case ERR_AUTH:
    case ERR_NOT_FOUND:
    case ERR_CONF: return POLICY_LONG_REST;
    default: return POLICY_COUNT;
    }
}

bool policy_again(const struct policy_try *t, const struct err *why, uint32_t *ret_wait_ms)
{
    static const struct retry backoff = { .base_ms = 500, .max_ms = 8000 };
    if (t->shown || t->n >= t->max) return false;
    if (strcmp(t->should_retry, "false") == 0) return false;

    bool again = strcmp(t->should_retry, "true") == 0;
    switch (why->kind) {
    case ERR_IO: again = true; break;
    /* Asking twice does no harm, but who had begun to answer wants money for it. */
    case ERR_UNKNOWN: again |= t->n_cut <= CUT_MAX; break;
    case ERR_TIMEOUT: again |= !t->sent; break;
    case ERR_LIMIT: again |= why->retry_after_ms > 0; break;
    case ERR_CANCELLED: return false;
    default: break;
    }
    *ret_wait_ms = retry_delay_ms(&backoff, t->n, why->retry_after_ms);
    return again && *ret_wait_ms <= WAIT_MAX_MS;
}
