/* hooks: webhooks in, what other programs post to /hooks/NAME. */
#include "core/hook/in.h"
#include "core/hook/message.h"
#include "core/hook/signature.h"
#include "core/hook/template.h"
#include "gateway/admin/subjects.h"
#include "gateway/channels.h"

#define ID_BYTES       200
#define TEXT_BYTES_MAX (1u << 20)

static const char *const kinds[] = { "github", "standard", "key", NULL };
static const char *const modes[] = { "say", "ask", NULL };
static const char *const outcomes[] = { "message", "dropped", NULL };

#define PLACE_FIELDS(required)                                                             \
    { "channel", ADMIN_TEXT, (required),                                                   \
      .help = "The account of a channel, by its name in the "                              \
              "configuration." },                                                          \
        { "workspace", ADMIN_TEXT, .max = ID_BYTES,                                        \
          .help = "Slack's team or Discord's server; empty "                               \
                  "where there is none." },                                                \
        { "place",                                                                         \
          ADMIN_TEXT,                                                                      \
          (required),                                                                      \
          .min = 1,                                                                        \
          .max = ID_BYTES,                                                                 \
          .help = "The platform's id of "                                                  \
                  "the chat or channel." },                                                \
    {                                                                                      \
        "thread", ADMIN_TEXT, .max = ID_BYTES, .help = "Its thread or topic; empty: none." \
    }

#define TEXT_FIELDS                                                                  \
    { "template", ADMIN_TEXT, .max = TEMPLATE_MAX,                                   \
      .help = "Makes the message: Markdown with "                                    \
              "{{ fields }} of the JSON; empty: ready ones, for the kind github." }, \
        { "events", ADMIN_TEXTS,                                                     \
          .help = "Those that are taken, like push or issues.opened; none: "         \
                  "all." },                                                          \
        { "mode", ADMIN_WORD, .words = modes,                                        \
          .help = "say: the message is said as it is; ask: a "                       \
                  "model is asked with it, and its answer said." },                  \
        { "model", ADMIN_TEXT, .max = ID_BYTES,                                      \
          .help = "The model or route to ask; empty: the "                           \
                  "place's." },                                                      \
    {                                                                                \
        "is_active", ADMIN_BOOL, .help = "False: what comes is refused."             \
    }

static const struct admin_field hook_fields[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its address is /hooks/NAME." },
    { "kind", ADMIN_WORD, ADMIN_REQUIRED, .words = kinds,
      .help = "How senders show who they are." },
    PLACE_FIELDS(ADMIN_REQUIRED),
    TEXT_FIELDS,
    { "path", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Where to post to." },
    { "user_id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Whom its questions to models count for." },
    { "old_secret_until", ADMIN_TIME, ADMIN_NULLABLE,
      .help = "The secret before is good as well until then." },
    ADMIN_FIELD_VERSION,
    ADMIN_FIELD_CREATED_AT,
    { "updated_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When it was changed last." },
    { "secret", ADMIN_TEXT, ADMIN_ONCE, .help = "In the answer that made it, and never again." },
    ADMIN_END,
};
static const struct admin_type hook_type = { "Hook", hook_fields };

#define SECRET_FIELD                                                                            \
    {                                                                                           \
        "secret", ADMIN_TEXT,                                                                   \
            .min = 16, .max = ID_BYTES,                                                         \
            .help = "The sender's, where the sender makes it; absent: we make one and show it." \
    }
#define SAMPLE_FIELD                                                                            \
    {                                                                                           \
        "sample", ADMIN_ANY, .help = "Something that will come: the template is tried with it." \
    }

static const struct admin_field create_args[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .min = 1, .max = HOOK_NAME_MAX,
      .help = "Small letters, digits, - and _; its address is /hooks/NAME." },
    { "kind", ADMIN_WORD, ADMIN_REQUIRED, .words = kinds,
      .help = "github: X-Hub-Signature-256; standard: Standard Webhooks; key: an API key with the "
              "scope " HOOK_KEY_SCOPE "." },
    PLACE_FIELDS(ADMIN_REQUIRED),
    TEXT_FIELDS,
    SECRET_FIELD,
    SAMPLE_FIELD,
    ADMIN_END,
};
static const struct admin_field change_args[] = {
    ADMIN_FIELD_NAME, PLACE_FIELDS(0), TEXT_FIELDS, SAMPLE_FIELD, ADMIN_END,
};
static const struct admin_field rotate_args[] = {
    ADMIN_FIELD_NAME,
    SECRET_FIELD,
    { "overlap_hours", ADMIN_INT, .min = 0, .max = 720,
      .help = "Hours for which the secret before is good as well; absent: a day." },
    ADMIN_END,
};
static const struct admin_field try_args[] = {
    ADMIN_FIELD_NAME,
    { "payload", ADMIN_ANY, ADMIN_REQUIRED, .help = "What could come." },
    { "event", ADMIN_TEXT, .help = "As X-GitHub-Event would have it." },
    ADMIN_END,
};
static const struct admin_field trial_fields[] = {
    { "outcome", ADMIN_WORD, ADMIN_REQUIRED, .words = outcomes,
      .help = "What would become of it." },
    { "text", ADMIN_TEXT, .max = TEXT_BYTES_MAX, .help = "Of a message." },
    { "why", ADMIN_TEXT, .help = "It would be dropped." },
    ADMIN_END,
};
static const struct admin_type trial_type = { "HookTrial", trial_fields };

