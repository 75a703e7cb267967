/* pretty: JSON with a line a member, and `parley openapi`. */
#include "gateway/admin/admin.h"
#include "gateway/cli/cli.h"
#include "gateway/commands.h"
#include <stdio.h>

static void break_line(struct buf *to, int depth)
{
    buf_add_char(to, '\n');
    while (depth-- > 0) buf_add_cstr(to, "  ");
}

void cli_put_pretty(struct buf *to, struct str json)
{
    bool quoted = false;
    int depth = 0;
    for (size_t i = 0; i < json.n; i++) {
        char c = json.p[i], next = i + 1 < json.n ? json.p[i + 1] : '\0';
        bool opens = !quoted && (c == '{' || c == '['), empty = next == '}' || next == ']';
        bool closes = !quoted && (c == '}' || c == ']');
        bool after_open = i && (json.p[i - 1] == '{' || json.p[i - 1] == '[');
        if (closes && !after_open) break_line(to, --depth);
        if (quoted && c == '\\') buf_add_char(to, json.p[i++]);
        buf_add_char(to, json.p[i]);
        if (c == '"') quoted = !quoted;
        if (opens && !empty) break_line(to, ++depth);
        if (!quoted && c == ',') break_line(to, depth);
        if (!quoted && c == ':') buf_add_char(to, ' ');
    }
    buf_add_char(to, '\n');
}

int openapi_main(const char *conf_path, char **args)
{
    (void)conf_path, (void)args;
    _cleanup_(buf_done) struct buf text = BUF_INIT(8u << 20), pretty = BUF_INIT(16u << 20);
    if (!admin_openapi(&text)) return 1;
    cli_put_pretty(&pretty, buf_str(&text));
    fwrite(pretty.p, 1, pretty.n, stdout);
    return 0;
}
