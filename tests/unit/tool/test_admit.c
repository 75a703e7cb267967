/*
 * What a configuration of tool servers may name.
 */
#include "core/tool/admit.h"
#include <criterion/criterion.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

Test(admit, urls)
{
    static const struct {
        const char *url;
        bool secure, open, local; /* admitted with security, without it; local */
    } rows[] = {
        { "https://tools.example/mcp", true, true, false },
        { "HTTPS://tools.example", true, true, false },
        { "http://tools.example/mcp", false, true, false },
        { "http://localhost:8080/mcp", true, true, true },
        { "http://LOCALHOST", true, true, true },
        { "http://127.0.0.1:1/", true, true, true },
        { "http://127.9.9.9/", true, true, true },
        { "http://[::1]:3000/mcp", true, true, true },
        { "https://[::1]", true, true, true },
        { "http://0.0.0.0/", false, true, false },
        { "http://127.0.0.1.evil.example/", false, true, false },
        { "http://localhost.evil.example/", false, true, false },
        { "http://evil.example/http://localhost/", false, true, false },
        { "http://evil.example?http://127.0.0.1", false, true, false },
        { "http://evil.example#@localhost", false, true, false },
        { "http://10.0.0.1/", false, true, false },
        { "http://[fe80::1]/", false, true, false },
        { "http://2130706433/", false, true, false },
        { "http://localhost@evil.example/", false, false, false },
        { "https://user:secret@tools.example/", false, false, false },
        { "https://", false, false, false },
        { "https:///path", false, false, false },
        { "https://a b/", false, false, false },
        { "https://a\\b/", false, false, false },
        { "https://\xC3\xA4/", false, false, false },
        { "ftp://x/", false, false, false },
        { "tools.example/mcp", false, false, false },
        { "", false, false, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct str url = str_of(rows[i].url);
        struct err why = ERR_INIT;
        cr_expect_eq(admit_url(url, true, &why) == ERR_NONE, rows[i].secure, "%s: %s", rows[i].url,
                     why.msg);
        cr_expect_eq(admit_url(url, false, &why) == ERR_NONE, rows[i].open, "%s", rows[i].url);
        if (rows[i].open) cr_expect_eq(admit_is_local(url), rows[i].local, "%s", rows[i].url);
    }
}

Test(admit, addresses_that_servers_give)
{
    static const struct {
        const char *given, *whole; /* NULL: refused */
    } rows[] = {
        { "/messages?sessionId=1", "https://tools.example:8443/messages?sessionId=1" },
        { "https://tools.example:8443/m", "https://tools.example:8443/m" },
        { "HTTPS://TOOLS.EXAMPLE:8443/m", "HTTPS://TOOLS.EXAMPLE:8443/m" },
        { "/x?next=http://evil.example/",
          "https://tools.example:8443/x?next=http://evil.example/" },
        { "https://tools.example/m", NULL },
        { "http://tools.example:8443/m", NULL },
        { "https://evil.example/m", NULL },
        { "https://tools.example:8443@evil.example/m", NULL },
        { "https://tools.example:8443.evil.example/m", NULL },
        { "//evil.example/m", NULL },
        { "/a b", NULL },
        { "/a\r\nX: y", NULL },
        { "messages", NULL },
        { "", NULL },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        _cleanup_(buf_done) struct buf got = BUF_INIT(200);
        struct err why = ERR_INIT;
        enum err_kind kind = admit_same_origin(STR("https://tools.example:8443/sse"),
                                               str_of(rows[i].given), &got, &why);
        cr_expect_eq(kind, rows[i].whole ? ERR_NONE : ERR_REFUSED, "row %zu: %s", i, why.msg);
        if (rows[i].whole) cr_expect_str_eq(got.p, rows[i].whole);
    }
}

Test(admit, commands)
{
    static const char *words[] = { "npx", "node" };
    const struct conf_list allowed = { 2, words };
    static const struct {
        const char *program;
        bool secure, open;
    } rows[] = {
        { "node", true, true },  { "npx", true, true },     { "/bin/sh", true, true },
        { "sh", false, true },   { "./node", false, true }, { "../npx", false, true },
        { "NODE", false, true }, { "node ", false, true },  { "nod", false, true },
        { "", false, false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err why = ERR_INIT;
        struct str program = str_of(rows[i].program);
        cr_expect_eq(admit_command(program, &allowed, true, &why) == ERR_NONE, rows[i].secure, "%s",
                     rows[i].program);
        cr_expect_eq(admit_command(program, &allowed, false, &why) == ERR_NONE, rows[i].open, "%s",
                     rows[i].program);
    }
}

struct line {
    const char *text;
    bool fine;
};

static void check(enum err_kind (*admit)(struct str, struct err *), const struct line *lines,
                  size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct err why = ERR_INIT;
        cr_expect_eq(admit(str_of(lines[i].text), &why) == ERR_NONE, lines[i].fine, "\"%s\"",
                     lines[i].text);
    }
}

Test(admit, names)
{
    static const struct line lines[] = {
        { "a", true },
        { "Git-Hub_2", true },
        { "a1234567890123456789012b", true },
        { "a1234567890123456789012bc", false },
        { "", false },
        { "a b", false },
        { "a.b", false },
        { "a__b", false },
        { "_a", false },
        { "a_", false },
        { "\xC3\xA4", false },
    };
    check(admit_name, lines, COUNT(lines));
}

Test(admit, headers)
{
    static const struct line lines[] = {
        { "X-Team: blue", true },
        { "X-Team:blue", true },
        { "X-Team", false },
        { ": blue", false },
        { "X-Team:", false },
        { "X Team: blue", false },
        { "X-Team: a\r\nB: c", false },
        { "X: \xC3\xA4", false },
    };
    check(admit_header, lines, COUNT(lines));
}

Test(admit, variables)
{
    static const struct line lines[] = {
        { "TOKEN", true }, { "A=b", true }, { "A=", true },     { "A=b=c d", true },
        { "=b", false },   { "", false },   { "A B=c", false }, { "A-B", false },
    };
    check(admit_env, lines, COUNT(lines));
}
