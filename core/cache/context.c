/*
 * Context windows. An entry is {"n":ordinal,"r":"u"|"a","t":text}, n first: the scripts find it by
 * pattern, without decoding the text.
 */
#include "core/cache/context.h"
#include "core/base/json.h"
#include "core/cache/cache.h"

static struct redis_script get_script = {
    .name = "context.get",
    .lua = "redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
           "return redis.call('LRANGE', KEYS[1], 0, ARGV[1])",
};

/* ARGV: life, keep, create, the first's ordinal, the last's, then the entries, oldest first. */
static struct redis_script push_script = {
    .name = "context.push",
    .lua = "local head = redis.call('LINDEX', KEYS[1], 0)\n"
           "local n = head and tonumber(string.match(head, '^{\"n\":(%d+),'))\n"
           "if not head and ARGV[3] ~= '1' then return 0 end\n"
           "if n and n >= tonumber(ARGV[5]) then return 0 end\n"
           "if head and n ~= tonumber(ARGV[4]) - 1 then\n"
           "  redis.call('DEL', KEYS[1])\n"
           "  return -1\n"
           "end\n"
           "for i = 6, #ARGV do redis.call('LPUSH', KEYS[1], ARGV[i]) end\n"
           "redis.call('LTRIM', KEYS[1], 0, tonumber(ARGV[2]) - 1)\n"
           "redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
           "return 1",
};

/* ARGV: life, the newest's ordinal, then the entries, oldest first. */
static struct redis_script fill_script = {
    .name = "context.fill",
    .lua = "local head = redis.call('LINDEX', KEYS[1], 0)\n"
           "local n = head and tonumber(string.match(head, '^{\"n\":(%d+),'))\n"
           "if n and n > tonumber(ARGV[2]) then return 0 end\n"
           "redis.call('DEL', KEYS[1])\n"
           "for i = 3, #ARGV do redis.call('LPUSH', KEYS[1], ARGV[i]) end\n"
           "redis.call('PEXPIRE', KEYS[1], ARGV[1])\n"
           "return 1",
};

static const struct op_kind op_get = { .name = "cache.context", .drop = cache_call_drop };

struct context_call {
    struct cache_call call;
    struct arena *arena;
    struct context_read *ret;
};

/* The words of a script's arguments, and the entries' bytes behind them. */
struct entry_args {
    struct str v[CACHE_CONTEXT_MAX + 8];
    size_t n;
    struct buf bytes;
};

static void set_key(struct cache_call *c, const struct uuid *conversation)
{
    char id[UUID_TEXT_MAX];

    uuid_text(conversation, id);
    cache_call_key(c, (const struct str[]){ STR("context"), STR("conv"), str_of(id) }, 3);
}

static void entry_format(struct buf *to, const struct context_entry *e)
{
    struct json_out o = JSON_OUT(to);

    json_open(&o, '{');
    json_field_i64(&o, "n", e->ordinal);
    json_field_str(&o, "r", e->role == CONTEXT_USER ? STR("u") : STR("a"));
    json_field_str(&o, "t", e->text);
    json_close(&o, '}');
}

static bool entry_read(struct json *doc, struct arena *arena, struct context_entry *ret)
{
    struct str role, text;

    if (!json_get_i64(doc, "n", &ret->ordinal) || !json_get_str(doc, "r", &role)) return false;
    if (!json_get_str(doc, "t", &text)) return false;
    if (!str_eq(role, STR("u")) && !str_eq(role, STR("a"))) return false;
    ret->role = str_eq(role, STR("u")) ? CONTEXT_USER : CONTEXT_ASSISTANT;
    ret->text = arena_dup(arena, text);
    return true;
}

static bool entry_parse(struct str text, struct arena *arena, struct context_entry *ret)
{
    struct json *doc;

    if (json_parse(text, &doc, NULL)) return false;
    bool ok = entry_read(doc, arena, ret);
    json_free(doc);
    return ok;
}

/* Newest first in the reply, oldest first in *ret; false when there is a gap or junk. */
static bool context_parse(const struct redis_reply *reply, struct arena *arena,
                          struct context_read *ret)
{
    struct context_read read = { .n = reply->n };

