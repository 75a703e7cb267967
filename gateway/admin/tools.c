/* tools: what the tools of servers are said to do, and who accepts that it changes. */
#include "core/tool/pins.h"
#include "gateway/admin/subjects.h"

static const struct admin_field definition_fields[] = {
    { "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "SERVER/TOOL." },
    { "server", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its name in the configuration." },
    { "tool", ADMIN_TEXT, ADMIN_REQUIRED, .help = "What the server calls it." },
    { "is_changed", ADMIN_BOOL, ADMIN_REQUIRED,
      .help = "The server says something else now; with enable_mcp_security it is withheld." },
    { "definition", ADMIN_OBJECT, ADMIN_REQUIRED, .help = "In force: description and schema." },
    { "offered", ADMIN_OBJECT, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "What the server says now; null: the same." },
    { "first_seen_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When the tool was there first." },
    { "offered_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE, .help = "When it changed." },
    { "accepted_at", ADMIN_TIME, ADMIN_REQUIRED | ADMIN_NULLABLE,
      .help = "Null: it is as it was first seen." },
    { "accepted_by", ADMIN_TEXT, ADMIN_REQUIRED, .help = "By which key." },
    ADMIN_FIELD_VERSION,
    ADMIN_END,
};
static const struct admin_type definition_type = { "ToolDefinition", definition_fields };

static const struct admin_field definitions_args[] = {
    { "server", ADMIN_TEXT, .help = "Of this server." },
    { "is_changed", ADMIN_BOOL, .help = "Those that changed, or those that did not." },
    ADMIN_END,
};

static const struct admin_field accepted_fields[] = {
    { "server", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its name in the configuration." },
    { "accepted", ADMIN_TEXTS, ADMIN_REQUIRED, .min = 1, .max = 1024, .help = "Its tools." },
    ADMIN_END,
};
static const struct admin_type accepted_type = { "ToolsAccepted", accepted_fields };

static const struct admin_field accept_args[] = {
    { "server", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its name in the configuration." },
    { "tool", ADMIN_TEXT, .help = "What the server calls it; absent: all of it that changed." },
    ADMIN_END,
};

const struct admin_op admin_tools_ops[] = {
    { .id = "tools.definitions",
      .method = "GET",
      .path = "/tools",
      .scope = "tools:read",
      .summary = "What tools are said to do: as it is in force, and as it is offered.",
      .args = definitions_args,
      .answer = &definition_type,
      .flags = ADMIN_LIST,
      .cursor = "name",
      .read = { "admin_tools_definitions",
                "SELECT tool_pin_json(p) FROM tool_pins p"
                " WHERE p.server || '/' || p.tool > coalesce($2->>'after', '')"
                " AND p.server = coalesce($2->>'server', p.server)"
                " AND ($2->>'is_changed' IS NULL"
                "   OR (p.offered_hash IS NOT NULL) = ($2->>'is_changed')::boolean)"
                " ORDER BY p.server || '/' || p.tool LIMIT ($2->>'limit')::integer" } },
    { .id = "tools.accept",
      .method = "POST",
      .path = "/tools/{server}/accept",
      .scope = "tools:write",
      .summary = "Let models have the definitions that a server says now, in all processes.",
      .args = accept_args,
      .answer = &accepted_type,
      .push = PINS_CHANNEL },
    { .id = NULL },
};
