/*
 * An Update, however it looks, becomes valid text of bounded length or nothing; and an answer of
 * the Bot API always means something.
 */
#include "channels/telegram/parse.h"
#include "channels/telegram/reply.h"
#include "core/base/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct telegram_reader reader = { .id = 123456, .username = STR("parley_bot") };
    struct telegram_update u = { .verdict = TELEGRAM_SKIP };
    struct telegram_reply r;
    struct json *doc = NULL;
    struct str text = str_from((const char *)data, n);
    struct arena arena;
    arena_init(&arena);
    json_parse(text, &doc, NULL);
    reader.groups = n % 3;
    if (telegram_parse(&reader, doc, &arena, &u, NULL) == ERR_NONE && u.verdict == TELEGRAM_TAKE) {
        if (!utf8_valid(u.in.text) || !utf8_valid(u.in.from.display_name)) abort();
        for (size_t i = 0; i < u.in.n_attachments; i++)
            if (!utf8_valid(u.in.attachments[i].name)) abort();
        if (!u.in.event_id.n || u.in.text.n > 3 * n + 16) abort();
    }
    arena_done(&arena);
    telegram_reply_read(200 + (int)(n % 300), doc, &r, NULL);
    telegram_reply_done(&r);
    telegram_reply_unreadable_id(text);
    telegram_reply_message_id(text, &u.id);
    return 0;
}
