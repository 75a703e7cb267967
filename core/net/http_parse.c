/*
 * Bytes into a request. llhttp finds the syntax; what it lets through is checked here: the Host,
 * folded headers, codings we do not decode, the target. The head's bytes are copied once, into
 * rq->raw, and every view of the request points there. No sockets, no clock: the fuzzer drives this
 * file alone.
 */
#include "core/base/mem.h"
#include "core/base/utf8.h"
#include "core/net/http_server_impl.h"

static void extend(struct str *view, const char *at, size_t n)
{
    if (!view->p) view->p = at;
    view->n += n;
}

static int refuse(struct http_parse *p, int status, const char *why)
{
    p->status = status;
    p->why = why;
    return HPE_USER;
}

static int on_url(llhttp_t *ll, const char *at, size_t n)
{
    struct http_parse *p = ll->data;
    extend(&p->rq->target, at, n);
    return 0;
}

static int on_name(llhttp_t *ll, const char *at, size_t n)
{
    struct http_parse *p = ll->data;
    struct http_in *in = &p->rq->in;

    if (p->head_done) { /* a trailer: we have no use for it, only a limit */
        p->n_trailer += n;
        return p->n_trailer > p->rq->raw_max ? refuse(p, 431, "trailer too large") : 0;
    }
    if (!p->in_name) {
        if (in->n_headers == HTTP_HEADERS_MAX) return refuse(p, 431, "too many headers");
        p->in_name = true;
        p->rq->headers[in->n_headers++] = (struct http_header){ 0 };
    }
    extend(&p->rq->headers[in->n_headers - 1].name, at, n);
    return 0;
}

static int on_name_end(llhttp_t *ll)
{
    struct http_parse *p = ll->data;
    p->in_name = false;
    return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t n)
{
    struct http_parse *p = ll->data;

    if (p->head_done) {
        p->n_trailer += n;
        return p->n_trailer > p->rq->raw_max ? refuse(p, 431, "trailer too large") : 0;
    }
    extend(&p->rq->headers[p->rq->in.n_headers - 1].value, at, n);
    return 0;
}

static int on_head(llhttp_t *ll)
{
    struct http_parse *p = ll->data;
    struct http_rq *rq = p->rq;

    p->head_done = true;
    rq->keep_alive = llhttp_should_keep_alive(ll);
    rq->chunked = ll->flags & F_CHUNKED;
    rq->content_length = rq->chunked ? 0 : ll->content_length;
    rq->has_body = rq->chunked || rq->content_length > 0;
    /* Upgrades are ours to decide: an unknown one (h2c) is served as if it were not there. */
    ll->upgrade = 0;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *ll, const char *at, size_t n)
{
    struct http_parse *p = ll->data;
    return buf_add(&p->rq->body, str_from(at, n)) ? 0 : refuse(p, 413, "body too large");
}

static int on_done(llhttp_t *ll)
{
    struct http_parse *p = ll->data;
    p->done = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_name,
    .on_header_field_complete = on_name_end,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_done,
};

static enum http_parse_event bad(struct http_parse *p, int status, const char *why)
{
    p->status = status;
    p->why = why;
    return HTTP_PARSE_BAD;
}

/* llhttp has stopped: by a refusal of ours, or because it does not understand. */
static enum http_parse_event not_http(struct http_parse *p)
{
    if (p->status) return HTTP_PARSE_BAD;
    /* llhttp 9 says so of a bad line end behind a good version, too. */
    bool known = p->ll.http_major == 1 && p->ll.http_minor <= 1;
    if (llhttp_get_errno(&p->ll) == HPE_INVALID_VERSION && !known)
        return bad(p, 505, "HTTP version not supported");
    const char *reason = llhttp_get_error_reason(&p->ll);
    return bad(p, 400, reason && *reason ? reason : "not HTTP");
}

