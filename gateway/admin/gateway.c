/* gateway: the process that is asked, and what all of them share: channels, leases, figures. */
#include "core/base/clock.h"
#include "core/chat/keeper.h"
#include "gateway/admin/subjects.h"

/* ---- the process ---- */

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

/* ---- channels ---- */

static const struct admin_field state_fields[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The account in the configuration." },
    { "type", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The platform." },
    { "up", ADMIN_BOOL, ADMIN_REQUIRED, .help = "It works, as this process sees it." },
    { "reason", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Why it does not." },
    { "last_event_s", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Seconds since the platform was heard." },
    { "model", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Its default; null: the gateway's." },
    { "access", ADMIN_TEXT, ADMIN_REQUIRED, .help = "open, or pairing." },
    { "queue", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "What a message does that comes during an answer." },
    ADMIN_END,
};
static const struct admin_type channel_type = { "Channel", state_fields };

static const char *down_reason(const struct channel *ch)
{
    if (ch->up) return "";
    return ch->down_why.kind ? ch->down_why.msg : "starting";
}

static void put_channel(struct json_out *to, const struct chat *chat, const struct channel *ch)
{
    json_open(to, '{');
    json_field_str(to, "name", str_of(ch->name));
    json_field_str(to, "type", str_of(ch->type->name));
    json_field_bool(to, "up", ch->up);
    json_field_str_or_null(to, "reason", str_of(down_reason(ch)));
    json_key(to, "last_event_s");
    if (ch->last_event_ms)
        json_put_i64(to, ((int64_t)clock_ms() - ch->last_event_ms) / 1000);
    else
        json_put_null(to);
    json_field_str_or_null(to, "model", str_of(ch->model ? ch->model : ""));
    json_field_str(to, "access", ch->access == ACCESS_PAIRING ? STR("pairing") : STR("open"));
    json_field_str(to, "queue", str_of(queue_mode_words[channel_queue(chat, ch)]));
    json_close(to, '}');
}

static enum flow_rc channels_run(struct admin_call *call)
{
    const struct chat *chat = &call->admin->app->chat;
    _cleanup_(buf_done) struct buf b = BUF_INIT(call->body.max);
    struct json_out to = JSON_OUT(&b);
    admin_page_open(&to);
    list_each (it, next, &chat->channels)
        put_channel(&to, chat, container_of(it, struct channel, link));
    admin_page_close(&to, STR_NONE);
    return admin_answer(call, 200, buf_str(&b));
}

/* ---- leases, figures ---- */

static const struct admin_field lease_fields[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "Of the bot's connection: a hash, never a token." },
    { "owner", ADMIN_TEXT, ADMIN_REQUIRED, .min = 0, .max = 200,
      .help = "The process that has it." },
    { "held", ADMIN_BOOL, ADMIN_REQUIRED, .help = "False: it has run out." },
    { "lease_until", ADMIN_TIME, ADMIN_REQUIRED, .help = "Until when." },
    { "fence", ADMIN_INT, ADMIN_REQUIRED, .help = "Grows with every change of owner." },
    ADMIN_END,
};
static const struct admin_type lease_type = { "Lease", lease_fields };

static const char *const periods[] = { "day", "month", NULL };
static const struct admin_field budget_fields[] = {
    { "scope", ADMIN_TEXT, ADMIN_REQUIRED, .help = "all, channel:NAME, person:ID or key:ID." },
    { "period", ADMIN_WORD, ADMIN_REQUIRED, .words = periods, .help = "Of UTC." },
    { "spent", ADMIN_TEXT, ADMIN_REQUIRED, .help = "US dollars in this period." },
    { "reserved", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Set aside for answers being written." },
    { "alerted", ADMIN_INT, ADMIN_REQUIRED, .help = "Which share was told: 0, 80 or 100 percent." },
    { "starts", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The first day of the period." },
    { "id", ADMIN_TEXT, ADMIN_REQUIRED, .help = "scope/period: for `after`." },
    ADMIN_END,
};
static const struct admin_type budget_type = { "Budget", budget_fields };

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
    { "by_model", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "Questions, cost and tokens." },
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
    { .id = "channels.list",
      .method = "GET",
      .path = "/channels",
      .scope = "channels:read",
      .summary = "Channels and their state, as this process sees them.",
      .answer = &channel_type,
      .flags = ADMIN_LIST,
      .run = channels_run },
    { .id = "leases.list",
      .method = "GET",
      .path = "/leases",
      .scope = "channels:read",
      .summary = "Which process has which bot's connection.",
      .answer = &lease_type,
      .flags = ADMIN_LIST,
      .cursor = "name",
      .read = { "admin_leases_list",
                "SELECT jsonb_build_object('name', l.name, 'owner', l.owner, 'held', l.lease_until > now(),"
                " 'lease_until', l.lease_until, 'fence', l.fence) FROM channel_leases l"
                " WHERE l.name > coalesce($2->>'after', '') ORDER BY l.name LIMIT ($2->>'limit')::integer" } },
    { .id = "leases.drop",
      .method = "DELETE",
      .path = "/leases/{name}",
      .scope = "channels:write",
      .summary = "Take it from its process: whoever comes first has it next.",
      .args = admin_name_args },
    { .id = "budgets.list",
      .method = "GET",
      .path = "/budgets",
      .scope = "budgets:read",
      .summary =
          "What was spent of budgets in the present day and month; their limits are configured.",
      .answer = &budget_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_budgets_list",
                "SELECT jsonb_build_object('id', b.scope || '/' || b.period, 'scope', b.scope, 'period', b.period,"
                " 'spent', b.spent::text, 'reserved', b.reserved::text, 'alerted', b.alerted, 'starts', b.starts)"
                " FROM budgets b WHERE b.starts = period_start(b.period)"
                " AND b.scope || '/' || b.period > coalesce($2->>'after', '')"
                " ORDER BY b.scope || '/' || b.period LIMIT ($2->>'limit')::integer" } },
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
