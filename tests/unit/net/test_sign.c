/*
 * Signatures against the vectors of Slack's documentation and of RFC 8032-style keys as Discord
 * uses them.
 */
#include "core/net/sign.h"
#include <criterion/criterion.h>

static void setup(void)
{
    cr_assert(sign_setup());
}

TestSuite(sign, .init = setup);

static void expect_hmac(const char *key, const char *data, const char *want)
{
    uint8_t mac[32];
    char hex[65];
    sign_hmac_sha256(str_of(key), str_of(data), mac);
    sign_hex(mac, sizeof(mac), hex);
    cr_expect_str_eq(hex, want);
}

/* https://docs.slack.dev/authentication/verifying-requests-from-slack */
Test(sign, hmac_of_slack)
{
    expect_hmac("8f742231b10e8888abcd99yyyzzz85a5",
                "v0:1531420618:token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain="
                "testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name="
                "roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack"
                ".com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id="
                "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
                "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503");
    expect_hmac("testsecret", "v0:1700000000:{\"type\":\"url_verification\"}",
                "e18d7a91ce3e16d6ba2fb8dbeb069d0aa166bf43950528d9ca3155aaa17c650b");
}

/* RFC 4231, case 6: a key longer than a block. */
Test(sign, hmac_with_a_long_key)
{
    char key[131];
    uint8_t mac[32];
    char hex[65];
    memset(key, 0xaa, sizeof(key));
    sign_hmac_sha256(str_from(key, sizeof(key)),
                     STR("Test Using Larger Than Block-Size Key - Hash Key First"), mac);
    sign_hex(mac, sizeof(mac), hex);
    cr_expect_str_eq(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

Test(sign, sha256)
{
    uint8_t hash[32];
    char hex[65];
    sign_sha256(STR("abc"), hash);
    sign_hex(hash, sizeof(hash), hex);
    cr_expect_str_eq(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

Test(sign, ed25519_of_discord)
{
    uint8_t key[32], signature[64];
    cr_assert(sign_unhex(STR("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"),
                         key, 32));
    cr_assert(sign_unhex(STR("9ef52e0980512fc86504213828935ead2d8ad69632af84e31aae7c0a1593a04f"
                             "81779d871c1d68240dce56038c60788e51e59a6c3f14c72a4183c785b1e8b70e"),
                         signature, 64));
    cr_expect(sign_ed25519_verify(key, STR("1700000000{\"type\":1}"), signature));
    cr_expect_not(sign_ed25519_verify(key, STR("1700000001{\"type\":1}"), signature));
    signature[0] ^= 1;
    cr_expect_not(sign_ed25519_verify(key, STR("1700000000{\"type\":1}"), signature));
    memset(key, 0, sizeof(key));
    cr_expect_not(sign_ed25519_verify(key, STR(""), signature));
}

/* RFC 4648, section 10. */
Test(sign, base64)
{
    static const char *const cases[][2] = {
        { "", "" },        { "f", "Zg==" },          { "fo", "Zm8=" },
        { "foo", "Zm9v" }, { "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfd", "//79" }
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf b = BUF_INIT(64);
        sign_base64(str_of(cases[i][0]), &b);
        cr_expect(str_eq(buf_str(&b), str_of(cases[i][1])), "%s: %s", cases[i][0], b.p);
        buf_clear(&b);
        cr_expect(sign_unbase64(str_of(cases[i][1]), &b), "%s", cases[i][1]);
        cr_expect(str_eq(buf_str(&b), str_of(cases[i][0])), "%s", cases[i][1]);
        buf_done(&b);
    }
}

Test(sign, what_is_no_base64)
{
    static const char *const cases[] = { "Z",      "Zg",   "Zg=", "Zg==Zg==", "Zm9v Zm9v",
                                         "Zm9v\n", "Zm-_", "=",   "====",     "Zh==" };
    struct buf b = BUF_INIT(64);
    buf_add_cstr(&b, "before");
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        cr_expect_not(sign_unbase64(str_of(cases[i]), &b), "%s", cases[i]);
        cr_expect(str_eq(buf_str(&b), STR("before")), "%s", cases[i]);
    }
    b.max = 8;
    cr_expect_not(sign_unbase64(STR("Zm9vYmFy"), &b), "no room");
    buf_done(&b);
}

Test(sign, equal)
{
    cr_expect(sign_equal(STR("secret"), STR("secret")));
    cr_expect(sign_equal(STR(""), STR("")));
    cr_expect_not(sign_equal(STR("secret"), STR("secres")));
    cr_expect_not(sign_equal(STR("secret"), STR("secre")));
    cr_expect_not(sign_equal(STR("secret"), STR("")));
}

Test(sign, unhex_takes_exactly_so_many_digits)
{
    static const struct {
        const char *hex;
        bool ok;
    } cases[] = { { "00ff", true },    { "00FF", true },  { "00f", false },  { "00ff0", false },
                  { "00ff00", false }, { "00fg", false }, { "00 f", false }, { "", false } };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t bytes[2] = { 9, 9 };
        bool ok = sign_unhex(str_of(cases[i].hex), bytes, 2);
        cr_expect_eq(ok, cases[i].ok, "%s", cases[i].hex);
        if (ok) cr_expect(bytes[0] == 0 && bytes[1] == 255);
    }
}

Test(sign, what_is_sealed_opens_with_its_key_only)
{
    uint8_t key[32] = { 1, 2, 3 }, other[32] = { 1, 2, 4 };
    _cleanup_(buf_done) struct buf a = BUF_INIT(500), b = BUF_INIT(500), plain = BUF_INIT(500);
    cr_assert(sign_seal(key, STR("a token"), &a));
    cr_assert(sign_seal(key, STR("a token"), &b));
    cr_expect_not(str_eq(buf_str(&a), buf_str(&b)), "never the same text");
    cr_expect_eq(str_find(buf_str(&a), STR("token")), SIZE_MAX);
    cr_expect_not(sign_open(other, buf_str(&a), &plain));
    cr_expect_eq(plain.n, 0);
    cr_expect(sign_open(key, buf_str(&a), &plain));
    cr_expect(str_eq(buf_str(&plain), STR("a token")));
    for (size_t i = 0; i < a.n; i++) {
        char was = a.p[i];
        a.p[i] = was == 'A' ? 'B' : 'A';
        cr_expect_not(sign_open(key, buf_str(&a), &plain), "byte %zu", i);
        a.p[i] = was;
        cr_expect_not(sign_open(key, str_head(buf_str(&a), i), &plain), "cut at %zu", i);
    }
}

Test(sign, sealed_the_same_each_time)
{
    uint8_t key[32] = { 1, 2, 3 };
    _cleanup_(buf_done) struct buf a = BUF_INIT(500), b = BUF_INIT(500), plain = BUF_INIT(500);
    cr_assert(sign_seal_same(key, STR("a token"), &a));
    cr_assert(sign_seal_same(key, STR("a token"), &b));
    cr_expect(str_eq(buf_str(&a), buf_str(&b)));
    cr_expect(sign_open(key, buf_str(&a), &plain));
    cr_expect(str_eq(buf_str(&plain), STR("a token")));
    buf_clear(&b);
    cr_assert(sign_seal_same(key, STR("b token"), &b));
    cr_expect_neq(memcmp(a.p, b.p, 32), 0, "another nonce");
}

Test(sign, sealing_nothing_and_too_much)
{
    uint8_t key[32] = { 0 };
    char big[500] = "";
    _cleanup_(buf_done) struct buf text = BUF_INIT(500), plain = BUF_INIT(500);
    cr_assert(sign_seal(key, STR_NONE, &text));
    cr_expect(sign_open(key, buf_str(&text), &plain));
    cr_expect_eq(plain.n, 0);
    buf_clear(&text);
    cr_expect_not(sign_seal(key, str_from(big, sizeof(big)), &text));
    cr_expect_eq(text.n, 0);
}
