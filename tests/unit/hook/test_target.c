/* Where webhooks may be sent. */
#include "core/hook/target.h"
#include "core/net/address.h"
#include <criterion/criterion.h>

static const char *listed[] = { "hooks.intern:8080", "127.0.0.1:9000", "[::1]:9000" };
static const struct conf_list hosts = { .n = 3, .v = listed };

static const struct row {
    const char *url, *why; /* NULL: it may be kept */
} rows[] = {
    { "https://example.org", NULL },
    { "HTTPS://example.org:8443/a/b?c=d&e=%20", NULL },
    { "https://93.184.216.34/x", NULL },
    { "https://[2606:4700:4700::1111]:443/", NULL },
    { "https://127.example.org/", NULL },
    { "https://localhost.example.org/", NULL },
    { "http://hooks.intern:8080/a", NULL },
    { "http://127.0.0.1:9000/", NULL },
    { "http://[::1]:9000/", NULL },
    { "http://example.org/", "begin with https" },
    { "http://hooks.intern/", "begin with https" },
    { "http://127.0.0.1:9001/", "begin with https" },
    { "ftp://127.0.0.1:9000/", "begin with https" },
    { "", "begin with https" },
    { "example.org", "begin with https" },
    { "https://127.0.0.1/", "public" },
    { "https://127.0.0.1:9001/", "public" },
    { "https://127.1/", "public" },
    { "https://2130706433/", "public" },
    { "https://0x7f000001/", "public" },
    { "https://0x7f.1/", "public" },
    { "https://017700000001/", "public" },
    { "https://127.0.0.1./", "public" },
    { "https://0/", "public" },
    { "https://10.0.0.1/", "public" },
    { "https://169.254.169.254/latest/meta-data/", "public" },
    { "https://[::1]/", "public" },
    { "https://[::ffff:127.0.0.1]/", "public" },
    { "https://[::ffff:7f00:1]/", "public" },
    { "https://[fd00::1]/", "public" },
    { "https://localhost/", "public" },
    { "https://LocalHost:8443/", "public" },
    { "https://localhost./", "public" },
    { "https://a.localhost/", "public" },
    { "https://example.org@127.0.0.1/", "user name" },
    { "http://127.0.0.1:9000@example.org/", "begin with https" },
    { "https://127.0.0.1:9000@example.org/", "user name" },
    { "https://", "no host" },
    { "https:///path", "no host" },
    { "https://:443/", "no host" },
    { "https://example.org:0/", "no host" },
    { "https://example.org:70000/", "no host" },
    { "https://example.org:80:80/", "no host" },
    { "https://[::1", "public" },
    { "https://[::1]x/", "no host" },
    { "https://%31%32%37.0.0.1/", "no host" },
    { "https://example.org/#part", "fragment" },
    { "https://example.org/a b", "escaped" },
    { "https://example.org\\@127.0.0.1/", "escaped" },
    { "https://ex\xc3\xa4mple.org/", "escaped" },
    { "https://example.org/\n", "escaped" },
};

Test(target, check)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct err why = ERR_INIT;
        enum err_kind kind = target_check(str_of(rows[i].url), &hosts, &why);
        cr_expect_eq(kind, rows[i].why ? ERR_REFUSED : ERR_NONE, "%s: %s", rows[i].url, why.msg);
        if (rows[i].why) cr_expect(strstr(why.msg, rows[i].why), "%s: %s", rows[i].url, why.msg);
    }
}

Test(target, too_long)
{
    char url[TARGET_URL_MAX + 2], name[300];
    struct err why = ERR_INIT;
    memset(url, 'a', sizeof url);
    memcpy(url, "https://example.org/", 20);
    cr_expect_eq(target_check(str_from(url, TARGET_URL_MAX), &hosts, &why), ERR_NONE);
    cr_expect_eq(target_check(str_from(url, TARGET_URL_MAX + 1), &hosts, &why), ERR_REFUSED);
    memset(name, 'a', sizeof name);
    memcpy(name, "https://", 8);
    cr_expect_eq(target_check(str_from(name, 8 + 253), &hosts, &why), ERR_NONE);
    cr_expect_eq(target_check(str_from(name, 8 + 254), &hosts, &why), ERR_REFUSED);
}

Test(target, guard)
{
    cr_expect_eq(target_guard(STR("https://example.org/"), &hosts), address_is_public);
    cr_expect_eq(target_guard(STR("https://127.0.0.1:9001/"), &hosts), address_is_public);
    cr_expect_eq(target_guard(STR("https://hooks.intern:8080@example.org/"), &hosts),
                 address_is_public);
    cr_expect_null(target_guard(STR("http://Hooks.Intern:8080?x"), &hosts));
}
