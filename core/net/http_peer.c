/*
 * Who is the client? The socket's peer, unless that is a proxy the configuration trusts: then the
 * last address in X-Forwarded-For that is not a trusted proxy itself. What stands before it may
 * have been written by the client and proves nothing. Pure.
 */
#include "core/base/mem.h"
#include "core/net/http_server_impl.h"
#include <arpa/inet.h>

/* IPv4 as ::ffff:a.b.c.d, so that there is one kind of address. */
struct ip_range {
    uint8_t ip[16];
    unsigned bits; /* UINT_MAX ends the array */
};

static const uint8_t v4_prefix[12] = { [10] = 0xff, [11] = 0xff };

static bool ip_parse(struct str text, uint8_t ret[16], bool *ret_v4)
{
    char s[INET6_ADDRSTRLEN];

    if (text.n >= sizeof s) return false;
    memcpy(s, text.p, text.n);
    s[text.n] = '\0';
    *ret_v4 = inet_pton(AF_INET, s, ret + 12) == 1;
    if (*ret_v4) memcpy(ret, v4_prefix, sizeof v4_prefix);
    return *ret_v4 || inet_pton(AF_INET6, s, ret) == 1;
}

static void ip_format(const uint8_t ip[16], char *ret)
{
    bool v4 = memcmp(ip, v4_prefix, sizeof v4_prefix) == 0;
    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? ip + 12 : ip, ret, INET6_ADDRSTRLEN);
}

static bool range_parse(struct str text, struct ip_range *ret)
{
    struct str bits = text, ip = str_cut(&bits, '/');
    bool v4;
    uint64_t n;

    if (!ip_parse(ip, ret->ip, &v4)) return false;
    if (ip.n == text.n) {
        ret->bits = 128;
        return true;
    }
    if (!str_u64(bits, &n) || n > (v4 ? 32 : 128)) return false;
    ret->bits = (unsigned)n + (v4 ? 96 : 0);
    return true;
}

static bool in_range(const uint8_t ip[16], const struct ip_range *r)
{
    unsigned bytes = r->bits / 8, rest = r->bits % 8;

    if (memcmp(ip, r->ip, bytes) != 0) return false;
    return !rest || (ip[bytes] ^ r->ip[bytes]) >> (8 - rest) == 0;
}

static bool is_trusted(const struct ip_range *trusted, const uint8_t ip[16])
{
    for (; trusted->bits != UINT_MAX; trusted++)
        if (in_range(ip, trusted)) return true;
    return false;
}

/* One element of the header: "1.2.3.4", "1.2.3.4:567", "[::1]", "[::1]:567". */
static bool element_parse(struct str s, uint8_t ret[16])
{
    bool v4;

    s = str_trim(s);
    if (s.n && s.p[0] == '[') {
        s = str_skip(s, 1);
        return ip_parse(str_cut(&s, ']'), ret, &v4);
    }
    if (ip_parse(s, ret, &v4)) return true;
    struct str port = s, ip = str_cut(&port, ':');
    return port.n && str_find_char(port, ':') == SIZE_MAX && ip_parse(ip, ret, &v4) && v4;
}

enum err_kind ip_ranges_parse(const struct conf_list *list, struct ip_range **ret, struct err *why)
{
    struct ip_range *ranges = mem_new_array(struct ip_range, list->n + 1);

    for (size_t i = 0; i < list->n; i++) {
        if (range_parse(str_of(list->v[i]), &ranges[i])) continue;
        err_set(why, ERR_CONF, "trusted_proxies: \"%s\" is neither an IP nor IP/bits", list->v[i]);
        free(ranges);
        return ERR_CONF;
    }
    ranges[list->n].bits = UINT_MAX;
    *ret = ranges;
    return ERR_NONE;
}

/* Walk one header from its end while who we came to is trusted. False: stop, here is nonsense. */
static bool walk(const struct ip_range *trusted, struct str forwarded, uint8_t ip[16])
{
    uint8_t before[16];

    while (forwarded.n && is_trusted(trusted, ip)) {
        size_t at = forwarded.n;
        while (at && forwarded.p[at - 1] != ',') at--;
        if (!element_parse(str_skip(forwarded, at), before)) return false;
        memcpy(ip, before, sizeof before);
        forwarded = str_head(forwarded, at ? at - 1 : 0);
    }
    return true;
}

void http_peer_resolve(const struct ip_range *trusted, const char *peer, const struct http_in *in,
                       char *ret)
{
    uint8_t ip[16];
    bool v4;

    memcpy(ret, peer, strlen(peer) + 1);
    if (trusted->bits == UINT_MAX || !ip_parse(str_of(peer), ip, &v4)) return;
    /* A proxy may add a line of its own below the client's: the last line is the nearest. */
    for (size_t i = in->n_headers; i-- > 0;) {
        if (!str_eq_nocase(in->headers[i].name, STR("x-forwarded-for"))) continue;
        if (!walk(trusted, in->headers[i].value, ip)) break;
    }
    ip_format(ip, ret);
}
