/*
 * The protocol's messages: each that we write, word for word, and what is taken for an answer.
 */
#include "core/tool/rpc.h"
#include <criterion/criterion.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define META                                                                                    \
    "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\","                    \
    "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"parley\",\"version\":\"" PARLEY_VERSION \
    "\"},\"io.modelcontextprotocol/clientCapabilities\":{}}"

static struct buf out;
static struct arena arena;

static void setup(void)
{
    buf_init(&out, 65536);
    arena_init(&arena);
}

static void teardown(void)
{
    buf_done(&out);
    arena_done(&arena);
}

TestSuite(rpc, .init = setup, .fini = teardown);

static void expect_out(const char *text)
{
    struct json *doc = NULL;
    cr_expect_str_eq(out.p, text);
    cr_expect_eq(json_parse(buf_str(&out), &doc, NULL), ERR_NONE, "what we write is JSON");
    json_free(doc);
    buf_clear(&out);
}

Test(rpc, modern_messages)
{
    struct json *arguments = NULL;
    rpc_put_discover(&out, 1, RPC_MODERN_VERSION);
    expect_out("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{" META
               "}}");
    rpc_put_list(&out, 2, STR("c\"1"), RPC_MODERN_VERSION);
    expect_out("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\",\"params\":{"
               "\"cursor\":\"c\\\"1\"," META "}}");
    json_parse(STR("{ \"q\" :\n \"Paris\" }"), &arguments, NULL);
    rpc_put_call(&out, 7, STR("w"), arguments, RPC_MODERN_VERSION);
    expect_out("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{"
               "\"name\":\"w\",\"arguments\":{\"q\":\"Paris\"}," META "}}");
    json_free(arguments);
}

