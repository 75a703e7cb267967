/*
 * Reads a WebSocket URL. The texts of its errors never quote it: a query may hold a ticket.
 */
#include "core/net/ws_url.h"
#include <stdio.h>

#define PORT_PLAIN 80
#define PORT_TLS   443

static enum err_kind refuse(struct err *why, const char *text)
{
    return err_set(why, ERR_CONF, "websocket url: %s", text);
}

static bool printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~') return false;
    return true;
}

static bool is_host(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' && c != ':')
            return false;
    }
    return s.n > 0;
}

static enum err_kind parse_port(struct str s, uint16_t *ret, struct err *why)
{
    uint64_t port;

    if (!str_u64(s, &port) || port == 0 || port > UINT16_MAX)
        return refuse(why, "the port is a number of 1 to 65535");
    *ret = (uint16_t)port;
    return ERR_NONE;
}

/* Sets host, authority and port. */
static enum err_kind parse_authority(struct str s, struct ws_url *u, struct err *why)
{
    struct str host, port;
    bool v6 = str_starts(s, STR("["));

    if (v6) {
        size_t end = str_find_char(s, ']');
        if (end == SIZE_MAX) return refuse(why, "'[' without ']'");
        host = str_from(s.p + 1, end - 1);
        port = str_skip(s, end + 1);
        if (port.n && port.p[0] != ':') return refuse(why, "junk behind the address");
    } else {
        port = s;
        host = str_cut(&port, ':');
        port = str_skip(s, host.n);
    }
    if (!is_host(host)) return refuse(why, "no host, or not a name or an address");
    if (host.n > WS_HOST_MAX) return refuse(why, "the host's name is too long");
    if (v6 && u->tls) return refuse(why, "an IPv6 address cannot be used with wss://");
    u->port = u->tls ? PORT_TLS : PORT_PLAIN;
    if (port.n > 1 && parse_port(str_skip(port, 1), &u->port, why)) return ERR_CONF;

    snprintf(u->host, sizeof u->host, "%.*s", STR_ARG(host));
    int n = snprintf(u->authority, sizeof u->authority, v6 ? "[%s]" : "%s", u->host);
    if (u->port != (u->tls ? PORT_TLS : PORT_PLAIN))
        snprintf(u->authority + n, sizeof u->authority - (size_t)n, ":%u", u->port);
    return ERR_NONE;
}

enum err_kind ws_url_parse(struct str url, struct ws_url *ret, struct err *why)
{
    ret->tls = str_starts_nocase(url, STR("wss://"));
    if (!ret->tls && !str_starts_nocase(url, STR("ws://")))
        return refuse(why, "begins with ws:// or wss://");
    if (!printable(url)) return refuse(why, "a character that has to be percent-encoded");
    if (str_find_char(url, '#') != SIZE_MAX) return refuse(why, "a fragment has no meaning here");

    struct str rest = str_skip(url, ret->tls ? 6 : 5);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?') n++;
    if (parse_authority(str_head(rest, n), ret, why)) return ERR_CONF;
    struct str path = str_skip(rest, n);
    if (path.n > WS_PATH_MAX) return refuse(why, "too long");
    snprintf(ret->path, sizeof ret->path, "%s%.*s", str_starts(path, STR("/")) ? "" : "/",
             STR_ARG(path));
    return ERR_NONE;
}
