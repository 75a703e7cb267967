/*
 * Lists of tools: names, limits, annotations, hashes, and what a hostile server may write.
 */
#include "core/base/utf8.h"
#include "core/net/sign.h"
#include "core/tool/catalog.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define TEN(x)   x x x x x x x x x x

static const struct catalog_limits limits = {
    .pages = 3, .tools = 4, .description = 20, .schema = 400
};
static struct catalog catalog;
static struct err why;

static void setup(void)
{
    cr_assert(sign_setup());
    catalog_init(&catalog, "srv", &limits);
}

static void teardown(void)
{
    catalog_done(&catalog);
}

TestSuite(catalog, .init = setup, .fini = teardown);

static enum err_kind page(const char *json, struct str *ret_cursor)
{
    struct json *doc = NULL;
    struct str unused;
    cr_assert_eq(json_parse(str_of(json), &doc, &why), ERR_NONE, "%s: %s", json, why.msg);
    enum err_kind kind = catalog_page(&catalog, doc, ret_cursor ? ret_cursor : &unused, &why);
    json_free(doc);
    return kind;
}

static void one(const char *name, const char *more)
{
    char json[4096];
    snprintf(json, sizeof(json), "{\"tools\":[{\"name\":\"%s\",%s}]}", name, more);
    cr_assert_eq(page(json, NULL), ERR_NONE, "%s", why.msg);
}

#define PLAIN "\"inputSchema\":{\"type\":\"object\"}"

Test(catalog, names)
{
    static const struct {
        const char *name, *shown;
    } rows[] = {
        { "get", "srv__get" },
        { "Get_weather-2", "srv__Get_weather-2" },
        { "files.read", "srv__files_read" },
        { "a b/\xC3\xA4", "srv__a_b___" },
        { TEN("abcdef") "g", "srv__" TEN("abcdef") },
        { TEN("abcdef"), "srv__" TEN("abcdef") },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        teardown();
        setup();
        one(rows[i].name, PLAIN);
        cr_assert_eq(catalog.n, 1u, "row %zu", i);
        struct str shown = catalog.tools[0].shown.name;
        cr_expect_leq(shown.n, 64u);
        bool cut = strlen(rows[i].name) > 59;
        if (cut)
            cr_expect(str_starts(shown, str_head(str_of(rows[i].shown), 55)) &&
                          shown.p[55] == '_' && shown.n == 64,
                      "row %zu: %.*s", i, STR_ARG(shown));
        else
            cr_expect(str_eq(shown, str_of(rows[i].shown)), "row %zu: %.*s", i, STR_ARG(shown));
        cr_expect_eq(catalog_find(&catalog, shown), &catalog.tools[0]);
        cr_expect(str_eq(catalog.tools[0].name, str_of(rows[i].name)));
    }
}

Test(catalog, names_that_come_to_the_same)
{
    one("a.b", PLAIN);
    one("a_b", PLAIN);
    one("a b", PLAIN);
    one("a_b", PLAIN);
    cr_assert_eq(catalog.n, 3u);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(catalog_find(&catalog, catalog.tools[i].shown.name), &catalog.tools[i]);
    cr_expect(str_eq(catalog.dropped[0], STR("a_b: it is there twice")));
}

Test(catalog, what_models_see)
{
    one("t",
        "\"description\":\"d\",\"inputSchema\":{ \"type\": \"object\", \"properties\": {\"q\":{\"type\":"
        "\"string\"}} }");
    one("u", "\"title\":\"T\"," PLAIN);
    one("v", "\"description\":\"0123456789012345678\xC3\xA4 and more\"," PLAIN);
    one("w", "\"description\":\"a\\u0000\"," PLAIN);
    cr_assert_eq(catalog.n, 4u);
    cr_expect(str_eq(catalog.tools[0].shown.schema,
                     STR("{\"type\":\"object\",\"properties\":{\"q\":{\"type\":\"string\"}}}")));
    cr_expect(str_eq(catalog.tools[1].shown.description, STR("T")));
    cr_expect(str_eq(catalog.tools[2].shown.description, STR("0123456789012345678 …")), "%.*s",
              STR_ARG(catalog.tools[2].shown.description));
    cr_expect(utf8_valid(catalog.tools[3].shown.description));
}

