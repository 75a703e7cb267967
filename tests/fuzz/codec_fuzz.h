/*
 * codec_fuzz - any bytes as an answer of a model server, as its refusal, and as what is sent back
 * to it: every piece of text is valid UTF-8, what is kept is JSON, and the chunking makes no
 * difference.
 */
#pragma once
#include "core/base/json.h"
#include "core/base/utf8.h"
#include "core/model/types.h"
#include <stdlib.h>

#define CODEC_FUZZ_MAX 8192

struct codec_said {
    struct model_sink sink;
    struct buf text, calls, kept;
};

static void codec_on_text(struct model_sink *sink, struct str piece)
{
    if (!piece.n || !utf8_valid(piece)) abort();
    buf_add(&container_of(sink, struct codec_said, sink)->text, piece);
}

static void codec_on_call(struct model_sink *sink, const struct model_call *call)
{
    struct buf *calls = &container_of(sink, struct codec_said, sink)->calls;
    if (!utf8_valid(call->arguments)) abort();
    buf_add(calls, call->id);
    buf_add(calls, call->name);
    buf_add(calls, call->arguments);
}

static void codec_on_keep(struct model_sink *sink, struct str json)
{
    struct buf *kept = &container_of(sink, struct codec_said, sink)->kept;
    struct json *doc = NULL;
    if (kept->n || json_parse(json, &doc, NULL) != ERR_NONE) abort();
    json_free(doc);
    buf_add(kept, json);
}

static void codec_said_done(struct codec_said *said)
{
    buf_done(&said->text);
    buf_done(&said->calls);
    buf_done(&said->kept);
}

static enum err_kind codec_said(const struct model *m, struct str in, size_t step,
                                struct codec_said *said)
{
    *said = (struct codec_said){
        .sink = { .text = codec_on_text, .call = codec_on_call, .keep = codec_on_keep },
        .text = BUF_INIT(1024 * 1024),
        .calls = BUF_INIT(1024 * 1024),
        .kept = BUF_INIT(1024 * 1024),
    };
    struct model_decoder *d = m->type->decoder_new(m, &said->sink);
    enum err_kind kind = ERR_NONE;
    for (; in.n && kind == ERR_NONE; in = str_skip(in, step))
        kind = m->type->decode(d, STR_NONE, str_head(in, step), false, NULL);
    if (kind == ERR_NONE) kind = m->type->decode(d, STR_NONE, STR_NONE, true, NULL);
    m->type->decoder_free(d);
    return kind;
}

static bool codec_same(const struct buf *a, const struct buf *b)
{
    return str_eq(buf_str(a), buf_str(b));
}

/* The same bytes as text, arguments and what was kept. */
static void codec_ask(const struct model *m, struct str in, struct str kept)
{
    const struct model_call call = { in, in, in };
    const struct model_message messages[] = {
        { .role = MODEL_USER, .text = in },
        { .role = MODEL_ASSISTANT, .text = in, .calls = &call, .n_calls = 1, .kept = kept },
        { .role = MODEL_TOOL_RESULT, .text = in, .call_id = in, .call_name = in },
    };
    struct model_ask ask = { messages, 3 };
    struct arena arena;
    struct http_request rq = { 0 };
    arena_init(&arena);
    m->type->encode(m, &ask, &arena, &rq, NULL);
    if (!utf8_valid(rq.body)) abort();
    arena_done(&arena);
}

static void codec_fuzz(const struct model *m, const uint8_t *data, size_t n)
{
    struct str in = str_from((const char *)data, n < CODEC_FUZZ_MAX ? n : CODEC_FUZZ_MAX);
    struct codec_said whole, bytes;
    if (codec_said(m, in, SIZE_MAX, &whole) != codec_said(m, in, 1, &bytes)) abort();
    if (!codec_same(&whole.text, &bytes.text) || !codec_same(&whole.calls, &bytes.calls) ||
        !codec_same(&whole.kept, &bytes.kept))
        abort();
    codec_ask(m, buf_str(&whole.text), buf_str(&whole.kept));
    codec_said_done(&whole);
    codec_said_done(&bytes);
    m->type->refusal(500, in, 0, NULL);
}
