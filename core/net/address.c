/*
 * address - see address.h. The tables are IANA's special-purpose registries, as of 2025:
 * https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry.
 */
#include "core/net/address.h"
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct net4 {
    uint32_t net;
    unsigned bits;
};

#define IP4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (d))

static const struct net4 special4[] = {
    { IP4(0, 0, 0, 0), 8 },       /* this network; Linux takes 0.0.0.0 for loopback */
    { IP4(10, 0, 0, 0), 8 },      /* private */
    { IP4(100, 64, 0, 0), 10 },   /* carriers' NAT; some clouds' metadata (100.100.100.200) */
    { IP4(127, 0, 0, 0), 8 },     /* loopback */
    { IP4(169, 254, 0, 0), 16 },  /* link-local, metadata */
    { IP4(172, 16, 0, 0), 12 },   /* private */
    { IP4(192, 0, 0, 0), 24 },    /* protocol assignments; metadata of Oracle's cloud */
    { IP4(192, 0, 2, 0), 24 },    /* documentation */
    { IP4(192, 31, 196, 0), 24 }, /* AS112 */
    { IP4(192, 52, 193, 0), 24 }, /* AMT */
    { IP4(192, 88, 99, 0), 24 },  /* 6to4 relays */
    { IP4(192, 168, 0, 0), 16 },  /* private */
    { IP4(192, 175, 48, 0), 24 }, /* AS112 */
    { IP4(198, 18, 0, 0), 15 },   /* benchmarks */
    { IP4(198, 51, 100, 0), 24 }, /* documentation */
    { IP4(203, 0, 113, 0), 24 },  /* documentation */
    { IP4(224, 0, 0, 0), 4 },     /* multicast */
    { IP4(240, 0, 0, 0), 4 },     /* reserved, broadcast */
};

/* Inside 2000::/3, which is all that is public. */
static const struct net6 {
    uint8_t net[16];
    unsigned bits;
} special6[] = {
    { { 0x20, 0x01, 0x00 }, 23 },             /* protocol assignments: Teredo, ORCHID, benchmarks */
    { { 0x20, 0x01, 0x0d, 0xb8 }, 32 },       /* documentation */
    { { 0x20, 0x02 }, 16 },                   /* 6to4: an IPv4 address in disguise */
    { { 0x26, 0x20, 0x00, 0x4f, 0x80 }, 48 }, /* AS112 */
    { { 0x3f, 0xff }, 20 },                   /* documentation */
};

static bool in_net4(uint32_t a, const struct net4 *n)
{
    return (a ^ n->net) >> (32 - n->bits) == 0;
}

static bool in_net6(const uint8_t *a, const uint8_t *net, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, net, whole) != 0) return false;
    return rest == 0 || (a[whole] ^ net[whole]) >> (8 - rest) == 0;
}

static bool public4(uint32_t a)
{
    for (size_t i = 0; i < sizeof(special4) / sizeof(*special4); i++)
        if (in_net4(a, &special4[i])) return false;
    return true;
}

static uint32_t ip4_at(const uint8_t *p)
{
    return IP4(p[0], p[1], p[2], p[3]);
}

static bool public6(const uint8_t *a)
{
    static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff },
                         nat64[16] = { 0, 0x64, 0xff, 0x9b };
    static const uint8_t global[16] = { 0x20 };
    if (in_net6(a, mapped, 96) || in_net6(a, nat64, 96)) return public4(ip4_at(a + 12));
    if (!in_net6(a, global, 3)) return false;
    for (size_t i = 0; i < sizeof(special6) / sizeof(*special6); i++)
        if (in_net6(a, special6[i].net, special6[i].bits)) return false;
    return true;
}

bool address_is_public(const struct sockaddr *a)
{
    if (a->sa_family == AF_INET)
        return public4(ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr));
    if (a->sa_family == AF_INET6)
        return public6(((const struct sockaddr_in6 *)(const void *)a)->sin6_addr.s6_addr);
    return false;
}

bool address_is_loopback(const struct sockaddr *a)
{
    static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff, [12] = 127 };
    if (a->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >> 24 == 127;
    if (a->sa_family != AF_INET6) return false;
    const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(v6) || in_net6(v6->s6_addr, mapped, 104);
}

struct str address_authority(struct str url)
{
    size_t at = str_find(url, STR("://")), n = 0;
    if (at == SIZE_MAX) return STR_NONE;
    url = str_skip(url, at + 3);
    while (n < url.n && !strchr("/?#", url.p[n])) n++;
    return str_head(url, n);
}

bool address_host_listed(struct str url, const struct conf_list *hosts)
{
    struct str host = address_authority(url);
    for (size_t i = 0; i < hosts->n && host.n; i++)
        if (str_eq_nocase(host, str_of(hosts->v[i]))) return true;
    return false;
}
