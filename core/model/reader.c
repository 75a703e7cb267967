/* reader: see reader.h. */
#include "core/model/reader.h"
#include "core/base/utf8.h"

#define VALUE_EXTRA (256 * 1024) /* a JSON value beyond its text */
#define COUNT_MAX   INT32_MAX    /* tokens */

/* ---- mending ---- */

static enum err_kind parse(struct reader *r, struct str text, struct json **ret, struct err *why)
{
    enum err_kind kind = json_parse(text, ret, why);
    r->has_marks = false;
    if (kind != ERR_PROTO) return kind;
    buf_clear(&r->mended);
    buf_clear(&r->marked);
    r->event = STR_NONE;
    bool mended = !utf8_valid(text) && utf8_clean(&r->mended, text);
    if (mended) text = buf_str(&r->mended);
    r->has_marks = halves_mark(text, &r->marked);
    if (r->has_marks) text = buf_str(&r->marked);
    return mended || r->has_marks ? json_parse(text, ret, why) : kind;
}

static enum err_kind read_json(struct reader *r, struct str text, struct err *why)
{
    struct json *doc = NULL;
    enum err_kind kind = parse(r, text, &doc, why);
    if (kind == ERR_NONE) kind = r->on_json(r->ctx, doc, why);
    json_free(doc);
    return kind;
}

/* An event like the one before: only its text is parsed. False: it is not. */
static bool read_alike(struct reader *r, struct str event)
{
    struct json *string = NULL;
    struct str raw, text;
    struct err why = ERR_INIT;
    if (!alike_fits(&r->alike, event, &raw)) return false;
    bool good = json_plain_string(raw, &text) ||
                (json_parse(raw, &string, &why) == ERR_NONE && json_str(string, &text));
    r->has_marks = false;
    if (good) reader_text(r, text);
    json_free(string);
    return good;
}

static enum err_kind read_event(struct reader *r, struct str event, struct err *why)
{
    if (read_alike(r, event)) return ERR_NONE;
    alike_forget(&r->alike);
    r->event = event;
    enum err_kind kind = read_json(r, event, why);
    r->event = STR_NONE;
    return kind;
}

void reader_only_text(struct reader *r, const char *key)
{
    alike_keep(&r->alike, r->event, key);
}

void reader_text(struct reader *r, struct str text)
{
    if (r->has_marks || r->halves.high) {
        buf_clear(&r->joined);
        halves_join(&r->halves, text, &r->joined);
        text = buf_str(&r->joined);
    }
    if (!text.n) return;
    if (!utf8_valid(text)) {
        buf_clear(&r->clean);
        utf8_clean(&r->clean, text);
        text = buf_str(&r->clean);
    }
    r->sink->alive = true;
    r->said += text.n;
    r->sink->text(r->sink, text);
}

bool reader_count(struct json *obj, const char *key, int64_t *ret)
{
    int64_t n;
    if (!json_get_i64(obj, key, &n) || n < 0 || n > COUNT_MAX) return false;
    *ret = n;
    return true;
}

/* ---- framing ---- */

static enum err_kind on_event(void *ctx, struct str event, struct str data, struct err *why)
{
    (void)event; /* every backend repeats it inside the data */
    struct reader *r = ctx;
    data = str_trim(data);
    if (r->sink->ended || !data.n) return ERR_NONE;
    if (str_starts(data, STR("[DONE]"))) {
        r->sink->ended = true;
        return ERR_NONE;
    }
    return read_event(r, data, why);
}

static enum err_kind hold(struct reader *r, struct str bytes, struct err *why)
{
    if (buf_add(&r->held, bytes)) return ERR_NONE;
    return err_set(why, ERR_PROTO, "an answer of more than %zu bytes", r->held.max);
}

static enum err_kind end_line(struct reader *r, struct err *why)
{
    struct str line = str_trim(buf_str(&r->held));
    enum err_kind kind = line.n && !r->sink->ended ? read_json(r, line, why) : ERR_NONE;
    buf_clear(&r->held);
    return kind;
}

static enum err_kind take_lines(struct reader *r, struct str bytes, struct err *why)
{
    enum err_kind kind = ERR_NONE;
    while (bytes.n && kind == ERR_NONE) {
        size_t at = str_find_char(bytes, '\n');
        kind = hold(r, str_head(bytes, at), why);
        if (kind == ERR_NONE && at < bytes.n) kind = end_line(r, why);
        bytes = str_skip(bytes, at < bytes.n ? at + 1 : bytes.n);
    }
    return kind;
}