Test(catalog, what_is_dropped)
{
    static const struct {
        const char *tool, *dropped;
    } rows[] = {
        { "7", "?: it has no name" },
        { "{\"name\":\"\"," PLAIN "}", "?: it has no name" },
        { "{\"name\":\"a\\u0000b\"," PLAIN "}", "?: it has no name" },
        { "{\"name\":\"t\"}", "t: it has no schema" },
        { "{\"name\":\"t\",\"inputSchema\":\"x\"}", "t: it has no schema" },
        { "{\"name\":\"t\",\"inputSchema\":{\"type\":\"string\"}}",
          "t: its schema is not that of an object" },
        { "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\",\"description\":\"" TEN(
              TEN("12345")) "\"}}",
          "t: its schema is too long" },
        { "{\"name\":\"t\",\"inputSchema\":{\"properties\":{\"a\":{\"$ref\":\"https://evil.example/x\"}}}}",
          "t: its schema points elsewhere" },
        { "{\"name\":\"t\",\"inputSchema\":{\"allOf\":[{\"$ref\":\"other.json\"}]}}",
          "t: its schema points elsewhere" },
        { "{\"name\":\"t\",\"inputSchema\":{\"x-mcp-header\":\"A\"}}",
          "t: x-mcp-header where it must not be" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char json[4096];
        teardown();
        setup();
        snprintf(json, sizeof(json), "{\"tools\":[%s]}", rows[i].tool);
        cr_expect_eq(page(json, NULL), ERR_NONE);
        cr_expect_eq(catalog.n, 0u, "row %zu", i);
        cr_expect_eq(catalog.n_dropped, 1u, "row %zu", i);
        cr_expect(str_eq(catalog.dropped[0], str_of(rows[i].dropped)), "row %zu: %.*s", i,
                  STR_ARG(catalog.dropped[0]));
    }
}

Test(catalog, references_inside_are_fine)
{
    one("t",
        "\"inputSchema\":{\"type\":\"object\",\"$schema\":\"http://json-schema.org/draft-07/schema#\","
        "\"properties\":{\"a\":{\"$ref\":\"#/$defs/a\"},\"$ref\":{\"type\":\"string\"}},\"$defs\":{\"a\":{}}}");
    cr_expect_eq(catalog.n, 1u, "%.*s", STR_ARG(catalog.dropped[0]));
}

Test(catalog, header_annotations)
{
#define PROPS(p) "\"inputSchema\":{\"type\":\"object\",\"properties\":{" p "}}"
    static const struct {
        const char *tool;
        size_t n; /* headers; 9: dropped */
    } rows[] = {
        { PROPS("\"r\":{\"type\":\"string\",\"x-mcp-header\":\"Region\"}"), 1 },
        { PROPS(
              "\"r\":{\"type\":\"integer\",\"x-mcp-header\":\"A\"},\"s\":{\"type\":\"boolean\",\"x-mcp-header\":"
              "\"B\"}"),
          2 },
        { PROPS(
              "\"o\":{\"type\":\"object\",\"properties\":{\"r\":{\"type\":\"string\",\"x-mcp-header\":\"A\"}}}"),
          1 },
        { PROPS("\"x-mcp-header\":{\"type\":\"string\"}"), 0 }, /* a parameter of that name */
        { PROPS("\"r\":{\"type\":\"string\",\"default\":{\"x-mcp-header\":\"data\"}}"), 0 },
        { PROPS("\"r\":{\"type\":\"number\",\"x-mcp-header\":\"A\"}"), 9 },
        { PROPS("\"r\":{\"type\":[\"string\"],\"x-mcp-header\":\"A\"}"), 9 },
        { PROPS("\"r\":{\"type\":\"string\",\"x-mcp-header\":\"\"}"), 9 },
        { PROPS("\"r\":{\"type\":\"string\",\"x-mcp-header\":\"A B\"}"), 9 },
        { PROPS("\"r\":{\"type\":\"string\",\"x-mcp-header\":\"A\\r\\nB: c\"}"), 9 },
        { PROPS("\"r\":{\"type\":\"string\",\"x-mcp-header\":7}"), 9 },
        { PROPS(
              "\"r\":{\"type\":\"string\",\"x-mcp-header\":\"A\"},\"s\":{\"type\":\"string\",\"x-mcp-header\":\"a\"}"),
          9 },
        { PROPS(
              "\"l\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"x-mcp-header\":\"A\"}}"),
          9 },
        { PROPS("\"l\":{\"anyOf\":[{\"type\":\"string\",\"x-mcp-header\":\"A\"}]}"), 9 },
        { PROPS(
              "\"l\":{\"items\":{\"properties\":{\"r\":{\"type\":\"string\",\"x-mcp-header\":\"A\"}}}}"),
          9 },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        teardown();
        setup();
        one("t", rows[i].tool);
        cr_expect_eq(catalog.n, rows[i].n == 9 ? 0u : 1u, "row %zu: %.*s", i,
                     STR_ARG(catalog.dropped[0]));
        if (catalog.n) cr_expect_eq(catalog.tools[0].n_headers, rows[i].n, "row %zu", i);
    }
}

Test(catalog, headers_of_a_call)
{
    static const struct {
        const char *arguments, *headers;
    } rows[] = {
        { "{\"r\":\"us\",\"o\":{\"n\":-7},\"b\":true}",
          "Mcp-Param-R=us Mcp-Param-N=-7 Mcp-Param-B=true " },
        { "{\"r\":\"\xC3\xA4\",\"b\":false}", "Mcp-Param-R==?base64?w6Q=?= Mcp-Param-B=false " },
        { "{\"r\":null,\"o\":[1],\"b\":{}}", "" },
        { "{\"o\":{\"n\":9007199254740992}}", "" },
        { "{\"o\":{\"n\":9007199254740991}}", "Mcp-Param-N=9007199254740991 " },
        { "{}", "" },
    };
    struct arena arena;
    arena_init(&arena);
    one("t",
        PROPS(
            "\"r\":{\"type\":\"string\",\"x-mcp-header\":\"R\"},\"o\":{\"properties\":{\"n\":{\"type\":"
            "\"integer\",\"x-mcp-header\":\"N\"}}},\"b\":{\"type\":\"boolean\",\"x-mcp-header\":\"B\"}"));
    cr_assert_eq(catalog.n, 1u);
    for (size_t i = 0; i < COUNT(rows); i++) {
        _cleanup_(buf_done) struct buf got = BUF_INIT(1000);
        struct http_header h[CATALOG_HEADERS_MAX];
        struct json *doc = NULL;
        json_parse(str_of(rows[i].arguments), &doc, NULL);
        size_t n = tool_headers(&catalog.tools[0], doc, &arena, h);
        for (size_t k = 0; k < n; k++)
            buf_addf(&got, "%.*s=%.*s ", STR_ARG(h[k].name), STR_ARG(h[k].value));
        cr_expect(str_eq(buf_str(&got), str_of(rows[i].headers)), "row %zu: %s", i, got.p);
        json_free(doc);
    }
    arena_done(&arena);
}

Test(catalog, hashes_tell_changes)
{
    static const char *const others[] = {
        "\"description\":\"d\"," PLAIN,
        "\"description\":\"D\"," PLAIN,
        "\"description\":\"01234567890123456789 one\"," PLAIN,
        "\"description\":\"01234567890123456789 two\"," PLAIN, /* behind what models see */
        "\"description\":\"d\",\"inputSchema\":{\"type\":\"object\",\"properties\":{}}",
    };
    uint8_t hashes[COUNT(others)][32];
    for (size_t i = 0; i < COUNT(others); i++) {
        teardown();
        setup();
        one("t", others[i]);
        memcpy(hashes[i], catalog.tools[0].hash, 32);
        for (size_t k = 0; k < i; k++)
            cr_expect(memcmp(hashes[i], hashes[k], 32) != 0, "%zu and %zu", i, k);
        teardown();
        setup();
        one("t", others[i]);
        cr_expect(memcmp(hashes[i], catalog.tools[0].hash, 32) == 0, "the same is the same");
    }
}

/* A server whose language keeps members in no order says them otherwise each time it starts. */
Test(catalog, the_order_of_members_makes_no_change)
{
    static const char *const same[] = {
        "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[1,2]},\"b\":{}}}",
        "\"inputSchema\":{\"properties\":{\"b\":{},\"a\":{\"enum\":[1,2]}},\"type\":\"object\"}",
    };
    static const char *const others[] = {
        "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[2,1]},\"b\":{}}}",
        "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{\"enum\":[1,2]}}}",
        "\"inputSchema\":{\"type\":\"object\",\"properties\":{\"a\":{\"enum\":[1,2]},\"b\":null}}",
    };
    uint8_t first[32];
    one("t", same[0]);
    memcpy(first, catalog.tools[0].hash, 32);
    for (size_t i = 0; i < COUNT(same) + COUNT(others); i++) {
        bool is_same = i < COUNT(same);
        teardown();
        setup();
        one("t", is_same ? same[i] : others[i - COUNT(same)]);
        cr_expect_eq(memcmp(first, catalog.tools[0].hash, 32) == 0, is_same, "%zu", i);
    }
}

Test(catalog, pages)
{
    struct str cursor = STR_NONE;
    cr_expect_eq(page("{\"tools\":[{\"name\":\"a\"," PLAIN
                      "}],\"nextCursor\":\"2\",\"ttlMs\":5000}",
                      &cursor),
                 ERR_NONE);
    cr_expect(str_eq(cursor, STR("2")));
    cr_expect_eq(page("{\"tools\":[{\"name\":\"b\"," PLAIN "}],\"nextCursor\":\"3\"}", &cursor),
                 ERR_NONE);
    cr_expect_eq(page("{\"tools\":[],\"nextCursor\":\"4\"}", &cursor), ERR_LIMIT);
    cr_expect_eq(catalog.n, 2u);
    cr_expect_eq(catalog.ttl_ms, 5000);
    cr_expect_eq(page("{}", &cursor), ERR_PROTO);
    cr_expect_eq(page("{\"tools\":{}}", &cursor), ERR_PROTO);
}

Test(catalog, too_many_tools)
{
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%d", i);
        one(name, PLAIN);
    }
    cr_expect_eq(catalog.n, 4u);
    cr_expect_eq(catalog.n_dropped, 36u);
    cr_expect(str_eq(catalog.dropped[15], STR("t19: there are too many")));
}
