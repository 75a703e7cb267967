/* admit - see admit.h. */
#include "core/tool/admit.h"
#include "core/net/address.h"
#include <arpa/inet.h>

#define NAME_MAX_BYTES 24
#define LETTERS        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS         "0123456789"

static bool consists_of(struct str s, const char *set)
{
    for (size_t i = 0; i < s.n; i++)
        if (!s.p[i] || !strchr(set, s.p[i])) return false;
    return true;
}

static struct str host_of(struct str url)
{
    struct str host = address_authority(url);
    if (!str_starts(host, STR("["))) return str_cut(&host, ':');
    host = str_skip(host, 1);
    return str_cut(&host, ']');
}

bool admit_is_local(struct str url)
{
    char text[64];
    struct str host = host_of(url);
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    if (str_eq_nocase(host, STR("localhost"))) return true;
    if (!host.n || host.n >= sizeof(text)) return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return address_is_loopback((const struct sockaddr *)&v4);
    return inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 &&
           address_is_loopback((const struct sockaddr *)&v6);
}

enum err_kind admit_url(struct str url, bool secure, struct err *why)
{
    bool plain = str_starts_nocase(url, STR("http://"));
    if (!plain && !str_starts_nocase(url, STR("https://")))
        return err_set(why, ERR_CONF, "must begin with https:// or http://");
    for (size_t i = 0; i < url.n; i++)
        if (url.p[i] <= ' ' || url.p[i] > '~' || url.p[i] == '\\')
            return err_set(why, ERR_CONF, "has a character that no address may have");
    if (!host_of(url).n) return err_set(why, ERR_CONF, "has no host");
    if (str_find_char(address_authority(url), '@') != SIZE_MAX)
        return err_set(why, ERR_CONF, "must not hold a user or a password: use token");
    if (plain && secure && !admit_is_local(url))
        return err_set(why, ERR_CONF,
                       "plain http is for this machine only: use https, or switch "
                       "enable_mcp_security off");
    return ERR_NONE;
}

/* "https://host:port", as it is written. */
static struct str origin_of(struct str url)
{
    struct str host = address_authority(url);
    return str_head(url, (size_t)(host.p - url.p) + host.n);
}

enum err_kind admit_same_origin(struct str base, struct str given, struct buf *ret, struct err *why)
{
    struct str origin = origin_of(base);
    bool whole = str_find(given, STR("://")) != SIZE_MAX && given.n && given.p[0] != '/';
    if (whole ? !str_eq_nocase(origin_of(given), origin)
              : !str_starts(given, STR("/")) || str_starts(given, STR("//")))
        return err_set(why, ERR_REFUSED, "it names an address of another origin");
    if (!whole) buf_add(ret, origin);
    buf_add(ret, given);
    if (admit_url(buf_str(ret), false, why) == ERR_NONE && !ret->full) return ERR_NONE;
    return err_set(why, ERR_REFUSED, "it names an address that is none");
}

enum err_kind admit_command(struct str program, const struct conf_list *allowed, bool secure,
                            struct err *why)
{
    if (!program.n) return err_set(why, ERR_CONF, "the program has no name");
    if (!secure || program.p[0] == '/' || conf_list_has(allowed, program)) return ERR_NONE;
    return err_set(why, ERR_CONF, "\"%.*s\" is neither an absolute path nor in mcp.commands",
                   STR_ARG(str_head(program, 100)));
}

enum err_kind admit_name(struct str name, struct err *why)
{
    if (!name.n || name.n > NAME_MAX_BYTES || !consists_of(name, LETTERS DIGITS "_-"))
        return err_set(why, ERR_CONF, "must be 1 to %d of A-Z a-z 0-9 _ -", NAME_MAX_BYTES);
    /* server__tool must come apart in one way only. */
    if (str_find(name, STR("__")) != SIZE_MAX || name.p[0] == '_' || name.p[name.n - 1] == '_')
        return err_set(why, ERR_CONF, "must not begin or end with _, nor have two in a row");
    return ERR_NONE;
}

enum err_kind admit_header(struct str line, struct err *why)
{
    struct str value = line, name = str_trim(str_cut(&value, ':'));
    bool fine = name.n && str_trim(value).n && consists_of(name, LETTERS DIGITS "-_");
    for (size_t i = 0; i < line.n; i++) fine = fine && line.p[i] >= ' ' && line.p[i] <= '~';
    return fine ? ERR_NONE : err_set(why, ERR_CONF, "each must be \"Name: value\"");
}

enum err_kind admit_env(struct str line, struct err *why)
{
    struct str rest = line, name = str_cut(&rest, '=');
    if (name.n && consists_of(name, LETTERS DIGITS "_")) return ERR_NONE;
    return err_set(why, ERR_CONF, "each must be \"NAME=value\", or \"NAME\" to hand it on");
}
