/*
 * signature - how webhooks are signed and verified: GitHub's form and Standard Webhooks'. Pure.
 *
 * https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 */
#pragma once
#include "core/base/buf.h"

#define SIGNATURE_WINDOW_S 300 /* a timestamp may be so far from our clock, either way */
#define SIGNATURE_KEY_MAX  64  /* bytes, as Standard Webhooks has it; at least 24 */
#define SIGNATURE_KEY_MIN  24
#define SIGNATURES_MAX     16 /* of one delivery: keys are rotated one by one, not by the hundred */

/* "whsec_" and the key in base64, appended: how a secret is shown. */
void signature_secret(const uint8_t *key, size_t n, struct buf *to);
/*
 * The key inside a secret, with or without "whsec_" before it, appended. False: no base64, or not
 * SIGNATURE_KEY_MIN..SIGNATURE_KEY_MAX bytes.
 */
bool signature_secret_key(struct str secret, struct buf *to);

/*
 * Sign in the form of Standard Webhooks.
 * key      of signature_secret_key
 * id       webhook-id: without a full stop in it
 * at_s     webhook-timestamp, seconds since 1970
 * to       "v1,BASE64" is appended; several signatures stand in one header with a space between
 */
void signature_sign(struct str key, struct str id, int64_t at_s, struct str body, struct buf *to);

/* "sha256=HEX", as in X-Hub-Signature-256, appended. key: the secret as it is. */
void signature_sign_github(struct str key, struct str body, struct buf *to);

enum signature_verdict {
    SIGNATURE_GOOD,
    SIGNATURE_MISSING, /* a header is missing, or is nothing of that form */
    SIGNATURE_WRONG,
    SIGNATURE_STALE, /* further than SIGNATURE_WINDOW_S from our clock */
};
extern const char *const signature_verdict_words[]; /* for people and logs */

/*
 * Is one of these signatures ours? The time of comparing does not depend on the contents.
 * Signatures of other versions than v1 are skipped, and those after SIGNATURES_MAX not looked at.
 * id, timestamp, signatures   the headers, as they came; "" = absent
 * now_s                       wall clock, seconds since 1970
 */
enum signature_verdict signature_verify(struct str key, struct str id, struct str timestamp,
                                        struct str signatures, struct str body, int64_t now_s);
enum signature_verdict signature_verify_github(struct str key, struct str signature,
                                               struct str body);
