/*
 * JSON: what is refused and where, what getters do with the wrong type, and writing.
 */
#include "core/base/json.h"
#include "core/base/utf8.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define BYTES(s)            \
    {                       \
        "" s, sizeof(s) - 1 \
    }
#define TEN(x) x x x x x x x x x x

static struct json *parsed(struct str text)
{
    struct json *doc = NULL;
    struct err why = ERR_INIT;
    cr_assert_eq(json_parse(text, &doc, &why), ERR_NONE, "%.*s: %s", STR_ARG(text), why.msg);
    return doc;
}

Test(json, accepts)
{
    static const struct str table[] = {
        BYTES("{}"),
        BYTES("[]"),
        BYTES(" \t\r\n{} \n"),
        BYTES("\"\""),
        BYTES("0"),
        BYTES("-0"),
        BYTES("-0.5e-3"),
        BYTES("1E+2"),
        BYTES("12 "),
        BYTES("null"),
        BYTES("true"),
        BYTES("[false,null,{\"a\":[{}]}]"),
        BYTES("{\"\":1}"),
        BYTES("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e4\\uD83D\\ude00\""),
        BYTES("\"\x7F\""),
        BYTES("\"\xC3\xA4\xF0\x9F\x98\x80\""),
        BYTES("[1e999]"),
        BYTES("{\"a\":\"\\u0000\"}"),
        BYTES("["
              "123456789012345678901234567890"
              "]"),
        BYTES(TEN("[") TEN("[") TEN("[") "[["
                                         "1"
                                         "]]" TEN("]") TEN("]") TEN("]")),
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct json *doc = NULL;
        struct err why = ERR_INIT;
        cr_expect_eq(json_parse(table[i], &doc, &why), ERR_NONE, "row %zu: %s", i, why.msg);
        json_free(doc);
    }
}

Test(json, refuses)
{
    static const struct {
        struct str text;
        const char *says;
    } table[] = {
        { BYTES(""), "end of data" },
        { BYTES("  "), "end of data" },
        { BYTES("{"), "end of data" },
        { BYTES("[1,2"), "end of data at byte 4" },
        { BYTES("\"abc"), "string without an end" },
        { BYTES("\"\\"), "unknown escape" },
        { BYTES("{} x"), "unexpected character at byte 3" },
        { BYTES("{}{}"), "unexpected" },
        { BYTES("1 2"), "unexpected" },
        { BYTES("{}\0"), "unexpected character at byte 2" },
        { BYTES("\0"), "unexpected character at byte 0" },
        { BYTES("[1,]"), "unexpected" },
        { BYTES("[,1]"), "unexpected" },
        { BYTES("[1 2]"), "expected" },
        { BYTES("{\"a\":1,}"), "unexpected" },
        { BYTES("{\"a\"}"), "expected" },
        { BYTES("{\"a\":}"), "unexpected" },
        { BYTES("{1:2}"), "unexpected" },
        { BYTES("]"), "nothing to close" },
        { BYTES("[}"), "unexpected" },
        { BYTES("'a'"), "unexpected character at byte 0" },
        { BYTES("{'a':1}"), "unexpected character at byte 1" },
        { BYTES("NaN"), "unexpected" },
        { BYTES("[Infinity]"), "unexpected" },
        { BYTES("[-Infinity]"), "bad number" },
        { BYTES("True"), "unexpected" },
        { BYTES("nul"), "unexpected" },
        { BYTES("nullx"), "unexpected" },
        { BYTES("[01]"), "unexpected" },
        { BYTES("[-]"), "bad number" },
        { BYTES("[1.]"), "bad number" },
        { BYTES("[.5]"), "unexpected" },
        { BYTES("[+1]"), "unexpected" },
        { BYTES("[1e]"), "bad number" },
        { BYTES("[1e+]"), "bad number" },
        { BYTES("[0x10]"), "unexpected" },
        { BYTES("[1\0]"), "unexpected" },
        { BYTES("/* c */ 1"), "unexpected" },
        { BYTES("\xEF\xBB\xBF{}"), "unexpected character at byte 0" },
        { BYTES("\"a\nb\""), "control character" },
        { BYTES("\"a\0b\""), "control character" },
        { BYTES("\"\\x41\""), "unknown escape" },
        { BYTES("\"\\u12\""), "bad \\u escape" },
        { BYTES("\"\\u12g4\""), "bad \\u escape" },
        { BYTES("\"\\u\x11\x12\x13\x14\""), "bad \\u escape" },
        { BYTES("\"\\ud800\""), "lone surrogate" },
        { BYTES("\"\\ud800\\u0041\""), "lone surrogate" },
        { BYTES("\"\\ud800\\ud800\""), "lone surrogate" },
        { BYTES("\"\\udc00\""), "lone surrogate" },
        { BYTES("\"\\ud800"), "lone surrogate" },
        { BYTES("\"\xFF\""), "invalid UTF-8 at byte 1" },
        { BYTES("\"\xC0\x80\""), "invalid UTF-8" },
        { BYTES("\"\xED\xA0\x80\""), "invalid UTF-8" },
        { BYTES("\"\xE2\x82\""), "invalid UTF-8" },
        { BYTES("{\"id\\u0000x\" : 1}"), "U+0000 in a key" },
        { BYTES(TEN("[") TEN("[") TEN("[") "[[["
                                           "]]]" TEN("]") TEN("]") TEN("]")),
          "nested too deep at byte 33" },
        { BYTES("<html>"), "unexpected character at byte 0" },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct json *doc = NULL;
        struct err why = ERR_INIT;
        cr_expect_eq(json_parse(table[i].text, &doc, &why), ERR_PROTO, "row %zu", i);
        cr_expect_null(doc, "row %zu", i);
        cr_expect(strstr(why.msg, table[i].says), "row %zu: '%s' has no '%s'", i, why.msg,
                  table[i].says);
        cr_expect(strstr(why.msg, " at byte "), "row %zu: %s", i, why.msg);
    }
}

