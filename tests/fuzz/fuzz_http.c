/*
 * Any bytes, cut anywhere, are requests or an error. The first byte says how long the pieces are.
 */
#include "core/base/utf8.h"
#include "core/net/http_server_impl.h"
#include <stdlib.h>

static enum http_parse_event feed(struct http_parse *p, struct str *piece)
{
    enum http_parse_event e = http_parse_feed(p, piece);

    if (e == HTTP_PARSE_HEAD && !utf8_valid(p->rq->in.path)) abort();
    if (e == HTTP_PARSE_BAD && (p->status < 400 || !p->why)) abort();
    if (e == HTTP_PARSE_HEAD) p->rq->body.max = 4096;
    if (e != HTTP_PARSE_DONE) return e;
    http_rq_reset(p->rq);
    http_parse_begin(p, p->rq);
    return piece->n ? e : HTTP_PARSE_MORE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct http_rq *rq = http_rq_new(2048);
    struct http_parse p;
    enum http_parse_event e = HTTP_PARSE_MORE;
    size_t step = n ? data[0] + 1u : 1;

    http_parse_begin(&p, rq);
    for (size_t at = 1; at < n && e == HTTP_PARSE_MORE; at += step) {
        struct str piece = str_from((const char *)data + at, n - at < step ? n - at : step);
        do e = feed(&p, &piece);
        while (e == HTTP_PARSE_HEAD || e == HTTP_PARSE_DONE);
    }
    http_rq_free(rq);
    return 0;
}
