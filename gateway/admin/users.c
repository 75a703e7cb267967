/* users: people, what they may, and what is kept about them. */
#include "gateway/admin/subjects.h"

static const char *const roles[] = { "admin", "manager", "user", "service", NULL };

static const struct admin_field user_fields[] = {
    { "id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Their id." },
    { "username", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "As the first app named them." },
    { "role", ADMIN_WORD, ADMIN_REQUIRED, .words = roles,
      .help = "admin, manager, user or service." },
    { "is_active", ADMIN_BOOL, ADMIN_REQUIRED,
      .help = "False: blocked, or another person since they linked." },
    { "created_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When they first wrote." },
    { "spent", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "US dollars, of budgets: {day, month}." },
    { "identities", ADMIN_ANY, ADMIN_REQUIRED, .help = "Who they are in each app." },
    { "email", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "If an admin noted one." },
    { "github_username", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "If an admin noted one." },
    { "preferred_model", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "By `/model NAME always`." },
    { "budget_day", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "US dollars a day; null: as configured." },
    { "budget_month", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "US dollars a month." },
    { "approved_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Let in, where a channel asks for it." },
    { "forget_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "They are being erased." },
    { "merged_into", ADMIN_UUID, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "The person they turned out to be." },
    { "metadata", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "Yours." },
    ADMIN_FIELD_VERSION,
    ADMIN_END,
};
static const struct admin_type user_type = { "User", user_fields };

static const struct admin_field list_args[] = {
    { "q", ADMIN_TEXT, .min = 1, .max = 200, .help = "Part of a name, or an app's id of them." },
    { "role", ADMIN_WORD, .words = roles, .help = "Only these." },
    { "channel_type", ADMIN_TEXT, .help = "Only who is in this app." },
    ADMIN_END,
};
static const struct admin_field change_args[] = {
    ADMIN_FIELD_ID,
    { "role", ADMIN_WORD, .words = roles, .help = "Admins can do more in chats, too." },
    { "is_active", ADMIN_BOOL, .help = "False: they are answered no more." },
    { "approved", ADMIN_BOOL, .help = "Let in, where a channel asks for it." },
    { "budget_day", ADMIN_NUMBER, ADMIN_NULLABLE, .min = 0, .max = 999999,
      .help = "US dollars a day; null: as configured, 0: only what is free." },
    { "budget_month", ADMIN_NUMBER, ADMIN_NULLABLE, .min = 0, .max = 999999,
      .help = "US dollars a month." },
    { "username", ADMIN_TEXT, ADMIN_NULLABLE, .min = 1, .max = 200, .help = "A name." },
    { "email", ADMIN_TEXT, ADMIN_NULLABLE, .min = 3, .max = 320, .help = "An address." },
    { "github_username", ADMIN_TEXT, ADMIN_NULLABLE, .min = 1, .max = 100, .help = "On GitHub." },
    { "preferred_model", ADMIN_TEXT, ADMIN_NULLABLE, .min = 1, .max = 128,
      .help = "Null: as configured." },
    { "metadata", ADMIN_OBJECT, .help = "Yours." },
    ADMIN_END,
};
static const struct admin_field link_args[] = {
    { "id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Who turns out to be somebody else." },
    { "into", ADMIN_UUID, ADMIN_REQUIRED, .help = "Whom." },
    ADMIN_END,
};
static const struct admin_field unlink_args[] = {
    ADMIN_FIELD_ID,
    { "channel_type", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The app." },
    { "channel_user_id", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its id of them." },
    ADMIN_END,
};

static const struct admin_field export_args[] = {
    ADMIN_FIELD_ID,
    { "before", ADMIN_UUID, .help = "What the newer part gave as `older`." },
    ADMIN_END,
};
static const struct admin_field export_fields[] = {
    { "exported_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When." },
    { "older", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "?before=ID of the part before this one." },
    { "people", ADMIN_ANY, ADMIN_REQUIRED, .help = "They, and who they were before they linked." },
    { "identities", ADMIN_ANY, ADMIN_REQUIRED, .help = "Who they are in each app." },
    { "conversations", ADMIN_ANY, ADMIN_REQUIRED, .help = "Theirs." },
    { "messages", ADMIN_ANY, ADMIN_REQUIRED, .help = "Theirs, and the answers." },
    { "requests", ADMIN_ANY, ADMIN_REQUIRED, .help = "How each was answered." },
    { "costs", ADMIN_ANY, ADMIN_REQUIRED, .help = "What it cost." },
    { "attachments", ADMIN_ANY, ADMIN_REQUIRED, .help = "Files on the web page." },
    { "cached_answers", ADMIN_ANY, ADMIN_REQUIRED, .help = "That may be given again." },
    { "experiments", ADMIN_ANY, ADMIN_REQUIRED, .help = "Which variants they have." },
    { "flags", ADMIN_ANY, ADMIN_REQUIRED, .help = "Rules that name them." },
    { "api_keys", ADMIN_ANY, ADMIN_REQUIRED, .help = "Theirs, without what opens them." },
    { "votes", ADMIN_ANY, ADMIN_REQUIRED, .help = "What they thought of answers." },
    ADMIN_END,
};
static const struct admin_type export_type = { "Export", export_fields };

const struct admin_op admin_users_ops[] = {
    { .id = "users.list",
      .method = "GET",
      .path = "/users",
      .scope = "people:read",
      .summary = "People, who came last first.",
      .args = list_args,
      .answer = &user_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_users_list",
                "SELECT user_json(u) FROM users u WHERE u.merged_into IS NULL"
                " AND u.id < coalesce(($2->>'after')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')"
                " AND ($2->>'role' IS NULL OR u.role = $2->>'role')"
                " AND ($2->>'channel_type' IS NULL OR EXISTS (SELECT 1 FROM identities d"
                "  WHERE d.user_id = u.id AND d.channel_type = $2->>'channel_type'))"
                " AND ($2->>'q' IS NULL OR strpos(lower(u.username), lower($2->>'q')) > 0"
                "  OR EXISTS (SELECT 1 FROM identities d WHERE d.user_id = u.id"
                "   AND (d.channel_user_id = $2->>'q' OR strpos(lower(d.username), lower($2->>'q')) > 0"
                "    OR strpos(lower(d.display_name), lower($2->>'q')) > 0)))"
                " ORDER BY u.id DESC LIMIT ($2->>'limit')::integer" } },
    { .id = "users.get",
      .method = "GET",
      .path = "/users/{id}",
      .scope = "people:read",
      .summary = "One person.",
      .args = admin_id_args,
      .answer = &user_type,
      .read = { "admin_users_get",
                "SELECT user_json(u) FROM users u WHERE u.id = ($2->>'id')::uuid" } },
    { .id = "users.change",
      .method = "PATCH",
      .path = "/users/{id}",
      .scope = "people:write",
      .summary = "Change what a person may, or what is noted about them.",
      .args = change_args,
      .answer = &user_type },
    { .id = "users.link",
      .method = "POST",
      .path = "/users/{id}/link",
      .scope = "people:write",
      .summary = "Two are one person: the first becomes the second.",
      .args = link_args,
      .answer = &user_type },
    { .id = "users.unlink",
      .method = "POST",
      .path = "/users/{id}/unlink",
      .scope = "people:write",
      .summary = "One of a person's identities becomes a person of its own.",
      .args = unlink_args,
      .answer = &user_type },
    { .id = "users.export",
      .method = "GET",
      .path = "/users/{id}/export",
      .scope = "people:export",
      .summary = "All that is kept about a person, in parts of 2000 messages, the newest first.",
      .args = export_args,
      .answer = &export_type,
      .read = { "admin_users_export", "SELECT export_person(u.id, coalesce(($2->>'before')::uuid,"
                                      " 'ffffffff-ffff-ffff-ffff-ffffffffffff'), 2000)::jsonb"
                                      " FROM users u WHERE u.id = ($2->>'id')::uuid" } },
    { .id = "users.forget",
      .method = "POST",
      .path = "/users/{id}/forget",
      .scope = "people:write",
      .summary = "Erase a person and all that is kept about them.",
      .args = admin_id_args,
      .answer = &user_type },
    { .id = NULL },
};
