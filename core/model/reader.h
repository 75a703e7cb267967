/*
 * reader - a model's answer off the wire, the same for every codec: any chunking of server-sent
 * events, JSON lines or one JSON document becomes a call a JSON value, and the texts inside become
 * pieces of whole code points. Pure.
 *
 * Some servers cut code points, or write halves of surrogate pairs: what can be mended is. A web
 * page instead of an answer is an error that says so. Google ends a stream of events that fails
 * with an error that is no event but a JSON document.
 */
#pragma once
#include "core/base/json.h"
#include "core/model/alike.h"
#include "core/model/halves.h"
#include "core/model/model.h"
#include "core/net/sse.h"

struct reader {
    struct model_sink *sink;
    enum { READER_UNDECIDED, READER_EVENTS, READER_LINES, READER_WHOLE, READER_BARE } shape;
    bool lines;               /* what begins with '{' is a JSON value a line */
    bool in_line;             /* READER_EVENTS: the last byte did not end a line */
    size_t said;              /* bytes of text so far */
    struct sse sse;           /* READER_EVENTS */
    struct buf held;          /* READER_WHOLE, _BARE: all of it; READER_LINES: an unended line */
    struct buf mended;        /* JSON that is not quite UTF-8 */
    struct buf marked;        /* the same with its lone halves marked */
    struct buf joined, clean; /* a piece with marks, with U+0000 */
    struct halves halves;
    bool has_marks;
    struct str event; /* being read, if it came as it should; else empty */
    struct alike alike;
    enum err_kind (*on_json)(void *ctx, struct json *doc, struct err *why);
    void *ctx;
};

/*
 * lines      the backend's streams are JSON lines, not events
 * on_json    called with each JSON value; `doc` lives until it returns. An event whose data begins
 *            with "[DONE]" is not handed on: it sets sink->ended, and nothing is after that.
 */
void reader_init(struct reader *r, const struct model *m, struct model_sink *sink, bool lines,
                 enum err_kind (*on_json)(void *ctx, struct json *doc, struct err *why), void *ctx);
void reader_done(struct reader *r); /* what it holds of an unended event is dropped */
/*
 * content_type   as the server sent it
 * end            nothing follows; half an event at the end is not an error, a half document is
 * Returns ERR_PROTO (also: a value over the maximum), ERR_IO (a web page), or what on_json
 * returned.
 */
enum err_kind reader_feed(struct reader *r, struct str content_type, struct str bytes, bool end,
                          struct err *why);
/* From on_json: a piece of the answer, as a view into the document. */
void reader_text(struct reader *r, struct str text);
/*
 * From on_json: this event has nothing that matters but the string under `key`, for reader_text.
 * The next one that differs in nothing else is such a text without on_json being called.
 */
void reader_only_text(struct reader *r, const char *key);
/* A count of tokens. False, and *ret as it was: absent, or what no answer can have. */
bool reader_count(struct json *obj, const char *key, int64_t *ret);
