/*
 * How an outgoing WebSocket comes about: the name is resolved (libwebsockets would block), then one
 * address after the other is given to libwebsockets, each with its share of the time that is left.
 */
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/net/ws_client_impl.h"
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>

#define CONNECT_MS  30000
#define HEADERS_MAX 8192

struct ws_lookup {
    uv_getaddrinfo_t request;
    struct ws_client *c; /* NULL: given up */
};

static struct metric dials_ok = METRIC(METRIC_COUNTER, "parley_ws_dials_total", "result=\"ok\"",
                                       "Outgoing WebSocket connections begun, by how that ended.");
static struct metric dials_failed =
    METRIC(METRIC_COUNTER, "parley_ws_dials_total", "result=\"failed\"",
           "Outgoing WebSocket connections begun, by how that ended.");

/* ---- name ---- */

static void add_address(struct ws_client *c, const struct sockaddr *sa)
{
    char *to = c->addrs[c->n_addrs];
    if (c->n_addrs < WS_ADDRS_MAX && uv_ip_name(sa, to, sizeof c->addrs[0]) == 0) c->n_addrs++;
}

static void unresolved(struct ws_client *c, int status)
{
    err_set(&c->why, ERR_IO, "%s: %s", c->url.authority, uv_strerror(status));
    c->hopeless = true;
    timer_set(c->clients->loop, &c->timer, 0);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct ws_lookup *l = container_of(request, struct ws_lookup, request);
    struct ws_client *c = l->c;

    free(l);
    if (c) {
        for (const struct addrinfo *a = found; a && c->n_addrs < WS_ADDRS_MAX; a = a->ai_next)
            add_address(c, a->ai_addr);
        c->lookup = NULL;
        if (c->n_addrs)
            timer_set(c->clients->loop, &c->timer, 0);
        else
            unresolved(c, status ? status : UV_EAI_NODATA);
    }
    uv_freeaddrinfo(found);
}

static void resolve(struct ws_client *c)
{
    const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    unsigned char bytes[16];

    if (inet_pton(AF_INET, c->url.host, bytes) == 1 ||
        inet_pton(AF_INET6, c->url.host, bytes) == 1) {
        memcpy(c->addrs[c->n_addrs++], c->url.host, strlen(c->url.host) + 1);
        ws_dial_step(c);
        return;
    }
    struct ws_lookup *l = mem_new(struct ws_lookup);
    int failed =
        uv_getaddrinfo(&c->clients->loop->uv, &l->request, on_resolved, c->url.host, NULL, &hints);
    if (failed) {
        free(l);
        unresolved(c, failed);
        return;
    }
    l->c = c;
    c->lookup = l;
    timer_set(c->clients->loop, &c->timer, c->connect_ms);
}

/* ---- one try ---- */

static void try_next(struct ws_client *c, uint64_t left_ms)
{
    static const lws_retry_bo_t no_pings = { .secs_since_valid_hangup = 0 }; /* ours are enough */
    struct lws_client_connect_info info = {
        .vhost = ws_clients_vhost(c->clients),
        .address = c->addrs[c->next_addr++],
        .port = c->url.port,
        .ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT | (c->url.tls ? LCCSCF_USE_SSL : 0),
        .path = c->url.path,
        .host = c->url.authority, /* also for SNI and the name in the certificate */
        .alpn = "http/1.1",
        .local_protocol_name = WS_CLIENT_PROTOCOL,
        .retry_and_idle_policy = &no_pings,
        .opaque_user_data = c,
    };

    if (!info.vhost) {
        c->hopeless = true;
        err_set(&c->why, ERR_BUG, "libwebsockets does not start");
        ws_client_end(c, &c->why);
        return;
    }
    ws_client_let_go(c, true);
    c->upgrading = false;
    info.context = c->clients->lws.ctx;
    c->wsi = lws_client_connect_via_info(&info);
    if (c->wsi)
        timer_set(c->clients->loop, &c->timer, left_ms / (c->n_addrs - c->next_addr + 1));
    else
        ws_dial_failed(c, STR("unable to connect"), 0);
}

static void too_late(struct ws_client *c)
{
    err_set(&c->why, ERR_TIMEOUT, "%s: not connected within %u ms", c->url.authority,
            c->connect_ms);
    ws_client_end(c, &c->why);
}

