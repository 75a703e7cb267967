/* configs: models, routes, budgets and chat settings that stand over the file's, in versions. */
#include "gateway/configs.h"
#include "gateway/admin/subjects.h"

#define CONTENT_HELP                                                                              \
    "What stands in the configuration file under the type's name: an array of objects, for chat " \
    "an object. Secrets as env:NAME or file:PATH."

static const struct admin_field config_fields[] = {
    { "type", ADMIN_WORD, ADMIN_REQUIRED, .words = config_types, .help = "What it configures." },
    { "version", ADMIN_INT, ADMIN_REQUIRED, .help = "Of this type, ascending." },
    { "is_active", ADMIN_BOOL, ADMIN_REQUIRED, .help = "It stands over the file." },
    { "note", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Why it was made." },
    { "created_by", ADMIN_TEXT, ADMIN_REQUIRED, .help = "By which key." },
    ADMIN_FIELD_CREATED_AT,
    { "activated_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "The last time; null: never." },
    { "content", ADMIN_ANY, .help = CONTENT_HELP },
    ADMIN_FIELD_ID,
    ADMIN_END,
};
static const struct admin_type config_type = { "Config", config_fields };

static const struct admin_field change_fields[] = {
    { "setting", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "Entry and key: gpt.base_url; (first): which entry is the default." },
    { "old", ADMIN_ANY, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Null: it was not there." },
    { "new", ADMIN_ANY, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Null: it is gone." },
    ADMIN_END,
};
static const struct admin_type change_type = { "ConfigChange", change_fields };

static const struct admin_field state_fields[] = {
    { "process", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Which one has answered." },
    { "types", ADMIN_ANY, ADMIN_REQUIRED,
      .help = "For each type the version in_force, 0 = the file; refused: one that cannot be "
              "applied there, and why." },
    ADMIN_END,
};
static const struct admin_type state_type = { "ConfigState", state_fields };

static const struct admin_field checked_fields[] = {
    { "well", ADMIN_BOOL, ADMIN_REQUIRED, .help = "True." },
    ADMIN_END,
};
static const struct admin_type checked_type = { "ConfigCheck", checked_fields };

#define TYPE                                                                        \
    {                                                                               \
        "type", ADMIN_WORD, ADMIN_REQUIRED, .words = config_types, .help = "Which." \
    }
#define VERSION                                                                              \
    {                                                                                        \
        "version", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its number, or active for that one." \
    }

static const struct admin_field list_args[] = {
    { "type", ADMIN_WORD, .words = config_types, .help = "Only these." },
    ADMIN_END,
};
static const struct admin_field version_args[] = { TYPE, VERSION, ADMIN_END };
static const struct admin_field diff_args[] = {
    TYPE,
    VERSION,
    { "from", ADMIN_TEXT,
      .help = "The version to compare with; absent: the active one; 0: empty." },
    ADMIN_END,
};
static const struct admin_field number_args[] = {
    TYPE,
    { "version", ADMIN_INT, ADMIN_REQUIRED, .min = 1, .max = INT32_MAX, .help = "Its number." },
    ADMIN_END,
};
static const struct admin_field type_args[] = { TYPE, ADMIN_END };
static const struct admin_field check_args[] = {
    TYPE,
    { "content", ADMIN_ANY, ADMIN_REQUIRED, .help = CONTENT_HELP },
    ADMIN_END,
};
static const struct admin_field create_args[] = {
    TYPE,
    { "content", ADMIN_ANY, ADMIN_REQUIRED, .help = CONTENT_HELP },
    { "note", ADMIN_TEXT, .min = 0, .max = 1000, .help = "Why it is made." },
    { "activate", ADMIN_BOOL, .help = "At once; else it waits for configs.activate." },
    ADMIN_END,
};

/*
 * By this process, together with what else is active; others may lack a variable, and say so. A row
 * without a type: there is nothing to check, the SQL says why.
 */
static bool can_apply(struct admin_call *call, struct str row, const char *field)
{
    struct err why = ERR_INIT;
    struct json *doc = NULL;
    struct str type = STR_NONE;
    json_parse(row, &doc, NULL);
    bool well = !json_get_str(doc, "type", &type) ||
                !configs_check(call->admin->app->configs, type, json_get(doc, "content"),
                               json_get(doc, "active"), &why);
    json_free(doc);
    if (!well) admin_problem(call, 422, field, "%s", why.msg);
    return well;
}

static bool check_given(struct admin_call *call, struct str row)
{
    return can_apply(call, row, "content");
}

/* What was in force once need not be possible any longer. */
static bool check_kept(struct admin_call *call, struct str row)
{
    return can_apply(call, row, "");
}

static enum flow_rc checked(struct admin_call *call)
{
    return admin_answer(call, 200, STR("{\"well\":true}"));
}

static enum flow_rc state(struct admin_call *call)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(64 * 1024);
    struct json_out to = JSON_OUT(&text);
    json_open(&to, '{');
    json_field_str(&to, "process", str_of(call->admin->app->owner));
    json_key(&to, "types");
    configs_state(call->admin->app->configs, &to);
    json_close(&to, '}');
    return admin_answer(call, 200, buf_str(&text));
}

#define ACTIVE "(SELECT jsonb_object_agg(config_type, content) FROM configurations WHERE is_active)"
#define WANTED(name, from)                                                                      \
    {                                                                                           \
        name, "SELECT jsonb_strip_nulls(jsonb_build_object('type', c.config_type)) ||"          \
              " jsonb_build_object('content', c.content, 'active', " ACTIVE ") FROM " from " c" \
    }
#define GIVEN                                                                               \
    {                                                                                       \
        "admin_configs_given", "SELECT jsonb_build_object('type', $2->>'type', 'content', " \
                               "$2->'content', 'active', " ACTIVE ") WHERE $1 IS NOT NULL"  \
    }

const struct admin_op admin_configs_ops[] = {
    { .id = "configs.list",
      .method = "GET",
      .path = "/configs",
      .scope = "configs:read",
      .summary = "All versions without their content, the newest first.",
      .args = list_args,
      .answer = &config_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_configs_list", "SELECT config_json(c) - 'content' FROM configurations c"
                                      " WHERE ($2->>'type' IS NULL OR c.config_type = $2->>'type')"
                                      " AND ($2->>'after' IS NULL OR c.id < ($2->>'after')::uuid)"
                                      " ORDER BY c.id DESC LIMIT ($2->>'limit')::integer" } },
    { .id = "configs.state",
      .method = "GET",
      .path = "/configs/state",
      .scope = "configs:read",
      .summary = "What is in force in the process that answers, and what it refuses.",
      .answer = &state_type,
      .run = state },
    { .id = "configs.get",
      .method = "GET",
      .path = "/configs/{type}/{version}",
      .scope = "configs:read",
      .summary = "One version.",
      .args = version_args,
      .answer = &config_type,
      .read = { "admin_configs_get",
                "SELECT config_json(c) FROM config_find($2->>'type', $2->>'version') c"
                " WHERE c.id IS NOT NULL" } },
    { .id = "configs.diff",
      .method = "GET",
      .path = "/configs/{type}/{version}/diff",
      .scope = "configs:read",
      .summary = "What differs between two versions, setting by setting.",
      .args = diff_args,
      .answer = &change_type,
      .flags = ADMIN_LIST,
      .cursor = "setting",
      .look = { "admin_configs_there", "SELECT to_jsonb(c.version) FROM config_find($2->>'type',"
                                       " $2->>'version') c WHERE c.id IS NOT NULL" },
      .read = { "admin_configs_diff",
                "SELECT to_jsonb(d) FROM config_find($2->>'type', $2->>'version') c,"
                " config_find($2->>'type', coalesce($2->>'from', 'active')) o,"
                " config_diff(o.content, c.content) d WHERE d.setting > coalesce($2->>'after', '')"
                " ORDER BY d.setting LIMIT ($2->>'limit')::integer" } },
    { .id = "configs.check",
      .method = "POST",
      .path = "/configs/check",
      .scope = "configs:read",
      .summary = "Could it be applied? Changes nothing; a no says which key is wrong.",
      .args = check_args,
      .answer = &checked_type,
      .look = GIVEN,
      .looked = check_given,
      .run = checked },
    { .id = "configs.create",
      .method = "POST",
      .path = "/configs",
      .scope = "configs:write",
      .summary = "Make a version; it is checked first, together with what else is in force.",
      .args = create_args,
      .answer = &config_type,
      .flags = ADMIN_CREATES,
      .look = GIVEN,
      .looked = check_given,
      .push = CONFIGS_PUSH },
    { .id = "configs.activate",
      .method = "POST",
      .path = "/configs/{type}/{version}/activate",
      .scope = "configs:write",
      .summary = "From now on this version stands over the file, in all processes.",
      .args = number_args,
      .answer = &config_type,
      .look = WANTED("admin_configs_wanted", "config_find($2->>'type', $2->>'version')"),
      .looked = check_kept,
      .push = CONFIGS_PUSH },
    { .id = "configs.rollback",
      .method = "POST",
      .path = "/configs/{type}/rollback",
      .scope = "configs:write",
      .summary = "Activate the newest version before the active one that was in force once.",
      .args = type_args,
      .answer = &config_type,
      .look = WANTED("admin_configs_before", "config_before($2->>'type')"),
      .looked = check_kept,
      .push = CONFIGS_PUSH },
    { .id = "configs.deactivate",
      .method = "POST",
      .path = "/configs/{type}/deactivate",
      .scope = "configs:write",
      .summary = "From now on the file alone decides.",
      .args = type_args,
      .look = { "admin_configs_without", "SELECT jsonb_build_object('type', '', 'active', " ACTIVE
                                         " - ($2->>'type')) WHERE $1 IS NOT NULL" },
      .looked = check_kept,
      .push = CONFIGS_PUSH },
    { .id = NULL },
};
