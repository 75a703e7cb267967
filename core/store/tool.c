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

static const struct pg_stmt answer_stmt = {
    "tool_answer",
    "WITH mine AS ("
    "  UPDATE tool_questions SET answered_by = $3, answered_at = coalesce(answered_at, now())"
    "  WHERE conversation_id = $1 AND user_id = $2 AND coalesce(answered_by, $3) = $3 RETURNING *) "
    "SELECT t.state, t.answers::text,"
    "  coalesce((SELECT string_agg(q.content, E'\\n\\n' ORDER BY q.id) FROM messages q"
    "    WHERE q.conversation_id = $1 AND q.id = ANY (t.answers)), ''),"
    "  (SELECT jsonb_agg(p.address) FROM messages q, jsonb_array_elements(q.metadata -> 'pictures') p (address)"
    "    WHERE q.conversation_id = $1 AND q.id = ANY (t.answers)),"
    "  t.answered_at > t.expires_at "
    "FROM mine t"
};

void store_tool_answer(struct store *s, struct op *op, const struct claimed *c,
                       struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(c->conversation), pg_uuid(c->user), pg_uuid(c->request) };
    pg_query(s->pg, op, &answer_stmt, v, 3, rows);
}