Test(rpc, legacy_messages)
{
    struct json *arguments = NULL, *id = NULL;
    rpc_put_initialize(&out, 1);
    expect_out("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{"
               "\"protocolVersion\":\"2025-11-25\",\"capabilities\":{},"
               "\"clientInfo\":{\"name\":\"parley\",\"version\":\"" PARLEY_VERSION "\"}}}");
    rpc_put_initialized(&out);
    expect_out("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
    rpc_put_list(&out, 2, STR_NONE, NULL);
    expect_out("{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"tools/list\",\"params\":{}}");
    json_parse(STR("{}"), &arguments, NULL);
    rpc_put_call(&out, 3, STR("a.b"), arguments, NULL);
    expect_out(
        "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"tools/call\",\"params\":{\"name\":\"a.b\","
        "\"arguments\":{}}}");
    rpc_put_cancelled(&out, 3, "not wanted");
    expect_out("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{"
               "\"requestId\":3,\"reason\":\"not wanted\"}}");
    json_parse(STR("\"s-1\""), &id, NULL);
    rpc_put_reply(&out, id, STR("ping"));
    expect_out("{\"jsonrpc\":\"2.0\",\"id\":\"s-1\",\"result\":{}}");
    rpc_put_reply(&out, id, STR("sampling/createMessage"));
    expect_out("{\"jsonrpc\":\"2.0\",\"id\":\"s-1\",\"error\":{\"code\":-32601,"
               "\"message\":\"this client does nothing for servers\"}}");
    json_free(arguments);
    json_free(id);
}

Test(rpc, versions)
{
    static const struct {
        const char *list, *best;
        enum rpc_era era;
    } rows[] = {
        { "[\"2025-03-26\",\"2026-07-28\",\"2025-11-25\"]", "2026-07-28", RPC_ERA_MODERN },
        { "[\"2099-01-01\",\"2025-03-26\",\"2024-11-05\"]", "2025-03-26", RPC_ERA_LEGACY },
        { "[\"2099-01-01\",1,null]", NULL, RPC_ERA_UNKNOWN },
        { "[]", NULL, RPC_ERA_UNKNOWN },
        { "{}", NULL, RPC_ERA_UNKNOWN },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct json *list = NULL;
        enum rpc_era era = RPC_ERA_UNKNOWN;
        json_parse(str_of(rows[i].list), &list, NULL);
        const char *best = rpc_version_best(list, &era);
        cr_expect(rows[i].best ? best && strcmp(best, rows[i].best) == 0 : !best, "row %zu", i);
        cr_expect_eq(era, rows[i].era, "row %zu", i);
        json_free(list);
    }
    enum rpc_era era;
    cr_expect_str_eq(rpc_version_find(STR("2025-06-18"), &era), "2025-06-18");
    cr_expect_null(rpc_version_find(STR("2025-06-1"), &era));
}

Test(rpc, what_comes_in)
{
    static const struct {
        const char *text;
        enum rpc_what what;
        int64_t id, code;
        const char *word; /* method, or text of the error */
    } rows[] = {
        { "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[]}}", RPC_RESULT, 7, 0, "" },
        { "{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{},\"error\":null}", RPC_RESULT, 7, 0, "" },
        { "{\"jsonrpc\":\"2.0\",\"id\":\"7\",\"result\":{}}", RPC_RESULT, 0, 0, "" },
        { "{\"jsonrpc\":\"2.0\",\"id\":-7,\"result\":{}}", RPC_RESULT, 0, 0, "" },
        { "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32000,\"message\":\"no\"}}",
          RPC_ERROR, 0, -32000, "no" },
        { "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32020}}", RPC_ERROR, 0, -32020, "" },
        { "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}", RPC_NOTE, 0, 0,
          "notifications/tools/list_changed" },
        { "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", RPC_REQUEST, 1, 0, "ping" },
        { "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"roots/list\",\"params\":{}}", RPC_REQUEST,
          0, 0, "roots/list" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rpc_message m;
        struct err why = ERR_INIT;
        cr_assert_eq(rpc_parse(str_of(rows[i].text), &m, &why), ERR_NONE, "row %zu: %s", i,
                     why.msg);
        cr_expect_eq(m.what, rows[i].what, "row %zu", i);
        cr_expect_eq(m.id, rows[i].id, "row %zu", i);
        cr_expect_eq(m.code, rows[i].code, "row %zu", i);
        cr_expect(str_eq(m.what == RPC_ERROR ? m.text : m.method, str_of(rows[i].word)), "row %zu",
                  i);
        rpc_message_done(&m);
    }
}

Test(rpc, what_is_no_message)
{
    static const char *const rows[] = {
        "",
        "hello",
        "null",
        "7",
        "[]",
        "[{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}]",
        "{}",
        "{\"jsonrpc\":\"1.0\",\"id\":1,\"result\":{}}",
        "{\"id\":1,\"result\":{}}",
        "{\"jsonrpc\":\"2.0\",\"id\":1}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":[]}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":\"no\"}",
        "{\"jsonrpc\":\"2.0\",\"method\":7}",
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}} trailing",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rpc_message m;
        struct err why = ERR_INIT;
        cr_expect_eq(rpc_parse(str_of(rows[i]), &m, &why), ERR_PROTO, "row %zu", i);
        cr_expect(*why.msg, "row %zu", i);
    }
}

Test(rpc, errors)
{
    static const struct {
        int code;
        bool modern;
    } rows[] = { { -32700, false }, { -32600, false }, { -32601, false }, { -32602, false },
                 { -32019, false }, { -32020, true },  { -32021, true },  { -32022, true },
                 { -32023, false }, { -32002, false }, { 1, false } };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct rpc_message m = { .what = RPC_ERROR, .code = rows[i].code, .text = STR("a\nb\xff") };
        struct err why = ERR_INIT;
        cr_expect_eq(rpc_is_modern_error(&m), rows[i].modern, "row %zu", i);
        cr_expect_eq(rpc_refusal(&m, &why), ERR_REFUSED);
        cr_expect(strstr(why.msg, "the server says: a b\xEF\xBF\xBD ("), "%s", why.msg);
    }
}

/* The examples of the specification, and borders. */
Test(rpc, header_values)
{
    static const struct {
        const char *plain, *value;
    } rows[] = {
        { "us-west1", "us-west1" },
        { "a b\tc", "a b\tc" },
        { "", "" },
        { "Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?=" },
        { " padded ", "=?base64?IHBhZGRlZCA=?=" },
        { "line1\nline2", "=?base64?bGluZTEKbGluZTI=?=" },
        { "=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=" },
        { "=?base64?open", "=?base64?open" },
        { "\x7f", "=?base64?fw==?=" },
        { "a\r\nX-Evil: 1", "=?base64?YQ0KWC1FdmlsOiAx?=" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str value = rpc_header_value(&arena, str_of(rows[i].plain));
        cr_expect(str_eq(value, str_of(rows[i].value)), "row %zu: %.*s", i, STR_ARG(value));
    }
}
