/* flag: the SQL of the flags, for the processes that obey them. */
#include "core/store/flag.h"

static const struct pg_stmt register_stmt = { "flags_register", "SELECT flags_register($1, $2)" };

void store_flags_register(struct store *s, struct op *op, struct str list, struct str program)
{
    const struct pg_value v[] = { pg_json(list), pg_text(program) };
    pg_query(s->pg, op, &register_stmt, v, 2, NULL);
}

static const struct pg_stmt flags_stmt = {
    "flags", "SELECT revision, CASE WHEN revision <> $1 THEN flags_document()::text END"
             " FROM flags_state"
};

void store_flags(struct store *s, struct op *op, int64_t known, struct pg_rows *rows)
{
    const struct pg_value v[] = { pg_int(known) };
    pg_query(s->pg, op, &flags_stmt, v, 1, rows);
}
