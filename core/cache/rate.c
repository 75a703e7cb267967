/*
 * Rate limits. One script decides for all processes; while it cannot be asked, or answers nonsense,
 * a token bucket of this process decides instead.
 */
#include "core/cache/rate.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/map.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/cache/cache.h"
#include <inttypes.h>

/*
 * ARGV: requests at most, window in microseconds, and in milliseconds. Members are the allowed
 * requests at their time, and "told" at the time of the last first refusal: it is no request and
 * leaves the window like one. Times are Redis' own. Answer: allowed, remaining, wait in ms, first
 * refusal.
 */
static struct redis_script take_script = {
    .name = "rate.take",
    .lua = "local key, max, window = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])\n"
           "local t = redis.call('TIME')\n"
           "local now = t[1] * 1000000 + t[2]\n"
           "local function text(n) return string.format('%.0f', n) end\n"
           "redis.call('ZREMRANGEBYSCORE', key, '-inf', text(now - window))\n"
           "local told = redis.call('ZSCORE', key, 'told')\n"
           "local used = redis.call('ZCARD', key) - (told and 1 or 0)\n"
           "if used < max then\n"
           "  while redis.call('ZADD', key, 'NX', text(now), text(now)) == 0 do now = now + 1 end\n"
           "  redis.call('PEXPIRE', key, ARGV[3])\n"
           "  return {1, max - used - 1, 0, 0}\n"
           "end\n"
           /* The request whose leaving makes room: more than one, if the limit was lowered. */
           "local i = used - max\n"
           "if told and redis.call('ZRANK', key, 'told') <= i then i = i + 1 end\n"
           "local leaves = redis.call('ZRANGE', key, i, i, 'WITHSCORES')[2] + window\n"
           "if not told then\n"
           "  redis.call('ZADD', key, text(now), 'told')\n"
           "  redis.call('PEXPIRE', key, ARGV[3])\n"
           "end\n"
           "return {0, 0, math.max(1, math.ceil((leaves - now) / 1000)), told and 0 or 1}",
};

static struct metric answers_redis =
    METRIC(METRIC_COUNTER, "parley_rate_answers_total", "by=\"redis\"",
           "Rate limit decisions, by Redis or by this process' own count while it is away.");
static struct metric answers_local =
    METRIC(METRIC_COUNTER, "parley_rate_answers_total", "by=\"process\"",
           "Rate limit decisions, by Redis or by this process' own count while it is away.");

struct bucket {
    struct map_node node;
    struct list link; /* in used, the least recently used first */
    double tokens;
    uint64_t at_ms;         /* when tokens was right */
    uint64_t told_until_ms; /* no first refusal before */
    char key[];
};

struct cache_rate {
    struct redis *redis;
    struct map buckets;
    struct list used;
    bool degraded;
};

struct take_call {
    struct cache_call call;
    struct cache_rate *rate;
    int64_t max, window_ms;
    struct rate_answer *ret;
};

static const struct op_kind op_take = { .name = "cache.rate", .drop = cache_call_drop };

static void bucket_free(struct cache_rate *rate, struct bucket *b)
{
    map_drop(&rate->buckets, &b->node);
    list_drop(&b->link);
    free(b);
}

static void buckets_free(struct cache_rate *rate)
{
    while (!list_empty(&rate->used))
        bucket_free(rate, list_first(&rate->used, struct bucket, link));
}

static struct bucket *bucket_new(struct cache_rate *rate, struct str key, int64_t max)
{
    struct bucket *b = mem_alloc(sizeof(*b) + key.n + 1);

    if (rate->buckets.n >= CACHE_RATE_BUCKETS_MAX)
        bucket_free(rate, list_first(&rate->used, struct bucket, link));
    memcpy(b->key, key.p, key.n);
    b->tokens = (double)max;
    b->at_ms = clock_ms();
    list_init(&b->link);
    map_put(&rate->buckets, &b->node, str_from(b->key, key.n));
    return b;
}

static struct bucket *bucket_get(struct cache_rate *rate, struct str key, int64_t max)
{
    struct map_node *node = map_get(&rate->buckets, key);
    struct bucket *b = node ? container_of(node, struct bucket, node) : bucket_new(rate, key, max);

