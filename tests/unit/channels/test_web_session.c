/* Cookies, identities, origins and the invite key. */
#include "channels/web/session.h"
#include "core/net/sign.h"
#include <criterion/criterion.h>

static void setup(void)
{
    cr_assert(sign_setup());
}

TestSuite(web_session, .init = setup);

Test(web_session, finds_a_cookie)
{
    static const struct {
        const char *header, *value;
    } cases[] = {
        { "", "" },
        { "a=1", "1" },
        { "b=2; a=1; c=3", "1" },
        { " a=1 ;b=2", "1" },
        { "a", "" },
        { "a=", "" },
        { "aa=1", "" },
        { "b=a=1", "" },
        { "a=1=2", "1=2" },
        { ";;;a=1", "1" },
        { "a=first; a=second", "first" },
        { "A=1", "" },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_assert(str_eq(session_cookie(str_of(cases[i].header), "a"), str_of(cases[i].value)),
                  "%s", cases[i].header);
}

Test(web_session, an_identity_follows_from_its_token_and_hides_it)
{
    char token[SESSION_TOKEN_MAX], other[SESSION_TOKEN_MAX];
    char a[SESSION_IDENTITY_MAX], b[SESSION_IDENTITY_MAX];
    session_token_make(token);
    session_token_make(other);
    cr_assert_str_neq(token, other);
    cr_assert(session_identity(str_of(token), a) && session_identity(str_of(token), b));
    cr_assert_str_eq(a, b);
    cr_assert_eq(strlen(a), SESSION_IDENTITY_MAX - 1);
    cr_assert(strstr(token, a) == NULL);
    cr_assert(session_identity(str_of(other), b));
    cr_assert_str_neq(a, b);
}

Test(web_session, no_identity_without_a_whole_token)
{
    char token[SESSION_TOKEN_MAX], identity[SESSION_IDENTITY_MAX];
    session_token_make(token);
    cr_assert_not(session_identity(STR_NONE, identity));
    cr_assert_not(session_identity(str_head(str_of(token), 63), identity));
    cr_assert_not(session_identity(STR("made-up"), identity));
    token[10] = 'g';
    cr_assert_not(session_identity(str_of(token), identity));
}

Test(web_session, access_is_as_good_as_the_key_it_was_made_with)
{
    char access[SESSION_ACCESS_MAX];
    session_access_make(STR("the right key"), access);
    cr_assert(session_access_valid(STR("the right key"), str_of(access)));
    cr_assert_not(session_access_valid(STR("another key!!"), str_of(access)));
    cr_assert_not(session_access_valid(STR("the right key"), STR_NONE));
    cr_assert_not(session_access_valid(STR("the right key"), str_head(str_of(access), 96)));
    access[0] = access[0] == '0' ? '1' : '0';
    cr_assert_not(session_access_valid(STR("the right key"), str_of(access)));
}

Test(web_session, compares_keys)
{
    cr_assert(session_key_right(STR("the right key"), STR("the right key")));
    cr_assert_not(session_key_right(STR("the right key"), STR("the right ke")));
    cr_assert_not(session_key_right(STR("the right key"), STR_NONE));
}

static const char *listed[] = { "https://chat.example.org", "http://other.example:81" };
static const struct conf_list origins = { 2, listed };
static const struct conf_list none = { 0, NULL };

Test(web_session, an_origin_speaks_for_its_own_host)
{
    static const struct {
        const char *origin, *host;
        bool fits;
    } cases[] = {
        { "http://127.0.0.1:8080", "127.0.0.1:8080", true },
        { "https://Chat.Example:8443", "chat.example:8443", true },
        { "http://127.0.0.1:8081", "127.0.0.1:8080", false },
        { "http://127.0.0.1:8080.evil.example", "127.0.0.1:8080", false },
        { "http://evil.example", "127.0.0.1:8080", false },
        { "https://chat.example.org", "127.0.0.1:8080", true },
        { "http://chat.example.org", "127.0.0.1:8080", false },
        { "http://other.example", "127.0.0.1:8080", false },
        { "null", "null", false },
        { "", "", false },
        { "http://", "", false },
        { "127.0.0.1:8080", "127.0.0.1:8080", false },
        { "file://127.0.0.1:8080", "127.0.0.1:8080", false },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_assert_eq(session_origin_fits(str_of(cases[i].origin), str_of(cases[i].host), &origins),
                     cases[i].fits, "%s at %s", cases[i].origin, cases[i].host);
    cr_assert_not(session_origin_fits(STR("https://chat.example.org"), STR("127.0.0.1"), &none));
}

Test(web_session, knows_the_names_of_this_machine)
{
    static const char *const ours[] = { "localhost",           "localhost:8080", "LOCALHOST:1",
                                        "parley.localhost:80", "127.0.0.1",      "127.0.0.1:8080",
                                        "127.9.9.9:1",         "[::1]",          "[::1]:8080" };
    static const char *const not_ours[] = { "",
                                            "example.org",
                                            "localhost.evil.example",
                                            "127.0.0.1.evil.example",
                                            "evillocalhost",
                                            ".localhost",
                                            "10.0.0.1:8080",
                                            "[::2]:80",
                                            "other.example",
                                            "0.0.0.0:8080",
                                            "[",
                                            "[]" };
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        cr_assert(session_host_local(str_of(ours[i])), "%s", ours[i]);
    for (size_t i = 0; i < sizeof(not_ours) / sizeof(*not_ours); i++)
        cr_assert_not(session_host_local(str_of(not_ours[i])), "%s", not_ours[i]);
}

Test(web_session, knows_addresses_that_only_this_machine_reaches)
{
    cr_assert(session_address_local("127.0.0.1"));
    cr_assert(session_address_local("127.1.2.3"));
    cr_assert(session_address_local("::1"));
    cr_assert(session_address_local("::ffff:127.0.0.1"));
    static const char *const open[] = { "0.0.0.0", "::", "10.0.0.1", "::ffff:10.0.0.1",
                                        "fe80::1", "",   "localhost" };
    for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++)
        cr_assert_not(session_address_local(open[i]), "%s", open[i]);
}

Test(web_session, tells_origins_of_this_machine_from_others)
{
    static const struct {
        const char *origin;
        enum origin_kind kind;
    } cases[] = {
        { "http://localhost:8080", ORIGIN_LOCAL },
        { "https://[::1]", ORIGIN_LOCAL },
        { "https://chat.example.org", ORIGIN_OTHER },
        { "http://10.0.0.1:80", ORIGIN_OTHER },
        { "https://chat.example.org/", ORIGIN_BAD },
        { "chat.example.org", ORIGIN_BAD },
        { "https://", ORIGIN_BAD },
        { "", ORIGIN_BAD },
        { "*", ORIGIN_BAD },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
        cr_assert_eq(session_origin_kind(str_of(cases[i].origin)), cases[i].kind, "%s",
                     cases[i].origin);
}
