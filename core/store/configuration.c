/* configuration: the SQL of what is configured at run time. */
#include "core/store/configuration.h"

/* The first answer has a revision even if nothing is active: "" is nobody's. */
static const struct pg_stmt active_stmt = {
    "configurations",
    "WITH active AS (SELECT config_type, version, content FROM configurations WHERE is_active),"
    " now AS (SELECT '@' || coalesce(string_agg(config_type || ':' || version, ',' ORDER BY"
    "  config_type), '') AS revision FROM active) "
    "SELECT now.revision, coalesce(active.config_type, ''), coalesce(active.version, 0)::int8,"
    " coalesce(active.content::text, '') FROM now LEFT JOIN active ON true"
    " WHERE now.revision <> $1"
};

void store_configurations(struct store *s, struct op *op, struct str revision, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(revision) };
    pg_query(s->pg, op, &active_stmt, v, 1, rows);
}
