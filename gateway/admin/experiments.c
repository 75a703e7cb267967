/* experiments: try a model, a prompt or a flag on some, and see how they fare. */
#include "core/flag/experiments.h"
#include "core/flag/flag.h"
#include "gateway/admin/subjects.h"

static const char *const statuses[] = { "draft", "running", "stopped", NULL };
static const char *const units[] = { "conversation", "person", NULL };

static const struct admin_field experiment_fields[] = {
    ADMIN_FIELD_NAME,
    { "status", ADMIN_WORD, ADMIN_REQUIRED, .words = statuses,
      .help = "A draft starts once, and is stopped once." },
    { "unit", ADMIN_WORD, ADMIN_REQUIRED, .words = units, .help = "What keeps its variant." },
    { "started_at", ADMIN_TIME, ADMIN_NULLABLE, .help = "Null: not yet." },
    { "ended_at", ADMIN_TIME, ADMIN_NULLABLE, .help = "Null: not yet." },
    { "winner", ADMIN_TEXT, ADMIN_NULLABLE, .help = "As whoever stopped it said." },
    { "reason", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Why Parley stopped it; empty: it did not." },
    { "description", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Yours." },
    { "variants", ADMIN_ANY, ADMIN_REQUIRED,
      .help = "A list of objects: name, weight, model, prompt, flags; the first is the control." },
    { "stop_rule", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "Guards, min_units and alpha." },
    { "salt", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Of the hash that chooses variants." },
    ADMIN_FIELD_VERSION,
    ADMIN_FIELD_CREATED_AT,
    ADMIN_END,
};
static const struct admin_type experiment_type = { "Experiment", experiment_fields };

static const struct admin_field result_fields[] = {
    ADMIN_FIELD_NAME,
    { "status", ADMIN_WORD, ADMIN_REQUIRED, .words = statuses,
      .help = "Of one that is stopped: the results of that moment." },
    { "arms", ADMIN_ANY, ADMIN_REQUIRED,
      .help = "A list of objects: variant, control, answers, units, and metrics: failures, "
              "votes_up, votes_down, re_asked, abandoned, cost, latency_ms, first_token_ms, each "
              "with n, value, low, high and the difference to the control, with its low and high. "
              "Intervals are of 95 percent." },
    ADMIN_END,
};
static const struct admin_type results_type = { "ExperimentResults", result_fields };

#define DESCRIPTION                                                             \
    {                                                                           \
        "description", ADMIN_TEXT, .min = 0, .max = 2000, .help = "For people." \
    }
#define UNIT                                                                         \
    {                                                                                \
        "unit", ADMIN_WORD,                                                          \
            .words = units,                                                          \
            .help = "What keeps its variant: a conversation (default), or a person." \
    }
#define VARIANTS_HELP                                                                             \
    "2 to 10 objects: name, weight (1 to 10000), and what it changes: model, prompt, flags. The " \
    "first one is the control and changes nothing."
#define STOP_RULE                                                                                \
    {                                                                                            \
        "stop_rule", ADMIN_OBJECT,                                                               \
            .help = "When a variant is clearly worse: guards (failures, votes_down, cost, each " \
                    "with a margin), min_units of each variant, alpha. Default: {\"guards\": "   \
                    "{\"failures\": 0, \"votes_down\": 0, \"cost\": 0.5}, \"min_units\": 30, "   \
                    "\"alpha\": 0.01}."                                                          \
    }

static const struct admin_field list_args[] = {
    { "status", ADMIN_WORD, .words = statuses, .help = "Only these." },
    ADMIN_END,
};
static const struct admin_field create_args[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .min = 1, .max = 60, .help = "Its name." },
    DESCRIPTION,
    UNIT,
    { "variants", ADMIN_ANY, ADMIN_REQUIRED, .help = VARIANTS_HELP },
    STOP_RULE,
    ADMIN_END,
};
static const struct admin_field change_args[] = {
    ADMIN_FIELD_NAME, DESCRIPTION, UNIT, { "variants", ADMIN_ANY, .help = VARIANTS_HELP },
    STOP_RULE,        ADMIN_END,
};
static const struct admin_field stop_args[] = {
    ADMIN_FIELD_NAME,
    { "winner", ADMIN_TEXT, .min = 1, .max = 60,
      .help = "The variant that won, to be noted: everybody gets the control until a flag or the "
              "configuration says otherwise." },
    ADMIN_END,
};

/* The rest is for the database; which models there are, only this process knows. */
static bool check_models(struct admin_call *call, struct json *args, struct json_out *more)
{
    struct json *variants = json_get(args, "variants");
    (void)more;
    for (size_t i = 0; i < json_length(variants); i++) {
        struct json *v = json_at(variants, i);
        struct str model = STR_NONE;
        if (!json_get_str(v, "model", &model))
            json_get_str(json_get(v, "flags"), flag_specs[FLAG_MODEL].name, &model);
        if (!model.n || routes_find(call->admin->app->models, model)) continue;
        admin_problem(call, 422, "variants", "no model or route is named \"%.*s\"",
                      STR_ARG(str_head(model, 100)));
        return false;
    }
    return true;
}

const struct admin_op admin_experiments_ops[] = {
    { .id = "experiments.list",
      .method = "GET",
      .path = "/experiments",
      .scope = "experiments:read",
      .summary = "All experiments, by name.",
      .args = list_args,
      .answer = &experiment_type,
      .flags = ADMIN_LIST,
      .cursor = "name",
      .read = { "admin_experiments_list", "SELECT experiment_json(e) FROM experiments e"
                                          " WHERE ($2->>'after' IS NULL OR e.name > $2->>'after')"
                                          " AND ($2->>'status' IS NULL OR e.status = $2->>'status')"
                                          " ORDER BY e.name LIMIT ($2->>'limit')::integer" } },
    { .id = "experiments.get",
      .method = "GET",
      .path = "/experiments/{name}",
      .scope = "experiments:read",
      .summary = "One experiment.",
      .args = admin_name_args,
      .answer = &experiment_type,
      .read = { "admin_experiments_get",
                "SELECT experiment_json(e) FROM experiments e WHERE e.name = $2->>'name'" } },
    { .id = "experiments.create",
      .method = "POST",
      .path = "/experiments",
      .scope = "experiments:write",
      .summary = "Draft an experiment.",
      .args = create_args,
      .answer = &experiment_type,
      .flags = ADMIN_CREATES,
      .check = check_models },
    { .id = "experiments.change",
      .method = "PATCH",
      .path = "/experiments/{name}",
      .scope = "experiments:write",
      .summary = "Change a draft; of one that runs, weights and description. Who has a variant "
                 "keeps it.",
      .args = change_args,
      .answer = &experiment_type,
      .check = check_models,
      .push = EXPERIMENTS_CHANNEL },
    { .id = "experiments.start",
      .method = "POST",
      .path = "/experiments/{name}/start",
      .scope = "experiments:write",
      .summary = "From now on it is tried on people.",
      .args = admin_name_args,
      .answer = &experiment_type,
      .push = EXPERIMENTS_CHANNEL },
    { .id = "experiments.stop",
      .method = "POST",
      .path = "/experiments/{name}/stop",
      .scope = "experiments:write",
      .summary = "From now on everybody gets the control.",
      .args = stop_args,
      .answer = &experiment_type,
      .push = EXPERIMENTS_CHANNEL },
    { .id = "experiments.results",
      .method = "GET",
      .path = "/experiments/{name}/results",
      .scope = "experiments:read",
      .summary = "How each variant fares, with intervals.",
      .args = admin_name_args,
      .answer = &results_type,
      .read = { "admin_experiments_results",
                "SELECT jsonb_build_object('name', e.name, 'status', e.status,"
                " 'arms', coalesce(e.outcome, experiment_results(e.name)))"
                " FROM experiments e WHERE e.name = $2->>'name'" } },
    { .id = NULL },
};
