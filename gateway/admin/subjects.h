/*
 * subjects - the tables of operations, one a file. A new one is a line here and one in ops.c.
 */
#pragma once
#include "gateway/admin/call.h"

extern const struct admin_op admin_audit_ops[];
extern const struct admin_op admin_budgets_ops[];
extern const struct admin_op admin_channels_ops[];
extern const struct admin_op admin_configs_ops[];
extern const struct admin_op admin_conversations_ops[];
extern const struct admin_op admin_deliveries_ops[];
extern const struct admin_op admin_experiments_ops[];
extern const struct admin_op admin_flags_ops[];
extern const struct admin_op admin_gateway_ops[];
extern const struct admin_op admin_hooks_ops[];
extern const struct admin_op admin_keys_ops[];
extern const struct admin_op admin_models_ops[];
extern const struct admin_op admin_openapi_ops[];
extern const struct admin_op admin_sessions_ops[];
extern const struct admin_op admin_tools_ops[];
extern const struct admin_op admin_users_ops[];
extern const struct admin_op admin_webhooks_ops[];

/* verify.c, for audit.c. */
extern const struct admin_type admin_verify_type;
enum flow_rc admin_verify_run(struct admin_call *call);
enum flow_rc admin_verify_ran(struct admin_call *call);
