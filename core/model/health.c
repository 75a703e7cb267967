/* health: see health.h. */
#include "core/model/health.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/cache/cache.h"
#include "core/model/models.h"
#include "core/model/policy.h"
#include "core/store/provider.h"

#define PUSH_CHANNEL  "parley:health"
#define FAILURES_MAX  5
#define REST_MS       15000
#define REST_MAX_MS   300000
#define LONG_REST_MS  600000
#define PROBE_MS      60000 /* how long the outcome of the one question is waited for */
#define RECORD_MS     10000
#define LIFE_MS       "300000"
#define PUSHED_MS_MAX 3600000

struct patient {
    struct list link;
    const struct model *model;
    unsigned failures, rests; /* in a row */
    bool elsewhere;           /* failures may be counted that this process knows nothing of */
    uint64_t until_ms;        /* rests; 0 = it does not */
    char reason[ERR_MSG_MAX];
    struct provider_calls calls; /* since the last record */
};

struct health {
    struct loop *loop;
    struct redis *redis;
    struct store *store;
    struct redis_sub pushes;
    struct timer record_timer;
    struct op record;
    struct arena recorded; /* the op's own: the patient may change meanwhile, or go */
    struct list patients;
};

static struct metric m_rests = METRIC(METRIC_COUNTER, "parley_model_rests_total", "",
                                      "Models that were put to rest because they failed.");

#define NOW "(redis.call('TIME')[1] * 1000 + math.floor(redis.call('TIME')[2] / 1000))"

/*
 * ARGV: failures at most, first rest, longest rest, a rest that is certain (0 = count). Answers and
 * tells everybody "name ms", -1 for a failure that is only counted. The JSON is for who looks into
 * Redis.
 */
static struct redis_script failed_script = {
    .name = "health.failed",
    .lua =
        "local max, first, longest, certain = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])\n"
        "local raw = redis.call('GET', KEYS[1])\n"
        "local ok, h = pcall(cjson.decode, raw or '')\n"
        "if not ok or type(h) ~= 'table' then h = {failures = 0, rests = 0} end\n"
        "h.failures = (tonumber(h.failures) or 0) + (certain == 0 and 1 or 0)\n"
        "h.rests = tonumber(h.rests) or 0\n"
        "local rest = certain\n"
        "if certain == 0 and h.failures >= max then\n"
        "  rest = math.min(first * 2 ^ h.rests, longest)\n"
        "  h.rests = h.rests + 1\n"
        "end\n"
        "h.status = rest > 0 and 'resting' or 'failing'\n"
        "h.resting_until = rest > 0 and " NOW " + rest or 0\n"
        "h.tried_until = nil\n"
        "h.reason = ARGV[6]\n"
        "redis.call('SET', KEYS[1], cjson.encode(h), 'PX', math.max(" LIFE_MS ", rest * 2))\n"
        "redis.call('PUBLISH', '" PUSH_CHANNEL
        "', ARGV[5] .. ' ' .. string.format('%d', rest > 0 and rest or -1))\n"
        "return rest",
};

/*
 * Of those whose rest is over in all processes, the first one gets 0 and asks; the others how long
 * its outcome is waited for. ARGV: for how long.
 */
static struct redis_script probe_script = {
    .name = "health.probe",
    .lua =
        "local ok, h = pcall(cjson.decode, redis.call('GET', KEYS[1]) or '')\n"
        "if not ok or type(h) ~= 'table' then return 0 end\n"
        "local now = " NOW "\n"
        "local left = math.max(tonumber(h.resting_until) or 0, tonumber(h.tried_until) or 0) - now\n"
        "if left > 0 then return left end\n"
        "h.status = 'tried'\n"
        "h.tried_until = now + ARGV[1]\n"
        "redis.call('SET', KEYS[1], cjson.encode(h), 'PX', " LIFE_MS ")\n"
        "return 0",
};

/* Told anew, for a process that began to listen just now. ARGV: the name. */
static struct redis_script tell_script = {
    .name = "health.tell",
    .lua =
        "local ok, h = pcall(cjson.decode, redis.call('GET', KEYS[1]) or '')\n"
        "if not ok or type(h) ~= 'table' then return 0 end\n"
        "local left = (tonumber(h.resting_until) or 0) - " NOW "\n"
        "if left > 0 then\n"
        "  redis.call('PUBLISH', '" PUSH_CHANNEL "', ARGV[1] .. ' ' .. string.format('%d', left))\n"
        "end\n"
        "return left",
};

static struct patient *patient_of(struct health *h, const struct model *m)
{
    list_each (it, next, &h->patients) {
        struct patient *p = container_of(it, struct patient, link);
        if (p->model == m) return p;
    }
    struct patient *p = mem_new(struct patient);
    p->model = m;
    p->elsewhere = true; /* of the process that this one follows */
    list_push(&h->patients, &p->link);
    return p;
}

static void patient_free(struct patient *p)
{
    list_drop(&p->link);
    free(p);
}

/* ---- with the others ---- */

