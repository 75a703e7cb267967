/* budgets: what was spent of them. */
#include "gateway/admin/subjects.h"

static const char *const periods[] = { "day", "month", NULL };
static const struct admin_field budget_fields[] = {
    { "scope", ADMIN_TEXT, ADMIN_REQUIRED, .help = "all, channel:NAME, person:ID or key:ID." },
    { "period", ADMIN_WORD, ADMIN_REQUIRED, .words = periods, .help = "Of UTC." },
    { "spent", ADMIN_TEXT, ADMIN_REQUIRED, .help = "US dollars in this period." },
    { "reserved", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Set aside for answers being written." },
    { "alerted", ADMIN_INT, ADMIN_REQUIRED, .help = "Which share was told: 0, 80 or 100 percent." },
    { "starts", ADMIN_TEXT, ADMIN_REQUIRED, .help = "The first day of the period." },
    { "id", ADMIN_TEXT, ADMIN_REQUIRED, .help = "scope/period: for `after`." },
    ADMIN_END,
};
static const struct admin_type budget_type = { "Budget", budget_fields };

const struct admin_op admin_budgets_ops[] = {
    { .id = "budgets.list",
      .method = "GET",
      .path = "/budgets",
      .scope = "budgets:read",
      .summary =
          "What was spent of budgets in the present day and month; their limits are configured.",
      .answer = &budget_type,
      .flags = ADMIN_LIST,
      .cursor = "id",
      .read = { "admin_budgets_list",
                "SELECT jsonb_build_object('id', b.scope || '/' || b.period, 'scope', b.scope, 'period', b.period,"
                " 'spent', b.spent::text, 'reserved', b.reserved::text, 'alerted', b.alerted, 'starts', b.starts)"
                " FROM budgets b WHERE b.starts = period_start(b.period)"
                " AND b.scope || '/' || b.period > coalesce($2->>'after', '')"
                " ORDER BY b.scope || '/' || b.period LIMIT ($2->>'limit')::integer" } },
    { .id = NULL },
};
