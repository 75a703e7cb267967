/*
 * Any bytes as an answer of the Responses API, and as its refusal: every piece is valid UTF-8, and
 * the chunking makes no difference.
 */
#include "core/base/utf8.h"
#include "core/model/types.h"
#include <stdlib.h>

static struct buf text = BUF_INIT(1024 * 1024);

static void on_text(struct model_sink *sink, struct str piece)
{
    (void)sink;
    if (!piece.n || !utf8_valid(piece)) abort();
    buf_add(&text, piece);
}

static enum err_kind run(const struct responses *m, struct str in, size_t step)
{
    struct model_sink sink = { .text = on_text };
    struct model_decoder *d = model_responses.decoder_new(&m->remote.base, &sink);
    enum err_kind kind = ERR_NONE;
    buf_clear(&text);
    for (; in.n && kind == ERR_NONE; in = str_skip(in, step))
        kind = model_responses.decode(d, STR_NONE, str_head(in, step), false, NULL);
    if (kind == ERR_NONE) kind = model_responses.decode(d, STR_NONE, STR_NONE, true, NULL);
    model_responses.decoder_free(d);
    return kind;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct responses m = { .remote.base.reply_max = 4096 };
    struct str in = str_from((const char *)data, n < 8192 ? n : 8192);
    enum err_kind kind = run(&m, in, SIZE_MAX);
    size_t bytes = text.n;
    if (run(&m, in, 1) != kind || text.n != bytes) abort();
    model_responses.refusal(500, in, 0, NULL);
    return 0;
}
