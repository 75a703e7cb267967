/*
 * sign - see sign.h. Everything here is libsodium's; this file only fits it to struct str.
 */
#include "core/net/sign.h"

#include "core/base/mem.h"

#include <sodium.h>

bool sign_setup(void)
{
    return sodium_init() >= 0;
}

bool sign_equal(struct str a, struct str b)
{
    return a.n == b.n && sodium_memcmp(a.p, b.p, a.n) == 0;
}

void sign_hmac_sha256(struct str key, struct str data, uint8_t ret[32])
{
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)key.p, key.n);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)data.p, data.n);
    crypto_auth_hmacsha256_final(&state, ret);
    sodium_memzero(&state, sizeof(state));
}

void sign_sha256(struct str data, uint8_t ret[32])
{
    crypto_hash_sha256(ret, (const unsigned char *)data.p, data.n);
}

bool sign_ed25519_verify(const uint8_t public_key[32], struct str data, const uint8_t signature[64])
{
    return crypto_sign_verify_detached(signature, (const unsigned char *)data.p, data.n,
                                       public_key) == 0;
}

void sign_hex(const uint8_t *bytes, size_t n, char *ret)
{
    sodium_bin2hex(ret, 2 * n + 1, bytes, n);
}

bool sign_unhex(struct str hex, uint8_t *ret, size_t n)
{
    size_t written = 0;
    return hex.n == 2 * n && sodium_hex2bin(ret, n, hex.p, hex.n, NULL, &written, NULL) == 0 &&
           written == n;
}

enum {
    NONCE = crypto_secretbox_NONCEBYTES,
    MAC = crypto_secretbox_MACBYTES,
    BASE64 = sodium_base64_VARIANT_URLSAFE_NO_PADDING
};

void sign_base64(struct str bytes, struct buf *to)
{
    size_t n = sodium_base64_encoded_len(bytes.n, sodium_base64_VARIANT_ORIGINAL); /* with a NUL */
    char *text = buf_room(to, n);
    if (!text) return;
    sodium_bin2base64(text, n, (const uint8_t *)bytes.p, bytes.n, sodium_base64_VARIANT_ORIGINAL);
    buf_grew(to, n - 1);
}

bool sign_unbase64(struct str text, struct buf *to)
{
    size_t n_max = text.n / 4 * 3, n = 0;
    char *bytes = buf_room(to, n_max);
    if (!bytes || sodium_base642bin((unsigned char *)bytes, n_max, text.p, text.n, NULL, &n, NULL,
                                    sodium_base64_VARIANT_ORIGINAL) != 0)
        return false;
    buf_grew(to, n);
    return true;
}

static bool seal(const uint8_t key[32], const uint8_t nonce[NONCE], struct str plain,
                 struct buf *to)
{
    size_t n = NONCE + MAC + plain.n, n_text = sodium_base64_encoded_len(n, BASE64);
    uint8_t *box = mem_alloc(n);
    memcpy(box, nonce, NONCE);
    crypto_secretbox_easy(box + NONCE, (const unsigned char *)plain.p, plain.n, box, key);
    char *text = buf_room(to, n_text);
    if (text) {
        sodium_bin2base64(text, n_text, box, n, BASE64);
        buf_grew(to, n_text - 1);
    }
    free(box);
    return text != NULL;
}

bool sign_seal(const uint8_t key[32], struct str plain, struct buf *to)
{
    uint8_t nonce[NONCE];
    randombytes_buf(nonce, NONCE);
    return seal(key, nonce, plain, to);
}

/* Another text has another nonce, so none is used twice. */
bool sign_seal_same(const uint8_t key[32], struct str plain, struct buf *to)
{
    uint8_t mac[32];
    sign_hmac_sha256(str_from((const char *)key, 32), plain, mac);
    return seal(key, mac, plain, to);
}

bool sign_open(const uint8_t key[32], struct str sealed, struct buf *to)
{
    size_t n = 0;
    uint8_t *box = mem_alloc(sealed.n + 1);
    bool ok = sodium_base642bin(box, sealed.n, sealed.p, sealed.n, NULL, &n, NULL, BASE64) == 0 &&
              n >= NONCE + MAC;
    unsigned char *plain = ok ? (unsigned char *)buf_room(to, n - NONCE - MAC) : NULL;
    ok = plain && crypto_secretbox_open_easy(plain, box + NONCE, n - NONCE, box, key) == 0;
    if (ok) buf_grew(to, n - NONCE - MAC);
    free(box);
    return ok;
}
