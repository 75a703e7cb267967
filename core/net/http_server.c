/*
 * The server as a whole: configuration, the listening socket, spare request records, drain and
 * close.
 */
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/net/http_server_impl.h"
#include "core/net/ws_impl.h"
#include <assert.h>
#include <signal.h>

#define BACKLOG    1024
#define SPARE_MAX  64    /* request records kept for reuse */
#define SPARE_BODY 16384 /* a bigger body buffer is not kept with its record */
#define HOUR_MS    3600000

#define FIELD(name) offsetof(struct http_server_conf, name)
const struct conf_field http_server_conf_fields[] = {
    { .key = "address",
      .type = CONF_STR,
      .offset = FIELD(address),
      .def = "127.0.0.1",
      .help = "The IP to listen on; 0.0.0.0 or :: for all." },
    { .key = "port",
      .type = CONF_INT,
      .offset = FIELD(port),
      .def = "8080",
      .min = 0,
      .max = 65535,
      .help = "The port to listen on; 0 = any free one." },
    { .key = "public_url",
      .type = CONF_STR,
      .offset = FIELD(public_url),
      .help = "Where the world reaches this server, https://chat.example.org: for addresses that "
              "people and platforms are given." },
    { .key = "tls_cert",
      .type = CONF_STR,
      .offset = FIELD(tls_cert),
      .help = "Our certificate chain (PEM); with tls_key it turns TLS on." },
    { .key = "tls_key",
      .type = CONF_STR,
      .offset = FIELD(tls_key),
      .help = "The key of tls_cert (PEM)." },
    { .key = "connections_max",
      .type = CONF_INT,
      .offset = FIELD(connections_max),
      .def = "10000",
      .min = 1,
      .max = 1000000,
      .help = "Open connections, WebSockets apart; more are answered with 503." },
    { .key = "head_max",
      .type = CONF_SIZE,
      .offset = FIELD(head_max),
      .def = "16KB",
      .min = 1024,
      .max = 1 << 20,
      .help = "Bytes of a request line with its headers; more are answered with 431." },
    { .key = "body_max",
      .type = CONF_SIZE,
      .offset = FIELD(body_max),
      .def = "1MB",
      .min = 1024,
      .max = 1 << 30,
      .help = "Bytes of a request's body; more are answered with 413." },
    { .key = "idle_timeout",
      .type = CONF_DURATION,
      .offset = FIELD(idle_timeout_ms),
      .def = "75s",
      .min = 10,
      .max = HOUR_MS,
      .help = "A connection without a request, or without reading its answer, is closed." },
    { .key = "head_timeout",
      .type = CONF_DURATION,
      .offset = FIELD(head_timeout_ms),
      .def = "10s",
      .min = 10,
      .max = HOUR_MS,
      .help = "From the first byte of a request to the end of its headers; then 408." },
    { .key = "body_timeout",
      .type = CONF_DURATION,
      .offset = FIELD(body_timeout_ms),
      .def = "30s",
      .min = 10,
      .max = HOUR_MS,
      .help = "From the end of the headers to the end of the body; then 408." },
    { .key = "answer_timeout",
      .type = CONF_DURATION,
      .offset = FIELD(answer_timeout_ms),
      .def = "60s",
      .min = 10,
      .max = HOUR_MS,
      .help = "A request that we have not answered by then is answered with 504." },
    { .key = "trusted_proxies",
      .type = CONF_LIST,
      .offset = FIELD(trusted_proxies),
      .help = "Proxies whose X-Forwarded-For is believed: IPs, or IP/bits." },
    CONF_END,
};
#undef FIELD

#define ANSWERS(class_)                                                           \
    METRIC(METRIC_COUNTER, "parley_http_requests_total", "status=\"" class_ "\"", \
           "HTTP requests answered, by class of status.")
static struct metric answers[6] = { { 0 },          ANSWERS("1xx"), ANSWERS("2xx"),
                                    ANSWERS("3xx"), ANSWERS("4xx"), ANSWERS("5xx") };
static struct metric connections =
    METRIC(METRIC_GAUGE, "parley_http_connections", "",
           "Open HTTP connections, those under a TLS WebSocket too.");
static struct metric refused = METRIC(METRIC_COUNTER, "parley_http_refused_connections_total", "",
                                      "Connections over connections_max.");
static struct metric received = METRIC(METRIC_COUNTER, "parley_http_received_bytes_total", "",
                                       "Bytes read from HTTP connections.");
static struct metric sent =
    METRIC(METRIC_COUNTER, "parley_http_sent_bytes_total", "", "Bytes sent to HTTP connections.");

static void on_connection(uv_stream_t *listener, int status)
{
    struct http_server *s = listener->data;

    if (status < 0) {
        log_warn("http", "cannot accept a connection", "why=\"%s\"", uv_strerror(status));
        return;
    }
    http_conn_open(s);
}

static void on_listener_closed(uv_handle_t *h)
{
    http_server_release(h->data);
}

static void on_hook(struct loop_hook *h)
{
    struct http_server *s = container_of(h, struct http_server, hook);
    struct list todo = LIST_INIT(todo);

    list_move_all(&todo, &s->ready);
    while (!list_empty(&todo)) {
        struct http_conn *c = list_first(&todo, struct http_conn, ready);
        list_drop(&c->ready);
        http_conn_run_tail(c);
    }
}

static enum err_kind listen_on(struct http_server *s, struct err *why)
{
    union {
        struct sockaddr sa;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } to;
    const char *address = s->conf.address;
    int port = (int)s->conf.port;

