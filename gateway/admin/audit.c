/* audit: the record of what was done, and whether anybody has touched it. */
#include "gateway/admin/subjects.h"

static const struct admin_field line_fields[] = {
    { "seq", ADMIN_INT, ADMIN_REQUIRED, .help = "Ascending, without gaps." },
    { "created_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When." },
    { "actor", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Who: the key's name." },
    { "event_type", ADMIN_TEXT, ADMIN_REQUIRED, .help = "What: flag.changed, key.created ..." },
    { "resource_type", ADMIN_TEXT, ADMIN_REQUIRED, .help = "To what kind of thing." },
    { "resource_id", ADMIN_TEXT, ADMIN_REQUIRED, .help = "To which." },
    { "ip_address", ADMIN_TEXT, ADMIN_REQUIRED, .help = "From where." },
    { "old_values", ADMIN_ANY, ADMIN_NULLABLE, .help = "Before." },
    { "new_values", ADMIN_ANY, ADMIN_NULLABLE, .help = "After." },
    { "user_id", ADMIN_UUID, ADMIN_NULLABLE, .help = "The person, if the key belongs to one." },
    { "api_key_id", ADMIN_UUID, ADMIN_NULLABLE, .help = "The key." },
    { "user_agent", ADMIN_TEXT, ADMIN_REQUIRED, .help = "With what." },
    { "previous_hash", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Of the line before." },
    { "hash", ADMIN_TEXT, ADMIN_REQUIRED, .help = "SHA-256 of this line and previous_hash." },
    ADMIN_END,
};
static const struct admin_type line_type = { "AuditLine", line_fields };

static const struct admin_field list_args[] = {
    { "event_type", ADMIN_TEXT, .help = "Only these." },
    { "resource_type", ADMIN_TEXT, .help = "Only about this kind of thing." },
    { "resource_id", ADMIN_TEXT, .help = "Only about this one." },
    ADMIN_END,
};

static const struct admin_field activity_fields[] = {
    { "seq", ADMIN_INT, ADMIN_REQUIRED, .help = "Of the line in the record." },
    { "created_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When." },
    { "text", ADMIN_TEXT, ADMIN_REQUIRED, .help = "A sentence." },
    { "actor", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Who." },
    { "user_id", ADMIN_UUID, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "The person, if the key belongs to one." },
    { "resource_type", ADMIN_TEXT, ADMIN_REQUIRED, .help = "To what kind of thing." },
    { "resource_id", ADMIN_TEXT, ADMIN_REQUIRED, .help = "To which." },
    ADMIN_END,
};
static const struct admin_type activity_type = { "Activity", activity_fields };

const struct admin_op admin_audit_ops[] = {
    { .id = "audit.list",
      .method = "GET",
      .path = "/audit",
      .scope = "audit:read",
      .summary = "What was done, the newest first.",
      .args = list_args,
      .answer = &line_type,
      .flags = ADMIN_LIST,
      .cursor = "seq",
      .read = { "admin_audit_list",
                "SELECT to_jsonb(l) FROM audit_logs l"
                " WHERE l.seq < coalesce(($2->>'after')::bigint, 9223372036854775807)"
                " AND ($2->>'event_type' IS NULL OR l.event_type = $2->>'event_type')"
                " AND ($2->>'resource_type' IS NULL OR l.resource_type = $2->>'resource_type')"
                " AND ($2->>'resource_id' IS NULL OR l.resource_id = $2->>'resource_id')"
                " ORDER BY l.seq DESC LIMIT ($2->>'limit')::integer" } },
    { .id = "audit.verify",
      .method = "GET",
      .path = "/audit/verify",
      .scope = "audit:read",
      .summary = "Has anybody edited, removed or reordered a line?",
      .answer = &admin_verify_type,
      .run = admin_verify_run,
      .ran = admin_verify_ran },
    { .id = "activity.list",
      .method = "GET",
      .path = "/activity",
      .scope = "activity:read",
      .summary = "What admins did, in words, the newest first.",
      .answer = &activity_type,
      .flags = ADMIN_LIST,
      .cursor = "seq",
      .read = { "admin_activity_list",
                "SELECT to_jsonb(a) FROM activity_feed a"
                " WHERE a.seq < coalesce(($2->>'after')::bigint, 9223372036854775807)"
                " ORDER BY a.seq DESC LIMIT ($2->>'limit')::integer" } },
    { .id = NULL },
};
