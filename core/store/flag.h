/*
 * flag - the registry of flags and what is set, see migrations/0013_flags.sql.
 */
#pragma once
#include "core/store/store.h"

/* Tell the database which flags this program knows, unless a newer one has. list: JSON array. */
void store_flags_register(struct store *s, struct op *op, struct str list, struct str program);
/*
 * What is set, if it is not what is known already.
 * known    a revision; 0 = nothing is known
 * Rows: one: the revision, and all flags as JSON, or NULL if the revision is the known one.
 */
void store_flags(struct store *s, struct op *op, int64_t known, struct pg_rows *rows);
