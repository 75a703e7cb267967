/* webhooks: who has subscribed to what happens, and what became of what was sent. */
#include "core/hook/out.h"
#include "core/hook/target.h"
#include "gateway/admin/subjects.h"

#define KEEP_MAX_S 2592000

static const char *const delivery_words[] = { "pending", "sending", "delivered", "dead", NULL };

static const struct admin_field subscription_fields[] = {
    ADMIN_FIELD_NAME,
    { "url", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Where webhooks are posted to." },
    { "events", ADMIN_TEXTS, ADMIN_REQUIRED, .help = "Which; subject.* and * stand for many." },
    { "is_active", ADMIN_BOOL, ADMIN_REQUIRED,
      .help = "False: nothing is sent, nor kept for later." },
    { "disabled_reason", ADMIN_TEXT, ADMIN_NULLABLE, .help = "Why we switched it off." },
    { "failing_since", ADMIN_TIME, ADMIN_NULLABLE, .help = "Nothing has arrived since." },
    { "channels", ADMIN_TEXTS, ADMIN_NULLABLE,
      .help = "Only what happens there; null: everything." },
    { "include_text", ADMIN_BOOL, ADMIN_REQUIRED,
      .help = "Texts of people and models are sent along." },
    { "old_secret_until", ADMIN_TIME, ADMIN_NULLABLE,
      .help = "The secret before signs as well until then." },
    { "created_by", ADMIN_TEXT, ADMIN_REQUIRED, .help = "By which key." },
    ADMIN_FIELD_CREATED_AT,
    { "updated_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When it was changed last." },
    ADMIN_FIELD_ID,
    ADMIN_FIELD_VERSION,
    { "secret", ADMIN_TEXT, ADMIN_ONCE,
      .help = "What receivers verify by: in the answer that made it, and never again." },
    ADMIN_END,
};
static const struct admin_type subscription_type = { "Webhook", subscription_fields };

static const struct admin_field create_args[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .min = 1, .max = 100,
      .help = "Letters, digits, _ . and -." },
    { "url", ADMIN_TEXT, ADMIN_REQUIRED, .min = 1, .max = TARGET_URL_MAX,
      .help = "Where to post to: https and public, unless webhooks.hosts has it." },
    { "events", ADMIN_TEXTS, ADMIN_REQUIRED,
      .help = "Which: message.answered, message.*, audit.*, * ..." },
    { "channels", ADMIN_TEXTS, ADMIN_NULLABLE, .help = "Only what happens in these." },
    { "include_text", ADMIN_BOOL, .help = "Send texts of people and models along." },
    ADMIN_END,
};
static const struct admin_field change_args[] = {
    ADMIN_FIELD_NAME,
    { "url", ADMIN_TEXT, .min = 1, .max = TARGET_URL_MAX, .help = "Where to post to." },
    { "events", ADMIN_TEXTS, .help = "Which: message.answered, message.*, audit.*, * ..." },
    { "channels", ADMIN_TEXTS, ADMIN_NULLABLE,
      .help = "Only what happens in these; null: everything." },
    { "include_text", ADMIN_BOOL, .help = "Send texts of people and models along." },
    { "is_active", ADMIN_BOOL, .help = "False: send nothing, and keep nothing for later." },
    ADMIN_END,
};
static const struct admin_field rotate_args[] = {
    ADMIN_FIELD_NAME,
    { "keep_s", ADMIN_INT, .min = 0, .max = KEEP_MAX_S,
      .help = "Seconds for which the secret before signs as well; absent: a day." },
    ADMIN_END,
};

