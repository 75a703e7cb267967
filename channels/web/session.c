/* session: what cookies, origins and keys mean, without any I/O. */
#include "channels/web/session.h"
#include "core/base/rand.h"
#include "core/net/sign.h"
#include <arpa/inet.h>

#define NONCE_DIGITS  32
#define DIGEST_DIGITS 64

struct str session_cookie(struct str header, const char *name)
{
    while (header.n) {
        struct str pair = str_trim(str_cut(&header, ';'));
        struct str key = str_cut(&pair, '=');
        if (str_eq(key, str_of(name))) return pair;
    }
    return STR_NONE;
}

void session_token_make(char ret[SESSION_TOKEN_MAX])
{
    rand_hex(ret, (SESSION_TOKEN_MAX - 1) / 2);
}

bool session_identity(struct str token, char ret[SESSION_IDENTITY_MAX])
{
    uint8_t raw[(SESSION_TOKEN_MAX - 1) / 2], digest[32];
    if (!sign_unhex(token, raw, sizeof(raw))) return false;
    sign_sha256(str_from((const char *)raw, sizeof(raw)), digest);
    sign_hex(digest, (SESSION_IDENTITY_MAX - 1) / 2, ret);
    return true;
}

static void access_sign(struct str key, struct str nonce, char ret[DIGEST_DIGITS + 1])
{
    uint8_t mac[32];
    sign_hmac_sha256(key, nonce, mac);
    sign_hex(mac, sizeof(mac), ret);
}

void session_access_make(struct str key, char ret[SESSION_ACCESS_MAX])
{
    rand_hex(ret, NONCE_DIGITS / 2);
    ret[NONCE_DIGITS] = '.';
    access_sign(key, str_from(ret, NONCE_DIGITS), ret + NONCE_DIGITS + 1);
}

bool session_access_valid(struct str key, struct str access)
{
    char mac[DIGEST_DIGITS + 1];
    if (access.n != SESSION_ACCESS_MAX - 1 || access.p[NONCE_DIGITS] != '.') return false;
    access_sign(key, str_head(access, NONCE_DIGITS), mac);
    return sign_equal(str_skip(access, NONCE_DIGITS + 1), str_of(mac));
}

/* Digests are compared, so that not even the length of the key shows. */
bool session_key_right(struct str key, struct str guess)
{
    uint8_t a[32], b[32];
    sign_sha256(key, a);
    sign_sha256(guess, b);
    return sign_equal(str_from((const char *)a, sizeof(a)), str_from((const char *)b, sizeof(b)));
}

/* "https://chat.example.org:8443" -> "chat.example.org:8443"; "" for what is no web origin. */
static struct str origin_host(struct str origin)
{
    if (str_starts_nocase(origin, STR("http://"))) return str_skip(origin, 7);
    if (str_starts_nocase(origin, STR("https://"))) return str_skip(origin, 8);
    return STR_NONE;
}

bool session_origin_fits(struct str origin, struct str host, const struct conf_list *also)
{
    struct str theirs = origin_host(origin);
    if (theirs.n == 0) return false;
    if (host.n && str_eq_nocase(theirs, host)) return true;
    for (size_t i = 0; i < also->n; i++)
        if (str_eq_nocase(origin, str_of(also->v[i]))) return true;
    return false;
}

/* Without the port; of "[::1]:80" what is inside the brackets. */
static struct str host_name(struct str host)
{
    if (host.n && host.p[0] == '[')
        return str_head(str_skip(host, 1), str_find_char(str_skip(host, 1), ']'));
    return str_head(host, str_find_char(host, ':'));
}

static bool name_local(struct str name)
{
    char text[INET6_ADDRSTRLEN];
    if (str_eq_nocase(name, STR("localhost"))) return true;
    if (name.n > 10 && str_eq_nocase(str_skip(name, name.n - 10), STR(".localhost"))) return true;
    if (name.n == 0 || name.n >= sizeof(text)) return false;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    return session_address_local(text);
}

bool session_host_local(struct str host)
{
    return name_local(host_name(host));
}

enum origin_kind session_origin_kind(struct str origin)
{
    struct str host = origin_host(origin);
    if (host.n == 0 || str_find_char(host, '/') != SIZE_MAX) return ORIGIN_BAD;
    return session_host_local(host) ? ORIGIN_LOCAL : ORIGIN_OTHER;
}

bool session_address_local(const char *address)
{
    uint8_t ip[16];
    static const uint8_t loopback[16] = { [15] = 1 };
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    if (inet_pton(AF_INET, address, ip) == 1) return ip[0] == 127;
    if (inet_pton(AF_INET6, address, ip) != 1) return false;
    return memcmp(ip, loopback, 16) == 0 || (memcmp(ip, mapped, 12) == 0 && ip[12] == 127);
}
