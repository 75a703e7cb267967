/*
 * signature - "v0=" and the HMAC of version, time and body.
 */
#include "channels/slack/webhook.h"
#include "core/net/sign.h"

#define STAMP_MAX 20

const char *slack_signature_wrong(struct str secret, struct str stamp, struct str signature,
                                  struct str body, int64_t now_s)
{
    uint8_t mac[32];
    char text[3 + 64 + 1] = "v0=";
    int64_t then_s;
    if (!stamp.n || !signature.n) return "X-Slack-Signature or X-Slack-Request-Timestamp missing";
    if (stamp.n > STAMP_MAX || !str_i64(stamp, &then_s))
        return "X-Slack-Request-Timestamp is no number";
    if (then_s < now_s - SLACK_CLOCKS_S || then_s > now_s + SLACK_CLOCKS_S)
        return "X-Slack-Request-Timestamp is more than 5 minutes from our clock";
    _cleanup_(buf_done) struct buf b = BUF_INIT(STAMP_MAX + body.n + 8);
    buf_addf(&b, "v0:%.*s:", STR_ARG(stamp));
    buf_add(&b, body);
    sign_hmac_sha256(secret, buf_str(&b), mac);
    sign_hex(mac, sizeof(mac), text + 3);
    return sign_equal(str_of(text), signature) ? NULL : "X-Slack-Signature is wrong";
}