    list_drop(&b->link);
    list_push(&rate->used, &b->link);
    return b;
}

static struct rate_answer bucket_take(struct bucket *b, int64_t max, int64_t window_ms)
{
    uint64_t now = clock_ms();
    double per_ms = (double)max / (double)window_ms;
    struct rate_answer answer = { .degraded = true };

    b->tokens += (double)(now - b->at_ms) * per_ms;
    if (b->tokens > (double)max) b->tokens = (double)max;
    b->at_ms = now;
    if (b->tokens >= 1) {
        b->tokens -= 1;
        answer.allowed = true;
        answer.remaining = (int64_t)b->tokens;
        return answer;
    }
    answer.retry_after_ms = (uint32_t)((1 - b->tokens) / per_ms) + 1;
    answer.first_refusal = now >= b->told_until_ms;
    if (answer.first_refusal) b->told_until_ms = now + (uint64_t)window_ms;
    return answer;
}

/* The log hears of the change, not of each request. */
static void set_degraded(struct cache_rate *rate, const struct err *why)
{
    if (why && !rate->degraded)
        log_warn("rate", "Redis does not answer, counting in this process", "kind=%s why=%s",
                 err_rule(why->kind)->name, log_quote(str_of(why->msg)));
    if (!why && rate->degraded) {
        log_info("rate", "Redis answers again, counting there", "buckets=%zu", rate->buckets.n);
        buckets_free(rate);
    }
    rate->degraded = why != NULL;
}

static void take_locally(struct take_call *t)
{
    struct str key = buf_str(&t->call.key);

    metric_add(&answers_local, 1);
    *t->ret = bucket_take(bucket_get(t->rate, key, t->max), t->max, t->window_ms);
}

static void take_from_reply(struct take_call *t)
{
    const struct redis_reply *v = &t->call.reply;

    metric_add(&answers_redis, 1);
    *t->ret = (struct rate_answer){
        .allowed = redis_reply_int(v, 0, 0) == 1,
        .remaining = redis_reply_int(v, 1, 0),
        .retry_after_ms = (uint32_t)redis_reply_int(v, 2, 0),
        .first_refusal = redis_reply_int(v, 3, 0) == 1,
    };
}

static void take_finish(struct cache_call *c)
{
    struct take_call *t = container_of(c, struct take_call, call);
    const struct err *why = c->op.err.kind ? &c->op.err : NULL;

    /* A key of a foreign type, now healed, or an absurd one says nothing about Redis. */
    if (!why || (why->kind != ERR_NOT_FOUND && !c->key.full)) set_degraded(t->rate, why);
    if (why)
        take_locally(t);
    else
        take_from_reply(t);
    op_finish(c->outer);
}

struct cache_rate *cache_rate_new(struct redis *r)
{
    struct cache_rate *rate = mem_new(struct cache_rate);

    rate->redis = r;
    map_init(&rate->buckets);
    list_init(&rate->used);
    metric_add(&answers_redis, 0);
    metric_add(&answers_local, 0);
    return rate;
}

void cache_rate_free(struct cache_rate *rate)
{
    if (!rate) return;
    buckets_free(rate);
    map_done(&rate->buckets);
    free(rate);
}

void cache_rate_take(struct cache_rate *rate, struct op *op, const struct rate_ask *ask,
                     struct rate_answer *ret)
{
    struct take_call *t = cache_call_new(rate->redis, op, &op_take, sizeof(*t), take_finish);
    struct cache_int max, window_us, window_ms;

    t->rate = rate;
    t->max = ask->max;
    t->window_ms = ask->window_ms;
    t->ret = ret;
    static const char *const scopes[] = { "user", "ip", "bot", "key" };
    const struct str parts[] = { STR("rate"), str_of(scopes[ask->scope]), ask->id,
                                 str_of(ask->endpoint) };
    cache_call_key(&t->call, parts, 4);
    const struct str args[] = { cache_int(&max, ask->max),
                                cache_int(&window_us, ask->window_ms * 1000),
                                cache_int(&window_ms, ask->window_ms) };
    cache_call_eval(&t->call, &take_script, args, 3);
}
