/* target - see target.h. */
#include "core/hook/target.h"

#include "core/net/address.h"
#include <arpa/inet.h>
#include <netinet/in.h>

#define HOST_MAX 253 /* of a name in DNS */

/* The host of "host:port" or "[::1]:port", without its brackets, or "" when it is none of these. */
static struct str host_of(struct str authority)
{
    struct str host = authority, port = STR_NONE;
    uint64_t n;
    if (str_starts(authority, STR("["))) {
        struct str rest = str_skip(authority, 1);
        host = str_cut(&rest, ']');
        if (rest.n && rest.p[0] != ':') return STR_NONE;
        port = str_skip(rest, 1);
    } else if (str_find_char(authority, ':') != SIZE_MAX) {
        port = authority;
        host = str_cut(&port, ':');
    }
    if (port.n && (!str_u64(port, &n) || n == 0 || n > 65535)) return STR_NONE;
    return host;
}

/* What the resolver takes for a number, it does not look up. */
static bool is_private_number(const char *host)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    if (inet_aton(host, &v4.sin_addr))
        return !address_is_public((const struct sockaddr *)(const void *)&v4);
    return inet_pton(AF_INET6, host, &v6.sin6_addr) == 1 &&
           !address_is_public((const struct sockaddr *)(const void *)&v6);
}

static bool is_local(struct str host)
{
    char name[HOST_MAX + 1];
    if (str_ends(host, STR("."))) host.n--;
    memcpy(name, host.p, host.n);
    name[host.n] = '\0';
    return is_private_number(name) || str_eq_nocase(host, STR("localhost")) ||
           (host.n > 10 && str_eq_nocase(str_skip(host, host.n - 10), STR(".localhost")));
}

static bool is_plain(struct str url)
{
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~' || strchr("\\\"<>^`{|}", url.p[i])) return false;
    return true;
}

enum err_kind target_check(struct str url, const struct conf_list *hosts, struct err *why)
{
    if (url.n > TARGET_URL_MAX) return err_set(why, ERR_REFUSED, "the address is too long");
    if (!is_plain(url))
        return err_set(why, ERR_REFUSED, "the address has characters in it that must be escaped");
    if (str_find_char(url, '#') != SIZE_MAX)
        return err_set(why, ERR_REFUSED, "the address may not have a fragment");
    bool secure = str_starts_nocase(url, STR("https://"));
    bool plain = str_starts_nocase(url, STR("http://"));
    bool listed = (secure || plain) && address_host_listed(url, hosts);
    if (!secure && !listed)
        return err_set(why, ERR_REFUSED, "the address must begin with https://");
    struct str authority = address_authority(url);
    if (str_find_char(authority, '@') != SIZE_MAX)
        return err_set(why, ERR_REFUSED, "the address may not have a user name");
    struct str host = host_of(authority);
    if (!host.n || host.n > HOST_MAX || str_find_char(host, '%') != SIZE_MAX)
        return err_set(why, ERR_REFUSED, "the address has no host");
    if (!listed && is_local(host))
        return err_set(why, ERR_REFUSED, "the address is not a public one");
    return ERR_NONE;
}

bool (*target_guard(struct str url, const struct conf_list *hosts))(const struct sockaddr *to)
{
    return address_host_listed(url, hosts) ? NULL : address_is_public;
}
