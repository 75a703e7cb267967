/*
 * Any bytes as a message of a tool server, as its list of tools and as a result: names fit every
 * model's API, texts are valid UTF-8 and bounded, and no text ends its fence.
 */
#include "core/base/utf8.h"
#include "core/net/sign.h"
#include "core/tool/catalog.h"
#include "core/tool/result.h"
#include "core/tool/rpc.h"
#include <stdlib.h>

#define RESULT_MAX 200

static bool is_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", s.p[i]))
            return false;
    return s.n > 0 && s.n <= CATALOG_NAME_MAX;
}

static void run_tool(const struct tool *t, struct json *arguments, struct arena *arena)
{
    struct http_header h[CATALOG_HEADERS_MAX];
    if (!is_name(t->shown.name) || !utf8_valid(t->shown.description)) abort();
    size_t n = tool_headers(t, arguments, arena, h);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < h[i].value.n; k++)
            if ((h[i].value.p[k] < ' ' && h[i].value.p[k] != '\t') || h[i].value.p[k] > '~')
                abort();
}

static void run_list(struct json *doc)
{
    const struct catalog_limits limits = { 3, 8, 40, 2000 };
    struct catalog c;
    struct arena arena;
    struct str cursor;
    arena_init(&arena);
    catalog_init(&c, "srv", &limits);
    for (int i = 0; i < 2; i++) catalog_page(&c, doc, &cursor, NULL);
    if (c.n > limits.tools) abort();
    for (size_t i = 0; i < c.n; i++) {
        run_tool(&c.tools[i], json_get(doc, "arguments"), &arena);
        if (catalog_find(&c, c.tools[i].shown.name) != &c.tools[i]) abort();
    }
    catalog_done(&c);
    arena_done(&arena);
}

static void run_result(struct json *doc)
{
    const struct result_how how = { .max = RESULT_MAX, .fenced = true, .tool = STR("t") };
    _cleanup_(buf_done) struct buf text = BUF_INIT(RESULT_MAX + 200);
    bool failed;
    if (result_format(doc, &how, &text, &failed, NULL) != ERR_NONE) return;
    struct str s = buf_str(&text);
    if (!utf8_valid(s) || str_find(s, STR("</tool_result")) != s.n - STR("</tool_result>").n)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct rpc_message m;
    struct str in = str_from((const char *)data, n);
    struct arena arena;
    sign_setup();
    arena_init(&arena);
    rpc_header_value(&arena, in);
    arena_done(&arena);
    if (rpc_parse(in, &m, NULL) != ERR_NONE) return 0;
    struct err why;
    rpc_refusal(&m, &why);
    if (!utf8_valid(str_of(why.msg))) abort();
    run_list(m.body);
    run_result(m.body);
    rpc_message_done(&m);
    return 0;
}