Test(json, getters_check_types)
{
    struct json *doc = parsed(STR("{\"s\":\"text\",\"i\":-5,\"d\":1.5,\"b\":true,\"n\":null,"
                                  "\"a\":[1,null,\"x\"],\"one\":1.0}"));
    struct str s = STR("old");
    int64_t i = 42;
    double d = 4.2;
    bool b = false;

    cr_expect(json_get_str(doc, "s", &s) && str_eq(s, STR("text")));
    cr_expect(json_get_i64(doc, "i", &i) && i == -5);
    cr_expect(json_get_f64(doc, "d", &d) && d == 1.5);
    cr_expect(json_get_f64(doc, "i", &d) && d == -5);
    cr_expect(json_get_bool(doc, "b", &b) && b);

    static const char *const not_strings[] = { "i", "d", "b", "n", "a", "absent" };
    for (size_t k = 0; k < COUNT(not_strings); k++)
        cr_expect_not(json_get_str(doc, not_strings[k], &s), "%s", not_strings[k]);
    static const char *const not_integers[] = { "s", "d", "b", "n", "a", "one", "absent" };
    for (size_t k = 0; k < COUNT(not_integers); k++)
        cr_expect_not(json_get_i64(doc, not_integers[k], &i), "%s", not_integers[k]);
    cr_expect_not(json_get_f64(doc, "s", &d));
    cr_expect_not(json_get_bool(doc, "i", &b));
    cr_expect(str_eq(s, STR("text")) && i == -5 && d == -5, "left as they were");

    struct json *a = json_get(doc, "a");
    cr_expect(json_is_array(a) && !json_is_object(a) && json_is_object(doc));
    cr_expect_eq(json_length(a), 3u);
    cr_expect(json_i64(json_at(a, 0), &i) && i == 1);
    cr_expect_null(json_at(a, 1));
    cr_expect(json_str(json_at(a, 2), &s) && str_eq(s, STR("x")));
    cr_expect_null(json_at(a, 3));
    cr_expect_null(json_at(doc, 0));
    cr_expect_eq(json_length(doc), 0u);
    cr_expect_null(json_get(a, "s"));
    json_free(doc);
}

Test(json, a_value_is_written_back)
{
    static const char *const texts[] = {
        "{\"a\":[1,-2.50,true,null,\"x\"],\"b\":{},\"c\":[]}",
        "\"q\\\"uo/te\\\\ \\n \\u0000 \xC3\xB6\"",
        "9007199254740993",
        "null",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct json *doc = parsed(str_of(texts[i]));
        struct buf b = BUF_INIT(1000), small = BUF_INIT(3);
        cr_expect(json_write(doc, &b));
        cr_expect_str_eq(b.p, texts[i]);
        cr_expect_not(json_write(doc, &small));
        cr_expect(small.full && small.n == 0);
        buf_done(&b);
        json_free(doc);
    }
    struct json *doc = parsed(STR("[1e5,\"1\",-3]"));
    double d = 0;
    cr_expect(json_f64(json_at(doc, 0), &d) && d == 1e5);
    cr_expect_not(json_f64(json_at(doc, 1), &d));
    cr_expect(json_f64(json_at(doc, 2), &d) && d == -3);
    cr_expect_not(json_f64(NULL, &d));
    json_free(doc);
}

