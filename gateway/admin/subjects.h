/*
 * subjects - the tables of operations, one a file. A new one is a line here and one in ops.c.
 */
#pragma once
#include "gateway/admin/call.h"

extern const struct admin_op admin_audit_ops[];
extern const struct admin_op admin_keys_ops[];
extern const struct admin_op admin_openapi_ops[];
