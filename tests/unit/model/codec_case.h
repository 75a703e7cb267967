/*
 * codec_case - answers as servers send them, recorded in tests/fixtures, through any codec: decoded
 * whole and in pieces of several sizes, each must come out the same.
 */
#pragma once
#include "core/base/json.h"
#include "core/base/utf8.h"
#include "core/model/model.h"
#include <criterion/criterion.h>
#include <stdio.h>

struct codec_case {
    const char *file;
    enum err_kind kind;
    const char *text;
    bool ended;
    enum model_finish finish;
    struct model_usage usage;
    const char *calls; /* "id name arguments;" of each, NULL = "" */
    const char *kept;
};

struct codec_taken {
    struct model_sink sink;
    struct buf text, calls, kept;
};

static inline void codec_on_text(struct model_sink *sink, struct str piece)
{
    struct codec_taken *t = container_of(sink, struct codec_taken, sink);
    cr_expect(utf8_valid(piece), "a piece that is not whole code points");
    cr_expect_gt(piece.n, 0);
    buf_add(&t->text, piece);
}

static inline void codec_on_call(struct model_sink *sink, const struct model_call *call)
{
    struct codec_taken *t = container_of(sink, struct codec_taken, sink);
    buf_addf(&t->calls, "%.*s %.*s %.*s;", STR_ARG(call->id), STR_ARG(call->name),
             STR_ARG(call->arguments));
}

static inline void codec_on_keep(struct model_sink *sink, struct str json)
{
    struct codec_taken *t = container_of(sink, struct codec_taken, sink);
    cr_expect_eq(t->kept.n, 0, "kept twice");
    buf_add(&t->kept, json);
}

static inline void codec_fixture(const char *folder, const char *name, struct buf *to)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s/%s", FIXTURES, folder, name);
    FILE *f = fopen(path, "rb");
    cr_assert(f, "%s", path);
    for (size_t n; (n = fread(buf_room(to, 4096), 1, 4096, f)) > 0;) buf_grew(to, n);
    fclose(f);
}

static inline void codec_taken_done(struct codec_taken *t)
{
    buf_done(&t->text);
    buf_done(&t->calls);
    buf_done(&t->kept);
}

static inline void codec_taken_init(struct codec_taken *t)
{
    *t = (struct codec_taken){
        .sink = { .text = codec_on_text, .call = codec_on_call, .keep = codec_on_keep },
        .text = BUF_INIT(65536),
        .calls = BUF_INIT(65536),
        .kept = BUF_INIT(8 * 1024 * 1024),
    };
}

/* t   filled anew; codec_taken_done afterwards */
static inline enum err_kind codec_decode(const struct model *m, struct str in, const char *type,
                                         size_t step, struct codec_taken *t, struct err *why)
{
    codec_taken_init(t);
    struct model_decoder *d = m->type->decoder_new(m, &t->sink);
    enum err_kind kind = ERR_NONE;
    for (; in.n && kind == ERR_NONE; in = str_skip(in, step))
        kind = m->type->decode(d, str_of(type), str_head(in, step), false, why);
    if (kind == ERR_NONE) kind = m->type->decode(d, str_of(type), STR_NONE, true, why);
    m->type->decoder_free(d);
    return kind;
}

static inline void codec_expect(const struct model *m, const struct codec_case *c, struct str in,
                                const char *type, size_t step)
{
    struct codec_taken t;
    struct err why = ERR_INIT;
    enum err_kind kind = codec_decode(m, in, type, step, &t, &why);
    const struct model_usage *want = &c->usage, *is = &t.sink.usage;
    const char *f = c->file;
    cr_expect_eq(kind, c->kind, "%s by %zu: %u %s", f, step, kind, why.msg);
    cr_expect(str_eq(buf_str(&t.text), str_of(c->text)), "%s by %zu: %s", f, step, t.text.p);
    cr_expect(str_eq(buf_str(&t.calls), str_of(c->calls)), "%s by %zu: %s", f, step, t.calls.p);
    cr_expect(str_eq(buf_str(&t.kept), str_of(c->kept)), "%s by %zu: %s", f, step, t.kept.p);
    cr_expect_eq(t.sink.ended, c->ended, "%s by %zu: ended", f, step);
    cr_expect_eq(t.sink.finish, c->finish, "%s by %zu: finish %u", f, step, t.sink.finish);
    cr_expect(is->known == want->known && is->prompt_tokens == want->prompt_tokens &&
                  is->completion_tokens == want->completion_tokens &&
                  is->cached_tokens == want->cached_tokens &&
                  is->reasoning_tokens == want->reasoning_tokens &&
                  is->written_tokens == want->written_tokens && is->cost_nano == want->cost_nano,
              "%s by %zu: usage", f, step);
    codec_taken_done(&t);
}

