/*
 * sign - HMAC-SHA256, Ed25519 verification, constant-time comparison, sealing, hex. By libsodium.
 */
#pragma once
#include "core/base/buf.h"

bool sign_setup(void);                       /* once at start; false: libsodium is unusable */
bool sign_equal(struct str a, struct str b); /* constant time in the contents; lengths may show */
void sign_hmac_sha256(struct str key, struct str data, uint8_t ret[32]);
void sign_sha256(struct str data, uint8_t ret[32]);
bool sign_ed25519_verify(const uint8_t public_key[32], struct str data,
                         const uint8_t signature[64]);
void sign_hex(const uint8_t *bytes, size_t n, char *ret); /* 2n digits and a NUL */
bool sign_unhex(struct str hex, uint8_t *ret, size_t n);  /* exactly 2n digits, any case */

void sign_base64(struct str bytes, struct buf *to); /* with + and /, padded */
/* The reverse, appended. False: no such text, or `to` is full; `to` is as before. */
bool sign_unbase64(struct str text, struct buf *to);

/*
 * Make a secret fit to be stored: encrypted and authenticated (XSalsa20-Poly1305), as base64url.
 * Each time the text is another one; it is about 4/3 of the length, and 54 more.
 *
 * key      kept elsewhere than the text
 * to       appended to
 */
bool sign_seal(const uint8_t key[32], struct str plain, struct buf *to);
/* As sign_seal, but the same text each time: whoever reads it sees which secrets are the same. */
bool sign_seal_same(const uint8_t key[32], struct str plain, struct buf *to);
/* Appended. False: the text was not sealed with this key, or is damaged, or does not fit. */
bool sign_open(const uint8_t key[32], struct str sealed, struct buf *to);
