/* Pictures are known by their bytes. */
#include "core/model/picture.h"
#include <criterion/criterion.h>

Test(picture, by_its_first_bytes)
{
    static const struct {
        struct str file;
        const char *type;
    } cases[] = {
        { { "\x89PNG\r\n\x1a\n\0", 9 }, "image/png" },
        { { "\xff\xd8\xff\xe0", 4 }, "image/jpeg" },
        { { "GIF89a;", 7 }, "image/gif" },
        { { "RIFF\0\0\0\0WEBPVP8", 15 }, "image/webp" },
        { { "RIFF\0\0\0\0WAVEfmt", 15 }, NULL },
        { { "RIFF\0\0\0\0WEB", 11 }, NULL },
        { { "\x89PN", 3 }, NULL },
        { { "<svg onload=alert(1)>", 21 }, NULL },
        { { "", 0 }, NULL },
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *type = picture_type(cases[i].file);
        if (cases[i].type)
            cr_expect(type && !strcmp(type, cases[i].type), "%zu: %s", i, type);
        else
            cr_expect_null(type, "%zu: %s", i, type);
    }
}
