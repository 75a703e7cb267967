/*
 * Any Markdown becomes HTML that Telegram takes, or is left to be sent as plain text.
 */
#include "../unit/channels/telegram_html.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf clean = BUF_INIT(4 * n + 4), html = BUF_INIT(1 << 20);
    utf8_clean(&clean, str_from((const char *)data, n));
    if (telegram_format(buf_str(&clean), &html)) {
        const char *problem = html_problem(buf_str(&html));
        if (problem) {
            fprintf(stderr, "%s:\n%s\n%s\n", problem, clean.p, html.p);
            abort();
        }
    } else if (html.n || html.full) {
        abort();
    }
    buf_done(&clean);
    buf_done(&html);
    return 0;
}
