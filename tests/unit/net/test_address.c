/*
 * Which addresses are public: each special range at its borders, and IPv4 inside IPv6.
 */
#include "core/net/address.h"
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>

struct row {
    const char *text;
    bool is_public;
};

static struct sockaddr_storage parsed(const char *text)
{
    struct sockaddr_storage a = { .ss_family = AF_INET6 };
    if (inet_pton(AF_INET6, text, &((struct sockaddr_in6 *)&a)->sin6_addr) == 1) return a;
    a.ss_family = AF_INET;
    cr_assert_eq(inet_pton(AF_INET, text, &((struct sockaddr_in *)&a)->sin_addr), 1, "%s", text);
    return a;
}

static void check(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct sockaddr_storage a = parsed(rows[i].text);
        cr_expect_eq(address_is_public((struct sockaddr *)&a), rows[i].is_public, "%s",
                     rows[i].text);
    }
}

Test(address, ipv4)
{
    static const struct row rows[] = {
        { "0.0.0.0", false },         { "0.255.255.255", false },   { "1.0.0.0", true },
        { "9.255.255.255", true },    { "10.0.0.0", false },        { "10.255.255.255", false },
        { "11.0.0.0", true },         { "100.63.255.255", true },   { "100.64.0.0", false },
        { "100.100.100.200", false }, { "100.127.255.255", false }, { "100.128.0.0", true },
        { "126.255.255.255", true },  { "127.0.0.1", false },       { "127.255.255.254", false },
        { "128.0.0.0", true },        { "169.253.255.255", true },  { "169.254.169.254", false },
        { "169.255.0.0", true },      { "172.15.255.255", true },   { "172.16.0.0", false },
        { "172.31.255.255", false },  { "172.32.0.0", true },       { "192.0.0.192", false },
        { "192.0.1.0", true },        { "192.0.2.1", false },       { "192.88.99.1", false },
        { "192.167.255.255", true },  { "192.168.0.1", false },     { "192.169.0.0", true },
        { "198.17.255.255", true },   { "198.18.0.0", false },      { "198.19.255.255", false },
        { "198.20.0.0", true },       { "198.51.100.9", false },    { "203.0.113.9", false },
        { "223.255.255.255", true },  { "224.0.0.1", false },       { "239.255.255.255", false },
        { "240.0.0.1", false },       { "255.255.255.255", false }, { "8.8.8.8", true },
    };
    check(rows, sizeof rows / sizeof *rows);
}

Test(address, ipv6)
{
    static const struct row rows[] = {
        { "::", false },
        { "::1", false },
        { "::8.8.8.8", false }, /* IPv4-compatible, of no use since 2006 */
        { "::ffff:8.8.8.8", true },
        { "::ffff:127.0.0.1", false },
        { "::ffff:169.254.169.254", false },
        { "::ffff:10.1.2.3", false },
        { "64:ff9b::8.8.8.8", true },
        { "64:ff9b::10.0.0.1", false },
        { "64:ff9b:1::8.8.8.8", false },
        { "100::1", false },
        { "1fff::1", false },
        { "2001::1", false },
        { "2001:1ff::1", false },
        { "2001:200::1", true },
        { "2001:db8::1", false },
        { "2001:4860:4860::8888", true },
        { "2002:7f00:1::1", false },
        { "2606:4700:4700::1111", true },
        { "2620:4f:8000::1", false },
        { "3fff:fff::1", false },
        { "3fff:1000::1", true },
        { "4000::1", false },
        { "fc00::1", false },
        { "fd00:ec2::254", false },
        { "fe80::1", false },
        { "fec0::1", false },
        { "ff02::1", false },
    };
    check(rows, sizeof rows / sizeof *rows);
}

Test(address, another_family_is_nothing_public)
{
    struct sockaddr unix_socket = { .sa_family = AF_UNIX };
    cr_expect(!address_is_public(&unix_socket));
    cr_expect(!address_is_loopback(&unix_socket));
}

Test(address, loopback)
{
    static const struct row rows[] = { { "127.0.0.1", true },
                                       { "127.9.9.9", true },
                                       { "128.0.0.1", false },
                                       { "::1", true },
                                       { "::2", false },
                                       { "::ffff:127.0.0.1", true },
                                       { "::ffff:128.0.0.1", false } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sockaddr_storage a = parsed(rows[i].text);
        cr_expect_eq(address_is_loopback((struct sockaddr *)&a), rows[i].is_public, "%s",
                     rows[i].text);
    }
}
