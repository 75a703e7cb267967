/* hook: the function is in migrations/0014_hooks.sql. */
#include "core/store/hook.h"

static const struct pg_stmt hook_stmt = {
    "hook", "SELECT user_id, name, kind, secret,"
            " CASE WHEN old_secret_until > now() THEN old_secret ELSE '' END, channel, workspace,"
            " place, thread, template, events, mode, model, is_active FROM hooks WHERE name = $1"
};

void store_hook(struct store *s, struct op *op, struct str name, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(name) };
    pg_query(s->pg, op, &hook_stmt, v, 1, rows);
}

bool store_hook_read(const struct pg_rows *rows, struct hook_row *ret)
{
    if (rows->n == 0) return false;
    *ret = (struct hook_row){
        .user = pg_rows_uuid(rows, 0, 0),
        .name = pg_rows_str(rows, 0, 1),
        .kind = pg_rows_str(rows, 0, 2),
        .secret = pg_rows_str(rows, 0, 3),
        .old_secret = pg_rows_str(rows, 0, 4),
        .channel = pg_rows_str(rows, 0, 5),
        .workspace = pg_rows_str(rows, 0, 6),
        .place = pg_rows_str(rows, 0, 7),
        .thread = pg_rows_str(rows, 0, 8),
        .template = pg_rows_str(rows, 0, 9),
        .events = pg_rows_str(rows, 0, 10),
        .mode = pg_rows_str(rows, 0, 11),
        .model = pg_rows_str(rows, 0, 12),
        .is_active = pg_rows_bool(rows, 0, 13),
    };
    return true;
}

static const struct pg_stmt key_stmt = {
    "hook_key", "SELECT verdict, per_minute, wait_s, (actor ->> 'key')::uuid"
                " FROM api_key_enter($1, $2, $3, 'hooks', $4, $5)"
};

void store_hook_key(struct store *s, struct op *op, const struct hook_key *key,
                    struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(key->hash), pg_text(key->prefix), pg_text(key->scope),
                                  pg_text(key->ip), pg_text(key->user_agent) };
    pg_query(s->pg, op, &key_stmt, v, 5, rows);
}

static const struct pg_stmt accept_stmt = {
    "accept_hook", "SELECT ord, (NULL::turn_row).*, fresh, request, conversation, message, person "
                   "FROM accept_hook($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
};

void store_accept_hook(struct store *s, struct op *op, const struct request_new *rq,
                       const struct hook_news *news, struct pg_rows *rows)
{
    const struct pg_value v[] = {
        pg_uuid(rq->request),
        pg_uuid(rq->message),
        pg_uuid(rq->user),
        pg_text(rq->channel_type),
        pg_text(rq->channel),
        pg_text(rq->event),
        pg_bool(news->daily),
        pg_text(rq->workspace),
        pg_text(rq->place),
        pg_text(rq->thread),
        pg_text(rq->query),
        pg_text(rq->ip),
        uuid_is_nil(&news->key) ? pg_null(PG_UUID) : pg_uuid(news->key),
        pg_json(news->json),
    };
    pg_query(s->pg, op, &accept_stmt, v, sizeof v / sizeof *v, rows);
}
