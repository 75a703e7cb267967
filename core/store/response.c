/* response: see response.h. */
#include "core/store/response.h"

static const struct pg_stmt get_stmt = {
    "response_get",
    "UPDATE response_cache SET hit_count = hit_count + 1 WHERE cache_key = $1 AND expires_at > now() "
    "RETURNING content, model, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
};

void store_response_get(struct store *s, struct op *op, struct str key, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(key) };
    pg_query(s->pg, op, &get_stmt, v, 1, rows);
}

static const struct pg_stmt put_stmt = {
    "response_put",
    "INSERT INTO response_cache (cache_key, query_hash, content, model, usage, user_id, expires_at) "
    "SELECT $1, $2, $3, $4, $5, u.id, now() + $7 * interval '1 ms' FROM users u "
    "WHERE u.id = $6 AND u.forget_at IS NULL "
    "ON CONFLICT (cache_key) DO UPDATE SET query_hash = excluded.query_hash, content = excluded.content,"
    "  model = excluded.model, usage = excluded.usage, user_id = excluded.user_id, created_at = now(),"
    "  expires_at = excluded.expires_at, hit_count = 0"
};

void store_response_put(struct store *s, struct op *op, const struct response_row *r)
{
    const struct pg_value v[] = { pg_text(r->key),   pg_text(r->query_hash), pg_text(r->content),
                                  pg_text(r->model), pg_json(r->usage),      pg_uuid(r->user),
                                  pg_int(r->ttl_ms) };
    pg_query(s->pg, op, &put_stmt, v, 7, NULL);
}
