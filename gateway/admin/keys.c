/* keys: who may use this API. */
#include "core/net/sign.h"
#include "gateway/admin/key.h"
#include "gateway/admin/subjects.h"

static const char *const roles[] = { "admin", "manager", "user", "service", NULL };

static const struct admin_field key_fields[] = {
    { "prefix", ADMIN_TEXT, ADMIN_REQUIRED, .help = "What names it: the key is parley_PREFIX_..." },
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Whose it is, or what for." },
    { "role", ADMIN_WORD, ADMIN_REQUIRED, .words = roles, .help = "The role it was made with." },
    { "is_active", ADMIN_BOOL, ADMIN_REQUIRED, .help = "False: revoked." },
    { "last_used_at", ADMIN_TIME, ADMIN_NULLABLE, .help = "Null: never." },
    { "expires_at", ADMIN_TIME, ADMIN_NULLABLE, .help = "Null: never." },
    { "permissions", ADMIN_TEXTS, ADMIN_REQUIRED, .help = "Scopes; area:* and * stand for many." },
    ADMIN_FIELD_ID,
    { "rate_limit_override", ADMIN_INT, ADMIN_NULLABLE,
      .help = "Requests a minute; null: as configured." },
    { "budget_day", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "US dollars a day; null: no limit of its own." },
    { "budget_month", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "US dollars a month." },
    { "user_id", ADMIN_UUID, ADMIN_NULLABLE, .help = "The person it belongs to." },
    { "metadata", ADMIN_OBJECT, .help = "Yours." },
    ADMIN_FIELD_VERSION,
    ADMIN_FIELD_CREATED_AT,
    { "key", ADMIN_TEXT, ADMIN_ONCE,
      .help = "The key itself: in the answer to its creation, and never again." },
    ADMIN_END,
};
static const struct admin_type key_type = { "Key", key_fields };

