/*
 * configuration - what admins configure at run time: the active version of each type.
 */
#pragma once
#include "core/store/store.h"

/*
 * What is in force, if that is something else than `revision` says.
 * revision   of the last answer; "" at the beginning. Borrowed until the op ends
 * Rows: the revision now, type, version, content as JSON. No row: nothing has changed. One row
 * whose version is 0: no type has an active version.
 */
void store_configurations(struct store *s, struct op *op, struct str revision,
                          struct pg_rows *rows);
