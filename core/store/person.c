/* person: the SQL of what somebody may ask about themselves. */
#include "core/store/person.h"

static const struct pg_stmt unlink_stmt = { "unlink", "SELECT unlink_identity($1, $2, $3, $4)" };

void store_unlink(struct store *s, struct op *op, const struct claimed *c, struct uuid fresh,
                  struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(c->user), pg_text(c->channel_type), pg_text(c->from),
                                  pg_uuid(fresh) };
    pg_query(s->pg, op, &unlink_stmt, v, 4, rows);
}

#define LATEST                                                                                       \
    "SELECT c.id, c.channel_type, (extract(epoch FROM now() - c.last_activity) * 1000)::bigint,"     \
    "  coalesce((SELECT left(m.content, 60) FROM messages m WHERE m.conversation_id = c.id"          \
    "    AND m.role = 'user' AND m.content NOT LIKE '/%' ORDER BY m.id LIMIT 1), '') AS words "      \
    "FROM conversations c WHERE c.user_id = (SELECT o.user_id FROM conversations o WHERE o.id = $1)" \
    " AND c.is_direct AND c.id <> $1 AND c.message_count > 0 "                                       \
    "ORDER BY c.last_activity DESC, c.id "

static const struct pg_stmt conversations_stmt = { "conversations", LATEST "LIMIT $2" };

void store_conversations(struct store *s, struct op *op, const struct claimed *c, int64_t limit,
                         struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(c->conversation), pg_int(limit) };
    pg_query(s->pg, op, &conversations_stmt, v, 2, rows);
}

static const struct pg_stmt continue_stmt = {
    "continue", "WITH pick AS (" LATEST "OFFSET $4 - 1 LIMIT 1) SELECT p.words, p.channel_type"
                " FROM pick p, continue_conversation($1, $2, $3, p.id)"
};

void store_continue(struct store *s, struct op *op, const struct claimed *c, struct uuid next,
                    int64_t nth, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(c->conversation), pg_uuid(c->request), pg_uuid(next),
                                  pg_int(nth) };
    pg_query(s->pg, op, &continue_stmt, v, 4, rows);
}

static const struct pg_stmt code_stmt = {
    "code_offer",
    "INSERT INTO person_codes (user_id, purpose, code_hash, expires_at)"
    " VALUES ($1, $2, $3, now() + $4 * interval '1 ms') ON CONFLICT (user_id, purpose) DO UPDATE"
    " SET code_hash = excluded.code_hash, tries = 0, expires_at = excluded.expires_at"
};

void store_code_offer(struct store *s, struct op *op, struct uuid user, const char *purpose,
                      struct str code_hash, int64_t life_ms)
{
    const struct pg_value v[] = { pg_uuid(user), pg_text(str_of(purpose)), pg_text(code_hash),
                                  pg_int(life_ms) };
    pg_query(s->pg, op, &code_stmt, v, 4, NULL);
}

#define APPROVE(condition)                                                                 \
    "WITH code AS (DELETE FROM person_codes WHERE code_hash = $1 AND purpose = 'approve'"  \
    "  AND expires_at > now() AND " condition " RETURNING user_id) "                       \
    "UPDATE users u SET approved_at = now(), updated_at = now(),"                          \
    "  role = CASE WHEN $2 THEN 'admin' ELSE role END FROM code c WHERE u.id = c.user_id " \
    "RETURNING coalesce((SELECT coalesce(d.display_name, d.username, d.channel_user_id)"   \
    "  FROM identities d WHERE d.user_id = u.id ORDER BY d.id LIMIT 1), '')"

static const struct pg_stmt approve_stmt = { "approve", APPROVE("true") };
static const struct pg_stmt approve_by_stmt = {
    "approve_by", APPROVE("EXISTS (SELECT 1 FROM users WHERE id = $3 AND role = 'admin')")
};

void store_approve(struct store *s, struct op *op, struct str code_hash, bool admin,
                   struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(code_hash), pg_bool(admin) };
    pg_query(s->pg, op, &approve_stmt, v, 2, rows);
}

void store_approve_by(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                      struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(code_hash), pg_bool(false), pg_uuid(user) };
    pg_query(s->pg, op, &approve_by_stmt, v, 3, rows);
}

static const struct pg_stmt forget_begin_stmt = { "forget_begin",
                                                  "SELECT forget_begin($1, $2, $3::int)" };

void store_forget_begin(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                        int64_t tries_max, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(user), pg_text(code_hash), pg_int(tries_max) };
    pg_query(s->pg, op, &forget_begin_stmt, v, 3, rows);
}

static const struct pg_stmt forget_next_stmt = {
    "forget_next", "SELECT forget_next(), drop_outdated(), search_catch_up()"
};

void store_forget_next(struct store *s, struct op *op, struct pg_rows *rows)
{
    pg_query(s->pg, op, &forget_next_stmt, NULL, 0, rows);
}

static const struct pg_stmt erasures_stmt = {
    "erasures", "SELECT id, key, member FROM erasures ORDER BY id LIMIT $1"
};

void store_erasures(struct store *s, struct op *op, int64_t limit, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_int(limit) };
    pg_query(s->pg, op, &erasures_stmt, v, 1, rows);
}

static const struct pg_stmt erased_stmt = { "erased", "DELETE FROM erasures WHERE id <= $1" };

void store_erased(struct store *s, struct op *op, int64_t up_to)
{
    const struct pg_value v[] = { pg_int(up_to) };
    pg_query(s->pg, op, &erased_stmt, v, 1, NULL);
}

static const struct pg_stmt export_offer_stmt = {
    "export_offer", "WITH old AS (DELETE FROM export_tokens WHERE expires_at < now()) "
                    "INSERT INTO export_tokens (token_hash, user_id, expires_at)"
                    " VALUES ($2, $1, now() + $3 * interval '1 ms')"
};

void store_export_offer(struct store *s, struct op *op, struct uuid user, struct str token_hash,
                        int64_t life_ms)
{
    const struct pg_value v[] = { pg_uuid(user), pg_text(token_hash), pg_int(life_ms) };
    pg_query(s->pg, op, &export_offer_stmt, v, 3, NULL);
}

static const struct pg_stmt export_stmt = {
    "export", "SELECT export_person(user_id, $2, $3::int)::text FROM export_tokens "
              "WHERE token_hash = $1 AND expires_at > now()"
};

void store_export(struct store *s, struct op *op, struct str token_hash, struct uuid before,
                  struct pg_rows *rows)
{
    if (uuid_is_nil(&before)) memset(before.b, 0xff, sizeof(before.b));
    const struct pg_value v[] = { pg_text(token_hash), pg_uuid(before), pg_int(EXPORT_MESSAGES) };
    pg_query(s->pg, op, &export_stmt, v, 3, rows);
}
