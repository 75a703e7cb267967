/*
 * tool_pin - the definitions of tools that are in force, see migrations/0024_tool_pins.sql.
 */
#pragma once
#include "core/store/store.h"

/*
 * All of them, if they are not what is known already.
 * known    a revision; 0 = nothing is known
 * Rows: at least one, each with the revision; then server (NULL: there is none, or nothing is new),
 * tool, the hash that is in force, and the one that is offered instead ("" = none).
 */
void store_tool_pins(struct store *s, struct op *op, int64_t known, struct pg_rows *rows);
/*
 * What a server says its tools are. It may be repeated.
 * tools    a JSON array of {name, hash, description, schema}, borrowed until the op ends
 * Rows: for each that is kept: tool, the hash that is in force, the one that is offered instead
 */
void store_tools_seen(struct store *s, struct op *op, struct str server, struct str tools,
                      struct pg_rows *rows);