    if (uv_ip4_addr(address, port, &to.v4) && uv_ip6_addr(address, port, &to.v6))
        return err_set(why, ERR_CONF, "address: \"%s\" is not an IP", address);
    int e = uv_tcp_bind(&s->listener, &to.sa, 0);
    if (!e) e = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
    if (e)
        return err_set(why, ERR_IO, "cannot listen on %s port %d: %s", address, port,
                       uv_strerror(e));
    return ERR_NONE;
}

static bool has_text(const char *s)
{
    return s && *s;
}

static enum err_kind prepare(struct http_server *s, struct err *why)
{
    const struct http_server_conf *conf = &s->conf;

    if (has_text(conf->tls_cert) != has_text(conf->tls_key))
        return err_set(why, ERR_CONF, "tls_cert and tls_key go together");
    if (ip_ranges_parse(&conf->trusted_proxies, &s->trusted, why)) return why->kind;
    if (has_text(conf->tls_cert) && tls_open(conf->tls_cert, conf->tls_key, &s->tls, why))
        return why->kind;
    return listen_on(s, why);
}

static void stop_listening(struct http_server *s)
{
    if (!uv_is_closing((uv_handle_t *)&s->listener))
        uv_close((uv_handle_t *)&s->listener, on_listener_closed);
}

static void server_free(struct http_server *s)
{
    list_each (it, next, &s->spare) {
        struct http_rq *rq = container_of(it, struct http_rq, link);
        list_drop(it);
        http_rq_free(rq);
    }
    tls_close(s->tls);
    free(s->trusted);
    buf_done(&s->out);
    free(s);
}

void http_server_hold(struct http_server *s)
{
    s->n_open++;
}

void http_server_release(struct http_server *s)
{
    if (--s->n_open == 0) server_free(s);
}

struct http_rq *http_server_rq(struct http_server *s)
{
    if (list_empty(&s->spare)) return http_rq_new((size_t)s->conf.head_max);
    struct http_rq *rq = list_first(&s->spare, struct http_rq, link);
    list_drop(&rq->link);
    s->n_spare--;
    return rq;
}

void http_server_rq_back(struct http_server *s, struct http_rq *rq)
{
    if (s->n_spare == SPARE_MAX) {
        http_rq_free(rq);
        return;
    }
    if (rq->body.cap > SPARE_BODY) buf_done(&rq->body);
    http_rq_reset(rq);
    list_push(&s->spare, &rq->link);
    s->n_spare++;
}

void http_metric_answer(int status)
{
    metric_add(&answers[status / 100 % 6], 1);
}

void http_metric_connections(int by)
{
    metric_add(&connections, by);
}

void http_metric_refused(void)
{
    metric_add(&refused, 1);
}

void http_metric_received(size_t bytes)
{
    metric_add(&received, (double)bytes);
}

void http_metric_sent(size_t bytes)
{
    metric_add(&sent, (double)bytes);
}

enum err_kind http_server_open(struct loop *loop, const struct http_server_conf *conf,
                               struct http_server **ret, struct err *why)
{
    struct err unasked = ERR_INIT;
    struct http_server *s = mem_new(struct http_server);

    if (!why) why = &unasked;
    /* Writing to a peer that has left is an error to handle, not a reason to die. */
    signal(SIGPIPE, SIG_IGN);
    s->loop = loop;
    s->conf = *conf;
    list_init(&s->conns);
    list_init(&s->routes);
    list_init(&s->spare);
    list_init(&s->ready);
    buf_init(&s->out, HTTP_OUT_MAX);
    uv_tcp_init(&loop->uv, &s->listener);
    s->listener.data = s;
    s->hook.run = on_hook;
    loop_hook_add(loop, &s->hook);
    s->n_open = 2; /* itself and the listener */
    if (prepare(s, why)) {
        http_server_close(s);
        return why->kind;
    }
    *ret = s;
    return ERR_NONE;
}

const char *http_server_address(const struct http_server *s)
{
    return s->conf.address;
}

int http_server_port(const struct http_server *s)
{
    struct sockaddr_storage sa;
    int n = sizeof sa;

    if (uv_tcp_getsockname(&s->listener, (struct sockaddr *)&sa, &n)) return 0;
    /* sin_port and sin6_port are at the same place. */
    return ntohs(((const struct sockaddr_in *)&sa)->sin_port);
}

bool http_server_tls(const struct http_server *s)
{
    return s->tls != NULL;
}

enum err_kind http_server_reload_tls(struct http_server *s, struct err *why)
{
    struct tls *fresh;

    if (!s->tls) return ERR_NONE;
    enum err_kind kind = tls_open(s->conf.tls_cert, s->conf.tls_key, &fresh, why);
    if (kind) return kind;
    tls_close(s->tls);
    s->tls = fresh;
    return ERR_NONE;
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    stop_listening(s);
    list_each (it, next, &s->conns) {
        struct http_conn *c = container_of(it, struct http_conn, link);
        if (c->phase == CONN_IDLE && !c->tail.n) http_conn_close(c);
    }
}

size_t http_server_busy(const struct http_server *s)
{
    return s->n_conns - s->n_relays;
}

void http_server_close(struct http_server *s)
{
    assert(!s->closing);
    s->draining = s->closing = true;
    stop_listening(s);
    /* First the WebSockets: a relay under one needs its connection until then. */
    if (s->ws) ws_server_close(s->ws);
    while (!list_empty(&s->conns)) http_conn_close(list_first(&s->conns, struct http_conn, link));
    loop_hook_drop(&s->hook);
    http_server_release(s);
}
