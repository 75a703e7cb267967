/* flags: behaviours that are switched while the program runs. */
#include "core/flag/flags.h"
#include "core/flag/json.h"
#include "gateway/admin/subjects.h"

static const char *const types[] = { "boolean", "number", "text", NULL };
static const char *const reaches[] = { "anybody", "place", "global", NULL };
static const char *const units[] = { "person", "place", NULL };

static const struct admin_field flag_fields[] = {
    ADMIN_FIELD_NAME,
    { "value", ADMIN_ANY, ADMIN_REQUIRED, .help = "For whom no rule is about; null: the default." },
    { "default", ADMIN_ANY, ADMIN_REQUIRED, .help = "Null: as configured." },
    { "is_killed", ADMIN_BOOL, ADMIN_REQUIRED, .help = "True: off for everyone." },
    { "help", ADMIN_TEXT, ADMIN_REQUIRED, .help = "What it switches." },
    { "type", ADMIN_WORD, ADMIN_REQUIRED, .words = types, .help = "Of its values." },
    { "rules", ADMIN_ANY, ADMIN_REQUIRED,
      .help = "A list: id, what each is about (null: anything), value, percent, unit, times." },
    { "words", ADMIN_ANY, ADMIN_REQUIRED, .help = "What a text may be; null: anything." },
    { "min", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Of a number, or bytes of a text." },
    { "max", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Of a number, or bytes of a text." },
    { "reach", ADMIN_WORD, ADMIN_REQUIRED, .words = reaches,
      .help = "What rules it may have: anybody, place (none about people), global (none)." },
    ADMIN_FIELD_VERSION,
    { "updated_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Null: never touched." },
    { "updated_by", ADMIN_TEXT, ADMIN_REQUIRED, .help = "By which key." },
    ADMIN_END,
};
static const struct admin_type flag_type = { "Flag", flag_fields };

static const struct admin_field value_fields[] = {
    ADMIN_FIELD_NAME,
    { "value", ADMIN_ANY, ADMIN_REQUIRED, .help = "What they get; null: as configured." },
    { "by", ADMIN_TEXT, ADMIN_REQUIRED,
      .help =
          "What decided: kill switch, experiment, person, thread, place, workspace, channel, type, "
          "everybody, global, default." },
    { "rule", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "The rule, if it was one." },
    { "revision", ADMIN_INT, ADMIN_REQUIRED, .help = "Of the flags in the process that answers." },
    ADMIN_END,
};
static const struct admin_type value_type = { "FlagValue", value_fields };

static const struct admin_field set_args[] = {
    ADMIN_FIELD_NAME,
    { "value", ADMIN_ANY, ADMIN_REQUIRED, .help = "From now on; null: the default again." },
    ADMIN_END,
};

#define ABOUT                                                                                \
    { "person", ADMIN_UUID, .help = "This person." },                                        \
        { "channel_type", ADMIN_TEXT, .help = "Platforms of this type: web, slack ..." },    \
        { "channel", ADMIN_TEXT, .help = "The channel of this name in the configuration." }, \
        { "workspace", ADMIN_TEXT, .help = "The platform's id: a workspace, a server." },    \
        { "place", ADMIN_TEXT, .help = "The platform's id: a channel, a group, a chat." },   \
    {                                                                                        \
        "thread", ADMIN_TEXT, .help = "The platform's id of a thread in that place."         \
    }

#define PERCENT_HELP "Of how many it holds, 0 to 100 in steps of 0.01; growing it keeps who is in."
#define UNIT_HELP    "What the percentage is of."

static const struct admin_field add_args[] = {
    ADMIN_FIELD_NAME,
    { "value", ADMIN_ANY, ADMIN_REQUIRED, .help = "What they get." },
    ABOUT,
    { "percent", ADMIN_NUMBER, .min = 0, .max = 100, .help = PERCENT_HELP },
    { "unit", ADMIN_WORD, .words = units, .help = UNIT_HELP },
    { "starts_at", ADMIN_TIME, .help = "It holds from then on; absent: at once." },
    { "ends_at", ADMIN_TIME, .help = "It holds until then; absent: for ever." },
    ADMIN_END,
};

#define RULE                                                             \
    {                                                                    \
        "rule", ADMIN_INT, ADMIN_REQUIRED, .help = "The id of the rule." \
    }

static const struct admin_field change_args[] = {
    ADMIN_FIELD_NAME,
    RULE,
    { "value", ADMIN_ANY, .help = "What they get." },
    { "percent", ADMIN_NUMBER, .min = 0, .max = 100, .help = PERCENT_HELP },
    { "unit", ADMIN_WORD, .words = units, .help = UNIT_HELP },
    { "starts_at", ADMIN_TIME, ADMIN_NULLABLE, .help = "From then on; null: at once." },
    { "ends_at", ADMIN_TIME, ADMIN_NULLABLE, .help = "Until then; null: for ever." },
    ADMIN_END,
};

static const struct admin_field drop_args[] = { ADMIN_FIELD_NAME, RULE, ADMIN_END };

static const struct admin_field evaluate_args[] = { ADMIN_FIELD_NAME, ABOUT, ADMIN_END };

/* ---- evaluate: as a turn of that person, in that place, would ask in this process ---- */

static struct str text_of(const struct admin_call *call, const char *key)
{
    struct str s = STR_NONE;
    json_get_str(call->given, key, &s);
    return s;
}

/* A channel that this process has is of its type, whatever was asked. */
static struct str type_of(const struct admin_call *call, struct str channel)
{
    const struct channel *ch = chat_channel(&call->admin->app->chat, channel);
    return ch ? str_of(ch->type->name) : text_of(call, "channel_type");
}

static enum flow_rc answer_for(struct admin_call *call, struct uuid person)
{
    const struct flags *flags = call->admin->app->flags;
    enum flag_id id = flag_by_name(text_of(call, "name"));
    if (id == FLAG_N) return admin_problem(call, 404, "name", "there is no such flag");
    struct flag_who who = { .channel = text_of(call, "channel"),
                            .workspace = text_of(call, "workspace"),
                            .place = text_of(call, "place"),
                            .thread = text_of(call, "thread"),
                            .person = person };
    who.channel_type = type_of(call, who.channel);
    flag_who_ready(&who);
    struct flag_why why;
    const struct flag_value *v = flag_find(flags, id, &who, &why);
    _cleanup_(buf_done) struct buf b = BUF_INIT(ADMIN_BODY_MAX);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    json_field_str(&o, "name", str_of(flag_specs[id].name));
    json_key(&o, "value");
    flag_json_value(&o, flag_specs[id].type, v);
    json_field_str(&o, "by", str_of(flag_by_words[why.by]));
    json_key(&o, "rule");
    if (why.rule)
        json_put_i64(&o, why.rule);
    else
        json_put_null(&o);
    json_field_i64(&o, "revision", flags_revision(flags));
    json_close(&o, '}');
    return admin_answer(call, 200, buf_str(&b));
}

static const struct pg_stmt person_stmt = { "admin_flags_person",
                                            "SELECT coalesce(merged_into, id) FROM users"
                                            " WHERE id = ($1->>'person')::uuid" };

static enum flow_rc evaluate(struct admin_call *call)
{
    struct uuid nobody = { .b = { 0 } };
    if (!json_get(call->given, "person")) return answer_for(call, nobody);
    call->values[0] = pg_json(buf_str(&call->args));
    pg_query(call->admin->app->pg, &call->flow.op, &person_stmt, call->values, 1, &call->rows);
    return FLOW_WAIT;
}

static enum flow_rc evaluated(struct admin_call *call)
{
    if (call->rows.n == 0) return admin_problem(call, 422, "person", "there is no such person");
    return answer_for(call, pg_rows_uuid(&call->rows, 0, 0));
}

/* ---- the table ---- */

const struct admin_op admin_flags_ops[] = {
    { .id = "flags.list",
      .method = "GET",
      .path = "/flags",
      .scope = "flags:read",
      .summary = "All flags, by name.",
      .answer = &flag_type,
      .flags = ADMIN_LIST,
      .cursor = "name",
      .read = { "admin_flags_list",
                "SELECT flag_row(name) FROM flag_registry WHERE name > coalesce($2->>'after', '')"
                " ORDER BY name LIMIT ($2->>'limit')::integer" } },
    { .id = "flags.get",
      .method = "GET",
      .path = "/flags/{name}",
      .scope = "flags:read",
      .summary = "One flag, with its rules.",
      .args = admin_name_args,
      .answer = &flag_type,
      .read = { "admin_flags_get", "SELECT flag_row($2->>'name')" } },
    { .id = "flags.set",
      .method = "PUT",
      .path = "/flags/{name}",
      .scope = "flags:write",
      .summary = "The value of a flag for everybody whom no rule is about.",
      .args = set_args,
      .answer = &flag_type,
      .push = FLAGS_CHANNEL },
    { .id = "flags.reset",
      .method = "DELETE",
      .path = "/flags/{name}",
      .scope = "flags:write",
      .summary = "Back to the default: no value, no rules, not killed.",
      .args = admin_name_args,
      .answer = &flag_type,
      .push = FLAGS_CHANNEL },
    { .id = "flags.kill",
      .method = "POST",
      .path = "/flags/{name}/kill",
      .scope = "flags:write",
      .summary = "Off for everyone, at once, whatever the rules say.",
      .args = admin_name_args,
      .answer = &flag_type,
      .push = FLAGS_CHANNEL },
    { .id = "flags.revive",
      .method = "POST",
      .path = "/flags/{name}/revive",
      .scope = "flags:write",
      .summary = "The end of flags.kill: value and rules count again.",
      .args = admin_name_args,
      .answer = &flag_type,
      .push = FLAGS_CHANNEL },
    { .id = "flags.evaluate",
      .method = "GET",
      .path = "/flags/{name}/value",
      .scope = "flags:read",
      .summary = "What somebody somewhere gets, and what decided.",
      .args = evaluate_args,
      .answer = &value_type,
      .run = evaluate,
      .ran = evaluated },
    { .id = "flags.rules.add",
      .method = "POST",
      .path = "/flags/{name}/rules",
      .scope = "flags:write",
      .summary = "Another value for some: the most specific rule decides.",
      .args = add_args,
      .answer = &flag_type,
      .flags = ADMIN_CREATES,
      .push = FLAGS_CHANNEL },
    { .id = "flags.rules.change",
      .method = "PATCH",
      .path = "/flags/{name}/rules/{rule}",
      .scope = "flags:write",
      .summary = "Change the value, the percentage or the time of a rule.",
      .args = change_args,
      .answer = &flag_type,
      .push = FLAGS_CHANNEL },
    { .id = "flags.rules.drop",
      .method = "DELETE",
      .path = "/flags/{name}/rules/{rule}",
      .scope = "flags:write",
      .summary = "One rule less.",
      .args = drop_args,
      .answer = &flag_type,
      .push = FLAGS_CHANNEL },
    { .id = NULL },
};
