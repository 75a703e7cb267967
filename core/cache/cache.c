/*
 * The life of a call: the waiter's op, our op at the driver behind it, the key it is about. Here,
 * and only here, a key of a foreign type is healed.
 */
#include "core/cache/cache.h"
#include "core/base/log.h"
#include "core/base/mem.h"

/* The driver's deadline comes first and says more. */
#define MARGIN_MS 1000

static void no_drop(struct op *op)
{
    (void)op;
}

static const struct op_kind op_refused = { .name = "cache.refused", .drop = no_drop };

static void call_free(struct cache_call *c)
{
    redis_reply_done(&c->reply);
    buf_done(&c->key);
    free(c);
}

static void delete_key(struct cache_call *c, const char *message)
{
    const struct str args[] = { STR("DEL"), buf_str(&c->key) };

    log_warn("cache", message, "key=%s", log_quote(buf_str(&c->key)));
    redis_send(c->redis, args, 2);
}

/* Somebody else's data, or an operator's mistake: as good as nothing, and in the way. */
static void heal_wrong_type(struct cache_call *c)
{
    if (c->op.err.kind != ERR_REFUSED) return;
    if (str_find(str_of(c->op.err.msg), STR("WRONGTYPE")) == SIZE_MAX) return;
    delete_key(c, "wrong type under a key, deleting it");
    err_set(&c->op.err, ERR_NOT_FOUND, "cache: the key had a wrong type");
}

static void on_done(struct op *op)
{
    struct cache_call *c = container_of(op, struct cache_call, op);

    heal_wrong_type(c);
    if (c->finish) c->finish(c);
    call_free(c);
}

void *cache_call_new(struct redis *r, struct op *outer, const struct op_kind *kind, size_t size,
                     void (*finish)(struct cache_call *c))
{
    struct cache_call *c = mem_alloc(size);

    c->redis = r;
    c->outer = outer;
    c->finish = finish;
    buf_init(&c->key, CACHE_KEY_MAX);
    op_init(&c->op, redis_loop(r), on_done);
    if (outer) op_begin(outer, kind, c, redis_timeout_ms(r) + MARGIN_MS);
    return c;
}

void cache_call_key(struct cache_call *c, const struct str *parts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (i) buf_add_char(&c->key, ':');
        buf_add(&c->key, parts[i]);
    }
}

static bool key_too_long(struct cache_call *c)
{
    if (!c->key.full) return false;
    op_begin(&c->op, &op_refused, NULL, MARGIN_MS);
    op_failf(&c->op, ERR_LIMIT, "cache: a key is longer than %d bytes", CACHE_KEY_MAX);
    return true;
}

void cache_call_eval(struct cache_call *c, struct redis_script *script, const struct str *args,
                     size_t n_args)
{
    struct str key = buf_str(&c->key);

    if (!key_too_long(c)) redis_eval(c->redis, &c->op, script, &key, 1, args, n_args, &c->reply);
}

void cache_call_cmd(struct cache_call *c, const struct str *args, size_t n)
{
    if (!key_too_long(c)) redis_cmd(c->redis, &c->op, args, n, &c->reply);
}

void cache_call_drop(struct op *outer)
{
    struct cache_call *c = outer->impl;

    op_cancel(&c->op);
    call_free(c);
}

bool cache_call_failed(struct cache_call *c)
{
    if (!c->op.err.kind) return false;
    if (c->outer) op_fail(c->outer, &c->op.err);
    return true;
}

void cache_call_junk(struct cache_call *c)
{
    delete_key(c, "what is under a key makes no sense, deleting it");
    if (c->outer) op_failf(c->outer, ERR_NOT_FOUND, "cache: the key made no sense");
}
