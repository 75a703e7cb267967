/* tool: the SQL of calls that wait for a yes. */
#include "core/store/tool.h"

/* Old ones go when a new one comes: nobody can answer them any more. */
static const struct pg_stmt ask_stmt = {
    "tool_ask",
    "WITH old AS ("
    "  DELETE FROM tool_questions WHERE expires_at < now() - interval '1 day' AND conversation_id <> $1) "
    "INSERT INTO tool_questions (conversation_id, user_id, answers, state, expires_at) "
    "VALUES ($1, $2, $3::uuid[], $4, now() + $5 * interval '1 ms') "
    "ON CONFLICT (conversation_id) DO UPDATE SET user_id = excluded.user_id, answers = excluded.answers,"
    "  state = excluded.state, expires_at = excluded.expires_at, answered_by = NULL, answered_at = NULL"
};

void store_tool_ask(struct store *s, struct op *op, const struct claimed *c, struct str answers,
                    struct str state, int64_t life_ms)
{
    const struct pg_value v[] = { pg_uuid(c->conversation), pg_uuid(c->user), pg_text(answers),
                                  pg_text(state), pg_int(life_ms) };
    pg_query(s->pg, op, &ask_stmt, v, 5, NULL);
}

/*
 * "it" is their question as it was before us. The message that asked is told whether or not it can
 * still be answered, but only to whom it asked, and where: its id came from a client.
 */
static const struct pg_stmt answer_stmt = {
    "tool_answer",
    "WITH it AS ("
    "  SELECT conversation_id, " TOOL_ASKED " AS asked"
    "  FROM tool_questions WHERE conversation_id = $1 AND user_id = $2"
    "), mine AS ("
    "  UPDATE tool_questions q SET answered_by = $3, answered_at = coalesce(q.answered_at, now())"
    "  FROM it WHERE q.conversation_id = it.conversation_id AND q.user_id = $2"
    "    AND coalesce(q.answered_by, $3) = $3 AND ($4::uuid IS NULL OR it.asked = $4) RETURNING q.*"
    "), meant AS ("
    "  SELECT coalesce($4, (SELECT asked FROM it)) AS asked) "
    "SELECT coalesce(t.state, ''), coalesce(t.answers::text, ''),"
    "  coalesce((SELECT string_agg(q.content, E'\\n\\n' ORDER BY q.id) FROM messages q"
    "    WHERE q.conversation_id = $1 AND q.id = ANY (t.answers)), ''),"
    "  (SELECT jsonb_agg(p.address) FROM messages q, jsonb_array_elements(q.metadata -> 'pictures') p (address)"
    "    WHERE q.conversation_id = $1 AND q.id = ANY (t.answers)),"
    "  coalesce(t.answered_at > t.expires_at, false),"
    "  t.state IS NULL AND EXISTS (SELECT FROM it WHERE it.asked = meant.asked),"
    "  d.request_id, coalesce(d.platform_message, ''), coalesce(d.content, '') "
    "FROM meant LEFT JOIN mine t ON true LEFT JOIN LATERAL ("
    "  SELECT d.request_id, d.platform_message, d.content FROM deliveries d"
    "  JOIN requests r ON r.id = d.request_id AND r.user_id = $2"
    "  JOIN conversations c ON c.id = r.conversation_id"
    "  JOIN conversations h ON h.id = $1 AND (h.channel, h.place_workspace, h.place_channel, h.place_thread)"
    "    = (c.channel, c.place_workspace, c.place_channel, c.place_thread)"
    "  WHERE d.request_id = meant.asked AND d.status = 'sent' ORDER BY d.part DESC LIMIT 1) d ON true"
};

void store_tool_answer(struct store *s, struct op *op, const struct claimed *c, struct uuid asked,
                       struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(c->conversation), pg_uuid(c->user), pg_uuid(c->request),
                                  uuid_is_nil(&asked) ? pg_null(PG_UUID) : pg_uuid(asked) };
    pg_query(s->pg, op, &answer_stmt, v, 4, rows);
}
