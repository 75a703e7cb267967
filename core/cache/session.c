/*
 * Sessions. Reading one is a script, because HMGET does not prolong a life.
 */
#include "core/cache/session.h"
#include "core/base/clock.h"
#include "core/cache/cache.h"

static struct redis_script get_script = {
    .name = "session.get",
    .lua = "local v = redis.call('HMGET', KEYS[1], 'user_id', 'conversation_id', 'model',"
           " 'last_activity')\n"
           "if v[1] then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end\n"
           "return v",
};

static struct redis_script put_script = {
    .name = "session.put",
    .lua = "redis.call('HSET', KEYS[1], 'user_id', ARGV[2], 'conversation_id', ARGV[3],"
           " 'model', ARGV[4], 'last_activity', ARGV[5])\n"
           "return redis.call('PEXPIRE', KEYS[1], ARGV[1])",
};

static const struct op_kind op_get = { .name = "cache.session", .drop = cache_call_drop };

struct session_call {
    struct cache_call call;
    struct cache_session *ret;
};

static void set_key(struct cache_call *c, struct str channel, struct str user)
{
    cache_call_key(c, (const struct str[]){ STR("session"), channel, user }, 3);
}

static struct str life(struct cache_int *to)
{
    return cache_int(to, CACHE_SESSION_LIFE_MS);
}

static bool session_parse(const struct redis_reply *v, struct cache_session *ret)
{
    struct cache_session s = { .last_activity_ms = redis_reply_int(v, 3, -1) };
    struct str model = redis_reply_str(v, 2);

    if (!uuid_parse(redis_reply_str(v, 0), &s.user)) return false;
    if (!uuid_parse(redis_reply_str(v, 1), &s.conversation)) return false;
    if (s.last_activity_ms < 0 || model.n >= sizeof(s.model)) return false;
    memcpy(s.model, model.p, model.n);
    *ret = s;
    return true;
}

static void get_finish(struct cache_call *c)
{
    struct session_call *s = container_of(c, struct session_call, call);

    if (cache_call_failed(c)) return;
    if (c->reply.n == 4 && c->reply.v[0].type == REDIS_NIL)
        op_failf(c->outer, ERR_NOT_FOUND, "cache: no session");
    else if (!session_parse(&c->reply, s->ret))
        cache_call_junk(c);
    else
        op_finish(c->outer);
}

void cache_session_get(struct redis *r, struct op *op, struct str channel, struct str user,
                       struct cache_session *ret)
{
    struct session_call *s = cache_call_new(r, op, &op_get, sizeof(*s), get_finish);
    struct cache_int ms;

    s->ret = ret;
    set_key(&s->call, channel, user);
    cache_call_eval(&s->call, &get_script, (const struct str[]){ life(&ms) }, 1);
}

void cache_session_put(struct redis *r, struct str channel, struct str user,
                       const struct cache_session *session)
{
    struct cache_call *c = cache_call_new(r, NULL, NULL, sizeof(*c), NULL);
    char user_id[UUID_TEXT_MAX], conversation[UUID_TEXT_MAX];
    struct cache_int ms, now;

    uuid_text(&session->user, user_id);
    uuid_text(&session->conversation, conversation);
    const struct str args[] = { life(&ms), str_of(user_id), str_of(conversation),
                                str_of(session->model), cache_int(&now, clock_wall_ms()) };
    set_key(c, channel, user);
    cache_call_eval(c, &put_script, args, 5);
}

void cache_session_drop(struct redis *r, struct str channel, struct str user)
{
    struct cache_call *c = cache_call_new(r, NULL, NULL, sizeof(*c), NULL);

    set_key(c, channel, user);
    cache_call_cmd(c, (const struct str[]){ STR("DEL"), buf_str(&c->key) }, 2);
}

/* A key that is no session of this form (those of the web page are other ones) has no user_id. */
static struct redis_script scan_script = {
    .name = "session.scan",
    .lua =
        "local found = redis.call('SCAN', ARGV[1], 'MATCH', 'session:*', 'COUNT', ARGV[2], 'TYPE', 'hash')\n"
        "local out = { found[1] }\n"
        "for _, key in ipairs(found[2]) do\n"
        "  local v = redis.call('HMGET', key, 'user_id', 'conversation_id', 'model', 'last_activity')\n"
        "  if v[1] then\n"
        "    out[#out + 1] = string.sub(key, 9)\n"
        "    for i = 1, 4 do out[#out + 1] = v[i] or '' end\n"
        "  end\n"
        "end\n"
        "return out",
};

void cache_session_scan(struct redis *r, struct op *op, struct str cursor, int64_t limit,
                        struct redis_reply *ret)
{
    struct cache_int count;
    const struct str args[] = { cursor, cache_int(&count, limit) };
    redis_eval(r, op, &scan_script, NULL, 0, args, 2, ret);
}
