/*
 * URLs of WebSockets.
 */
#include "core/net/ws_url.h"
#include <criterion/criterion.h>

static const struct {
    const char *url;
    bool tls;
    uint16_t port;
    const char *host, *authority, *path;
} good[] = {
    { "ws://a", false, 80, "a", "a", "/" },
    { "wss://a", true, 443, "a", "a", "/" },
    { "WSS://Gateway.Discord.gg/?v=10&encoding=json", true, 443, "Gateway.Discord.gg",
      "Gateway.Discord.gg", "/?v=10&encoding=json" },
    { "wss://a-b.c_d?v=10", true, 443, "a-b.c_d", "a-b.c_d", "/?v=10" },
    { "wss://a:8443/x/y?z=//", true, 8443, "a", "a:8443", "/x/y?z=//" },
    { "wss://a:443/", true, 443, "a", "a", "/" },
    { "ws://a:443/", false, 443, "a", "a:443", "/" },
    { "ws://a:/", false, 80, "a", "a", "/" },
    { "ws://127.0.0.1:65535", false, 65535, "127.0.0.1", "127.0.0.1:65535", "/" },
    { "wss://127.0.0.1/", true, 443, "127.0.0.1", "127.0.0.1", "/" },
    { "ws://[::1]/p", false, 80, "::1", "[::1]", "/p" },
    { "ws://[fe80::1]:9?q", false, 9, "fe80::1", "[fe80::1]:9", "/?q" },
};

Test(ws_url, good)
{
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct ws_url u;
        struct err why = ERR_INIT;
        cr_assert_eq(ws_url_parse(str_of(good[i].url), &u, &why), ERR_NONE, "row %zu: %s", i,
                     why.msg);
        cr_expect_eq(u.tls, good[i].tls, "row %zu", i);
        cr_expect_eq(u.port, good[i].port, "row %zu", i);
        cr_expect_str_eq(u.host, good[i].host, "row %zu: %s", i, u.host);
        cr_expect_str_eq(u.authority, good[i].authority, "row %zu: %s", i, u.authority);
        cr_expect_str_eq(u.path, good[i].path, "row %zu: %s", i, u.path);
    }
}

static const char *const bad[] = {
    "",
    "a",
    "http://a/secret",
    "ws:/a/secret",
    "ws:///secret",
    "ws://:80/secret",
    "ws://?secret",
    "ws://user:secret@a/",
    "ws://a:0/secret",
    "ws://a:65536/secret",
    "ws://a:80x/secret",
    "ws://a:-1/secret",
    "ws://a/secret#fragment",
    "ws://a/se cret",
    "ws://a/secret\r\nX: y",
    "ws://a/secret\xc3\xa4",
    "ws://a%20b/secret",
    "ws://[::1/secret",
    "ws://[]/secret",
    "ws://[::1]x/secret",
    "wss://[::1]/secret",
};

Test(ws_url, bad)
{
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ws_url u;
        struct err why = ERR_INIT;
        cr_expect_eq(ws_url_parse(str_of(bad[i]), &u, &why), ERR_CONF, "row %zu", i);
        cr_expect(!strstr(why.msg, "secret"), "row %zu: %s", i, why.msg);
        cr_expect_eq(ws_url_parse(str_of(bad[i]), &u, NULL), ERR_CONF);
    }
}

/* Exactly as long as it may be, and one more. */
Test(ws_url, lengths)
{
    for (size_t more = 0; more < 2; more++) {
        char url[WS_PATH_MAX + 20] = "ws://", host[WS_HOST_MAX + 20] = "ws://";
        struct ws_url u;
        memset(host + 5, 'h', WS_HOST_MAX + more);
        cr_expect_eq(ws_url_parse(str_of(host), &u, NULL), more ? ERR_CONF : ERR_NONE);
        cr_expect(more || strlen(u.authority) == WS_HOST_MAX);
        memcpy(url + 5, "a?", 2);
        memset(url + 7, 'p', WS_PATH_MAX - 1 + more);
        cr_expect_eq(ws_url_parse(str_of(url), &u, NULL), more ? ERR_CONF : ERR_NONE);
        cr_expect(more || strlen(u.path) == WS_PATH_MAX + 1);
    }
}
