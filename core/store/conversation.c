/* conversation: the SQL of places and their history. */
#include "core/store/conversation.h"

static const struct pg_stmt edit_stmt = {
    "edit",
    "WITH edited AS ("
    "  UPDATE requests r SET query = $5 FROM conversations c WHERE r.conversation_id = c.id AND c.channel = $1"
    "    AND c.place_channel = $2 AND c.place_thread = $3 AND r.platform_message = $4 AND r.status = 'queued'"
    "  RETURNING r.message_id, r.conversation_id"
    ") UPDATE messages m SET content = $5 FROM edited e "
    "WHERE m.conversation_id = e.conversation_id AND m.id = e.message_id RETURNING m.id"
};

void store_edit(struct store *s, struct op *op, const struct request_new *rq, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(rq->channel), pg_text(rq->place), pg_text(rq->thread),
                                  pg_text(rq->platform_message), pg_text(rq->query) };
    pg_query(s->pg, op, &edit_stmt, v, 5, rows);
}

static const struct pg_stmt withdraw_stmt = {
    "withdraw",
    "WITH taken AS ("
    "  UPDATE requests r SET status = 'cancelled', status_reason = 'taken back', completed_at = now(), query = ''"
    "  FROM conversations c WHERE r.conversation_id = c.id AND c.channel = $1 AND c.place_channel = $2"
    "    AND c.place_thread = $3 AND r.platform_message = $4 AND r.status = 'queued'"
    "  RETURNING r.id, r.message_id, r.conversation_id"
    "), gone AS ("
    "  DELETE FROM messages m USING taken t WHERE m.conversation_id = t.conversation_id AND m.id = t.message_id"
    ") SELECT id FROM taken"
};

void store_withdraw(struct store *s, struct op *op, const struct request_new *rq,
                    struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(rq->channel), pg_text(rq->place), pg_text(rq->thread),
                                  pg_text(rq->platform_message) };
    pg_query(s->pg, op, &withdraw_stmt, v, 4, rows);
}

/* Should the new place have begun a conversation already, ours ends there: two active ones cannot
 * be. */
static const struct pg_stmt move_stmt = {
    "move",
    "UPDATE conversations c SET place_channel = $3, is_active = c.is_active AND NOT EXISTS ("
    "  SELECT 1 FROM conversations o WHERE o.channel = $1 AND o.place_channel = $3"
    "    AND o.place_thread = c.place_thread AND o.place_workspace = c.place_workspace AND o.is_active) "
    "WHERE c.channel = $1 AND c.place_channel = $2"
};

void store_move(struct store *s, struct op *op, struct str channel, struct str from_place,
                struct str to_place)
{
    const struct pg_value v[] = { pg_text(channel), pg_text(from_place), pg_text(to_place) };
    pg_query(s->pg, op, &move_stmt, v, 3, NULL);
}

static const struct pg_stmt end_stmt = { "end_conversation",
                                         "SELECT * FROM end_conversation($1, $2, $3)" };

void store_end_conversation(struct store *s, struct op *op, const struct claimed *c,
                            struct uuid next, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(c->conversation), pg_uuid(c->request), pg_uuid(next) };
    pg_query(s->pg, op, &end_stmt, v, 3, rows);
}

static const struct pg_stmt places_stmt = {
    "places", "SELECT place_channel, place_workspace, is_direct FROM conversations "
              "WHERE channel = $1 AND is_active AND last_activity > now() - $2 * interval '1 day' "
              "ORDER BY last_activity DESC LIMIT $3"
};

void store_places(struct store *s, struct op *op, struct str channel, int64_t days, int64_t limit,
                  struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(channel), pg_int(days), pg_int(limit) };
    pg_query(s->pg, op, &places_stmt, v, 3, rows);
}

static const struct pg_stmt model_stmt = {
    "set_model", "UPDATE conversations SET model_override = nullif($2, '') WHERE id = $1"
};

void store_set_model(struct store *s, struct op *op, struct uuid conversation, struct str model)
{
    const struct pg_value v[] = { pg_uuid(conversation), pg_text(model) };
    pg_query(s->pg, op, &model_stmt, v, 2, NULL);
}

static const struct pg_stmt prefer_stmt = {
    "prefer_model",
    "WITH here AS (UPDATE conversations SET model_override = NULL WHERE id = $2) "
    "UPDATE users SET preferred_model = nullif($3, ''), updated_at = now() WHERE id = $1"
};