/* A header value that goes on in the next line: smuggling, or a client from before 2014. */
static bool has_fold(const char *p, size_t n)
{
    const char *end = p + n;
    while ((p = memchr(p, '\n', (size_t)(end - p))) && ++p < end)
        if (*p == ' ' || *p == '\t') return true;
    return false;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_decode(char *p, size_t *n, bool query)
{
    size_t to = 0;

    for (size_t i = 0; i < *n; i++) {
        char c = p[i];
        if (c == '%') {
            int high = i + 2 < *n ? hex(p[i + 1]) : -1, low = high < 0 ? -1 : hex(p[i + 2]);
            if (low < 0) return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && query) {
            c = ' ';
        }
        p[to++] = c;
    }
    *n = to;
    return utf8_valid(str_from(p, to));
}

/* "/path?query", or "http://host/path?query" as RFC 9112 3.2.2 wants it accepted. */
static bool parse_target(struct http_rq *rq)
{
    struct str target = rq->target;

    if (str_find_char(target, '#') != SIZE_MAX) return false;
    if (target.n && target.p[0] != '/') {
        size_t scheme = str_find(target, STR("://"));
        if (scheme == SIZE_MAX || scheme > 5) return false;
        struct str rest = str_skip(target, scheme + 3);
        size_t slash = str_find_char(rest, '/');
        if (slash == SIZE_MAX) return false;
        target = str_skip(rest, slash);
    }
    rq->in.path = str_cut(&target, '?');
    rq->in.query = target;
    /* In place: the bytes are ours, in rq->raw. */
    return rq->in.path.n && http_decode((char *)(uintptr_t)rq->in.path.p, &rq->in.path.n, false);
}

static enum http_parse_event check_head(struct http_parse *p)
{
    struct http_rq *rq = p->rq;
    struct http_in *in = &rq->in;
    int n_hosts = 0;

    if (p->ll.http_major != 1 || p->ll.http_minor > 1)
        return bad(p, 505, "HTTP version not supported");
    rq->http10 = p->ll.http_minor == 0;
    if (has_fold(rq->raw, rq->n_raw)) return bad(p, 400, "folded header");

    in->method = str_of(llhttp_method_name(p->ll.method));
    in->headers = rq->headers;
    rq->is_head = p->ll.method == HTTP_HEAD;
    for (size_t i = 0; i < in->n_headers; i++) {
        struct http_header *h = &rq->headers[i];
        h->value = h->value.p ? str_trim(h->value) : STR_NONE;
        if (str_eq_nocase(h->name, STR("host"))) n_hosts++;
        if (str_eq_nocase(h->name, STR("transfer-encoding"))) {
            if (rq->http10) return bad(p, 400, "Transfer-Encoding in HTTP/1.0");
            if (!str_eq_nocase(h->value, STR("chunked")))
                return bad(p, 501, "only the transfer coding chunked is understood");
        }
        if (str_eq_nocase(h->name, STR("expect"))) {
            if (!str_eq_nocase(h->value, STR("100-continue")))
                return bad(p, 417, "unknown expectation");
            rq->expects = !rq->http10;
        }
    }
    if (n_hosts > 1 || (n_hosts == 0 && !rq->http10)) return bad(p, 400, "one Host header, please");
    if (!parse_target(rq)) return bad(p, 400, "bad request target");
    return HTTP_PARSE_HEAD;
}

/* Copy up to the end of the head (or all) behind what is there, and parse the copy. */
static enum http_parse_event feed_head(struct http_parse *p, struct str *in)
{
    struct http_rq *rq = p->rq;
    size_t end = str_find(*in, STR("\r\n\r\n")), room = rq->raw_max - rq->n_raw;
    size_t n = end == SIZE_MAX ? in->n : end + 4;
    char *at = rq->raw + rq->n_raw;

    if (n > room) n = room;
    memcpy(at, in->p, n);
    llhttp_errno_t e = llhttp_execute(&p->ll, at, n);
    if (e != HPE_OK && e != HPE_PAUSED) return not_http(p);
    /* An end split over two reads: bytes of the body may have been copied with it. */
    if (e == HPE_PAUSED) n = (size_t)(llhttp_get_error_pos(&p->ll) - at);
    rq->n_raw += n;
    *in = str_skip(*in, n);
    if (e == HPE_PAUSED) {
        p->at = HTTP_AT_BODY;
        return check_head(p);
    }
    if (rq->n_raw < rq->raw_max) return HTTP_PARSE_MORE;
    return rq->in.n_headers ? bad(p, 431, "head too large") : bad(p, 414, "target too long");
}

static enum http_parse_event feed_body(struct http_parse *p, struct str *in)
{
    llhttp_resume(&p->ll);
    llhttp_errno_t e = llhttp_execute(&p->ll, in->p, in->n);
    if (e == HPE_OK) {
        *in = str_skip(*in, in->n);
        return HTTP_PARSE_MORE;
    }
    if (e != HPE_PAUSED || !p->done) return not_http(p);
    *in = str_skip(*in, (size_t)(llhttp_get_error_pos(&p->ll) - in->p));
    p->rq->in.body = buf_str(&p->rq->body);
    return HTTP_PARSE_DONE;
}

struct http_rq *http_rq_new(size_t head_max)
{
    struct http_rq *rq = mem_grow(NULL, sizeof *rq + head_max);

    rq->raw_max = head_max;
    rq->body = (struct buf)BUF_INIT(0);
    list_init(&rq->link);
    http_rq_reset(rq);
    return rq;
}

void http_rq_free(struct http_rq *rq)
{
    if (!rq) return;
    buf_done(&rq->body);
    free(rq);
}

void http_rq_reset(struct http_rq *rq)
{
    rq->in = (struct http_in){ 0 };
    rq->conn = NULL;
    rq->target = (struct str){ 0 };
    buf_clear(&rq->body);
    rq->is_head = rq->keep_alive = rq->http10 = rq->expects = rq->has_body = rq->chunked = false;
    rq->content_length = 0;
    rq->n_raw = 0;
}

void http_parse_begin(struct http_parse *p, struct http_rq *rq)
{
    *p = (struct http_parse){ .rq = rq };
    llhttp_init(&p->ll, HTTP_REQUEST, &settings);
    p->ll.data = p;
}

enum http_parse_event http_parse_feed(struct http_parse *p, struct str *in)
{
    if (p->at == HTTP_AT_START) {
        /* RFC 9112 2.2: empty lines before a request are to be ignored. */
        while (in->n && (in->p[0] == '\r' || in->p[0] == '\n')) *in = str_skip(*in, 1);
        if (!in->n) return HTTP_PARSE_MORE;
        p->at = HTTP_AT_HEAD;
    }
    return p->at == HTTP_AT_HEAD ? feed_head(p, in) : feed_body(p, in);
}
