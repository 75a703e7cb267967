/* attachment: the SQL of files. */
#include "core/store/attachment.h"

static const struct pg_stmt put_stmt = {
    "attachment_put",
    "INSERT INTO attachments (id, channel, face, name, mime, data)"
    " SELECT $1, $2, $3, $4, $5, decode($6, 'base64') WHERE"
    " (SELECT count(*) FROM attachments WHERE face = $3 AND sent_at IS NULL) < $7 ON CONFLICT DO NOTHING"
};

void store_attachment(struct store *s, struct op *op, const struct attachment_row *row,
                      struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_uuid(row->id),
                                  pg_text(row->channel),
                                  pg_text(row->face),
                                  pg_text(row->name),
                                  pg_text(row->mime),
                                  pg_text(row->base64),
                                  pg_int(ATTACHMENTS_UNSENT_MAX) };
    pg_query(s->pg, op, &put_stmt, v, 7, rows);
}

static const struct pg_stmt send_stmt = {
    "attachments_send",
    "WITH sent AS (UPDATE attachments SET sent_at = coalesce(sent_at, now())"
    " WHERE id = ANY ($3::uuid[]) AND channel = $1 AND face = $2 RETURNING id, name, mime, length(data) AS bytes) "
    "SELECT id, name, mime, bytes::bigint FROM sent ORDER BY array_position($3::uuid[], id)"
};

void store_attachments_send(struct store *s, struct op *op, struct str channel, struct str face,
                            struct str ids, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(channel), pg_text(face), pg_text(ids) };
    pg_query(s->pg, op, &send_stmt, v, 3, rows);
}

static const struct pg_stmt data_stmt = {
    "attachments", "SELECT id, mime, translate(encode(data, 'base64'), E'\\n', '') FROM attachments"
                   " WHERE id = ANY ($1::uuid[])"
};

void store_attachments(struct store *s, struct op *op, struct str ids, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(ids) };
    pg_query(s->pg, op, &data_stmt, v, 1, rows);
}