    if (reply->type != REDIS_ARRAY) return false;
    read.entries = arena_new_array(arena, struct context_entry, reply->n + 1);
    for (size_t i = 0; i < reply->n; i++) {
        struct context_entry *e = &read.entries[reply->n - 1 - i];
        if (!entry_parse(redis_reply_str(reply, i), arena, e)) return false;
        if (i && e->ordinal != e[1].ordinal - 1) return false;
    }
    if (read.n) read.newest = read.entries[read.n - 1].ordinal;
    *ret = read;
    return true;
}

static void get_finish(struct cache_call *c)
{
    struct context_call *x = container_of(c, struct context_call, call);

    if (cache_call_failed(c)) return;
    if (!context_parse(&c->reply, x->arena, x->ret))
        cache_call_junk(c);
    else if (!x->ret->n)
        op_failf(c->outer, ERR_NOT_FOUND, "cache: no context");
    else
        op_finish(c->outer);
}

void cache_context_get(struct redis *r, struct op *op, const struct uuid *conversation,
                       size_t n_max, struct arena *arena, struct context_read *ret)
{
    struct context_call *x = cache_call_new(r, op, &op_get, sizeof(*x), get_finish);
    struct cache_int last, life;

    *ret = (struct context_read){ .n = 0 };
    x->arena = arena;
    x->ret = ret;
    set_key(&x->call, conversation);
    const struct str args[] = { cache_int(&last, (int64_t)n_max - 1),
                                cache_int(&life, CACHE_CONTEXT_LIFE_MS) };
    cache_call_eval(&x->call, &get_script, args, 2);
}

/* Append the entries, oldest first. False: together they are too large. */
static bool add_entries(struct entry_args *args, const struct context_entry *entries, size_t n)
{
    size_t ends[CACHE_CONTEXT_MAX];

    buf_init(&args->bytes, CACHE_CONTEXT_BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        entry_format(&args->bytes, &entries[i]);
        ends[i] = args->bytes.n;
    }
    /* The views only now: the buffer moves while it grows. */
    for (size_t i = 0, start = 0; i < n; start = ends[i++])
        args->v[args->n++] = str_from(args->bytes.p + start, ends[i] - start);
    return !args->bytes.full;
}

static void run(struct redis *r, const struct uuid *conversation, struct redis_script *script,
                const struct entry_args *args)
{
    struct cache_call *c = cache_call_new(r, NULL, NULL, sizeof(*c), NULL);

    set_key(c, conversation);
    cache_call_eval(c, script, args->v, args->n);
}

static size_t at_most(size_t n)
{
    return n < CACHE_CONTEXT_MAX ? n : CACHE_CONTEXT_MAX;
}

void cache_context_push(struct redis *r, const struct uuid *conversation,
                        const struct context_entry *entries, size_t n, bool create, size_t keep_max)
{
    struct cache_int life, keep, first, last;
    size_t n_kept = at_most(n);
    const struct context_entry *from = entries + (n - n_kept);
    struct entry_args args = { .n = 5 };

    args.v[0] = cache_int(&life, CACHE_CONTEXT_LIFE_MS);
    args.v[1] = cache_int(&keep, (int64_t)at_most(keep_max));
    args.v[2] = create ? STR("1") : STR("0");
    args.v[3] = cache_int(&first, entries[0].ordinal);
    args.v[4] = cache_int(&last, entries[n - 1].ordinal);
    if (add_entries(&args, from, n_kept))
        run(r, conversation, &push_script, &args);
    else
        cache_context_drop(r, conversation); /* it would have a gap */
    buf_done(&args.bytes);
}

void cache_context_fill(struct redis *r, const struct uuid *conversation,
                        const struct context_read *context)
{
    struct cache_int life, newest;
    size_t n = at_most(context->n);
    struct entry_args args = { .n = 2 };

    if (!n) return;
    args.v[0] = cache_int(&life, CACHE_CONTEXT_LIFE_MS);
    args.v[1] = cache_int(&newest, context->newest);
    if (add_entries(&args, context->entries + (context->n - n), n))
        run(r, conversation, &fill_script, &args);
    buf_done(&args.bytes);
}

void cache_context_drop(struct redis *r, const struct uuid *conversation)
{
    struct cache_call *c = cache_call_new(r, NULL, NULL, sizeof(*c), NULL);

    set_key(c, conversation);
    cache_call_cmd(c, (const struct str[]){ STR("DEL"), buf_str(&c->key) }, 2);
}
