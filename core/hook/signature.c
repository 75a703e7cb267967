/* signature - see signature.h. */
#include "core/hook/signature.h"
#include "core/net/sign.h"
#include <stdio.h>

#define SECRET_PREFIX "whsec_"
#define GITHUB_PREFIX "sha256="
#define VERSION       "v1"
#define MAC_BYTES     32
#define MAC_TEXT_MAX  64 /* 44 in base64 */

const char *const signature_verdict_words[] = {
    [SIGNATURE_GOOD] = "signed well",
    [SIGNATURE_MISSING] = "no signature",
    [SIGNATURE_WRONG] = "signature is wrong",
    [SIGNATURE_STALE] = "timestamp is too old, or in the future",
};

void signature_secret(const uint8_t *key, size_t n, struct buf *to)
{
    buf_add_cstr(to, SECRET_PREFIX);
    sign_base64(str_from((const char *)key, n), to);
}

bool signature_secret_key(struct str secret, struct buf *to)
{
    size_t before = to->n;
    if (str_starts(secret, STR(SECRET_PREFIX))) secret = str_skip(secret, strlen(SECRET_PREFIX));
    if (!sign_unbase64(secret, to)) return false;
    size_t n = to->n - before;
    if (n >= SIGNATURE_KEY_MIN && n <= SIGNATURE_KEY_MAX) return true;
    buf_cut(to, before);
    return false;
}

/* id.timestamp.body, by its HMAC. The timestamp is signed as it was written. */
static void mac_of(struct str key, struct str id, struct str timestamp, struct str body,
                   uint8_t ret[MAC_BYTES])
{
    _cleanup_(buf_done) struct buf b = BUF_INIT(id.n + timestamp.n + body.n + 3);
    buf_add(&b, id);
    buf_add_char(&b, '.');
    buf_add(&b, timestamp);
    buf_add_char(&b, '.');
    buf_add(&b, body);
    sign_hmac_sha256(key, buf_str(&b), ret);
}

static void put_mac(const uint8_t mac[MAC_BYTES], struct buf *to)
{
    sign_base64(str_from((const char *)mac, MAC_BYTES), to);
}

void signature_sign(struct str key, struct str id, int64_t at_s, struct str body, struct buf *to)
{
    char timestamp[24];
    uint8_t mac[MAC_BYTES];
    snprintf(timestamp, sizeof(timestamp), "%lld", (long long)at_s);
    mac_of(key, id, str_of(timestamp), body, mac);
    buf_add_cstr(to, VERSION ",");
    put_mac(mac, to);
}

void signature_sign_github(struct str key, struct str body, struct buf *to)
{
    uint8_t mac[MAC_BYTES];
    char hex[2 * MAC_BYTES + 1];
    sign_hmac_sha256(key, body, mac);
    sign_hex(mac, sizeof(mac), hex);
    buf_add_cstr(to, GITHUB_PREFIX);
    buf_add_cstr(to, hex);
}

/* All are compared, whichever is right. */
static bool is_among(struct str signatures, struct str want)
{
    bool found = false;
    for (int n = 0; signatures.n && n < SIGNATURES_MAX; n++) {
        struct str one = str_cut(&signatures, ' ');
        struct str version = str_cut(&one, ',');
        if (str_eq(version, STR(VERSION))) found |= sign_equal(one, want);
    }
    return found;
}

enum signature_verdict signature_verify(struct str key, struct str id, struct str timestamp,
                                        struct str signatures, struct str body, int64_t now_s)
{
    int64_t at_s;
    if (!id.n || !signatures.n || !str_i64(timestamp, &at_s)) return SIGNATURE_MISSING;
    uint8_t mac[MAC_BYTES];
    _cleanup_(buf_done) struct buf want = BUF_INIT(MAC_TEXT_MAX);
    mac_of(key, id, timestamp, body, mac);
    put_mac(mac, &want);
    if (!is_among(signatures, buf_str(&want))) return SIGNATURE_WRONG;
    bool fresh = at_s >= now_s - SIGNATURE_WINDOW_S && at_s <= now_s + SIGNATURE_WINDOW_S;
    return fresh ? SIGNATURE_GOOD : SIGNATURE_STALE;
}

enum signature_verdict signature_verify_github(struct str key, struct str signature,
                                               struct str body)
{
    if (!str_starts(signature, STR(GITHUB_PREFIX))) return SIGNATURE_MISSING;
    uint8_t given[MAC_BYTES], want[MAC_BYTES];
    if (!sign_unhex(str_skip(signature, strlen(GITHUB_PREFIX)), given, sizeof(given)))
        return SIGNATURE_WRONG;
    sign_hmac_sha256(key, body, want);
    return sign_equal(str_from((const char *)given, sizeof(given)),
                      str_from((const char *)want, sizeof(want)))
               ? SIGNATURE_GOOD
               : SIGNATURE_WRONG;
}
