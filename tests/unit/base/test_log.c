/*
 * Log lines: both forms, secrets in every guise, and lines that repeat.
 */
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/utf8.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define STAMP    "1970-01-01T00:00:01.000Z"

static char last[80000];
static unsigned n_lines;

static void keep(struct str line, void *ctx)
{
    (void)ctx;
    cr_assert(utf8_valid(line));
    cr_assert_eq(str_find_char(line, '\n'), SIZE_MAX);
    snprintf(last, sizeof(last), "%.*s", STR_ARG(line));
    n_lines++;
}

static void setup(void)
{
    clock_virtual(1000);
    log_setup(LOG_DEBUG, LOG_TEXT);
    log_sink(keep, NULL);
}

TestSuite(log, .init = setup);

Test(log, text)
{
    log_info("turn", "answered", "turn=%d text=%s", 7, log_quote(STR("a b")));
    cr_expect_str_eq(last, STAMP " info turn \"answered\" turn=7 text=\"a b\"");
    log_error("pg", "gone", "");
    cr_expect_str_eq(last, STAMP " error pg \"gone\"");
}

Test(log, levels)
{
    enum log_level level = LOG_ERROR;
    cr_expect(log_level_parse(STR("debug"), &level) && level == LOG_DEBUG);
    cr_expect(log_level_parse(STR("error"), &level) && level == LOG_ERROR);
    cr_expect_not(log_level_parse(STR("loud"), &level));
    cr_expect_not(log_level_parse(STR_NONE, &level));

    log_setup(LOG_WARN, LOG_TEXT);
    log_info("turn", "not seen", "");
    log_debug("turn", "not seen", "");
    cr_expect_eq(n_lines, 0u);
    log_warn("turn", "seen", "");
    cr_expect_eq(n_lines, 1u);
}

Test(log, nothing_fakes_a_line)
{
    log_info("turn", "x", "a=%s", "1\n1970 error \x1B[31m fake\r\t\x7F\xC2\x9B\xFF end");
    cr_expect_str_eq(last, STAMP " info turn \"x\" a=1 1970 error  [31m fake     "
                                 "\xEF\xBF\xBD end");
}

Test(log, quote)
{
    static const struct {
        struct str in;
        const char *out;
    } table[] = {
        { STR_NONE, "\"\"" },
        { { "a\"b\\c\n\x01", 7 }, "\"a\\\"b\\\\c\\n\\u0001\"" },
        { { "\xFF", 1 }, "\"\xEF\xBF\xBD\"" },
    };
    for (size_t i = 0; i < COUNT(table); i++)
        cr_expect_str_eq(log_quote(table[i].in), table[i].out, "row %zu", i);

    char text[300];
    memset(text, 'x', sizeof(text));
    const char *quoted = log_quote(str_from(text, 200));
    cr_expect_eq(strlen(quoted), 202u);
    quoted = log_quote(str_from(text, 201));
    cr_expect_str_eq(quoted + 199, "xx\xE2\x80\xA6\"");
    memcpy(text + 199, "\xE2\x82\xAC", 3);
    cr_expect(utf8_valid(str_of(log_quote(str_from(text, sizeof(text))))), "cut inside a point");

    const char *eight[8];
    for (int i = 0; i < 8; i++) eight[i] = log_quote(str_from(text, (size_t)i));
    for (int i = 0; i < 8; i++) cr_expect_eq(strlen(eight[i]), (size_t)i + 2);
}

Test(log, json)
{
    log_setup(LOG_DEBUG, LOG_JSON);
    log_warn("telegram/a", "send refused", "turn=%s retry_ms=%d text=%s loose =v raw=a\"b",
             "0190-x", 30, log_quote(STR("q\"uo te\n=x")));
    cr_expect_str_eq(last, "{\"time\":\"" STAMP "\",\"level\":\"warn\",\"who\":\"telegram/a\","
                           "\"message\":\"send refused\",\"turn\":\"0190-x\",\"retry_ms\":\"30\","
                           "\"text\":\"q\\\"uo te\\n=x\",\"loose\":\"\",\"\":\"v\","
                           "\"raw\":\"a\\\"b\"}");
}

Test(log, json_whatever_comes)
{
    static const char *const fields[] = {
        "",
        " ",
        "=",
        "==",
        "a",
        "a=",
        "a=\"",
        "a=\"x",
        "a=\"\\",
        "a=\"\\q\" b=1",
        "\"\"=\"\"",
        "a=\xFF\n\x01",
        "a=\"x\"y\"z\" ",
        "a=\"\\ud800\"",
    };
    log_setup(LOG_DEBUG, LOG_JSON);
    for (size_t i = 0; i < COUNT(fields); i++) {
        struct json *doc = NULL;
        struct err why = ERR_INIT;
        log_info("turn", "x", "%s", fields[i]);
        cr_expect_eq(json_parse(str_of(last), &doc, &why), ERR_NONE, "%s: %s", last, why.msg);
        json_free(doc);
    }
}