Test(json, absent_all_the_way)
{
    int64_t i;
    cr_expect_null(json_get(json_get(NULL, "a"), "b"));
    cr_expect_null(json_at(NULL, 0));
    cr_expect_eq(json_length(NULL), 0u);
    cr_expect_not(json_i64(NULL, &i));
    cr_expect_not(json_is_object(NULL) || json_is_array(NULL));
    json_free(NULL);
    json_free(parsed(STR("null")));
}

Test(json, integers_at_the_bounds)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t v;
    } table[] = {
        { "9223372036854775807", true, INT64_MAX }, { "-9223372036854775807", true, -INT64_MAX },
        { "9223372036854775808", false, 0 },        { "18446744073709551615", false, 0 },
        { "99999999999999999999999", false, 0 },    { "-9223372036854775809", false, 0 },
        { "-99999999999999999999999", false, 0 },   { "1e3", false, 0 },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        struct json *doc = parsed(str_of(table[i].text));
        int64_t v = 42;
        cr_expect_eq(json_i64(doc, &v), table[i].ok, "%s", table[i].text);
        cr_expect_eq(v, table[i].ok ? table[i].v : 42, "%s", table[i].text);
        json_free(doc);
    }
    struct json *doc = parsed(STR("{\"d\":1e999}"));
    double d = 1;
    cr_expect_not(json_get_f64(doc, "d", &d), "infinity is no number");
    json_free(doc);
}

Test(json, strings_come_out_whole)
{
    struct json *doc = parsed(STR("{\"a\":\"x\\u0000y\",\"a\":\"x\\u0000z\\ud83d\\ude00\"}"));
    struct str s;
    cr_expect(json_get_str(doc, "a", &s));
    cr_expect(str_eq(s, STR("x\0z\xF0\x9F\x98\x80")), "the last one wins, NUL inside");
    json_free(doc);
}

Test(json, writes)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(1000);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '{');
    json_field_str(&o, "s", STR("a\"b\\c/\n\r\t\b\f\x01\x7F\xC3\xA4"));
    json_field_i64(&o, "i", INT64_MIN);
    json_field_bool(&o, "b", false);
    json_key(&o, "a");
    json_open(&o, '[');
    json_put_null(&o);
    json_put_bool(&o, true);
    json_put_i64(&o, 0);
    json_put_raw(&o, STR("{\"x\":1}"));
    json_open(&o, '{');
    json_close(&o, '}');
    json_open(&o, '[');
    json_close(&o, ']');
    json_put_str(&o, STR_NONE);
    json_close(&o, ']');
    json_field_i64(&o, "k\"", INT64_MAX);
    json_close(&o, '}');
    cr_expect_str_eq(b.p, "{\"s\":\"a\\\"b\\\\c/\\n\\r\\t\\b\\f\\u0001\x7F\xC3\xA4\","
                          "\"i\":-9223372036854775808,\"b\":false,"
                          "\"a\":[null,true,0,{\"x\":1},{},[],\"\"],"
                          "\"k\\\"\":9223372036854775807}");
    cr_expect_not(b.full);
    json_free(parsed(buf_str(&b)));
}

Test(json, writes_numbers)
{
    static const struct {
        double v;
        const char *text;
    } table[] = {
        { 0, "0" },      { 0.1, "0.1" }, { -1.5, "-1.5" },      { 1e300, "1e+300" },
        { NAN, "null" }, { 3, "3" },     { -INFINITY, "null" }, { 1.0 / 3, "0.33333333333333331" },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(100);
        struct json_out o = JSON_OUT(&b);
        json_put_f64(&o, table[i].v);
        cr_expect_str_eq(b.p, table[i].text);
    }
}

Test(json, writes_valid_text_whatever_comes)
{
    static const struct {
        struct str in;
        const char *out;
    } table[] = {
        { BYTES("a\xFFz"), "\"a\xEF\xBF\xBDz\"" },
        { BYTES("a\0z"), "\"a\xEF\xBF\xBDz\"" },
        { BYTES("\xED\xA0\x80"), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"" },
        { BYTES("\xF0\x9F\x98"), "\"\xEF\xBF\xBD\"" },
        { BYTES("\xF0\x9F\x98\x80"), "\"\xF0\x9F\x98\x80\"" },
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(100);
        struct json_out o = JSON_OUT(&b);
        json_put_str(&o, table[i].in);
        cr_expect_str_eq(b.p, table[i].out, "row %zu", i);
    }
}

