/* tool_pin: the SQL of the definitions of tools. */
#include "core/store/tool_pin.h"

static const struct pg_stmt pins_stmt = {
    "tool_pins",
    "SELECT s.revision, p.server, p.tool, p.definition_hash, coalesce(p.offered_hash, '')"
    " FROM tool_pins_state s LEFT JOIN tool_pins p ON s.revision <> $1"
};

void store_tool_pins(struct store *s, struct op *op, int64_t known, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_int(known) };
    pg_query(s->pg, op, &pins_stmt, v, 1, rows);
}

static const struct pg_stmt seen_stmt = {
    "tools_seen", "SELECT tool, definition_hash, coalesce(offered_hash, '') FROM tools_seen($1, $2)"
};

void store_tools_seen(struct store *s, struct op *op, struct str server, struct str tools,
                      struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_text(server), pg_json(tools) };
    pg_query(s->pg, op, &seen_stmt, v, 2, rows);
}
