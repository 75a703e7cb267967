/*
 * Slack's signature: the example of its documentation, one computed elsewhere, and everything that
 * is wrong with others.
 */
#include "channels/slack/webhook.h"
#include <criterion/criterion.h>

/* docs.slack.dev/authentication/verifying-requests-from-slack */
#define SECRET "8f742231b10e8888abcd99yyyzzz85a5"
#define STAMP  "1531420618"
#define SIGNED "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"
#define BODY                                                                                     \
    "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id="       \
    "G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-"   \
    "collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%"           \
    "2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a1" \
    "4d10d2c447fce8b6703c"
#define NOW INT64_C(1531420618)

static const char *wrong(const char *stamp, const char *signature, const char *body, int64_t now)
{
    return slack_signature_wrong(STR(SECRET), str_of(stamp), str_of(signature), str_of(body), now);
}

Test(slack_signature, vectors)
{
    cr_expect_null(wrong(STAMP, SIGNED, BODY, NOW));
    cr_expect_null(slack_signature_wrong(
        STR("testsecret"), STR("1700000000"),
        STR("v0=e18d7a91ce3e16d6ba2fb8dbeb069d0aa166bf43950528d9ca3155aaa17c650b"),
        STR("{\"type\":\"url_verification\"}"), INT64_C(1700000000)));
}

Test(slack_signature, the_edge_of_five_minutes)
{
    cr_expect_null(wrong(STAMP, SIGNED, BODY, NOW + 300));
    cr_expect_null(wrong(STAMP, SIGNED, BODY, NOW - 300));
    cr_expect_str_eq(wrong(STAMP, SIGNED, BODY, NOW + 301),
                     "X-Slack-Request-Timestamp is more than 5 minutes from our clock");
    cr_expect_str_eq(wrong(STAMP, SIGNED, BODY, NOW - 301),
                     "X-Slack-Request-Timestamp is more than 5 minutes from our clock");
}

Test(slack_signature, refused)
{
    static const char *const bad[] = {
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b504",
        "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "v1=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        "v0=",
        "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b5030",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        cr_expect_str_eq(wrong(STAMP, bad[i], BODY, NOW), "X-Slack-Signature is wrong");
    cr_expect_str_eq(wrong(STAMP, SIGNED, BODY "x", NOW), "X-Slack-Signature is wrong");
    cr_expect_not_null(wrong("", SIGNED, BODY, NOW));
    cr_expect_not_null(wrong(STAMP, "", BODY, NOW));
    cr_expect_str_eq(wrong("soon", SIGNED, BODY, NOW), "X-Slack-Request-Timestamp is no number");
    cr_expect_not_null(wrong("99999999999999999999999", SIGNED, BODY, NOW));
    cr_expect_not_null(wrong("-9223372036854775808", SIGNED, BODY, NOW));
}
