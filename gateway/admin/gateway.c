/* gateway: the process that is asked, and the figures of all of them. */
#include "core/base/clock.h"
#include "core/chat/keeper.h"
#include "gateway/admin/subjects.h"

static const struct admin_field gateway_fields[] = {
    { "owner", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "This process: host, number, and a random part." },
    { "version", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Of the program." },
    { "uptime_s", ADMIN_INT, ADMIN_REQUIRED, .help = "Since it started." },
    { "postgres", ADMIN_BOOL, ADMIN_REQUIRED, .help = "It answers." },
    { "redis", ADMIN_BOOL, ADMIN_REQUIRED, .help = "It answers." },
    { "draining", ADMIN_BOOL, ADMIN_REQUIRED, .help = "It takes nothing new, and stops." },
    { "turns", ADMIN_INT, ADMIN_REQUIRED, .help = "Answers being written here." },
    { "oldest_unanswered_s", ADMIN_INT, ADMIN_REQUIRED, .help = "In all processes." },
    ADMIN_END,
};
static const struct admin_type gateway_type = { "Gateway", gateway_fields };

static enum flow_rc gateway_run(struct admin_call *call)
{
    const struct app *app = call->admin->app;
    _cleanup_(buf_done) struct buf b = BUF_INIT(4096);
    struct json_out to = JSON_OUT(&b);
    json_open(&to, '{');
    json_field_str(&to, "owner", str_of(app->owner));
    json_field_str(&to, "version", STR(PARLEY_VERSION));
    json_field_i64(&to, "uptime_s", (int64_t)(clock_ms() - app->started_ms) / 1000);
    json_field_bool(&to, "postgres", pg_is_up(app->pg));
    json_field_bool(&to, "redis", redis_is_up(app->redis));
    json_field_bool(&to, "draining", app->chat.draining);
    json_field_i64(&to, "turns", (int64_t)app->chat.n_running);
    json_field_i64(&to, "oldest_unanswered_s", keeper_oldest_ms(&app->chat) / 1000);
    json_close(&to, '}');
    return admin_answer(call, 200, buf_str(&b));
}

static const struct pg_stmt drain_stmt = {
    "admin_drain", "SELECT audit($1, 'gateway.drained', 'gateway', $2, NULL, NULL)"
};

/* Noted before it is done: afterwards there may be nobody to note it. */
static enum flow_rc drain_run(struct admin_call *call)
{
    call->values[0] = pg_json(buf_str(&call->actor));
    call->values[1] = pg_text(str_of(call->admin->app->owner));
    pg_query(call->admin->app->pg, &call->flow.op, &drain_stmt, call->values, 2, &call->rows);
    return FLOW_WAIT;
}

static enum flow_rc drain_ran(struct admin_call *call)
{
    call->admin->drain(call->admin);
    return gateway_run(call);
}

/* ---- figures ---- */

static const struct admin_field summary_fields[] = {
    { "hours", ADMIN_INT, ADMIN_REQUIRED, .help = "How far back." },
    { "requests", ADMIN_INT, ADMIN_REQUIRED, .help = "Messages that asked for something." },
    { "active_users", ADMIN_INT, ADMIN_REQUIRED, .help = "People who wrote." },
    { "unanswered", ADMIN_INT, ADMIN_REQUIRED, .help = "Now." },
    { "dead_letters", ADMIN_INT, ADMIN_REQUIRED, .help = "Now." },
    { "cost", ADMIN_TEXT, ADMIN_REQUIRED, .help = "US dollars." },
    { "latency_ms", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "p50, p95, p99 from claim to kept." },
    { "by_status", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "Requests." },
    { "by_channel", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "Requests." },
    { "by_model", ADMIN_OBJECT, ADMIN_REQUIRED,
      .help = "Questions, how many of them failed, cost and tokens." },
    { "votes", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "up and down." },
    ADMIN_END,
};
static const struct admin_type summary_type = { "Summary", summary_fields };
static const struct admin_field summary_args[] = {
    { "hours", ADMIN_INT, .min = 1, .max = 8784, .help = "How far back; 24." },
    ADMIN_END,
};

const struct admin_op admin_gateway_ops[] = {
    { .id = "gateway.get",
      .method = "GET",
      .path = "/gateway",
      .scope = "metrics:read",
      .summary = "The process that answers this.",
      .answer = &gateway_type,
      .run = gateway_run },
    { .id = "gateway.drain",
      .method = "POST",
      .path = "/gateway/drain",
      .scope = "gateway:write",
      .summary = "As SIGTERM: it takes nothing new, finishes or hands over what runs, and stops.",
      .answer = &gateway_type,
      .run = drain_run,
      .ran = drain_ran },
    { .id = "metrics.summary",
      .method = "GET",
      .path = "/metrics/summary",
      .scope = "metrics:read",
      .summary = "The last hours in figures.",
      .args = summary_args,
      .answer = &summary_type,
      .read = { "admin_metrics_summary",
                "SELECT metrics_summary(coalesce(($2->>'hours')::integer, 24))" } },
    { .id = NULL },
};