static const struct admin_field delivery_fields[] = {
    { "id", ADMIN_UUID, ADMIN_REQUIRED, .help = "The webhook-id." },
    { "subscription", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Whose." },
    { "type", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The event." },
    { "status", ADMIN_WORD, ADMIN_REQUIRED, .words = delivery_words, .help = "What became of it." },
    { "attempts", ADMIN_INT, ADMIN_REQUIRED, .help = "How often it was sent." },
    { "last_status", ADMIN_INT, ADMIN_NULLABLE, .help = "What the receiver answered." },
    { "last_error", ADMIN_TEXT, ADMIN_NULLABLE, .help = "Why it failed the last time." },
    { "next_attempt_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When it is tried again, if it is." },
    { "created_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When it happened." },
    { "finished_at", ADMIN_TIME, ADMIN_NULLABLE, .help = "When it was delivered or given up." },
    ADMIN_END,
};
static const struct admin_type delivery_type = { "WebhookDelivery", delivery_fields };

static const struct admin_field deliveries_args[] = {
    ADMIN_FIELD_NAME,
    { "status", ADMIN_WORD, .words = delivery_words, .help = "Only these." },
    ADMIN_END,
};
static const struct admin_field replay_args[] = {
    ADMIN_FIELD_NAME,
    { "delivery", ADMIN_UUID, .help = "Which; absent: all dead letters of it." },
    ADMIN_END,
};
static const struct admin_field replay_fields[] = {
    { "replayed", ADMIN_INT, ADMIN_REQUIRED, .help = "How many are sent again." },
    ADMIN_END,
};
static const struct admin_type replay_type = { "WebhookReplay", replay_fields };

/* An address that nothing would be sent to is not kept. */
static bool check_url(struct admin_call *call, struct json *args, struct json_out *more)
{
    struct str url;
    struct err why;
    (void)more;
    if (!json_get_str(args, "url", &url)) return true;
    if (!target_check(url, &call->admin->app->settings->webhooks.hosts, &why)) return true;
    admin_problem(call, 422, "url", "%s", why.msg);
    return false;
}

static bool put_secret(struct admin_call *call, struct json *args, struct json_out *more)
{
    uint8_t key[32];
    (void)args;
    hooks_out_key(str_of(call->admin->app->settings->admin.secret), key);
    admin_secret_seal(call, "webhook", key, STR_NONE, more);
    return true;
}

static bool check_create(struct admin_call *call, struct json *args, struct json_out *more)
{
    return check_url(call, args, more) && put_secret(call, args, more);
}

const struct admin_op admin_webhooks_ops[] = {
    { .id = "webhooks.list",
      .method = "GET",
      .path = "/webhooks",
      .scope = "webhooks:read",
      .summary = "All subscriptions to events, by name.",
      .answer = &subscription_type,
      .flags = ADMIN_LIST,
      .cursor = "name",
      .read = { "admin_webhooks_list",
                "SELECT webhook_view(s) FROM webhook_subscriptions s WHERE s.name >"
                " coalesce($2->>'after', '') ORDER BY s.name LIMIT ($2->>'limit')::integer" } },
    { .id = "webhooks.get",
      .method = "GET",
      .path = "/webhooks/{name}",
      .scope = "webhooks:read",
      .summary = "One subscription.",
      .args = admin_name_args,
      .answer = &subscription_type,
      .read = { "admin_webhooks_get",
                "SELECT webhook_view(s) FROM webhook_subscriptions s WHERE s.name = $2->>'name'" } },
    { .id = "webhooks.create",
      .method = "POST",
      .path = "/webhooks",
      .scope = "webhooks:write",
      .summary = "Subscribe an address to events; the answer shows its secret, once.",
      .args = create_args,
      .answer = &subscription_type,
      .flags = ADMIN_CREATES,
      .check = check_create },
    { .id = "webhooks.change",
      .method = "PATCH",
      .path = "/webhooks/{name}",
      .scope = "webhooks:write",
      .summary = "Change what is sent and where to, or switch it on and off.",
      .args = change_args,
      .answer = &subscription_type,
      .check = check_url },
    { .id = "webhooks.delete",
      .method = "DELETE",
      .path = "/webhooks/{name}",
      .scope = "webhooks:write",
      .summary = "End a subscription; what waits is not sent.",
      .args = admin_name_args },
    { .id = "webhooks.rotate",
      .method = "POST",
      .path = "/webhooks/{name}/rotate",
      .scope = "webhooks:write",
      .summary = "A new secret, shown once; the one before signs as well for a while.",
      .args = rotate_args,
      .answer = &subscription_type,
      .check = put_secret },
    { .id = "webhooks.test",
      .method = "POST",
      .path = "/webhooks/{name}/test",
      .scope = "webhooks:write",
      .summary = "Send an event webhook.test.",
      .args = admin_name_args,
      .answer = &delivery_type },
    { .id = "webhooks.deliveries",
      .method = "GET",
      .path = "/webhooks/{name}/deliveries",
      .scope = "webhooks:read",
      .summary = "What was sent and waits, the newest first.",
      .args = deliveries_args,
      .answer = &delivery_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_webhooks_deliveries",
                /* In the order of the index by subscription, as in keys.uses. */
                "WITH this AS (SELECT id FROM webhook_subscriptions WHERE name = $2->>'name')"
                " SELECT webhook_delivery_view(d) FROM webhook_deliveries d"
                " WHERE d.subscription_id >= (SELECT id FROM this) AND (d.subscription_id, d.id) <"
                "  ((SELECT id FROM this),"
                "   coalesce(($2->>'after')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))"
                " AND ($2->>'status' IS NULL OR d.status = $2->>'status')"
                " ORDER BY d.subscription_id DESC, d.id DESC LIMIT ($2->>'limit')::integer" } },
    { .id = "webhooks.replay",
      .method = "POST",
      .path = "/webhooks/{name}/replay",
      .scope = "webhooks:write",
      .summary = "Send a delivery again, or all dead letters of a subscription.",
      .args = replay_args,
      .answer = &replay_type },
    { .id = NULL },
};
