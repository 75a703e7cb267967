/*
 * sse - server-sent events out of any chunking of bytes. Pure.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/err.h"

#define SSE_ID_MAX 256 /* bytes; a longer one is no id */

struct sse {
    struct buf line, data, event;
    /* Of the last event that came whole: what Last-Event-ID says to go on behind it. "" = none. It
     * is fit for a header. */
    struct buf id;
    int64_t retry_ms;    /* before that, as the server says; -1 = it does not */
    struct buf given_id; /* of the event that comes */
    bool after_cr, started, has_data;
    /* event "" = none given; data lines joined by \n */
    enum err_kind (*on_event)(void *ctx, struct str event, struct str data, struct err *why);
    void *ctx;
};
void sse_init(struct sse *s, size_t event_max,
              enum err_kind (*on_event)(void *, struct str, struct str, struct err *), void *ctx);
void sse_done(struct sse *s);
/* ERR_PROTO: an event over event_max; or what on_event returned. */
enum err_kind sse_feed(struct sse *s, struct str bytes, struct err *why);
/* The stream has ended: deliver an event whose closing blank line never came, as OpenAI's own
 * client does. */
enum err_kind sse_end(struct sse *s, struct err *why);
