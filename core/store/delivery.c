/* delivery: the SQL of the outbox. */
#include "core/store/delivery.h"
#include "core/store/tool.h"

static const struct pg_stmt parts_stmt = {
    "parts",
    "SELECT id, part, n_parts, content, notice, status, attempts,"
    "  greatest(0, (extract(epoch FROM next_attempt_at - now()) * 1000)::bigint), platform_message,"
    "  EXISTS (SELECT FROM requests r JOIN tool_questions q ON q.conversation_id = r.conversation_id"
    "    WHERE r.id = $1 AND r.id = " TOOL_ASKED ") "
    "FROM deliveries WHERE request_id = $1 ORDER BY part"
};

void store_parts(struct store *s, struct op *op, struct uuid request, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(request) };
    pg_query(s->pg, op, &parts_stmt, v, 1, rows);
}

static const enum pg_type mark_types[] = { PG_UUID, PG_UUID, PG_INT, PG_INT };

/* The request's row is updated, not only read: a claim by another process waits for us or makes us
 * miss. */
const struct pg_batch_kind store_mark_kind = {
    .stmt = { "mark",
              "WITH input AS ("
              "  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int8[])"
              "    WITH ORDINALITY AS t (delivery, request, attempt, lease_ms, ord)"
              "), ours AS ("
              "  UPDATE requests r SET lease_until = now() + i.lease_ms * interval '1 ms'"
              "  FROM input i WHERE r.id = i.request AND CASE r.status WHEN 'sending' THEN r.attempt = i.attempt END"
              "  RETURNING i.delivery, i.ord"
              "), marked AS ("
              "  UPDATE deliveries d SET status = 'sending', attempts = d.attempts + 1"
              "  FROM ours WHERE d.id = ours.delivery AND CASE WHEN d.status IN ('pending', 'sending') THEN true END"
              "  RETURNING ours.ord"
              ") SELECT ord FROM marked ORDER BY ord" },
    .n_columns = 4,
    .types = mark_types,
    .rows_max = 256,
};

void store_mark(struct store *s, struct op *op, struct uuid delivery, struct uuid request,
                int attempt, int64_t lease_ms, struct pg_rows *rows)
{
    const struct pg_value row[] = { pg_uuid(delivery), pg_uuid(request), pg_int(attempt),
                                    pg_int(lease_ms) };
    pg_batch_add(s->mark, op, row, rows);
}

static const enum pg_type record_types[] = { PG_UUID, PG_UUID, PG_INT, PG_TEXT,
                                             PG_TEXT, PG_TEXT, PG_INT, PG_BOOL };

const struct pg_batch_kind store_record_kind = {
    .stmt = { "record",
              "WITH input AS ("
              "  SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::int8[], $4::text[], $5::text[], $6::text[],"
              "    $7::int8[], $8::bool[]) WITH ORDINALITY"
              "    AS t (delivery, request, attempt, status, platform_message, error, retry_ms, last, ord)"
              "), recorded AS ("
              "  UPDATE deliveries d SET status = i.status, platform_message = i.platform_message,"
              "    last_error = nullif(i.error, ''), sent_at = CASE WHEN i.status = 'sent' THEN now() END,"
              "    next_attempt_at = CASE WHEN i.status = 'pending' THEN now() + i.retry_ms * interval '1 ms' END"
              "  FROM input i JOIN requests q ON q.id = i.request"
              "  WHERE d.id = i.delivery AND (i.status = 'sent' OR q.attempt = i.attempt)"
              "), ended AS ("
              "  UPDATE requests r SET status = r.outcome, completed_at = now(), lease_owner = NULL, lease_until = NULL"
              "  FROM input i WHERE i.last AND r.id = i.request AND CASE r.status WHEN 'sending' THEN r.attempt = i.attempt END"
              /* No EXISTS: for that the planner likes to read all open requests into a hash. */
              ") SELECT i.ord, coalesce((SELECT true FROM requests q WHERE q.conversation_id = r.conversation_id"
              "    AND q.status = 'queued' AND NOT q.urgent LIMIT 1), false) "
              "FROM input i JOIN requests r ON r.id = i.request ORDER BY i.ord" },
    .n_columns = 8,
    .types = record_types,
    .rows_max = 256,
};

void store_record(struct store *s, struct op *op, const struct delivery_result *d,
                  struct pg_rows *rows)
{
    const struct pg_value row[] = {
        pg_uuid(d->delivery),         pg_uuid(d->request), pg_int(d->attempt),  pg_text(d->status),
        pg_text(d->platform_message), pg_text(d->error),   pg_int(d->retry_ms), pg_bool(d->last),
    };
    pg_batch_add(s->record, op, row, rows);
}