/* ---- what only C knows ---- */

static bool check_name(struct admin_call *call, struct str name)
{
    bool good = hook_name_is_good(name);
    for (size_t i = 0; channel_types[i] && good; i++)
        good = !str_eq(name, str_of(channel_types[i]->name));
    if (!good)
        admin_problem(call, 422, "name",
                      "name: small letters, digits, - and _, and not the type of a channel");
    return good;
}

static bool check_place(struct admin_call *call, struct json *args)
{
    struct app *app = call->admin->app;
    struct str channel, model;
    if (json_get_str(args, "channel", &channel) && !chat_channel(&app->chat, channel)) {
        admin_problem(call, 422, "channel", "channel: no account of this name is configured");
        return false;
    }
    if (json_get_str(args, "model", &model) && model.n && !routes_find(app->models, model)) {
        admin_problem(call, 422, "model", "model: there is no model or route of this name");
        return false;
    }
    return true;
}

static bool check_template(struct admin_call *call, struct json *args)
{
    struct str text;
    struct err why;
    if (!json_get_str(args, "template", &text)) return true;
    if (hook_template_check(text, json_get(args, "sample"), &why) == ERR_NONE) return true;
    admin_problem(call, 422, "template", "template: %s", why.msg);
    return false;
}

static bool put_secret(struct admin_call *call, struct json *args, struct json_out *more)
{
    uint8_t seal[32];
    struct str secret = STR_NONE;
    _cleanup_(buf_done) struct buf key = BUF_INIT(2 * ID_BYTES);
    json_get_str(args, "secret", &secret);
    hook_seal_key(str_of(call->admin->app->settings->admin.secret), seal);
    secret = admin_secret_seal(call, "hook", seal, secret, more);
    json_field_bool(more, "fits_standard", signature_secret_key(secret, &key));
    return true;
}

static bool check_secret(struct admin_call *call, struct json *args, struct json_out *more)
{
    struct str kind = STR_NONE, secret = STR_NONE;
    _cleanup_(buf_done) struct buf key = BUF_INIT(2 * ID_BYTES);
    json_get_str(args, "kind", &kind);
    bool given = json_get_str(args, "secret", &secret);
    if (str_eq(kind, STR("key"))) {
        if (given) admin_problem(call, 422, "secret", "secret: API keys open this kind");
        return !given;
    }
    if (given && str_eq(kind, STR("standard")) && !signature_secret_key(secret, &key)) {
        admin_problem(call, 422, "secret", "secret: whsec_ and the base64 of 24 to 64 bytes");
        return false;
    }
    return put_secret(call, args, more);
}