/* Every case, in each chunking; type: what the server says it sends. */
static inline void codec_expect_all(const struct model *m, const char *folder, const char *type,
                                    const struct codec_case *cases, size_t n)
{
    static const size_t steps[] = { 1, 2, 3, 7, 64, 1000, SIZE_MAX };
    for (size_t i = 0; i < n; i++) {
        struct buf in = BUF_INIT(1024 * 1024);
        codec_fixture(folder, cases[i].file, &in);
        for (size_t s = 0; s < sizeof(steps) / sizeof(*steps); s++)
            codec_expect(m, &cases[i], buf_str(&in), type, steps[s]);
        codec_expect(m, &cases[i], buf_str(&in), "application/json; charset=utf-8", SIZE_MAX);
        codec_expect(m, &cases[i], buf_str(&in), "", 5);
        buf_done(&in);
    }
}

/* Once the end marker is there, nothing waits for a connection that may stay open. */
static inline void codec_expect_before_end(const struct model *m, const char *folder,
                                           const char *file, const char *calls, const char *kept)
{
    struct buf in = BUF_INIT(1024 * 1024);
    struct codec_taken t;
    struct err why = ERR_INIT;
    codec_taken_init(&t);
    codec_fixture(folder, file, &in);
    struct model_decoder *d = m->type->decoder_new(m, &t.sink);
    cr_expect_eq(m->type->decode(d, STR_NONE, buf_str(&in), false, &why), ERR_NONE);
    cr_expect(t.sink.ended);
    cr_expect(str_eq(buf_str(&t.calls), str_of(calls)), "%s", t.calls.p);
    cr_expect(str_eq(buf_str(&t.kept), str_of(kept)), "%s", t.kept.p);
    m->type->decoder_free(d);
    codec_taken_done(&t);
    buf_done(&in);
}

/* ---- what is asked ---- */

static inline void codec_expect_json(struct json *v, const char *want)
{
    struct buf got = BUF_INIT(65536);
    json_write(v, &got);
    cr_expect_str_eq(got.p, want);
    buf_done(&got);
}

/* NULL: none of that name is sent. */
static inline const char *codec_header(const struct http_request *rq, const char *name,
                                       struct arena *arena)
{
    for (size_t i = 0; i < rq->n_headers; i++)
        if (str_eq(rq->headers[i].name, str_of(name)))
            return arena_cstr(arena, rq->headers[i].value);
    return NULL;
}

/* ---- refusals ---- */

struct codec_refusal {
    int status;
    const char *body;
    uint32_t hint_ms;
    enum err_kind kind;
    uint32_t wait_ms;
    const char *text;
};

static inline void codec_expect_refusals(const struct model_type *type,
                                         const struct codec_refusal *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct err why;
        enum err_kind kind = type->refusal(r[i].status, str_of(r[i].body), r[i].hint_ms, &why);
        cr_expect_eq(kind, r[i].kind, "%zu: %u", i, kind);
        cr_expect_eq(why.kind, kind);
        cr_expect_str_eq(why.msg, r[i].text);
        cr_expect_eq(why.retry_after_ms, r[i].wait_ms, "%zu: %u", i, why.retry_after_ms);
    }
    cr_expect_eq(type->refusal(404, STR_NONE, 0, NULL), ERR_NOT_FOUND);
}
