/* health: what a load balancer, an operator and Prometheus ask. */
#include "gateway/health.h"
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/chat/delivery.h"
#include "core/chat/keeper.h"
#include "core/chat/turn.h"

#define METRICS_MAX   (1 << 20)
#define WATCH_MS      500
#define OLDEST_MAX_MS 300000 /* an answer that takes longer than this means something is stuck */

static struct metric m_waiting[16];
static struct metric m_redis = METRIC(METRIC_GAUGE, "parley_redis_up", "", "1 when Redis answers");
static struct metric m_pg =
    METRIC(METRIC_GAUGE, "parley_postgres_up", "", "1 when PostgreSQL answers");
static struct metric m_lanes =
    METRIC(METRIC_GAUGE, "parley_lanes", "", "Conversations this process is busy with");
static struct metric m_orphans = METRIC(METRIC_GAUGE, "parley_op_orphans", "",
                                        "Late replies to requests that nobody waited for any more");

static void on_healthz(struct http_route *route, struct http_in *in)
{
    (void)route;
    http_answer(in, 200, "text/plain; charset=utf-8", STR("ok\n"));
}

static void channels_json(struct json_out *o, const struct chat *chat, bool *all_up)
{
    json_key(o, "channels");
    json_open(o, '{');
    list_each (it, next, &chat->channels) {
        const struct channel *ch = container_of(it, struct channel, link);
        json_key(o, ch->name);
        json_put_str(o, ch->up ? STR("up")
                               : str_of(ch->down_why.kind ? ch->down_why.msg : "starting"));
        *all_up = *all_up && ch->up;
    }
    json_close(o, '}');
}

/* Redis may be away: that is degraded, not unready. A channel that is down leaves the others at
 * work. */
static void on_readyz(struct http_route *route, struct http_in *in)
{
    struct health *h = container_of(route, struct health, readyz);
    const struct app *app = h->app;
    int64_t oldest_ms = keeper_oldest_ms(&app->chat);
    bool pg = pg_is_up(app->pg), redis = redis_is_up(app->redis), all_up = true;
    bool fresh = oldest_ms < OLDEST_MAX_MS;
    bool opened = !list_empty(&app->chat.channels) &&
                  list_first(&app->chat.channels, struct channel, link)->opened;
    bool ready = pg && opened && fresh && !h->draining;
    _cleanup_(buf_done) struct buf b = BUF_INIT(64 * 1024);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    json_field_bool(&o, "ready", ready);
    json_field_str(&o, "ingress",
                   h->draining ? STR("draining")
                   : opened    ? STR("open")
                               : STR("starting"));
    json_field_str(&o, "postgres",
                   pg ? STR("up") : STR("away: nothing is acknowledged, platforms repeat"));
    json_field_str(&o, "redis", redis ? STR("up") : STR("away: working without it"));
    json_field_i64(&o, "oldest_unanswered_seconds", oldest_ms / 1000);
    channels_json(&o, &app->chat, &all_up);
    json_close(&o, '}');
    http_answer(in, ready ? 200 : 503, "application/json", buf_str(&b));
}

static void on_metrics(struct http_route *route, struct http_in *in)
{
    (void)route;
    _cleanup_(buf_done) struct buf b = BUF_INIT(METRICS_MAX);
    metric_render(&b);
    http_answer(in, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b));
}

/* parley_flows{flow="turn",step="ask"}: where turns wait right now. */
static void count_steps(const struct chat *chat)
{
    static char labels[16][48];
    size_t n = turn_flow.n_steps < 16 ? turn_flow.n_steps : 16;
    for (size_t i = 0; i < n; i++) {
        if (!m_waiting[i].name) {
            snprintf(labels[i], sizeof labels[i], "flow=\"turn\",step=\"%s\"",
                     turn_flow.steps[i].name);
            m_waiting[i] = (struct metric)METRIC(METRIC_GAUGE, "parley_flows", labels[i],
                                                 "Flows by the step they wait in");
        }
        metric_set(&m_waiting[i], 0);
    }
    list_each (it, next, &chat->turns) {
        const struct flow *f = container_of(it, struct flow, link);
        if (f->at < n) metric_add(&m_waiting[f->at], 1);
    }
}

static void on_probe(void *ctx)
{
    const struct health *h = ctx;
    count_steps(&h->app->chat);
    metric_set(&m_pg, pg_is_up(h->app->pg));
    metric_set(&m_redis, redis_is_up(h->app->redis));
    metric_set(&m_lanes, (double)h->app->chat.lanes.n);
    metric_set(&m_orphans, (double)op_orphans);
}

/* pg tells of itself; Redis is nobody's business but that of those who do without it. */
static void on_watch(struct timer *t)
{
    struct health *h = container_of(t, struct health, watch);
    bool away = !redis_is_up(h->app->redis);
    if (away && !h->redis_away) log_warn("redis", "away", "instead=\"working without it\"");
    if (!away && h->redis_away) log_info("redis", "back", "");
    h->redis_away = away;
    timer_set(&h->app->loop, t, WATCH_MS);
}

void health_open(struct health *h, struct app *app)
{
    h->app = app;
    h->watch.fire = on_watch;
    timer_set(&app->loop, &h->watch, WATCH_MS);
    h->healthz = (struct http_route){ .method = "GET", .path = "/healthz", .handle = on_healthz };
    h->readyz = (struct http_route){ .method = "GET", .path = "/readyz", .handle = on_readyz };
    h->metrics = (struct http_route){ .method = "GET", .path = "/metrics", .handle = on_metrics };
    http_route_add(app->server, &h->healthz);
    http_route_add(app->server, &h->readyz);
    http_route_add(app->server, &h->metrics);
    h->probe = (struct metric_probe){ .update = on_probe, .ctx = h };
    metric_probe_add(&h->probe);
}

void health_close(struct health *h)
{
    http_route_drop(&h->healthz);
    http_route_drop(&h->readyz);
    http_route_drop(&h->metrics);
    metric_probe_drop(&h->probe);
    timer_clear(&h->app->loop, &h->watch);
}