static bool create_check(struct admin_call *call, struct json *args, struct json_out *more)
{
    struct str name = STR_NONE;
    json_get_str(args, "name", &name);
    return check_name(call, name) && check_place(call, args) && check_template(call, args) &&
           check_secret(call, args, more);
}

static bool change_check(struct admin_call *call, struct json *args, struct json_out *more)
{
    (void)more;
    return check_place(call, args) && check_template(call, args);
}

/* ---- try ---- */

static enum flow_rc try_run(struct admin_call *call)
{
    store_hook(&call->admin->app->store, &call->flow.op, call->parts[0], &call->rows);
    return FLOW_WAIT;
}

static enum flow_rc answer_trial(struct admin_call *call, enum hook_outcome outcome,
                                 struct str text, const char *why)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(4 * TEXT_BYTES_MAX);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    json_field_str(&o, "outcome", str_of(outcomes[outcome]));
    if (outcome == HOOK_MESSAGE)
        json_field_str(&o, "text", text);
    else
        json_field_str(&o, "why", str_of(why));
    json_close(&o, '}');
    return admin_answer(call, 200, buf_str(&b));
}

static enum flow_rc try_ran(struct admin_call *call)
{
    struct hook_row hook;
    struct str event = STR_NONE;
    struct err why;
    _cleanup_(buf_done) struct buf text = BUF_INIT((size_t)call->admin->app->chat.conf.message_max);
    if (!store_hook_read(&call->rows, &hook))
        return admin_problem(call, 404, "name", "there is no such hook");
    json_get_str(call->given, "event", &event);
    enum hook_outcome outcome =
        hook_message(&hook, event, json_get(call->given, "payload"), &text, &why);
    if (outcome == HOOK_BROKEN) return admin_problem(call, 422, "payload", "%s", why.msg);
    return answer_trial(call, outcome, buf_str(&text), why.msg);
}

const struct admin_op admin_hooks_ops[] = {
    { .id = "hooks.list",
      .method = "GET",
      .path = "/hooks",
      .scope = "hooks:read",
      .summary = "All hooks, by name: webhooks that come in.",
      .answer = &hook_type,
      .flags = ADMIN_LIST,
      .cursor = "name",
      .read = { "admin_hooks_list",
                "SELECT hook_json(h) FROM hooks h WHERE h.name > coalesce($2->>'after', '')"
                " ORDER BY h.name LIMIT ($2->>'limit')::integer" } },
    { .id = "hooks.get",
      .method = "GET",
      .path = "/hooks/{name}",
      .scope = "hooks:read",
      .summary = "One hook.",
      .args = admin_name_args,
      .answer = &hook_type,
      .read = { "admin_hooks_get",
                "SELECT hook_json(h) FROM hooks h WHERE h.name = $2->>'name'" } },
    { .id = "hooks.create",
      .method = "POST",
      .path = "/hooks",
      .scope = "hooks:write",
      .summary = "Let a program post to a place; the answer shows the secret, once.",
      .args = create_args,
      .answer = &hook_type,
      .flags = ADMIN_CREATES,
      .check = create_check },
    { .id = "hooks.change",
      .method = "PATCH",
      .path = "/hooks/{name}",
      .scope = "hooks:write",
      .summary = "Change where it goes, what it says, or switch it off.",
      .args = change_args,
      .answer = &hook_type,
      .check = change_check },
    { .id = "hooks.rotate",
      .method = "POST",
      .path = "/hooks/{name}/rotate",
      .scope = "hooks:write",
      .summary = "A new secret, shown once; the one before is good as well for a while.",
      .args = rotate_args,
      .answer = &hook_type,
      .check = put_secret },
    { .id = "hooks.delete",
      .method = "DELETE",
      .path = "/hooks/{name}",
      .scope = "hooks:write",
      .summary = "From now on there is no such hook.",
      .args = admin_name_args,
      .answer = &hook_type },
    { .id = "hooks.try",
      .method = "POST",
      .path = "/hooks/{name}/try",
      .scope = "hooks:read",
      .summary = "What a hook would make of this, without saying it.",
      .args = try_args,
      .answer = &trial_type,
      .run = try_run,
      .ran = try_ran },
    { .id = NULL },
};
