/* Signatures against the documented examples of both forms, and everything that is not one. */
#include "core/hook/signature.h"
#include "core/net/sign.h"
#include <criterion/criterion.h>

static struct buf key;

static void setup(void)
{
    cr_assert(sign_setup());
    buf_init(&key, 200);
    cr_assert(signature_secret_key(STR("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"), &key));
}

static void teardown(void)
{
    buf_done(&key);
}

TestSuite(signature, .init = setup, .fini = teardown);

/* The example of the specification and its libraries:
 * https://github.com/standard-webhooks/standard-webhooks */
#define ID        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define AT        1614265330
#define TIMESTAMP "1614265330"
#define BODY      "{\"test\": 2432232314}"
#define GOOD      "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
#define WRONG     "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc="

Test(signature, signs_the_documented_example)
{
    struct buf b = BUF_INIT(100);
    signature_sign(buf_str(&key), STR(ID), AT, STR(BODY), &b);
    cr_expect_str_eq(b.p, GOOD);
    buf_done(&b);
}

Test(signature, verifies)
{
    static const struct {
        const char *name, *id, *timestamp, *signatures, *body;
        int64_t now_s;
        enum signature_verdict want;
    } cases[] = {
        { "as documented", ID, TIMESTAMP, GOOD, BODY, AT, SIGNATURE_GOOD },
        { "five minutes old", ID, TIMESTAMP, GOOD, BODY, AT + 300, SIGNATURE_GOOD },
        { "five minutes ahead", ID, TIMESTAMP, GOOD, BODY, AT - 300, SIGNATURE_GOOD },
        { "older", ID, TIMESTAMP, GOOD, BODY, AT + 301, SIGNATURE_STALE },
        { "further ahead", ID, TIMESTAMP, GOOD, BODY, AT - 301, SIGNATURE_STALE },
        { "yesterday", ID, TIMESTAMP, GOOD, BODY, AT + 86400, SIGNATURE_STALE },
        { "the second of two", ID, TIMESTAMP, WRONG " " GOOD, BODY, AT, SIGNATURE_GOOD },
        { "other versions beside it", ID, TIMESTAMP, "v1a,abc v2," GOOD " " GOOD, BODY, AT,
          SIGNATURE_GOOD },
        { "another version", ID, TIMESTAMP, "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY,
          AT, SIGNATURE_WRONG },
        { "no version", ID, TIMESTAMP, "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", BODY, AT,
          SIGNATURE_WRONG },
        { "cut", ID, TIMESTAMP, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE", BODY, AT,
          SIGNATURE_WRONG },
        { "empty", ID, TIMESTAMP, "v1,", BODY, AT, SIGNATURE_WRONG },
        { "wrong", ID, TIMESTAMP, WRONG, BODY, AT, SIGNATURE_WRONG },
        { "wrong and old", ID, TIMESTAMP, WRONG, BODY, AT + 86400, SIGNATURE_WRONG },
        { "another body", ID, TIMESTAMP, GOOD, BODY " ", AT, SIGNATURE_WRONG },
        { "another id", "msg_2", TIMESTAMP, GOOD, BODY, AT, SIGNATURE_WRONG },
        { "another time", ID, "1614265331", GOOD, BODY, AT, SIGNATURE_WRONG },
        { "no id", "", TIMESTAMP, GOOD, BODY, AT, SIGNATURE_MISSING },
        { "no time", ID, "", GOOD, BODY, AT, SIGNATURE_MISSING },
        { "no number", ID, "1614265330.5", GOOD, BODY, AT, SIGNATURE_MISSING },
        { "too large", ID, "99999999999999999999", GOOD, BODY, AT, SIGNATURE_MISSING },
        { "no signature", ID, TIMESTAMP, "", BODY, AT, SIGNATURE_MISSING },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_expect_eq(signature_verify(buf_str(&key), str_of(cases[i].id),
                                      str_of(cases[i].timestamp), str_of(cases[i].signatures),
                                      str_of(cases[i].body), cases[i].now_s),
                     cases[i].want, "%s", cases[i].name);
}

Test(signature, extreme_times_do_not_overflow)
{
    struct buf b = BUF_INIT(100);
    signature_sign(buf_str(&key), STR(ID), INT64_MAX, STR(BODY), &b);
    cr_expect_eq(signature_verify(buf_str(&key), STR(ID), STR("9223372036854775807"), buf_str(&b),
                                  STR(BODY), AT),
                 SIGNATURE_STALE);
    buf_clear(&b);
    signature_sign(buf_str(&key), STR(ID), INT64_MIN, STR(BODY), &b);
    cr_expect_eq(signature_verify(buf_str(&key), STR(ID), STR("-9223372036854775808"), buf_str(&b),
                                  STR(BODY), AT),
                 SIGNATURE_STALE);
    buf_done(&b);
}

Test(signature, what_stands_behind_many_is_not_looked_at)
{
    struct buf b = BUF_INIT(4096);
    for (int i = 0; i < SIGNATURES_MAX; i++) buf_add_cstr(&b, WRONG " ");
    buf_add_cstr(&b, GOOD);
    cr_expect_eq(
        signature_verify(buf_str(&key), STR(ID), STR(TIMESTAMP), buf_str(&b), STR(BODY), AT),
        SIGNATURE_WRONG);
    cr_expect_eq(signature_verify(buf_str(&key), STR(ID), STR(TIMESTAMP),
                                  str_skip(buf_str(&b), strlen(WRONG " ")), STR(BODY), AT),
                 SIGNATURE_GOOD);
    buf_done(&b);
}

Test(signature, another_secret_is_another_signature)
{
    struct buf secret = BUF_INIT(100), other = BUF_INIT(100), b = BUF_INIT(100);
    uint8_t bytes[32] = { 1, 2, 3 };
    signature_secret(bytes, sizeof(bytes), &secret);
    cr_expect(str_starts(buf_str(&secret), STR("whsec_AQIDAA")));
    cr_assert(signature_secret_key(buf_str(&secret), &other));
    cr_expect(other.n == 32 && memcmp(other.p, bytes, 32) == 0);
    signature_sign(buf_str(&other), STR(ID), AT, STR(BODY), &b);
    cr_expect_eq(
        signature_verify(buf_str(&other), STR(ID), STR(TIMESTAMP), buf_str(&b), STR(BODY), AT),
        SIGNATURE_GOOD);
    cr_expect_eq(
        signature_verify(buf_str(&key), STR(ID), STR(TIMESTAMP), buf_str(&b), STR(BODY), AT),
        SIGNATURE_WRONG);
    buf_done(&secret);
    buf_done(&other);
    buf_done(&b);
}

Test(signature, secrets)
{
    static const struct {
        const char *secret;
        bool ok;
    } cases[] = {
        { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true },
        { "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true },
        { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa", false }, /* 23 bytes, and no padding */
        { "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2I=", false },
        { "whsec_", false },
        { "", false },
        { "whsec_not base64, but long enough to be a key", false },
        { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
          false }, /* 66 bytes */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct buf b = BUF_INIT(200);
        buf_add_cstr(&b, "x");
        cr_expect_eq(signature_secret_key(str_of(cases[i].secret), &b), cases[i].ok, "%s",
                     cases[i].secret);
        cr_expect_eq(b.n, cases[i].ok ? 25 : 1, "%s", cases[i].secret);
        buf_done(&b);
    }
}

/* https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries */
#define GITHUB_SECRET "It's a Secret to Everybody"
#define GITHUB_BODY   "Hello, World!"
#define GITHUB_GOOD   "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"

Test(signature, signs_as_github_documents)
{
    struct buf b = BUF_INIT(100);
    signature_sign_github(STR(GITHUB_SECRET), STR(GITHUB_BODY), &b);
    cr_expect_str_eq(b.p, GITHUB_GOOD);
    buf_done(&b);
}

Test(signature, verifies_as_github_documents)
{
    static const struct {
        const char *secret, *signature, *body;
        enum signature_verdict want;
    } cases[] = {
        { GITHUB_SECRET, GITHUB_GOOD, GITHUB_BODY, SIGNATURE_GOOD },
        { GITHUB_SECRET, GITHUB_GOOD, "Hello, World", SIGNATURE_WRONG },
        { "another", GITHUB_GOOD, GITHUB_BODY, SIGNATURE_WRONG },
        { GITHUB_SECRET, "sha256=757107ea", GITHUB_BODY, SIGNATURE_WRONG },
        { GITHUB_SECRET, "sha256=", GITHUB_BODY, SIGNATURE_WRONG },
        { GITHUB_SECRET, GITHUB_GOOD "00", GITHUB_BODY, SIGNATURE_WRONG },
        { GITHUB_SECRET, "sha1=757107ea0eb2509fc211221cce984b8a37570b6d", GITHUB_BODY,
          SIGNATURE_MISSING },
        { GITHUB_SECRET, "", GITHUB_BODY, SIGNATURE_MISSING },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_expect_eq(signature_verify_github(str_of(cases[i].secret), str_of(cases[i].signature),
                                             str_of(cases[i].body)),
                     cases[i].want, "%s", cases[i].signature);
}
