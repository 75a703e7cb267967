#include "core/chat/press.h"

#include <criterion/criterion.h>

#define ID "01a21694-fee0-7436-804c-7a08df49e6d0"

static struct outbound question(const char *person)
{
    struct outbound out = { .person = str_of(person), .n_parts = 1, .asks = true, .notice = true };
    cr_assert(uuid_parse(STR(ID), &out.request));
    return out;
}

Test(press, what_is_written_is_read)
{
    static const char *const people[] = { "7",  "U1", "9007199254740991", "1334385199974967042",
                                          "-5", "a:b" };
    struct arena a;
    arena_init(&a);
    for (size_t i = 0; i < sizeof people / sizeof *people; i++)
        for (int yes = 0; yes <= 1; yes++) {
            const struct outbound out = question(people[i]);
            char data[PRESS_MAX];
            struct str text = STR_NONE;
            cr_assert(press_asks(&out), "%s", people[i]);
            cr_assert(press_write(&out, yes, data), "%s", people[i]);
            cr_expect_leq(strlen(data), 64, "Telegram's callback_data: %s", data);
            cr_expect_eq(press_read(str_of(data), out.person, &a, &text), PRESS_TAKEN, "%s", data);
            cr_expect_str_eq(text.p, yes ? "/tool yes " ID : "/tool no " ID);
        }
    arena_done(&a);
}

Test(press, others_and_what_is_none_of_ours)
{
    static const struct {
        const char *data, *from;
        enum press want;
    } cases[] = {
        { "tool+" ID ":7", "7", PRESS_TAKEN },
        { "tool-" ID ":7", "7", PRESS_TAKEN },
        { "tool+" ID ":7", "8", PRESS_OTHERS },
        { "tool+" ID ":7", "77", PRESS_OTHERS },
        { "tool+" ID ":77", "7", PRESS_OTHERS },
        { "tool+" ID ":", "7", PRESS_OTHERS },
        { "tool+" ID, "7", PRESS_OTHERS },
        { "", "7", PRESS_NONE },
        { "tool", "7", PRESS_NONE },
        { "tool+", "7", PRESS_NONE },
        { "tool+7", "7", PRESS_NONE },
        { "tool*" ID ":7", "7", PRESS_NONE },
        { "tool+" ID "0:7", "7", PRESS_NONE },
        { "tool+ " ID ":7", "7", PRESS_NONE },
        { "parley:stop", "7", PRESS_NONE },
    };
    struct arena a;
    arena_init(&a);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct str text = STR_NONE;
        enum press got = press_read(str_of(cases[i].data), str_of(cases[i].from), &a, &text);
        cr_expect_eq(got, cases[i].want, "%s by %s: %d", cases[i].data, cases[i].from, got);
        cr_expect_eq(text.n > 0, got == PRESS_TAKEN, "%s", cases[i].data);
    }
    arena_done(&a);
}

Test(press, which_messages_have_them)
{
    struct outbound out = question("7");
    char data[PRESS_MAX];
    cr_expect(press_asks(&out));
    out.n_parts = 2;
    cr_expect(!press_asks(&out), "more follows");
    out.part = 1;
    cr_expect(press_asks(&out));
    out.preview = true;
    cr_expect(!press_asks(&out), "it is not the question yet");
    out.preview = false;
    out.asks = false;
    cr_expect(!press_asks(&out), "it asks nothing");
    out = question("");
    cr_expect(!press_asks(&out), "nobody is asked");
    out = question("a name of an identity that is longer than any");
    cr_expect(!press_asks(&out) && !press_write(&out, true, data), "it does not fit");
}