void store_prefer_model(struct store *s, struct op *op, const struct claimed *c, struct str model)
{
    const struct pg_value v[] = { pg_uuid(c->user), pg_uuid(c->conversation), pg_text(model) };
    pg_query(s->pg, op, &prefer_stmt, v, 3, NULL);
}

/* The later one wins, should two processes have made one. */
static const struct pg_stmt compact_stmt = {
    "compact", "UPDATE conversations SET summary = $3, summary_until = $2::int"
               " WHERE id = $1 AND summary_until < $2 AND NOT summary_off"
};

void store_compact(struct store *s, struct op *op, struct uuid conversation, int64_t until,
                   struct str summary)
{
    const struct pg_value v[] = { pg_uuid(conversation), pg_int(until), pg_text(summary) };
    pg_query(s->pg, op, &compact_stmt, v, 3, NULL);
}

static const struct pg_stmt compact_off_stmt = {
    "compact_off",
    "UPDATE conversations SET summary = CASE WHEN $2 THEN NULL ELSE summary END,"
    " summary_until = CASE WHEN $2 THEN 0 ELSE summary_until END, summary_off = $2 WHERE id = $1"
};

void store_compact_off(struct store *s, struct op *op, struct uuid conversation, bool off)
{
    const struct pg_value v[] = { pg_uuid(conversation), pg_bool(off) };
    pg_query(s->pg, op, &compact_off_stmt, v, 2, NULL);
}

/*
 * A reply knows the messages it answers; an unanswered question is not history yet. What this one
 * goes on with is history up to the moment when it began.
 */
static const struct pg_stmt history_stmt = {
    "history",
    "WITH RECURSIVE past (id, until) AS ("
    "  SELECT c.id, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid FROM conversations c WHERE c.id = $1"
    "  UNION ALL SELECT c.continues, c.id FROM past p JOIN conversations c ON c.id = p.id"
    "  WHERE c.continues IS NOT NULL) "
    "SELECT (SELECT string_agg(q.content, E'\\n\\n' ORDER BY q.id) FROM messages q"
    "  WHERE q.conversation_id = a.conversation_id AND q.id = ANY (a.answers)), a.content "
    "FROM past p CROSS JOIN LATERAL (SELECT m.* FROM messages m WHERE m.conversation_id = p.id"
    "  AND m.role = 'assistant' AND m.id < p.until ORDER BY m.id DESC LIMIT $2) a "
    "ORDER BY a.id DESC LIMIT $2"
};

void store_history(struct store *s, struct op *op, struct uuid conversation, int64_t limit,
                   struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(conversation), pg_int(limit) };
    pg_query(s->pg, op, &history_stmt, v, 2, rows);
}

static const struct pg_stmt receipt_stmt = {
    "receipt",
    "SELECT coalesce(m.metadata -> 'receipt', '{}'), left(m.content, 60), coalesce((SELECT"
    "  (extract(epoch FROM r.completed_at - m.created_at) * 1000)::bigint FROM requests r"
    "  WHERE r.conversation_id = m.conversation_id AND r.reply_id = m.id LIMIT 1), -1) FROM messages m"
    " WHERE m.conversation_id = $1 AND (m.role = 'assistant' OR m.metadata ? 'receipt')"
    " ORDER BY m.id DESC OFFSET $2 LIMIT 1"
};

void store_receipt(struct store *s, struct op *op, struct uuid conversation, int64_t n,
                   struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(conversation), pg_int(n - 1) };
    pg_query(s->pg, op, &receipt_stmt, v, 2, rows);
}

static const struct pg_stmt last_reply_stmt = {
    "last_reply",
    "SELECT a.content, coalesce((SELECT string_agg(q.content, E'\\n\\n' ORDER BY q.id) FROM messages q"
    "    WHERE q.conversation_id = $1 AND q.id = ANY (a.answers) AND a.model_used IS NOT NULL), ''),"
    "  a.answers::text,"
    "  (SELECT jsonb_agg(p.address) FROM messages q, jsonb_array_elements(q.metadata -> 'pictures') p (address)"
    "    WHERE q.conversation_id = $1 AND q.id = ANY (a.answers)) "
    "FROM messages a WHERE a.conversation_id = $1 AND a.role = 'assistant' ORDER BY a.id DESC LIMIT 1"
};

void store_last_reply(struct store *s, struct op *op, struct uuid conversation,
                      struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(conversation) };
    pg_query(s->pg, op, &last_reply_stmt, v, 1, rows);
}