static bool ends_line(char c)
{
    return c == '\n' || c == '\r';
}

/* Where a line begins as no line of an event does, but JSON; or the end. */
static size_t bare_at(struct reader *r, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i++) {
        bool begins = i ? ends_line(bytes.p[i - 1]) : !r->in_line;
        if (begins && (bytes.p[i] == '{' || bytes.p[i] == '[')) return i;
    }
    if (bytes.n) r->in_line = !ends_line(bytes.p[bytes.n - 1]);
    return bytes.n;
}

static enum err_kind take_events(struct reader *r, struct str bytes, struct err *why)
{
    size_t at = bare_at(r, bytes);
    enum err_kind kind = sse_feed(&r->sse, str_head(bytes, at), why);
    if (at == bytes.n || kind != ERR_NONE) return kind;
    r->shape = READER_BARE;
    kind = sse_end(&r->sse, why);
    return kind == ERR_NONE ? hold(r, str_skip(bytes, at), why) : kind;
}

static enum err_kind take(struct reader *r, struct str bytes, struct err *why)
{
    switch (r->shape) {
    case READER_EVENTS: return take_events(r, bytes, why);
    case READER_LINES: return take_lines(r, bytes, why);
    case READER_WHOLE:
    case READER_BARE: return hold(r, bytes, why);
    default: return ERR_NONE;
    }
}

/* By the first byte rather than by the type: proxies change one more often than the other. */
static enum err_kind decide(struct reader *r, struct str type, struct str *bytes, struct err *why)
{
    while (bytes->n && strchr(" \t\r\n", bytes->p[0]) && bytes->p[0]) *bytes = str_skip(*bytes, 1);
    if (!bytes->n) return ERR_NONE;
    if (bytes->p[0] == '<' || str_starts_nocase(type, STR("text/html")))
        return err_set(
            why, ERR_IO,
            "a web page came instead of an answer: base_url is wrong, or a proxy failed");
    bool json = bytes->p[0] == '{' || bytes->p[0] == '[';
    r->shape = !json ? READER_EVENTS : r->lines ? READER_LINES : READER_WHOLE;
    return ERR_NONE;
}

static enum err_kind finish(struct reader *r, struct err *why)
{
    enum err_kind kind = ERR_NONE;
    if (r->shape == READER_WHOLE) kind = read_json(r, buf_str(&r->held), why);
    if (r->shape == READER_LINES || r->shape == READER_BARE) kind = end_line(r, why);
    if (r->shape == READER_EVENTS) kind = sse_end(&r->sse, why);
    /* Half a value at the end of a stream is where the answer broke off, not a mistake of the
     * server. */
    if (r->shape != READER_WHOLE && kind == ERR_PROTO) kind = ERR_NONE;
    buf_clear(&r->joined);
    halves_end(&r->halves, &r->joined);
    if (r->joined.n) r->sink->text(r->sink, buf_str(&r->joined));
    return kind;
}

enum err_kind reader_feed(struct reader *r, struct str content_type, struct str bytes, bool end,
                          struct err *why)
{
    enum err_kind kind = ERR_NONE;
    if (r->shape == READER_UNDECIDED) kind = decide(r, content_type, &bytes, why);
    if (kind == ERR_NONE) kind = take(r, bytes, why);
    if (kind == ERR_NONE && end) kind = finish(r, why);
    return kind;
}

void reader_init(struct reader *r, const struct model *m, struct model_sink *sink, bool lines,
                 enum err_kind (*on_json)(void *ctx, struct json *doc, struct err *why), void *ctx)
{
    size_t max = 2 * (size_t)m->reply_max + VALUE_EXTRA;
    *r = (struct reader){ .sink = sink, .lines = lines, .on_json = on_json, .ctx = ctx };
    sse_init(&r->sse, max, on_event, r);
    buf_init(&r->held, max);
    /* A bad byte becomes three. */
    buf_init(&r->mended, 3 * max);
    buf_init(&r->marked, 3 * max);
    buf_init(&r->joined, 3 * max);
    buf_init(&r->clean, 3 * max);
    alike_init(&r->alike);
}

void reader_done(struct reader *r)
{
    sse_done(&r->sse);
    buf_done(&r->held);
    buf_done(&r->mended);
    buf_done(&r->marked);
    buf_done(&r->joined);
    buf_done(&r->clean);
    alike_done(&r->alike);
}