static struct str key_of(const struct patient *p, char *to, size_t room)
{
    return str_head(str_from(to, room - 1),
                    (size_t)snprintf(to, room, "provider:health:%s", p->model->name));
}

static void share_failure(struct health *h, const struct patient *p, uint32_t certain_ms)
{
    char key_text[CACHE_KEY_MAX];
    struct cache_int max, first, longest, certain;
    if (!h->redis) return;
    const struct str key = key_of(p, key_text, sizeof(key_text));
    const struct str args[] = { cache_int(&max, FAILURES_MAX),    cache_int(&first, REST_MS),
                                cache_int(&longest, REST_MAX_MS), cache_int(&certain, certain_ms),
                                str_of(p->model->name),           str_of(p->reason) };
    redis_eval(h->redis, NULL, &failed_script, &key, 1, args, 6, NULL);
}

static void share_recovery(struct health *h, const struct patient *p)
{
    char key_text[CACHE_KEY_MAX], text[CACHE_KEY_MAX];
    if (!h->redis) return;
    const struct str args[] = { STR("DEL"), key_of(p, key_text, sizeof(key_text)) };
    redis_send(h->redis, args, 2);
    snprintf(text, sizeof(text), "%s 0", p->model->name);
    redis_publish(h->redis, PUSH_CHANNEL, str_of(text));
}

/* What was said before, or while Redis was away. */
static void catch_up(struct health *h)
{
    list_each (it, next, &h->patients) {
        char key_text[CACHE_KEY_MAX];
        const struct patient *p = container_of(it, struct patient, link);
        const struct str key = key_of(p, key_text, sizeof(key_text)), name = str_of(p->model->name);
        redis_eval(h->redis, NULL, &tell_script, &key, 1, &name, 1, NULL);
    }
}

static void on_push(struct redis_sub *sub, struct str payload)
{
    struct health *h = container_of(sub, struct health, pushes);
    struct str rest = payload, name = str_cut(&rest, ' ');
    int64_t ms;
    if (!payload.n) catch_up(h);
    if (!str_i64(rest, &ms) || ms < -1 || ms > PUSHED_MS_MAX) return;
    list_each (it, next, &h->patients) {
        struct patient *p = container_of(it, struct patient, link);
        if (!str_eq(name, str_of(p->model->name))) continue;
        p->elsewhere = ms != 0;
        if (ms < 0) continue;
        p->failures = 0;
        if (!ms || !p->rests) p->rests = ms > 0; /* who put it to rest has counted already */
        p->until_ms = ms ? clock_ms() + (uint64_t)ms : 0;
    }
}

/* ---- the one question after a rest ---- */

struct probe {
    struct cache_call call;
    struct models *models;
    const struct model *model;
    uint32_t *ret_ms;
};

static const struct op_kind op_probe = { .name = "model.probe", .drop = cache_call_drop };

static void probed(struct cache_call *c)
{
    struct probe *probe = container_of(c, struct probe, call);
    if (cache_call_failed(c)) return;
    int64_t ms = c->reply.i;
    if (ms > PUSHED_MS_MAX) ms = PUSHED_MS_MAX;
    if (ms > 0) {
        patient_of(probe->models->common->health, probe->model)->until_ms =
            clock_ms() + (uint64_t)ms;
        *probe->ret_ms = (uint32_t)ms;
    }
    op_finish(c->outer);
}

bool health_probe(struct models *models, const struct model *m, struct op *op, uint32_t *ret_ms)
{
    struct health *h = models->common->health;
    struct cache_int wait;
    *ret_ms = 0;
    if (!h->redis || !patient_of(h, m)->until_ms) return false;
    struct probe *probe = cache_call_new(h->redis, op, &op_probe, sizeof *probe, probed);
    probe->models = models;
    probe->model = m;
    probe->ret_ms = ret_ms;
    cache_call_key(&probe->call, (const struct str[]){ STR("provider:health"), str_of(m->name) },
                   2);
    const struct str args[] = { cache_int(&wait, PROBE_MS) };
    cache_call_eval(&probe->call, &probe_script, args, 1);
    return true;
}

/* ---- the record ---- */

static const char *status_of(const struct patient *p)
{
    return p->until_ms ? "resting" : p->failures ? "failing" : "healthy";
}

static void on_record_timer(struct timer *timer)
{
    struct health *h = container_of(timer, struct health, record_timer);
    timer_set(h->loop, timer, RECORD_MS);
    if (op_busy(&h->record)) return;
    list_each (it, next, &h->patients) {
        struct patient *p = container_of(it, struct patient, link);
        if (!p->calls.n) continue;
        arena_done(&h->recorded);
        store_provider_health(h->store, &h->record, arena_dup(&h->recorded, str_of(p->model->name)),
                              str_of(p->model->type->name), str_of(status_of(p)),
                              arena_dup(&h->recorded, str_of(p->until_ms ? p->reason : "")),
                              &p->calls);
        p->calls = (struct provider_calls){ 0 };
        return; /* the others next time, or when this one is through */
    }
}

