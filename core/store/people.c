/* people: the SQL of votes and of /link. */
#include "core/store/people.h"

/* A part that was sent anew has another id: the newest counts. */
static const struct pg_stmt vote_stmt = {
    "vote",
    "WITH answer AS ("
    "  SELECT r.id FROM deliveries d JOIN requests r ON r.id = d.request_id"
    "    JOIN conversations c ON c.id = r.conversation_id"
    "  WHERE d.platform_message = $4 AND d.platform_message <> '' AND NOT d.notice AND r.channel = $2"
    "    AND c.place_channel = $3 ORDER BY d.id DESC LIMIT 1"
    "), gone AS ("
    "  DELETE FROM feedback f USING answer a WHERE $7 AND f.request_id = a.id AND f.channel_type = $1"
    "    AND f.channel_user_id = $5 AND f.vote = $6 RETURNING f.request_id"
    "), given AS ("
    "  INSERT INTO feedback AS f (request_id, channel_type, channel_user_id, vote)"
    "  SELECT id, $1, $5, $6 FROM answer WHERE NOT $7"
    "  ON CONFLICT (request_id, channel_type, channel_user_id)"
    "    DO UPDATE SET vote = excluded.vote, updated_at = now() RETURNING f.request_id"
    ") SELECT request_id FROM gone UNION ALL SELECT request_id FROM given"
};

void store_vote(struct store *s, struct op *op, const struct vote *v, struct pg_rows *rows)
{
    const struct pg_value values[] = { pg_text(v->channel_type), pg_text(v->channel),
                                       pg_text(v->place),        pg_text(v->message),
                                       pg_text(v->from),         pg_int(v->vote),
                                       pg_bool(v->taken_back) };
    pg_query(s->pg, op, &vote_stmt, values, 7, rows);
}

static const struct pg_stmt offer_stmt = {
    "link_offer",
    "INSERT INTO link_codes (code_hash, user_id, expires_at)"
    " VALUES ($2, $1, now() + $3 * interval '1 ms') "
    "ON CONFLICT (user_id) DO UPDATE SET code_hash = $2, expires_at = now() + $3 * interval '1 ms'"
};

void store_link_offer(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                      int64_t life_ms)
{
    const struct pg_value v[] = { pg_uuid(user), pg_text(code_hash), pg_int(life_ms) };
    pg_query(s->pg, op, &offer_stmt, v, 3, NULL);
}

static const struct pg_stmt take_stmt = {
    "link_take", "SELECT link_people($2, $1, $3::int, $4 * interval '1 ms')"
};

void store_link_take(struct store *s, struct op *op, struct uuid user, struct str code_hash,
                     int64_t tries_max, int64_t life_ms, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(user), pg_text(code_hash), pg_int(tries_max),
                                  pg_int(life_ms) };
    pg_query(s->pg, op, &take_stmt, v, 4, rows);
}
