/* From an answer to text for people. */
#include "cli_ops.h"
#include <criterion/criterion.h>
#include <stdlib.h>
#include <time.h>

#define NOW_MS 1795753000000 /* 2026-11-27 04:16:40 UTC */

static void setup(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
}
TestSuite(cli_table, .init = setup);

static struct json *parse(const char *text)
{
    struct json *doc = NULL;
    struct err why;
    cr_assert(!json_parse(str_of(text), &doc, &why), "%s", why.msg);
    return doc;
}

#define ROWS                                                                                   \
    "[{\"name\": \"short\", \"count\": 5, \"made_at\": \"2026-11-27T04:17:28.5+00:00\", "      \
    "\"is_on\": true, \"tags\": []}, {\"name\": \"two \\u6f22\\u5b57 wide\", \"count\": 1234," \
    " \"made_at\": \"2026-11-27T04:17:28+02:00\", \"is_on\": false}]"

static void expect_table(const char *rows, size_t width, const char *want)
{
    struct cli_view view = { width, NOW_MS };
    struct cli_table table;
    struct json *doc = parse(rows);
    _cleanup_(buf_done) struct buf text = BUF_INIT(10000);
    cli_table_init(&table, &thing_type, &view);
    cli_table_add(&table, doc, &text);
    cr_expect_str_eq(text.p, want, "%s", text.p);
    json_free(doc);
}

Test(cli_table, rows)
{
    expect_table(ROWS, 0,
                 "NAME           COUNT  MADE_AT           IS_ON\n"
                 "short              5  2026-11-27 04:17  yes\n"
                 "two 漢字 wide   1234  2026-11-27 02:17  no\n");
    expect_table(ROWS, 44,
                 "NAME          COUNT  MADE_AT           IS_ON\n"
                 "short             5  2026-11-27 04:17  yes\n"
                 "two 漢字 wi…   1234  2026-11-27 02:17  no\n");
    expect_table(ROWS, 43,
                 "NAME           COUNT  MADE_AT\n"
                 "short              5  2026-11-27 04:17\n"
                 "two 漢字 wide   1234  2026-11-27 02:17\n");
    expect_table(ROWS, 12, "NAME\nshort\ntwo 漢字 wi…\n");
    expect_table(ROWS, 5, "NAME\nshort\ntwo …\n");
    expect_table("[{\"name\": null, \"made_at\": \"soon\", \"is_on\": [\"a\", \"b\"]}]", 0,
                 "NAME  COUNT  MADE_AT  IS_ON\n-         -  soon     a, b\n");
}

Test(cli_table, further_pages_stand_under_the_same_columns)
{
    struct cli_view view = { 0, NOW_MS };
    struct cli_table table;
    struct json *one = parse("[{\"name\": \"long name\"}]"), *two = parse("[{\"name\": \"x\"}]");
    _cleanup_(buf_done) struct buf text = BUF_INIT(10000);
    cli_table_init(&table, &thing_type, &view);
    cli_table_add(&table, one, &text);
    cli_table_add(&table, two, &text);
    cr_expect_str_eq(text.p, "NAME       COUNT  MADE_AT  IS_ON\n"
                             "long name      -  -        -\n"
                             "x              -  -        -\n");
    json_free(one);
    json_free(two);
}

Test(cli_table, object)
{
    struct cli_view view = { 0, NOW_MS };
    _cleanup_(buf_done) struct buf text = BUF_INIT(10000);
    struct json *doc =
        parse("{\"newer\": {\"a\": [1, null]}, \"tags\": [\"a\", \"b\"], \"count\": 1.50,"
              " \"name\": \"one\\n\\u001btwo\", \"made_at\": \"2026-11-27T04:16:30Z\","
              " \"is_on\": null}");
    cli_show_object(&text, &thing_type, doc, &view);
    cr_expect_str_eq(text.p,
                     "name:    one\n"
                     "         \\x1btwo\n"
                     "count:   1.50\n"
                     "made_at: 2026-11-27 04:16 (10 s ago)\n"
                     "is_on:   -\n"
                     "tags:    a, b\n"
                     "newer:   {\"a\":[1,null]}\n",
                     "%s", text.p);
    json_free(doc);
}

Test(cli_table, what_a_terminal_obeys)
{
    static const char *const cases[][3] = {
        { "plain ü 漢 👍🏽", "plain ü 漢 👍🏽", "plain ü 漢 👍🏽" },
        { "\x1b[2J\a\r\x7f", "\\x1b[2J\\x07\\x0d\\x7f", "\x1b[2J\a\r\\u007f" },
        { "\xc2\x9b"
          "2J",
          "\\x9b2J", "\\u009b2J" },
        { "a\tb\nc", "a\\tb\\nc", "a\tb\nc" },
        { "\u202e\u2066\u061c", "\\u{202e}\\u{2066}\\u{61c}", "\\u202e\\u2066\\u061c" },
        { "\U000e0041", "\\u{e0041}", "\\udb40\\udc41" },
        { "\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469",
          "\U0001f468\u200d\U0001f469" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        _cleanup_(buf_done) struct buf safe = BUF_INIT(1000), json = BUF_INIT(1000);
        cli_put_safe(&safe, str_of(cases[i][0]));
        cr_expect_str_eq(safe.p, cases[i][1], "%s", safe.p);
        cli_put_json(&json, str_of(cases[i][0]));
        cr_expect_str_eq(json.p, cases[i][2], "%s", json.p);
    }
    _cleanup_(buf_done) struct buf bad = BUF_INIT(1000);
    cli_put_safe(&bad, STR("a\xff\xfe"
                           "b"));
    cr_expect_str_eq(bad.p, "a\uFFFD\uFFFDb");
}

Test(cli_table, pretty)
{
    _cleanup_(buf_done) struct buf text = BUF_INIT(1000);
    cli_put_pretty(&text, STR("{\"a\":[],\"b\":{},\"c\":[1,{\"d\":\"{\\\"x\\\\\"}]}"));
    cr_expect_str_eq(text.p,
                     "{\n  \"a\": [],\n  \"b\": {},\n  \"c\": [\n    1,\n    {\n"
                     "      \"d\": \"{\\\"x\\\\\"\n    }\n  ]\n}\n",
                     "%s", text.p);
}
