/* history: the SQL of threads, as a person reads them. */
#include "core/store/history.h"
#include "core/store/tool.h"

#define IN_THREAD "c.channel = $1 AND c.place_channel = $2 AND c.place_thread = $3"

static const struct pg_stmt threads_stmt = {
    "threads",
    "SELECT t.thread, coalesce(t.title, ''), coalesce((SELECT left(x.content, 200) FROM unnest(t.ids) i"
    "  CROSS JOIN LATERAL (SELECT m.id, m.content FROM messages m"
    "    WHERE m.conversation_id = i AND m.role = 'user' ORDER BY m.id LIMIT 1) x ORDER BY x.id LIMIT 1), ''),"
    "  (extract(epoch FROM t.at) * 1000)::bigint, t.pinned "
    "FROM (SELECT c.place_thread AS thread, max(c.title) AS title, max(c.last_activity) AS at,"
    "    bool_or(c.is_pinned) AS pinned, array_agg(c.id) AS ids"
    "  FROM conversations c WHERE c.channel = $1 AND c.place_channel = $2"
    "  GROUP BY c.place_thread HAVING NOT bool_or(c.is_hidden) ORDER BY 4 DESC, 3 DESC LIMIT $3) t "
    "ORDER BY t.pinned DESC, t.at DESC"
};

void store_threads(struct store *s, struct op *op, struct str channel, struct str place,
                   int64_t limit, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(channel), pg_text(place), pg_int(limit) };
    pg_query(s->pg, op, &threads_stmt, v, 3, rows);
}

/*
 * Each conversation gives its part in the order of the index; the sum of the lengths, known without
 * reading the contents, cuts the page.
 */
#define MESSAGES(cmp, dir)                                                                         \
    "SELECT p.id, p.user_id IS NOT NULL, p.role = 'notice', left(p.content, $6::int), p.n FROM ("  \
    "  SELECT q.*, count(*) OVER () AS n,"                                                         \
    "    sum(octet_length(q.content)) OVER (ORDER BY q.id " dir ") - octet_length(q.content) AS s" \
    "  FROM (SELECT m.* FROM conversations c CROSS JOIN LATERAL ("                                 \
    "      SELECT m.id, m.user_id, m.role, m.content FROM messages m"                              \
    "      WHERE m.conversation_id = c.id AND m.id " cmp " $4 ORDER BY m.id " dir                  \
    "      LIMIT $5 + 1) m"                                                                        \
    "    WHERE " IN_THREAD " ORDER BY m.id " dir " LIMIT $5 + 1) q) p "                            \
    "WHERE p.s < $7 ORDER BY p.id " dir " LIMIT $5"

static const struct pg_stmt messages_before_stmt = { "thread_messages_before",
                                                     MESSAGES("<", "DESC") };
static const struct pg_stmt messages_after_stmt = { "thread_messages_after", MESSAGES(">", "ASC") };

void store_thread_messages(struct store *s, struct op *op, const struct thread *t,
                           const struct thread_page *page, struct pg_rows *rows)
{
    bool forward = !uuid_is_nil(&page->after);
    struct uuid from = forward ? page->after : page->before;
    if (uuid_is_nil(&from)) memset(from.b, 0xff, sizeof(from.b));
    const struct pg_value v[] = { pg_text(t->channel),    pg_text(t->place),
                                  pg_text(t->thread),     pg_uuid(from),
                                  pg_int(page->limit),    pg_int(THREAD_TEXT_MAX),
                                  pg_int(page->bytes_max) };
    pg_query(s->pg, op, forward ? &messages_after_stmt : &messages_before_stmt, v, 7, rows);
}

static const struct pg_stmt open_stmt = {
    /* MATERIALIZED: else the order and the limit have the planner go through all requests by id. */
    "thread_open", "WITH open AS MATERIALIZED ("
                   "SELECT r.id, r.message_id, r.status, r.platform_message FROM conversations c "
                   "JOIN requests r ON r.conversation_id = c.id "
                   "WHERE " IN_THREAD " AND r.status IN ('queued', 'running', 'sending') "
                   "UNION ALL SELECT r.id, r.reply_id, 'asks', '' FROM conversations c "
                   "JOIN tool_questions q ON q.conversation_id = c.id AND q.answered_at IS NULL"
                   "  AND q.expires_at > now() "
                   "JOIN requests r ON r.id = " TOOL_ASKED " AND r.reply_id IS NOT NULL "
                   "WHERE " IN_THREAD " AND c.is_active) "
                   "SELECT * FROM open ORDER BY 1 LIMIT 200"
};

void store_thread_open(struct store *s, struct op *op, const struct thread *t, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(t->channel), pg_text(t->place), pg_text(t->thread) };
    pg_query(s->pg, op, &open_stmt, v, 3, rows);
}

static const struct pg_stmt rename_stmt = {
    "thread_rename", "UPDATE conversations c SET title = nullif($4, '') WHERE " IN_THREAD
};

void store_thread_rename(struct store *s, struct op *op, const struct thread *t, struct str title,
                         struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(t->channel), pg_text(t->place), pg_text(t->thread),
                                  pg_text(title) };
    pg_query(s->pg, op, &rename_stmt, v, 4, rows);
}

static const struct pg_stmt pin_stmt = {
    "thread_pin", "UPDATE conversations c SET is_pinned = $4 WHERE " IN_THREAD
};

void store_thread_pin(struct store *s, struct op *op, const struct thread *t, bool pinned,
                      struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(t->channel), pg_text(t->place), pg_text(t->thread),
                                  pg_bool(pinned) };
    pg_query(s->pg, op, &pin_stmt, v, 4, rows);
}

static const struct pg_stmt hide_stmt = {
    "thread_hide", "UPDATE conversations c SET is_hidden = true WHERE " IN_THREAD
};

void store_thread_hide(struct store *s, struct op *op, const struct thread *t, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(t->channel), pg_text(t->place), pg_text(t->thread) };
    pg_query(s->pg, op, &hide_stmt, v, 3, rows);
}
