/*
 * What nobody sees, and what must not be taken for it.
 */
#include "core/base/utf8.h"
#include "core/tool/visible.h"
#include <criterion/criterion.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

Test(visible, texts)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        { "", "" },
        { "plain\n\ttext ~", "plain\n\ttext ~" },
        { "a\r\nb\x1b[2J\x07\x7f", "a\nb[2J" },
        { "\xC3\xA4\xE4\xB8\x96\xF0\x9F\x98\x80", "\xC3\xA4\xE4\xB8\x96\xF0\x9F\x98\x80" },
        { "a\xC2\x85"
          "b",
          "ab" }, /* C1 */
        { "user\xE2\x80\xAEgpj.exe", "usergpj.exe" },
        { "a\xE2\x81\xA6"
          "b\xE2\x81\xA9",
          "ab" },
        { "a\xE2\x80\x8B"
          "b\xEF\xBB\xBF",
          "ab" },
        { "hi\xF3\xA0\x81\xA9\xF3\xA0\x81\xA7\xF3\xA0\x81\xAE", "hi" }, /* "ign" in tags */
        { "x\xF3\xA0\x84\x80", "x" },                                   /* a further selector */
        { "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB",
          "\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x92\xBB" },
        { "\xE2\x9D\xA4\xEF\xB8\x8F", "\xE2\x9D\xA4\xEF\xB8\x8F" },
        { "\xD7\x90\xE2\x80\x8F!", "\xD7\x90\xE2\x80\x8F!" },
        { "a\xff\xC3", "a\xEF\xBF\xBD\xEF\xBF\xBD" },
        { "\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        _cleanup_(buf_done) struct buf got = BUF_INIT(200);
        cr_expect(visible_add(&got, str_of(rows[i].in)));
        cr_expect(str_eq(buf_str(&got), str_of(rows[i].out)), "row %zu: %s", i, got.p);
        cr_expect(utf8_valid(buf_str(&got)));
    }
}

Test(visible, zero_and_the_maximum)
{
    _cleanup_(buf_done) struct buf got = BUF_INIT(5);
    cr_expect(visible_add(&got, str_from("a\0b", 3)));
    cr_expect_str_eq(got.p, "a\xEF\xBF\xBD"
                            "b");
    cr_expect(!visible_add(&got, STR("c")));
}