Test(json, every_byte_comes_back)
{
    for (int c = 1; c < 0x80; c++) {
        _cleanup_(buf_done) struct buf b = BUF_INIT(100);
        struct json_out o = JSON_OUT(&b);
        struct str s, in = str_from((char[]){ 'x', (char)c, 'y' }, 3);
        json_put_str(&o, in);
        struct json *doc = parsed(buf_str(&b));
        cr_expect(json_str(doc, &s) && str_eq(s, in), "byte %d", c);
        json_free(doc);
    }
}

Test(json, deepest_writing)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(1000);
    struct json_out o = JSON_OUT(&b);
    for (int i = 0; i < 31; i++) {
        json_open(&o, '[');
        json_put_i64(&o, i);
    }
    for (int i = 0; i < 31; i++) json_close(&o, ']');
    json_free(parsed(buf_str(&b)));
}

Test(json, full_is_seen_at_the_end)
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(10);
    struct json_out o = JSON_OUT(&b);
    json_open(&o, '[');
    json_put_str(&o, STR("longer than that"));
    json_close(&o, ']');
    cr_expect(b.full);
}

Test(json, halves_of_characters_are_mended)
{
    static const struct {
        const char *text, *mended;
    } cases[] = {
        { "\"\\ud83d\"", "\"\\ufffd\"" },
        { "\"a\\uDE00b\"", "\"a\\ufffdb\"" },
        { "\"\\ud83d\\ud83d\\ude00\"", "\"\\ufffd\\ud83d\\ude00\"" },
        { "\"\\ud83d\\ude00\"", NULL },
        { "\"\\\\ud83d\"", NULL }, /* a backslash, and letters */
        { "\"\\\\\\ud83d\"", "\"\\\\\\ufffd\"" },
        { "\"\\u12\"", NULL },
        { "\"\\n\\", NULL },
        { "{}", NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        _cleanup_(buf_done) struct buf to = BUF_INIT(200);
        bool found = json_mend_halves(str_of(cases[i].text), &to, NULL);
        cr_expect_eq(found, cases[i].mended != NULL, "%s", cases[i].text);
        const char *want = cases[i].mended ? cases[i].mended : cases[i].text;
        cr_expect_str_eq(to.p, want);
        struct json *doc = NULL;
        if (cases[i].mended) cr_expect_eq(json_parse(buf_str(&to), &doc, NULL), ERR_NONE);
        json_free(doc);
    }
}

Test(json, members_come_in_their_order)
{
    struct json *doc = parsed(STR("{\"b\":1,\"a\":null,\"c\":[true,{}]}"));
    _cleanup_(buf_done) struct buf seen = BUF_INIT(200);
    struct json_member m = { 0 };
    while (json_next(doc, &m)) {
        buf_addf(&seen, "%.*s=", STR_ARG(m.key));
        json_write(m.value, &seen);
        buf_add_char(&seen, ' ');
    }
    cr_expect(!json_next(doc, &m), "the end is the end");
    cr_expect_str_eq(seen.p, "b=1 a=null c=[true,{}] ");
    struct json_member none = { 0 };
    cr_expect(!json_next(json_get(doc, "c"), &none), "not an object");
    cr_expect(!json_next(NULL, &none));
    json_free(doc);
}

Test(json, a_value_as_text)
{
    static const char *const table[] = {
        "{}",
        "[]",
        "null",
        "\"a\\n\\\"\xC3\xA4/\"",
        "{\"a\":{\"b\":[1,-2,0.5,\"\"]}}",
        "18446744073709551615",
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        _cleanup_(buf_done) struct buf text = BUF_INIT(200);
        struct json *doc = parsed(str_of(table[i]));
        cr_expect(json_write(doc, &text));
        cr_expect_str_eq(text.p, table[i]);
        json_free(doc);
    }
    struct json *doc = parsed(STR("[1,2,3]"));
    _cleanup_(buf_done) struct buf small = BUF_INIT(6);
    cr_expect(!json_write(doc, &small) && small.full, "one byte too many");
    json_free(doc);
}

Test(json, a_string_without_escapes_needs_no_parser)
{
    struct str got;
    cr_expect(json_plain_string(STR("\"\""), &got) && got.n == 0);
    cr_expect(json_plain_string(STR("\"a \xC3\xA4/\""), &got) && str_eq(got, STR("a \xC3\xA4/")));
    static const char *const others[] = {
        "",         "\"",       "a",        "\"a",      "a\"", "\"\\n\"",
        "\"a\"b\"", "\"a\tb\"", "\"\xC3\"", "\"\xFF\"", "17",  " \"a\"",
    };
    for (size_t i = 0; i < COUNT(others); i++)
        cr_expect(!json_plain_string(str_of(others[i]), &got), "%s", others[i]);
    cr_expect(!json_plain_string(str_from("\"\0\"", 3), &got));
}