static const struct admin_field key_id[] = {
    { "id", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Id or prefix." },
    ADMIN_END,
};
static const struct admin_field create_args[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .min = 1, .max = 200,
      .help = "Whose it is, or what for." },
    { "role", ADMIN_WORD, ADMIN_REQUIRED, .words = roles,
      .help =
          "admin may everything, manager all but people, keys and secrets; user and service what "
          "permissions say." },
    { "permissions", ADMIN_TEXTS, .help = "Instead of the role's: flags:read, flags:*, * ..." },
    { "expires_at", ADMIN_TIME, .help = "It works until then; absent: for ever." },
    { "rate_limit_override", ADMIN_INT, .min = 1, .max = CACHE_RATE_MAX,
      .help = "Requests a minute." },
    { "budget_day", ADMIN_NUMBER, .min = 0, .max = 999999,
      .help = "US dollars a day; 0: only what is free." },
    { "budget_month", ADMIN_NUMBER, .min = 0, .max = 999999, .help = "US dollars a month." },
    { "user_id", ADMIN_UUID, .help = "The person it belongs to." },
    { "metadata", ADMIN_OBJECT, .help = "Yours." },
    ADMIN_END,
};
static const struct admin_field change_args[] = {
    { "id", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Id or prefix." },
    { "name", ADMIN_TEXT, .min = 1, .max = 200, .help = "Whose it is, or what for." },
    { "permissions", ADMIN_TEXTS, .help = "What it may from now on." },
    { "expires_at", ADMIN_TIME, ADMIN_NULLABLE, .help = "It works until then; null: for ever." },
    { "rate_limit_override", ADMIN_INT, ADMIN_NULLABLE, .min = 1, .max = CACHE_RATE_MAX,
      .help = "Requests a minute; null: as configured." },
    { "budget_day", ADMIN_NUMBER, ADMIN_NULLABLE, .min = 0, .max = 999999,
      .help = "US dollars a day; null: no limit of its own." },
    { "budget_month", ADMIN_NUMBER, ADMIN_NULLABLE, .min = 0, .max = 999999,
      .help = "US dollars a month." },
    { "metadata", ADMIN_OBJECT, .help = "Yours." },
    ADMIN_END,
};

static const struct admin_field use_fields[] = {
    { "id", ADMIN_INT, ADMIN_REQUIRED, .help = "Ascending." },
    { "created_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When." },
    { "action", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "used, refused: WHY, created, changed, revoked." },
    { "endpoint", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The operation; of a change: who made it." },
    { "ip_address", ADMIN_TEXT, ADMIN_REQUIRED, .help = "From where." },
    { "user_agent", ADMIN_TEXT, ADMIN_REQUIRED, .help = "With what." },
    ADMIN_END,
};
static const struct admin_type use_type = { "KeyUse", use_fields };

/* What the database keeps of a new key; the key itself goes into this one answer. */
static bool create_check(struct admin_call *call, struct json *args, struct json_out *more)
{
    uint8_t secret[32];
    char text[KEY_TEXT_MAX];
    struct key_parts parts;
    (void)args;
    admin_secret_new(call, "key", secret);
    key_text(secret, text);
    key_parts(&call->arena, call->admin, str_of(text), &parts);
    json_field_str(more, "key_hash", parts.hash);
    json_field_str(more, "key_prefix", parts.prefix);
    admin_secret_show(call, "key", str_of(text));
    return true;
}

const struct admin_op admin_keys_ops[] = {
    { .id = "keys.list",
      .method = "GET",
      .path = "/keys",
      .scope = "keys:read",
      .summary = "All keys, the newest first.",
      .answer = &key_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_keys_list",
                "SELECT key_json(k) FROM api_keys k WHERE ($2->>'after' IS NULL OR"
                " k.id < ($2->>'after')::uuid) ORDER BY k.id DESC LIMIT ($2->>'limit')::integer" } },
    { .id = "keys.get",
      .method = "GET",
      .path = "/keys/{id}",
      .scope = "keys:read",
      .summary = "One key.",
      .args = key_id,
      .answer = &key_type,
      .read = { "admin_keys_get", "SELECT key_json(k) FROM api_keys k WHERE k.id::text = $2->>'id'"
                                  " OR k.key_prefix = $2->>'id'" } },
    { .id = "keys.create",
      .method = "POST",
      .path = "/keys",
      .scope = "keys:write",
      .summary = "Make a key; the answer shows it, once.",
      .args = create_args,
      .answer = &key_type,
      .flags = ADMIN_CREATES,
      .check = create_check },
    { .id = "keys.change",
      .method = "PATCH",
      .path = "/keys/{id}",
      .scope = "keys:write",
      .summary = "Change what a key may, for how long, how often.",
      .args = change_args,
      .answer = &key_type },
    { .id = "keys.revoke",
      .method = "DELETE",
      .path = "/keys/{id}",
      .scope = "keys:write",
      .summary = "From now on this key opens nothing.",
      .args = key_id,
      .answer = &key_type },
    { .id = "keys.uses",
      .method = "GET",
      .path = "/keys/{id}/uses",
      .scope = "keys:read",
      .summary = "What was done with a key, the newest first.",
      .args = key_id,
      .answer = &use_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_keys_uses",
                /*
                 * Not api_key_id = ...: of which key is not known when this is planned, and the
                 * planner would go through the uses of all keys, far for one that is seldom used.
                 */
                "WITH this AS (SELECT id FROM api_keys WHERE id::text = $2->>'id' OR key_prefix = $2->>'id')"
                " SELECT to_jsonb(l) - 'api_key_id' - 'request_id' FROM api_key_audit_log l"
                " WHERE l.api_key_id >= (SELECT id FROM this) AND (l.api_key_id, l.id) <"
                "  ((SELECT id FROM this), coalesce(($2->>'after')::bigint, 9223372036854775807))"
                " ORDER BY l.api_key_id DESC, l.id DESC LIMIT ($2->>'limit')::integer" } },
    { .id = NULL },
};
