/* deliveries: what could not be sent. */
#include "gateway/admin/subjects.h"

static const char *const statuses[] = { "pending", "sending", "sent", "unknown",
                                        "dead",    "dropped", NULL };

static const struct admin_field delivery_fields[] = {
    ADMIN_FIELD_ID,
    { "status", ADMIN_WORD, ADMIN_REQUIRED, .words = statuses,
      .help = "dead: given up; unknown: nobody knows whether it arrived." },
    { "channel", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The account." },
    { "part", ADMIN_INT, ADMIN_REQUIRED, .help = "Which part of the answer." },
    { "attempts", ADMIN_INT, ADMIN_REQUIRED, .help = "How often it was tried." },
    { "last_error", ADMIN_TEXT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "What the platform said." },
    { "created_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When it was written." },
    { "n_parts", ADMIN_INT, ADMIN_REQUIRED, .help = "Of how many." },
    { "request_id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Whose answer." },
    { "conversation_id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Where." },
    { "platform_message", ADMIN_TEXT, ADMIN_REQUIRED, .min = 0, .max = 1000,
      .help = "The platform's id of it." },
    { "sent_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "When it arrived." },
    { "next_attempt_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "When it is tried again." },
    { "notice", ADMIN_BOOL, ADMIN_REQUIRED, .help = "Not an answer: a sentence of ours." },
    { "content", ADMIN_TEXT, .min = 0, .max = INT32_MAX, .help = "Of one delivery: the text." },
    ADMIN_END,
};
static const struct admin_type delivery_type = { "Delivery", delivery_fields };

static const struct admin_field list_args[] = {
    { "status", ADMIN_WORD, .words = statuses, .help = "Only these; absent: dead and unknown." },
    { "channel", ADMIN_TEXT, .help = "Only this account's." },
    ADMIN_END,
};

#define PAGE                                                                             \
    " AND d.id < coalesce(($2->>'after')::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')" \
    " AND ($2->>'channel' IS NULL OR r.channel = $2->>'channel')"

const struct admin_op admin_deliveries_ops[] = {
    { .id = "deliveries.list",
      .method = "GET",
      .path = "/deliveries",
      .scope = "deliveries:read",
      .summary = "Dead letters, the newest first; or other deliveries.",
      .args = list_args,
      .answer = &delivery_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_deliveries_list",
                "(SELECT delivery_json(d, r) FROM deliveries d JOIN requests r ON r.id = d.request_id"
                "  WHERE $2->>'status' IS NULL AND d.status IN ('unknown', 'dead')" PAGE
                "  ORDER BY d.id DESC LIMIT ($2->>'limit')::integer) UNION ALL "
                "(SELECT delivery_json(d, r) FROM deliveries d JOIN requests r ON r.id = d.request_id"
                "  WHERE $2->>'status' NOT IN ('pending', 'sending') AND d.status = $2->>'status'" PAGE
                "  ORDER BY d.id DESC LIMIT ($2->>'limit')::integer) UNION ALL "
                /* What is still to be sent is of a request that has not ended: they are few. */
                "(SELECT delivery_json(d, r) FROM requests r JOIN deliveries d ON d.request_id = r.id"
                "  WHERE $2->>'status' IN ('pending', 'sending') AND r.status = 'sending' AND d.status = $2->>'status'" PAGE
                "  ORDER BY d.id DESC LIMIT ($2->>'limit')::integer)" } },
    { .id = "deliveries.get",
      .method = "GET",
      .path = "/deliveries/{id}",
      .scope = "messages:read",
      .summary = "One delivery with its text.",
      .args = admin_id_args,
      .answer = &delivery_type,
      .read = { "admin_deliveries_get",
                "SELECT delivery_json(d, r) || jsonb_build_object('content', d.content) FROM deliveries d"
                " JOIN requests r ON r.id = d.request_id WHERE d.id = ($2->>'id')::uuid" } },
    { .id = "deliveries.retry",
      .method = "POST",
      .path = "/deliveries/{id}/retry",
      .scope = "deliveries:write",
      .summary = "Send it after all; of an unknown one, the person may see it twice.",
      .args = admin_id_args,
      .answer = &delivery_type },
    { .id = "deliveries.drop",
      .method = "POST",
      .path = "/deliveries/{id}/drop",
      .scope = "deliveries:write",
      .summary = "Give it up: it is no dead letter any more.",
      .args = admin_id_args,
      .answer = &delivery_type },
    { .id = NULL },
};
