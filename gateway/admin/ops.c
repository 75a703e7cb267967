/* ops: all operations there are. */
#include "gateway/admin/subjects.h"

const struct admin_op *const admin_ops[] = {
    admin_audit_ops,
    admin_keys_ops,
    admin_openapi_ops,
    NULL,
};
