/* models: what may be asked, and how each fares. */
#include "core/model/health.h"
#include "core/model/prices.h"
#include "gateway/admin/subjects.h"

static const char *const statuses[] = { "healthy", "failing", "resting", NULL };

static const struct admin_field choice_fields[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "As people choose it: a route, or a model." },
    { "type", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "The API that it is asked by; of a route: route." },
    { "status", ADMIN_WORD, ADMIN_REQUIRED, .words = statuses,
      .help = "As this process sees it; of a route: its first model's." },
    { "rest_s", ADMIN_INT, ADMIN_REQUIRED, .help = "How long it still rests." },
    { "reason", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Why it rests." },
    { "is_default", ADMIN_BOOL, ADMIN_REQUIRED, .help = "It answers where nobody has chosen." },
    { "models", ADMIN_TEXTS, ADMIN_REQUIRED, .help = "Who is asked, one after the other." },
    { "context_tokens", ADMIN_INT, ADMIN_REQUIRED, .help = "Its window; 0 = not said." },
    { "priced", ADMIN_BOOL, ADMIN_REQUIRED, .help = "What it costs is known." },
    { "failures", ADMIN_INT, ADMIN_REQUIRED, .help = "In a row." },
    ADMIN_END,
};
static const struct admin_type model_type = { "Model", choice_fields };

static void put_route(struct json_out *to, struct models *models, const struct route *r)
{
    const struct model *first = r->v[0];
    struct health_view health;
    bool alone = r->n == 1 && strcmp(r->name, first->name) == 0;
    health_look(models, first, &health);
    json_open(to, '{');
    json_field_str(to, "name", str_of(r->name));
    json_field_str(to, "type", alone ? str_of(first->type->name) : STR("route"));
    json_field_str(to, "status", str_of(health.status));
    json_field_i64(to, "rest_s", (health.rest_ms + 999) / 1000);
    json_field_str_or_null(to, "reason", str_of(health.reason));
    json_field_bool(to, "is_default", r == routes_default(models));
    json_key(to, "models");
    json_open(to, '[');
    for (size_t i = 0; i < r->n; i++) json_put_str(to, str_of(r->v[i]->name));
    json_close(to, ']');
    json_field_i64(to, "context_tokens", first->context_tokens);
    json_field_bool(to, "priced", models_price(models, first)->known);
    json_field_i64(to, "failures", health.failures);
    json_close(to, '}');
}

static enum flow_rc list_run(struct admin_call *call)
{
    struct models *models = call->admin->app->models;
    _cleanup_(buf_done) struct buf b = BUF_INIT(call->body.max);
    struct json_out to = JSON_OUT(&b);
    admin_page_open(&to);
    for (size_t i = 0; i < routes_count(models); i++) put_route(&to, models, routes_at(models, i));
    for (size_t i = 0; i < models_count(models); i++) {
        const struct route *alone = routes_find(models, str_of(models_at(models, i)->name));
        if (alone && alone->n == 1 && alone->v[0] == models_at(models, i))
            put_route(&to, models, alone);
    }
    admin_page_close(&to, STR_NONE);
    return admin_answer(call, 200, buf_str(&b));
}

static const struct pg_stmt wake_stmt = {
    "admin_wake", "SELECT audit($1, 'model.woken', 'model', $2, NULL, NULL)"
};

static enum flow_rc wake_run(struct admin_call *call)
{
    if (!routes_find(call->admin->app->models, call->parts[0]))
        return admin_problem(call, 404, "name", "no model or route has this name");
    call->values[0] = pg_json(buf_str(&call->actor));
    call->values[1] = pg_text(arena_dup(&call->arena, call->parts[0]));
    pg_query(call->admin->app->pg, &call->flow.op, &wake_stmt, call->values, 2, &call->rows);
    return FLOW_WAIT;
}

static enum flow_rc wake_ran(struct admin_call *call)
{
    struct models *models = call->admin->app->models;
    const struct route *r = routes_find(models, call->values[1].text);
    _cleanup_(buf_done) struct buf b = BUF_INIT(call->body.max);
    struct json_out to = JSON_OUT(&b);
    if (!r) return admin_problem(call, 404, "name", "no model or route has this name");
    for (size_t i = 0; i < r->n; i++) health_wake(models, r->v[i]);
    put_route(&to, models, r);
    return admin_answer(call, 200, buf_str(&b));
}

static const struct admin_field health_fields[] = {
    { "id", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The model's name." },
    { "provider", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The API." },
    { "status", ADMIN_WORD, ADMIN_REQUIRED, .words = statuses, .help = "When it was noted last." },
    { "success_rate", ADMIN_NUMBER, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "0 to 1, of all calls." },
    { "avg_latency_ms", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Of calls that worked." },
    { "calls", ADMIN_INT, ADMIN_REQUIRED, .help = "All of them." },
    { "failures", ADMIN_INT, ADMIN_REQUIRED, .help = "Of them." },
    { "latency_ms", ADMIN_INT, ADMIN_REQUIRED, .help = "The sum." },
    { "last_failure_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "When." },
    { "disabled_reason", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Why it rests." },
    { "updated_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When it was noted." },
    ADMIN_END,
};
static const struct admin_type health_type = { "ProviderHealth", health_fields };

const struct admin_op admin_models_ops[] = {
    { .id = "models.list",
      .method = "GET",
      .path = "/models",
      .scope = "models:read",
      .summary = "Routes and models that people can choose, and how they fare here.",
      .answer = &model_type,
      .flags = ADMIN_LIST,
      .run = list_run },
    { .id = "models.wake",
      .method = "POST",
      .path = "/models/{name}/wake",
      .scope = "models:write",
      .summary = "It rests no more, in all processes.",
      .args = admin_name_args,
      .answer = &model_type,
      .run = wake_run,
      .ran = wake_ran },
    { .id = "models.health",
      .method = "GET",
      .path = "/models/health",
      .scope = "models:read",
      .summary = "How models fared, added up over all processes.",
      .answer = &health_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_models_health",
                "SELECT to_jsonb(h) FROM provider_health h WHERE h.id > coalesce($2->>'after', '')"
                " ORDER BY h.id LIMIT ($2->>'limit')::integer" } },
    { .id = NULL },
};
