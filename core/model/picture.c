/* picture: see picture.h. */
#include "core/model/picture.h"

const char *picture_type(struct str file)
{
    static const struct {
        struct str magic;
        const char *type;
    } kinds[] = {
        { { "\x89PNG\r\n\x1a\n", 8 }, "image/png" },
        { { "\xff\xd8\xff", 3 }, "image/jpeg" },
        { { "GIF87a", 6 }, "image/gif" },
        { { "GIF89a", 6 }, "image/gif" },
    };
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (str_starts(file, kinds[i].magic)) return kinds[i].type;
    bool webp =
        file.n >= 12 && str_starts(file, STR("RIFF")) && str_starts(str_skip(file, 8), STR("WEBP"));
    return webp ? "image/webp" : NULL;
}
