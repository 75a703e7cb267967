/* webhook: the SQL of what goes out to subscribers. */
#include "core/store/webhook.h"

static const struct pg_stmt claim_stmt = {
    "webhook_claim", "SELECT id, subscription, attempt::bigint, tries::bigint,"
                     "  url, body, secret, old_secret "
                     "FROM webhook_claim($1, $2, $3, $4)"
};

void store_webhook_claim(struct store *s, struct op *op, struct str owner, int64_t lease_ms,
                         int64_t most, int64_t each, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(owner), pg_int(lease_ms), pg_int(most), pg_int(each) };
    pg_query(s->pg, op, &claim_stmt, v, 4, rows);
}

void store_webhook_claimed(const struct pg_rows *rows, int row, struct webhook_claimed *ret)
{
    *ret = (struct webhook_claimed){
        .id = pg_rows_uuid(rows, row, 0),
        .subscription = pg_rows_uuid(rows, row, 1),
        .attempt = pg_rows_i64(rows, row, 2),
        .tries = pg_rows_i64(rows, row, 3),
        .url = pg_rows_str(rows, row, 4),
        .body = pg_rows_str(rows, row, 5),
        .secret = pg_rows_str(rows, row, 6),
        .old_secret = pg_rows_str(rows, row, 7),
    };
}

static const struct pg_stmt record_stmt = {
    "webhook_record",
    "SELECT webhook_record($1, $2::int, $3, nullif($4, 0)::int, nullif($5, ''), $6, $7)"
};

void store_webhook_record(struct store *s, struct op *op, const struct webhook_result *r,
                          struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(r->id),        pg_int(r->attempt), pg_text(r->outcome),
                                  pg_int(r->status),     pg_text(r->error),  pg_int(r->retry_ms),
                                  pg_int(r->patience_ms) };
    pg_query(s->pg, op, &record_stmt, v, 7, rows);
}

static const struct pg_stmt purge_stmt = { "webhook_purge", "SELECT webhook_purge()" };

void store_webhook_purge(struct store *s, struct op *op)
{
    pg_query(s->pg, op, &purge_stmt, NULL, 0, NULL);
}
