/*
 * Answers into bytes, one write each; and what handlers ask of a request.
 */
#include "core/base/clock.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/net/http_server_impl.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#define ERROR_TEXT_MAX 1000
#define LINES_MAX      512 /* what we write in a head ourselves */

static const struct {
    int status;
    const char *text;
} texts[] = {
    { 200, "OK" },
    { 201, "Created" },
    { 202, "Accepted" },
    { 204, "No Content" },
    { 301, "Moved Permanently" },
    { 302, "Found" },
    { 303, "See Other" },
    { 304, "Not Modified" },
    { 307, "Temporary Redirect" },
    { 308, "Permanent Redirect" },
    { 400, "Bad Request" },
    { 401, "Unauthorized" },
    { 403, "Forbidden" },
    { 404, "Not Found" },
    { 405, "Method Not Allowed" },
    { 408, "Request Timeout" },
    { 409, "Conflict" },
    { 410, "Gone" },
    { 411, "Length Required" },
    { 413, "Content Too Large" },
    { 414, "URI Too Long" },
    { 415, "Unsupported Media Type" },
    { 417, "Expectation Failed" },
    { 422, "Unprocessable Content" },
    { 426, "Upgrade Required" },
    { 429, "Too Many Requests" },
    { 431, "Request Header Fields Too Large" },
    { 500, "Internal Server Error" },
    { 501, "Not Implemented" },
    { 502, "Bad Gateway" },
    { 503, "Service Unavailable" },
    { 504, "Gateway Timeout" },
    { 505, "HTTP Version Not Supported" },
};

const char http_busy_answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                "Content-Type: application/json\r\n"
                                "Content-Length: 32\r\n"
                                "Retry-After: 5\r\n"
                                "Connection: close\r\n\r\n"
                                "{\"error\":\"too many connections\"}";

static struct http_rq *rq_of(struct http_in *in)
{
    return container_of(in, struct http_rq, in);
}

/* Formatted once a second. */
static const char *date_line(struct http_server *s)
{
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;

    if (s->date_s != now || !s->date[0]) {
        s->date_s = now;
        strftime(s->date, sizeof s->date, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n",
                 gmtime_r(&now, &tm));
    }
    return s->date;
}

static void add_number(struct buf *b, uint64_t v)
{
    char digits[20];
    size_t at = sizeof digits;

    do digits[--at] = (char)('0' + v % 10);
    while (v /= 10);
    buf_add(b, str_from(digits + at, sizeof digits - at));
}

/* RFC 9110: these have no body, and no length of one. */
static bool bodyless(int status)
{
    return status == 204 || status == 304;
}

static void format_head(struct http_server *s, const struct http_rq *rq, int status,
                        size_t body_bytes)
{
    struct buf *b = &s->out;

    buf_clear(b);
    buf_add(b, STR("HTTP/1.1 "));
    add_number(b, (uint64_t)status);
    buf_add_char(b, ' ');
    buf_add_cstr(b, http_status_text(status));
    buf_add(b, STR("\r\n"));
    buf_add_cstr(b, date_line(s));
    if (!bodyless(status)) {
        buf_add(b, STR("Content-Length: "));
        add_number(b, body_bytes);
        buf_add(b, STR("\r\n"));
    }
    if (rq->conn->close_after)
        buf_add(b, STR("Connection: close\r\n"));
    else if (rq->http10)
        buf_add(b, STR("Connection: keep-alive\r\n"));
}

static void add_header(struct buf *b, struct str name, struct str value)
{
    buf_add(b, name);
    buf_add(b, STR(": "));
    buf_add(b, value);
    buf_add(b, STR("\r\n"));
}

static bool has_line_break(struct str s)
{
    if (!s.n) return false;
    return memchr(s.p, '\r', s.n) || memchr(s.p, '\n', s.n) || memchr(s.p, '\0', s.n);
}

/* A value with a line break in it would be headers, or an answer, of somebody else's making. */
static bool headers_fit(const struct http_header *headers, size_t n)
{
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        if (has_line_break(headers[i].name) || has_line_break(headers[i].value)) return false;
        bytes += headers[i].name.n + headers[i].value.n + 4;
    }
    return bytes <= HTTP_OUT_MAX - LINES_MAX;
}

static void answer(struct http_rq *rq, int status, const struct http_header *headers, size_t n,
                   struct str body)
{
    struct http_conn *c = rq->conn;

    if (!c) { /* nobody waits any more */
        http_rq_free(rq);
        return;
    }
    struct http_server *s = c->server;
    assert(c->rq == rq && status >= 200 && status <= 599);
    if (!rq->keep_alive || s->draining) c->close_after = true;

    format_head(s, rq, status, body.n);
    for (size_t i = 0; i < n; i++) add_header(&s->out, headers[i].name, headers[i].value);
    buf_add(&s->out, STR("\r\n"));

    bool silent = rq->is_head || bodyless(status);
    uv_buf_t bufs[2] = {
        { .base = s->out.p, .len = s->out.n },
        { .base = (char *)(uintptr_t)body.p, .len = silent ? 0 : body.n },
    };
    c->rq = NULL;
    http_metric_answer(status);
    http_conn_send(c, bufs, bufs[1].len ? 2 : 1);
    http_server_rq_back(s, rq); /* after the send: the body may be a view of the request */
    http_conn_answered(c);
}

static void error_body(struct buf *b, struct str text)
{
    struct json_out o = JSON_OUT(b);

    json_open(&o, '{');
    json_field_str(&o, "error", text);
    json_close(&o, '}');
}

const char *http_status_text(int status)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].status == status) return texts[i].text;
    return "Other";
}

void http_answer(struct http_in *in, int status, const char *content_type, struct str body)
{
    struct http_header type = { STR("Content-Type"), str_of(content_type) };
    answer(rq_of(in), status, &type, type.value.n ? 1 : 0, body);
}

void http_answer_with(struct http_in *in, int status, const struct http_header *headers, size_t n,
                      struct str body)
{
    if (headers_fit(headers, n)) {
        answer(rq_of(in), status, headers, n, body);
        return;
    }
    log_error("http", "answer with unusable headers, sending 500", "status=%d", status);
    http_answer_error(in, 500, "internal error");
}

void http_answer_error(struct http_in *in, int status, const char *fmt, ...)
{
    char text[ERROR_TEXT_MAX];
    _cleanup_(buf_done) struct buf body = BUF_INIT(8 * ERROR_TEXT_MAX);
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    error_body(&body, str_of(text));
    http_answer(in, status, "application/json", buf_str(&body));
}

void http_answer_refuse(struct http_rq *rq, int status, const char *why)
{
    rq->conn->close_after = true;
    rq->conn->linger = true;
    http_answer_error(&rq->in, status, "%s", why);
}

struct str http_in_header(const struct http_in *in, const char *name)
{
    struct str wanted = str_of(name);

    for (size_t i = 0; i < in->n_headers; i++)
        if (str_eq_nocase(in->headers[i].name, wanted)) return in->headers[i].value;
    return STR_NONE;
}

bool http_in_query(const struct http_in *in, const char *key, struct buf *ret)
{
    struct str rest = in->query, wanted = str_of(key);

    while (rest.n) {
        struct str value = str_cut(&rest, '&'), name = str_cut(&value, '=');
        if (!str_eq(name, wanted)) continue;
        size_t n = value.n;
        char *to = buf_room(ret, n);
        if (!to) return false;
        memcpy(to, value.p, n);
        bool good = http_decode(to, &n, true);
        buf_grew(ret, good ? n : 0);
        return good;
    }
    return false;
}