void ws_dial_step(struct ws_client *c)
{
    uint64_t now = clock_ms();
    uint64_t left = c->give_up_at > now ? c->give_up_at - now : 0;

    if (c->hopeless)
        ws_client_end(c, &c->why);
    else if (!left)
        too_late(c);
    else if (!c->n_addrs)
        resolve(c);
    else if (c->next_addr < c->n_addrs && !(c->wsi && c->upgrading))
        try_next(c, left);
    else if (c->wsi)
        timer_set(c->clients->loop, &c->timer, left);
    else
        ws_client_end(c, &c->why);
}

static enum err_kind status_kind(unsigned status)
{
    if (status == 401 || status == 403) return ERR_AUTH;
    if (status == 429) return ERR_LIMIT;
    return status >= 500 ? ERR_IO : ERR_PROTO;
}

/* libwebsockets' words for an answer that is not as it has to be. */
static bool broken_answer(struct str text)
{
    return str_starts(text, STR("HS:")) || str_starts(text, STR("problems parsing"));
}

/* What the kernel says, or libwebsockets. */
static struct str connect_error(const struct ws_client *c, struct str text)
{
    int code = 0;
    socklen_t n = sizeof code;

    if (c->wsi && getsockopt(lws_get_socket_fd(c->wsi), SOL_SOCKET, SO_ERROR, &code, &n) == 0 &&
        code)
        return str_of(uv_strerror(uv_translate_sys_error(code)));
    /* 4.1 drops OpenSSL's reason and gives the number of its category. */
    return str_starts(text, STR("connect SSL")) ? STR("TLS handshake failed") : text;
}

static void blame(struct ws_client *c, struct str text, unsigned status)
{
    const char *name = c->url.authority;

    if (!c->upgrading) {
        text = connect_error(c, text);
        err_set(&c->why, ERR_IO, "%s (%s): %.*s", name, c->addrs[c->next_addr - 1], STR_ARG(text));
    } else if (status && status != 101) {
        err_set(&c->why, status_kind(status), "%s: HTTP status %u instead of a WebSocket", name,
                status);
    } else {
        err_set(&c->why, broken_answer(text) ? ERR_PROTO : ERR_IO, "%s: %.*s", name, STR_ARG(text));
    }
}

void ws_dial_failed(struct ws_client *c, struct str text, unsigned status)
{
    if (!c->hopeless) blame(c, str_trim(text), status);
    if (c->upgrading) c->hopeless = true;
    ws_client_let_go(c, false);
    timer_set(c->clients->loop, &c->timer, 0);
}

void ws_dial_refused(struct ws_client *c, const char *reason)
{
    err_set(&c->why, ERR_AUTH, "%s: the certificate is refused: %s", c->url.authority, reason);
    c->hopeless = true;
}

/* ---- request ---- */

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':') return false;
    return s.n > 0;
}

static bool is_line(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 127) return false;
    return true;
}

static enum err_kind format_headers(struct buf *to, const struct ws_dial *dial, struct err *why)
{
    for (size_t i = 0; i < dial->n_headers; i++) {
        const struct http_header *h = &dial->headers[i];
        if (!is_token(h->name) || !is_line(h->value))
            return err_set(why, ERR_CONF, "websocket: header %zu cannot be sent", i + 1);
        buf_add(to, h->name);
        buf_add(to, STR(": "));
        buf_add(to, h->value);
        buf_add(to, STR("\r\n"));
    }
    return to->full ? err_set(why, ERR_CONF, "websocket: too many headers") : ERR_NONE;
}

bool ws_dial_headers(struct ws_client *c, char **at, size_t room)
{
    c->upgrading = true;
    if (c->headers.n > room) return false;
    if (c->headers.n) memcpy(*at, c->headers.p, c->headers.n);
    *at += c->headers.n;
    return true;
}

void ws_dial_begin(struct ws_client *c, const struct ws_dial *dial)
{
    buf_init(&c->headers, HEADERS_MAX);
    c->connect_ms = dial->connect_ms ? dial->connect_ms : CONNECT_MS;
    c->give_up_at = clock_ms() + c->connect_ms;
    c->hopeless = ws_url_parse(str_of(dial->url), &c->url, &c->why) ||
                  format_headers(&c->headers, dial, &c->why);
    timer_set(c->clients->loop, &c->timer, 0);
}

void ws_dial_done(struct ws_client *c)
{
    metric_add(&dials_ok, 1);
    ws_dial_stop(c);
    c->why = (struct err)ERR_INIT;
    timer_clear(c->clients->loop, &c->timer);
}

void ws_dial_stop(struct ws_client *c)
{
    if (!c->open) metric_add(&dials_failed, 1);
    if (c->lookup) {
        c->lookup->c = NULL;
        uv_cancel((uv_req_t *)&c->lookup->request);
        c->lookup = NULL;
    }
    buf_done(&c->headers);
}
