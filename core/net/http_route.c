/*
 * Which route a request belongs to. Decided when its head is whole, so that a body nobody wants is
 * never read, and again when the body is whole: a route may be dropped in between.
 */
#include "core/base/log.h"
#include "core/net/http_server_impl.h"
#include "core/net/ws.h"

#define ALLOW_MAX 200

static bool is_ws(const struct http_route *r)
{
    return strcmp(r->method, "WS") == 0;
}

/* How well a path fits: 0 = not, longer prefixes better, an exact one best. */
static size_t fit(const struct http_route *r, struct str path)
{
    struct str pattern = str_of(r->path);

    if (pattern.n > 1 && str_ends(pattern, STR("/*"))) {
        pattern.n--;
        return str_starts(path, pattern) ? pattern.n : 0;
    }
    return str_eq(path, pattern) ? SIZE_MAX : 0;
}

static bool serves(const struct http_route *r, const struct http_in *in, bool wants_ws)
{
    if (is_ws(r)) return wants_ws && str_eq(in->method, STR("GET"));
    return str_eq(str_of(r->method), in->method) ||
           (str_eq(in->method, STR("HEAD")) && strcmp(r->method, "GET") == 0);
}

/* NULL: none. A WebSocket route goes before a plain one of the same path when the request asks for
 * it. */
static struct http_route *find(struct http_server *s, const struct http_in *in, bool wants_ws)
{
    struct http_route *best = NULL;
    size_t best_fit = 0;

    list_each (it, next, &s->routes) {
        struct http_route *r = container_of(it, struct http_route, link);
        size_t how = fit(r, in->path);
        if (!how || how < best_fit || !serves(r, in, wants_ws)) continue;
        if (how == best_fit && !is_ws(r)) continue;
        best = r;
        best_fit = how;
    }
    return best;
}

/* The methods of the path, for 405; "" = there is no such path. */
static bool allowed(struct http_server *s, struct str path, struct buf *allow)
{
    bool found = false;

    list_each (it, next, &s->routes) {
        struct http_route *r = container_of(it, struct http_route, link);
        if (!fit(r, path)) continue;
        found = true;
        if (is_ws(r)) continue;
        buf_addf(allow, "%s%s", allow->n ? ", " : "", r->method);
        if (strcmp(r->method, "GET") == 0) buf_add_cstr(allow, ", HEAD");
    }
    return found;
}

static void answer_nowhere(struct http_rq *rq)
{
    char text[ALLOW_MAX];
    _cleanup_(buf_done) struct buf allow = BUF_INIT(ALLOW_MAX);
    struct http_conn *c = rq->conn;
    struct http_header headers[2] = { { STR("Content-Type"), STR("application/json") } };

    if (rq->has_body) c->close_after = c->linger = true; /* not worth reading */
    if (!allowed(c->server, rq->in.path, &allow)) {
        http_answer_error(&rq->in, 404, "no such path");
        return;
    }
    bool ws_only = allow.n == 0;
    headers[1] = ws_only ? (struct http_header){ STR("Upgrade"), STR("websocket") }
                         : (struct http_header){ STR("Allow"), buf_str(&allow) };
    int n = snprintf(text, sizeof text, "{\"error\":\"%s\"}",
                     ws_only ? "this path speaks WebSocket" : "method not allowed");
    http_answer_with(&rq->in, ws_only ? 426 : 405, headers, 2, str_from(text, (size_t)n));
}

static size_t body_max(const struct http_server *s, const struct http_route *r)
{
    return r->body_max ? r->body_max : (size_t)s->conf.body_max;
}

bool http_route_head(struct http_conn *c, struct http_rq *rq)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct http_server *s = c->server;

    http_peer_resolve(s->trusted, c->peer, &rq->in, rq->peer);
    rq->in.peer = str_of(rq->peer);

    struct http_route *r = find(s, &rq->in, ws_wanted(&rq->in));
    if (!r) {
        answer_nowhere(rq);
        return false;
    }
    if (is_ws(r)) {
        ws_upgrade(c, rq, container_of(r, struct ws_route, http));
        return false;
    }
    rq->body.max = body_max(s, r);
    if (rq->content_length > rq->body.max) {
        http_answer_refuse(rq, 413, "body too large");
        return false;
    }
    if (rq->content_length) buf_room(&rq->body, (size_t)rq->content_length);
    if (rq->expects && rq->has_body) {
        uv_buf_t b = { .base = (char *)(uintptr_t)go_on, .len = sizeof go_on - 1 };
        http_conn_send(c, &b, 1);
    }
    return c->phase != CONN_CLOSED;
}

void http_route_dispatch(struct http_conn *c, struct http_rq *rq)
{
    struct http_route *r = find(c->server, &rq->in, false);

    if (!r) { /* dropped while the body came */
        http_answer_error(&rq->in, 404, "no such path");
        return;
    }
    log_debug("http", "request", "route=%s method=%.*s peer=%.*s bytes=%zu", r->path,
              STR_ARG(rq->in.method), STR_ARG(rq->in.peer), rq->in.body.n);
    r->handle(r, &rq->in);
}

void http_route_add(struct http_server *s, struct http_route *route)
{
    list_push(&s->routes, &route->link);
}

void http_route_drop(struct http_route *route)
{
    if (route->link.next) list_drop(&route->link);
}
