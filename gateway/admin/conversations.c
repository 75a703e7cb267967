/* conversations: with their messages, and how each was answered. */
#include "gateway/admin/subjects.h"

static const struct admin_field conversation_fields[] = {
    ADMIN_FIELD_ID,
    { "channel", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The account in the configuration." },
    { "place_channel", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Where, as the platform names it." },
    { "message_count", ADMIN_INT, ADMIN_REQUIRED, .help = "Of finished turns." },
    { "is_active", ADMIN_BOOL, ADMIN_REQUIRED, .help = "False: another one goes on in its place." },
    { "last_activity", ADMIN_TIME, ADMIN_REQUIRED, .help = "When its last answer was written." },
    { "title", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Its title." },
    { "user_id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Who began it." },
    { "channel_type", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The platform." },
    { "place_workspace", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The server or workspace." },
    { "place_thread", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The thread." },
    { "is_direct", ADMIN_BOOL, ADMIN_REQUIRED, .help = "One person and us; else a group." },
    { "is_pinned", ADMIN_BOOL, ADMIN_REQUIRED, .help = "Yours." },
    { "is_hidden", ADMIN_BOOL, ADMIN_REQUIRED, .help = "Yours." },
    { "model_override", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "By /model." },
    { "context_window_used", ADMIN_INT, ADMIN_REQUIRED, .help = "Tokens of the last turn." },
    { "started_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When it began." },
    { "continues", ADMIN_UUID, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "The one it goes on with." },
    ADMIN_FIELD_VERSION,
    ADMIN_END,
};
static const struct admin_type conversation_type = { "Conversation", conversation_fields };

static const struct admin_field list_args[] = {
    { "channel", ADMIN_TEXT, .help = "Only this account's." },
    { "user_id", ADMIN_UUID, .help = "Only this person's." },
    { "is_active", ADMIN_BOOL, .help = "Only those that go on." },
    ADMIN_END,
};
static const struct admin_field change_args[] = {
    ADMIN_FIELD_ID,
    { "title", ADMIN_TEXT, ADMIN_NULLABLE, .min = 1, .max = 200, .help = "Its title." },
    { "is_pinned", ADMIN_BOOL, .help = "Yours." },
    { "is_hidden", ADMIN_BOOL, .help = "Yours." },
    { "model_override", ADMIN_TEXT, ADMIN_NULLABLE, .min = 1, .max = 128,
      .help = "The model or route that answers here; null: as configured." },
    ADMIN_END,
};

static const struct admin_field message_fields[] = {
    ADMIN_FIELD_ID,
    { "created_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When." },
    { "role", ADMIN_TEXT, ADMIN_REQUIRED,
      .help = "user, assistant, system, or notice: not part of the history." },
    { "content", ADMIN_TEXT, ADMIN_REQUIRED, .min = 0, .max = INT32_MAX, .help = "The text." },
    { "model_used", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Which wrote it." },
    { "conversation_id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Where." },
    { "user_id", ADMIN_UUID, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Who; null: we." },
    { "token_count", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Of an answer." },
    { "metadata", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "With the receipt of an answer." },
    ADMIN_END,
};
static const struct admin_type message_type = { "Message", message_fields };

static const struct admin_field search_args[] = {
    { "q", ADMIN_TEXT, ADMIN_REQUIRED, .min = 1, .max = 400,
      .help = "Words; \"a phrase\"; or; -without." },
    { "user_id", ADMIN_UUID, .help = "Only what this person wrote." },
    { "conversation_id", ADMIN_UUID, .help = "Only in this conversation." },
    ADMIN_END,
};

static const char *const statuses[] = { "queued",    "running", "sending", "answered", "refused",
                                        "cancelled", "expired", "merged",  NULL };
static const struct admin_field request_fields[] = {
    { "id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Its id: turn=ID in the log." },
    { "created_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When it came in." },
    { "status", ADMIN_WORD, ADMIN_REQUIRED, .words = statuses, .help = "What became of it." },
    { "channel", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The account." },
    { "model_used", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Which answered." },
    { "total_cost", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "US dollars." },
    { "total_latency_ms", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "From claim to kept." },
    { "status_reason", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Why, if it was not answered." },
    { "conversation_id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Where." },
    { "user_id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Who." },
    { "attempt", ADMIN_INT, ADMIN_REQUIRED, .help = "How often it was begun." },
    { "lease_owner", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "The process that does it." },
    { "prompt_tokens", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "Read by the model." },
    { "completion_tokens", ADMIN_INT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Written by the model." },
    { "completed_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "When it was through." },
    { "receipt", ADMIN_ANY, ADMIN_NULLABLE, .help = "Of one request: what /why tells." },
    { "costs", ADMIN_ANY, ADMIN_NULLABLE, .help = "Of one request: each question to a model." },
    ADMIN_END,
};
static const struct admin_type request_type = { "Request", request_fields };

static const struct admin_field request_list_args[] = {
    { "status", ADMIN_WORD, .words = statuses, .help = "Only these." },
    { "channel", ADMIN_TEXT, .help = "Only this account's." },
    { "conversation_id", ADMIN_UUID, .help = "Only in this conversation." },
    { "user_id", ADMIN_UUID, .help = "Only this person's." },
    ADMIN_END,
};

#define LAST "'ffffffff-ffff-ffff-ffff-ffffffffffff'"
#define MESSAGE                                                                                \
    "jsonb_build_object('id', m.id, 'created_at', m.created_at, 'role', m.role, 'content', "   \
    "m.content, 'model_used', m.model_used, 'conversation_id', m.conversation_id, 'user_id', " \
    "m.user_id, 'token_count', m.token_count, 'metadata', m.metadata)"
#define REQUEST                                                                                  \
    "jsonb_build_object('id', r.id, 'created_at', r.created_at, 'status', r.status, 'channel', " \
    "r.channel, 'model_used', r.model_used, 'total_cost', r.total_cost::text, "                  \
    "'total_latency_ms', r.total_latency_ms, 'status_reason', r.status_reason, "                 \
    "'conversation_id', r.conversation_id, 'user_id', r.user_id, 'attempt', r.attempt, "         \
    "'lease_owner', r.lease_owner, 'prompt_tokens', r.prompt_tokens, 'completion_tokens', "      \
    "r.completion_tokens, 'completed_at', r.completed_at)"

/*
 * Of a word that many messages have the newest ones are soon found, and all of them are too many
 * to sort; of a seldom one it is the other way round, and nobody knows which it is before. So the
 * newest are looked through first, and when they do not fill the page, the index of words has few
 * enough. OFFSET 0: else the planner may go through the ids for that as well, and read all
 * messages.
 */
#define WORDS "to_tsvector('simple', m.content) @@ websearch_to_tsquery('simple', $2->>'q')"
#define SEARCHED                                                          \
    "m.id < coalesce(($2->>'after')::uuid, " LAST ")"                     \
    " AND ($2->>'user_id' IS NULL OR m.user_id = ($2->>'user_id')::uuid)" \
    " AND ($2->>'conversation_id' IS NULL OR m.conversation_id = ($2->>'conversation_id')::uuid)"

const struct admin_op admin_conversations_ops[] = {
    { .id = "conversations.list",
      .method = "GET",
      .path = "/conversations",
      .scope = "conversations:read",
      .summary = "Conversations, the newest first.",
      .args = list_args,
      .answer = &conversation_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_conversations_list",
                "SELECT conversation_json(c) FROM conversations c"
                " WHERE c.id < coalesce(($2->>'after')::uuid, " LAST ")"
                " AND ($2->>'channel' IS NULL OR c.channel = $2->>'channel')"
                " AND ($2->>'user_id' IS NULL OR c.user_id = ($2->>'user_id')::uuid)"
                " AND ($2->>'is_active' IS NULL OR c.is_active = ($2->>'is_active')::boolean)"
                " ORDER BY c.id DESC LIMIT ($2->>'limit')::integer" } },
    { .id = "conversations.get",
      .method = "GET",
      .path = "/conversations/{id}",
      .scope = "conversations:read",
      .summary = "One conversation.",
      .args = admin_id_args,
      .answer = &conversation_type,
      .read = { "admin_conversations_get",
                "SELECT conversation_json(c) FROM conversations c WHERE c.id = ($2->>'id')::uuid" } },
    { .id = "conversations.change",
      .method = "PATCH",
      .path = "/conversations/{id}",
      .scope = "conversations:write",
      .summary = "Change its title, its model, or how you mark it.",
      .args = change_args,
      .answer = &conversation_type },
    { .id = "conversations.end",
      .method = "POST",
      .path = "/conversations/{id}/end",
      .scope = "conversations:write",
      .summary = "What comes next begins another one, as after /new.",
      .args = admin_id_args,
      .answer = &conversation_type },
    { .id = "conversations.delete",
      .method = "DELETE",
      .path = "/conversations/{id}",
      .scope = "conversations:delete",
      .summary = "Erase it with its messages.",
      .args = admin_id_args },
    { .id = "conversations.messages",
      .method = "GET",
      .path = "/conversations/{id}/messages",
      .scope = "messages:read",
      .summary = "Its messages, the newest first.",
      .args = admin_id_args,
      .answer = &message_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_conversations_messages",
                "SELECT " MESSAGE " FROM messages m WHERE m.conversation_id = ($2->>'id')::uuid"
                " AND m.id < coalesce(($2->>'after')::uuid, " LAST ")"
                " ORDER BY m.id DESC LIMIT ($2->>'limit')::integer" } },
    { .id = "messages.search",
      .method = "GET",
      .path = "/messages",
      .scope = "messages:read",
      .summary = "Messages with these words, the newest first.",
      .args = search_args,
      .answer = &message_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_messages_search",
                "WITH latest AS MATERIALIZED (SELECT " MESSAGE
                " AS row FROM (SELECT * FROM messages m"
                "  WHERE " SEARCHED " ORDER BY m.id DESC LIMIT 1000) m WHERE " WORDS
                "  ORDER BY m.id DESC LIMIT ($2->>'limit')::integer"
                "), enough AS MATERIALIZED ("
                "  SELECT count(*) >= ($2->>'limit')::integer AS yes FROM latest)"
                " SELECT row FROM latest WHERE (SELECT yes FROM enough) UNION ALL (SELECT " MESSAGE
                " FROM (SELECT * FROM messages m WHERE NOT (SELECT yes FROM enough)"
                "  AND " WORDS " AND " SEARCHED " OFFSET 0) m"
                " ORDER BY m.id DESC LIMIT ($2->>'limit')::integer)" } },
    { .id = "requests.list",
      .method = "GET",
      .path = "/requests",
      .scope = "conversations:read",
      .summary = "What was asked, the newest first, without its words.",
      .args = request_list_args,
      .answer = &request_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_requests_list",
                "SELECT " REQUEST
                " FROM requests r WHERE r.id < coalesce(($2->>'after')::uuid, " LAST ")"
                " AND ($2->>'status' IS NULL OR r.status = $2->>'status')"
                " AND ($2->>'channel' IS NULL OR r.channel = $2->>'channel')"
                " AND ($2->>'conversation_id' IS NULL OR r.conversation_id = ($2->>'conversation_id')::uuid)"
                " AND ($2->>'user_id' IS NULL OR r.user_id = ($2->>'user_id')::uuid)"
                " ORDER BY r.id DESC LIMIT ($2->>'limit')::integer" } },
    { .id = "requests.get",
      .method = "GET",
      .path = "/requests/{id}",
      .scope = "conversations:read",
      .summary = "How one was answered: what /why tells, and what each question cost.",
      .args = admin_id_args,
      .answer = &request_type,
      .read = { "admin_requests_get",
                "SELECT " REQUEST
                " || jsonb_build_object('receipt', (SELECT m.metadata->'receipt' FROM messages m"
                "  WHERE m.id = r.reply_id), 'costs', (SELECT jsonb_agg(jsonb_build_object('provider', k.provider,"
                "   'model', k.model, 'prompt_tokens', k.prompt_tokens, 'completion_tokens', k.completion_tokens,"
                "   'cached_tokens', k.cached_tokens, 'written_tokens', k.written_tokens,"
                "   'reasoning_tokens', k.reasoning_tokens, 'cost', k.cost::text, 'estimated', k.estimated,"
                "   'failed', k.failed) ORDER BY k.id) FROM cost_records k"
                "  WHERE k.request_id = r.id)) FROM requests r WHERE r.id = ($2->>'id')::uuid" } },
    { .id = NULL },
};
