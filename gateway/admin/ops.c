/* ops: all operations there are. */
#include "gateway/admin/subjects.h"

/* clang-format off */
const struct admin_op *const admin_ops[] = {
    admin_audit_ops,
    admin_budgets_ops,
    admin_channels_ops,
    admin_configs_ops,
    admin_conversations_ops,
    admin_deliveries_ops,
    admin_experiments_ops,
    admin_flags_ops,
    admin_gateway_ops,
    admin_hooks_ops,
    admin_keys_ops,
    admin_models_ops,
    admin_openapi_ops,
    admin_sessions_ops,
    admin_tools_ops,
    admin_users_ops,
    admin_webhooks_ops,
    NULL,
};
