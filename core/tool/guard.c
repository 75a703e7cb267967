/* guard - see guard.h. Hashes, because arguments and results may be long. */
#include "core/tool/guard.h"
#include "core/base/json.h"
#include "core/net/sign.h"

#define SAME_WARN     8
#define SAME_STOP     12
#define POLL_MAX      4
#define PING_PONG_MAX 6
#define CYCLE_LENGTH  5
#define CYCLE_TIMES   5
#define TEXT_MAX      (1024 * 1024)

static uint64_t hash_of(struct str text)
{
    uint8_t hash[32];
    uint64_t h;
    sign_sha256(text, hash);
    memcpy(&h, hash, sizeof(h));
    return h;
}

static uint64_t hash_of_call(struct str tool, struct str arguments)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(TEXT_MAX);
    struct json *doc = NULL;
    buf_add(&text, tool);
    buf_add_char(&text, '\0');
    if (json_parse(arguments, &doc, NULL) != ERR_NONE || !json_write(doc, &text))
        buf_add(&text, str_head(arguments, TEXT_MAX - text.n));
    json_free(doc);
    return hash_of(buf_str(&text));
}

/* The entry `back` calls before the last; NULL: that far the window does not reach. */
static const struct guard_entry *entry(const struct guard *g, size_t back)
{
    return back < g->n ? &g->entries[g->n - 1 - back] : NULL;
}

static bool same_call(const struct guard *g, size_t a, size_t b)
{
    const struct guard_entry *x = entry(g, a), *y = entry(g, b);
    return x && y && x->call == y->call;
}

static bool same_result(const struct guard *g, size_t a, size_t b)
{
    const struct guard_entry *x = entry(g, a), *y = entry(g, b);
    return x->has_result && y->has_result && x->result == y->result;
}

static size_t count_same(const struct guard *g)
{
    size_t n = 0;
    for (size_t i = 0; i < g->n; i++) n += same_call(g, 0, i);
    return n;
}

/* The last call again, and the ones before it all came to the same. */
static bool is_polling(const struct guard *g)
{
    for (size_t i = 1; i <= POLL_MAX; i++)
        if (!same_call(g, 0, i) || !same_result(g, 1, i)) return false;
    return true;
}

static bool is_ping_pong(const struct guard *g)
{
    if (g->n < PING_PONG_MAX || same_call(g, 0, 1)) return false;
    for (size_t i = 2; i < PING_PONG_MAX; i++)
        if (!same_call(g, i, i - 2)) return false;
    return true;
}

/* What came before the last call is a cycle of `length`, CYCLE_TIMES over, and it begins anew. */
static bool is_cycle(const struct guard *g, size_t length, bool *ret_same_results)
{
    *ret_same_results = true;
    for (size_t i = 0; i <= length * (CYCLE_TIMES - 1); i++) {
        if (!same_call(g, i, i + length)) return false;
        if (i > 0 && !same_result(g, i, i + length)) *ret_same_results = false;
    }
    return true;
}

static enum guard_verdict judge(const struct guard *g, const char **ret_why)
{
    size_t n_same = count_same(g);
    enum guard_verdict verdict = GUARD_FINE;
    const char *why = NULL;
    bool same_results;
    if (n_same >= SAME_WARN)
        verdict = GUARD_WARN, why = "This very call has been made many times already.";
    if (is_ping_pong(g)) verdict = GUARD_WARN, why = "The same two calls are being made in turn.";
    if (is_polling(g))
        verdict = GUARD_WARN,
        why = "This call keeps returning the same: asking again is of no use.";
    for (size_t length = 1; length <= CYCLE_LENGTH && verdict != GUARD_STOP; length++) {
        if (!is_cycle(g, length, &same_results)) continue;
        if (length == 1 && !same_results) continue; /* something moves: counted above */
        verdict = same_results ? GUARD_STOP : GUARD_WARN;
        why = "The same calls are being made over and over.";
    }
    if (n_same >= SAME_STOP) {
        verdict = GUARD_STOP;
        why = "This very call has been made too many times.";
    }
    *ret_why = why;
    return verdict;
}

void guard_init(struct guard *g)
{
    g->n = 0;
}

enum guard_verdict guard_call(struct guard *g, struct str tool, struct str arguments,
                              const char **ret_why)
{
    if (g->n == GUARD_WINDOW) {
        g->n--;
        memmove(g->entries, g->entries + 1, g->n * sizeof(*g->entries));
    }
    g->entries[g->n++] = (struct guard_entry){ .call = hash_of_call(tool, arguments) };
    return judge(g, ret_why);
}

void guard_result(struct guard *g, size_t back, struct str result)
{
    if (back >= g->n) return;
    struct guard_entry *e = &g->entries[g->n - 1 - back];
    e->result = hash_of(result);
    e->has_result = true;
}
