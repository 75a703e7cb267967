/*
 * Redis URLs: what is understood, what is refused, and that no refusal tells a password.
 */
#include "core/net/redis_url.h"
#include <criterion/criterion.h>
#include <string.h>

struct good {
    const char *url, *host, *path, *user, *password;
    int port;
    int64_t db;
    bool tls;
};

static const struct good goods[] = {
    { "redis://localhost", "localhost", "", "", "", 6379, 0, false },
    { "redis://127.0.0.1:6380/3", "127.0.0.1", "", "", "", 6380, 3, false },
    { "REDIS://h/", "h", "", "", "", 6379, 0, false },
    { "redis://h?db=7", "h", "", "", "", 6379, 7, false },
    { "redis://:secret@h:1", "h", "", "", "secret", 1, 0, false },
    { "redis://me:s%40c%2Fr%3aet@h", "h", "", "me", "s@c/r:et", 6379, 0, false },
    { "redis://me:a@b@h", "h", "", "me", "a@b", 6379, 0, false },
    { "redis://me@h", "h", "", "me", "", 6379, 0, false },
    { "redis://[::1]:6380/2", "::1", "", "", "", 6380, 2, false },
    { "redis://[fe80::1]", "fe80::1", "", "", "", 6379, 0, false },
    { "rediss://r.example:6390", "r.example", "", "", "", 6390, 0, true },
    { "unix:///run/redis.sock", "", "/run/redis.sock", "", "", 0, 0, false },
    { "unix:///run/redis.sock?db=4", "", "/run/redis.sock", "", "", 0, 4, false },
    { "redis+unix://:pw@/a%20b/r.sock", "", "/a b/r.sock", "", "pw", 0, 0, false },
};

Test(redis_url, understood)
{
    for (size_t i = 0; i < sizeof(goods) / sizeof(goods[0]); i++) {
        const struct good *g = &goods[i];
        struct redis_target t;
        struct err why = ERR_INIT;
        cr_assert_eq(redis_url_parse(g->url, &t, &why), ERR_NONE, "%s: %s", g->url, why.msg);
        cr_expect_str_eq(t.host, g->host, "%s", g->url);
        cr_expect_str_eq(t.path, g->path, "%s", g->url);
        cr_expect_str_eq(t.user, g->user, "%s", g->url);
        cr_expect_str_eq(t.password, g->password, "%s", g->url);
        cr_expect_eq(t.port, g->port, "%s", g->url);
        cr_expect_eq(t.db, g->db, "%s", g->url);
        cr_expect_eq(t.tls, g->tls, "%s", g->url);
        redis_target_done(&t);
    }
}

#define TEN "0123456789"

static const char *const bads[] = {
    "",
    "localhost:6379",
    "http://u:hunter2@h",
    "redis://",
    "redis://u:hunter2@",
    "redis://u:hunter2@h:0",
    "redis://u:hunter2@h:65536",
    "redis://u:hunter2@h:x",
    "redis://u:hunter2@h/-1",
    "redis://u:hunter2@h/1x",
    "redis://u:hunter2@h/99999999999999999999",
    "redis://u:hunter2@h?timeout=3",
    "redis://u:hunter2@h?db=",
    "redis://u:hunter2%@h",
    "redis://u:hunter2%4@h",
    "redis://u:hunter2%00@h",
    "redis://[::1",
    "redis://[::1]x",
    "unix://relative/path",
    "unix://",
    "unix:///a%zz",
    "unix:///" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN,
};

Test(redis_url, refused)
{
    for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
        struct redis_target t;
        struct err why = ERR_INIT;
        cr_expect_eq(redis_url_parse(bads[i], &t, &why), ERR_CONF, "%s", bads[i]);
        cr_expect(strlen(why.msg) > 0);
        cr_expect_null(strstr(why.msg, "hunter2"), "%s", why.msg);
    }
}