Test(log, secrets)
{
    log_secret(STR("short"));
    log_secret(STR("123456:AAbb/cc+d\"e"));
    log_secret(STR("123456:AAbb/cc+d\"e"));
    log_secret(STR("hunter2hunter2"));
    log_secret(STR("hunter2")); /* inside the one before */
    log_info("turn", "x", "a=123456:AAbb/cc+d\"e b=hunter2hunter2 c=hunter2 d=short");
    cr_expect_str_eq(last, STAMP " info turn \"x\" a=*** b=*** c=*** d=short");
    log_info("turn", "x", "text=%s", log_quote(STR("my 123456:AAbb/cc+d\"e!")));
    cr_expect_str_eq(last, STAMP " info turn \"x\" text=\"my ***!\"");
    log_info("turn", "x", "url=/bot123456%%3AAAbb%%2Fcc%%2Bd%%22e/getMe");
    cr_expect_str_eq(last, STAMP " info turn \"x\" url=/bot***/getMe");
    log_info("turn hunter2", "m hunter2", "hunter2=1 x=hunter2hunter2hunter2hunter2");
    cr_expect_str_eq(last, STAMP " info turn *** \"m ***\" ***=1 x=******");

    log_setup(LOG_DEBUG, LOG_JSON);
    log_info("turn", "x", "a=123456:AAbb/cc+d\"e");
    cr_expect_null(strstr(last, "123456"));
    cr_expect(strstr(last, "\"a\":\"***\""), "%s", last);
}

Test(log, no_half_secret_at_a_cut)
{
    static char text[20000];
    const char *secret = "SECRET-0123456789-abcdefghijklmnop";
    log_secret(str_of(secret));
    for (size_t shift = 150; shift < 260; shift++) {
        memset(text, '.', 600);
        memcpy(text + 20, secret, strlen(secret)); /* its stars move the rest to the left */
        memcpy(text + shift, secret, strlen(secret));
        cr_assert_null(strstr(log_quote(str_from(text, 600)), "SECRET"), "shift %zu", shift);
    }
    for (size_t shift = 8100; shift < 8200; shift++) {
        memset(text, '.', sizeof(text) - 1);
        memcpy(text + shift, secret, strlen(secret));
        clock_advance(1000);
        log_info("turn", "x", "a=%s", text);
        cr_assert_null(strstr(last, "SECR"), "shift %zu", shift);
        cr_assert(strstr(last, " cut=true"));
    }
}

Test(log, longest_line_in_both_forms)
{
    _cleanup_(mem_free_p) char *text = mem_alloc(20000);
    log_setup(LOG_DEBUG, LOG_JSON);
    memset(text, '"', 19999);
    log_info("turn", "x", "a=%s", text);
    struct json *doc = NULL;
    cr_expect_eq(json_parse(str_of(last), &doc, NULL), ERR_NONE);
    json_free(doc);
    memset(text, 0xFF, 19999);
    log_setup(LOG_DEBUG, LOG_TEXT);
    log_info("turn", "x", "a=%s", text);
    cr_expect(strstr(last, " cut=true"));
}

Test(log, holds_back_what_repeats)
{
    for (int i = 0; i < 100; i++) log_warn("redis", "down", "");
    cr_expect_eq(n_lines, (unsigned)LOG_REPEAT_MAX);
    log_warn("redis", "up", "");
    log_warn("redis/2", "down", "");
    cr_expect_eq(n_lines, LOG_REPEAT_MAX + 2u, "others pass");
    clock_advance(999);
    log_warn("redis", "down", "");
    cr_expect_eq(n_lines, LOG_REPEAT_MAX + 2u);
    clock_advance(1);
    log_warn("redis", "down", "n=%d", 1);
    cr_expect_str_eq(last, "1970-01-01T00:00:02.000Z warn redis \"down\" n=1 held=81");
    log_warn("redis", "down", "n=%d", 2);
    cr_expect_str_eq(last, "1970-01-01T00:00:02.000Z warn redis \"down\" n=2", "counted once");
}

Test(log, many_speakers)
{
    for (int i = 0; i < 5000; i++) {
        char who[32];
        snprintf(who, sizeof(who), "web/%d", i);
        log_info(who, "open", "");
    }
    cr_expect_eq(n_lines, 5000u, "a crowd is no repetition");
}
