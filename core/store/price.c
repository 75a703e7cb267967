/* price: the SQL of the price list. */
#include "core/store/price.h"

static const struct pg_stmt replace_stmt = {
    "prices_replace",
    "WITH old AS (SELECT count(*) AS n FROM prices), fresh AS ("
    "  SELECT key, value FROM jsonb_each($1::jsonb)"
    "), gone AS (DELETE FROM prices WHERE model NOT IN (SELECT key FROM fresh)"
    "), put AS ("
    "  INSERT INTO prices (model, provider, entry, version)"
    "  SELECT key, coalesce(value ->> 'litellm_provider', ''), value, $2 FROM fresh"
    "  ON CONFLICT (model) DO UPDATE SET provider = excluded.provider, entry = excluded.entry,"
    "    version = excluded.version, imported_at = now()"
    ") SELECT old.n, (SELECT count(*) FROM fresh) FROM old"
};

void store_prices_replace(struct store *s, struct op *op, struct str list, struct str version,
                          struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_json(list), pg_text(version) };
    pg_query(s->pg, op, &replace_stmt, v, 2, rows);
}

static const struct pg_stmt prices_stmt = {
    "prices", "SELECT model, entry::text, version FROM prices WHERE model = ANY ($1::text[])"
};

void store_prices(struct store *s, struct op *op, struct str names, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(names) };
    pg_query(s->pg, op, &prices_stmt, v, 1, rows);
}

static const struct pg_stmt like_stmt = {
    "prices_like",
    "SELECT model, entry::text, version FROM prices WHERE strpos(lower(model), lower($1)) > 0"
    " ORDER BY model LIMIT $2"
};

void store_prices_like(struct store *s, struct op *op, struct str pattern, int64_t limit,
                       struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(pattern), pg_int(limit) };
    pg_query(s->pg, op, &like_stmt, v, 2, rows);
}

static const struct pg_stmt count_stmt = { "prices_count", "SELECT count(*) FROM prices" };

void store_prices_count(struct store *s, struct op *op, struct pg_rows *rows)
{
    pg_query(s->pg, op, &count_stmt, NULL, 0, rows);
}