/* What could not be recorded is lost: it is a record, not a truth. */
static void on_recorded(struct op *op)
{
    struct health *h = container_of(op, struct health, record);
    if (op->err.kind == ERR_NONE) timer_set(h->loop, &h->record_timer, 0);
}

/* ---- public ---- */

uint32_t health_rest_ms(struct models *models, const struct model *m)
{
    struct patient *p = patient_of(models->common->health, m);
    uint64_t now = clock_ms();
    if (!p->until_ms) return 0;
    if (now < p->until_ms) return (uint32_t)(p->until_ms - now);
    p->until_ms = now + PROBE_MS; /* this one is the question that is let through */
    return 0;
}

bool health_is_well(struct models *models, const struct model *m)
{
    const struct patient *p = patient_of(models->common->health, m);
    return !p->until_ms;
}

void health_worked(struct models *models, const struct model *m, uint32_t ms)
{
    struct patient *p = patient_of(models->common->health, m);
    bool was_ill = p->failures || p->until_ms, counted = was_ill || p->elsewhere;
    p->calls.n++;
    p->calls.ms += ms;
    p->failures = p->rests = 0;
    p->until_ms = 0;
    p->elsewhere = false;
    if (was_ill) log_info("model", "works again", "model=%s", m->name);
    if (counted) share_recovery(models->common->health, p);
}

static void put_to_rest(struct patient *p, uint32_t ms)
{
    p->until_ms = clock_ms() + ms;
    p->failures = 0;
    metric_add(&m_rests, 1);
    log_warn("model", "rests, others are asked if a route names some", "model=%s ms=%u why=%s",
             p->model->name, ms, log_quote(str_of(p->reason)));
}

/* The local count; Redis adds up those of all processes, and its push comes a moment later. */
static void count(struct patient *p)
{
    bool probe = p->until_ms > 0;
    if (++p->failures < FAILURES_MAX && !probe) return;
    uint32_t ms = REST_MS;
    for (unsigned i = 0; i < p->rests && ms < REST_MAX_MS; i++) ms *= 2;
    p->rests++;
    put_to_rest(p, ms < REST_MAX_MS ? ms : REST_MAX_MS);
}

void health_failed(struct models *models, const struct model *m, const struct err *why)
{
    struct patient *p = patient_of(models->common->health, m);
    enum policy_rest rest = policy_rest(why);
    p->calls.n++;
    if (rest == POLICY_NO_REST) return;
    p->calls.failed++;
    memcpy(p->reason, why->msg, sizeof(p->reason));
    if (rest == POLICY_COUNT) {
        count(p);
        share_failure(models->common->health, p, 0);
        return;
    }
    uint32_t ms = rest == POLICY_REST ? why->retry_after_ms : LONG_REST_MS;
    if (ms > PUSHED_MS_MAX) ms = PUSHED_MS_MAX;
    put_to_rest(p, ms);
    share_failure(models->common->health, p, ms);
}

void health_look(struct models *models, const struct model *m, struct health_view *ret)
{
    const struct patient *p = patient_of(models->common->health, m);
    uint64_t now = clock_ms();
    *ret = (struct health_view){ .status = "healthy", .reason = "" };
    ret->status = status_of(p);
    ret->failures = p->failures;
    if (p->until_ms > now) ret->rest_ms = (uint32_t)(p->until_ms - now);
    if (p->until_ms) ret->reason = p->reason;
}

void health_wake(struct models *models, const struct model *m)
{
    struct patient *p = patient_of(models->common->health, m);
    p->failures = p->rests = 0;
    p->until_ms = 0;
    share_recovery(models->common->health, p);
}

struct health *health_new(struct loop *loop)
{
    struct health *h = mem_new(struct health);
    h->loop = loop;
    h->pushes = (struct redis_sub){ .channel = PUSH_CHANNEL, .on_message = on_push };
    h->record_timer.fire = on_record_timer;
    list_init(&h->pushes.link);
    list_init(&h->patients);
    arena_init(&h->recorded);
    op_init(&h->record, loop, on_recorded);
    return h;
}

void health_forget(struct health *h, const struct model *m)
{
    list_each (it, next, &h->patients) {
        struct patient *p = container_of(it, struct patient, link);
        if (p->model == m) patient_free(p);
    }
}

void health_expect(struct models *models)
{
    for (size_t i = 0; i < models->n; i++) patient_of(models->common->health, models->list[i]);
}

void models_share_health(struct models *models, struct redis *redis, struct store *store)
{
    struct health *h = models->common->health;
    h->redis = redis;
    h->store = store;
    health_expect(models);
    redis_subscribe(redis, &h->pushes);
    timer_set(h->loop, &h->record_timer, RECORD_MS);
}

void health_free(struct health *h)
{
    if (!h) return;
    if (h->redis) redis_unsubscribe(h->redis, &h->pushes);
    timer_clear(h->loop, &h->record_timer);
    op_cancel(&h->record);
    arena_done(&h->recorded);
    while (!list_empty(&h->patients)) patient_free(list_first(&h->patients, struct patient, link));
    free(h);
}
