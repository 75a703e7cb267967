/*
 * http_client - see http_client.h. A transfer is one request with its curl handle, kept for the
 * next one when it is done: setting a handle up costs more than most requests.
 *
 * Nobody else's code runs inside a callback of curl, which forbids most calls from there: bytes are
 * gathered and handed on when curl has returned (client_settle). So cancelling or beginning a
 * request is allowed anywhere and takes effect at once.
 */
#include "core/net/http_client.h"
#include "core/base/clock.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include "core/net/curl_loop.h"
#include <arpa/inet.h>
#include <unistd.h>

#define CONNECT_MS     10000
#define FIRST_BYTE_MS  60000
#define IDLE_MS        60000
#define TOTAL_MS       600000
#define DEADLINE_SLACK 1000 /* our own timer is first: it knows what was waited for */
#define REPLY_MAX      (1024 * 1024)
#define ERROR_BODY_MAX (64 * 1024)
#define HEAD_MAX       (32 * 1024) /* of headers that are kept; what comes then is left out */
#define PIECE_MAX      (64 * 1024 * 1024) /* curl reads at most some MB at a time */
#define HEADERS_MAX    (64 * 1024)
#define SPARE_MAX      64
#define GATHER_MS      100    /* http_request.gathers */
#define READ_BYTES     16384L /* curl's buffer for reading, of a transfer under way */
#define STREAM_BYTES   1024L  /* the same where pieces come as they are written; its least */
#define STREAMS_A_CONN 1000L  /* curl's default of 100 opened 401 connections for 500 requests */

struct http_client {
    struct curl_loop curl;
    char *ca_file, *client_cert, *client_key, *proxy, *user_agent;
    struct list live, spare; /* struct transfer */
    struct list unread;      /* struct transfer: has a piece that on_data has not seen */
    size_t n_spare;
};

enum phase { CONNECTING, WAITING, READING, N_PHASES };

/* One request, and the curl handle that goes with it; reused, for a handle costs much to set up. */
struct transfer {
    struct list link, unread;
    struct http_client *client;
    CURL *easy;
    struct op *op; /* NULL: spare, or cancelled by its own on_data */
    const struct http_request *rq;
    struct http_reply *reply;
    struct timer timer;
    enum phase phase;
    uint64_t began_ms, since_ms, due_ms; /* since: the phase began, or the last byte came */
    uint32_t patience_ms[N_PHASES], total_ms;
    size_t body_max, body_bytes;
    unsigned n_sends;
    bool delivering, too_large, clipped, finished, guarded;
    struct buf piece;
    struct buf lines, url;
    struct curl_slist *nodes;
    size_t nodes_cap;
    char error[CURL_ERROR_SIZE];
};

enum outcome { GOT_OK, GOT_STATUS, GOT_IO, GOT_UNKNOWN, GOT_TIMEOUT, GOT_CANCEL, GOT_OTHER };

#define OUTCOME(name)                                                                   \
    METRIC(METRIC_COUNTER, "parley_http_client_requests_total", "outcome=\"" name "\"", \
           "HTTP requests sent to others, by outcome.")
static struct metric outcomes[] = {
    [GOT_OK] = OUTCOME("ok"),           [GOT_STATUS] = OUTCOME("status"),
    [GOT_IO] = OUTCOME("io"),           [GOT_UNKNOWN] = OUTCOME("unknown"),
    [GOT_TIMEOUT] = OUTCOME("timeout"), [GOT_CANCEL] = OUTCOME("cancelled"),
    [GOT_OTHER] = OUTCOME("other"),
};
static struct metric in_flight =
    METRIC(METRIC_GAUGE, "parley_http_client_in_flight", "", "HTTP requests to others under way.");
const struct conf_field http_client_conf_fields[] = {
    { "ca_file", CONF_STR, offsetof(struct http_client_conf, ca_file),
      .help = "PEM file of certificate authorities to trust besides the system's." },
    { "client_cert", CONF_STR, offsetof(struct http_client_conf, client_cert),
      .help = "PEM file of a client certificate to show to servers that ask for one." },
    { "client_key", CONF_STR, offsetof(struct http_client_conf, client_key),
      .help = "PEM file of the client certificate's private key." },
    { "proxy", CONF_STR, offsetof(struct http_client_conf, proxy),
      .help = "Proxy for everything but localhost, e.g. http://proxy.example:3128. Empty = none; "
              "the environment is not asked." },
    { "user_agent", CONF_STR, offsetof(struct http_client_conf, user_agent),
      .def = "parley/" PARLEY_VERSION, .help = "How we introduce ourselves." },
    { "connections_max", CONF_INT, offsetof(struct http_client_conf, connections_max),
      .def = "1000", .min = 1, .max = 100000,
      .help = "Connections to all hosts together; more requests than that wait." },
    CONF_END,
};

/* -- one transfer -- */

static const char *const phase_text[N_PHASES] = {
    [CONNECTING] = "no connection",
    [WAITING] = "no answer",
    [READING] = "the answer stalled",
};

static uint64_t transfer_due(const struct transfer *t)
{
    uint64_t due = t->since_ms + t->patience_ms[t->phase], end = t->began_ms + t->total_ms;
    return due < end ? due : end;
}

/* A timer that is early looks again when it fires: cheaper than moving it with every piece. */
static void transfer_arm(struct transfer *t)
{
    uint64_t due = transfer_due(t), now = clock_ms();
    if (timer_armed(&t->timer) && t->due_ms <= due) return;
    t->due_ms = due;
    timer_set(t->client->curl.loop, &t->timer, due > now ? due - now : 0);
}

static void transfer_enter(struct transfer *t, enum phase phase)
{
    t->phase = phase;
    t->since_ms = clock_ms();
    transfer_arm(t);
}

static void transfer_free(struct transfer *t)
{
    curl_easy_cleanup(t->easy);
    buf_done(&t->piece);
    buf_done(&t->lines);
    buf_done(&t->url);
    free(t->nodes);
    free(t);
}

/*
 * Out of curl and to the spare ones. What is not finished must end at the peer, too, which may be
 * writing a long answer: HTTP/1.1 closes the connection, but HTTP/2 of curl 7.88 leaves its reset
 * unsent until something else is. So a connection that nobody else uses is closed there as well.
 */
static void transfer_release(struct transfer *t)
{
    struct http_client *c = t->client;
    if (!t->finished) curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 1L);
    curl_multi_remove_handle(c->curl.multi, t->easy);
    if (!t->finished) curl_easy_setopt(t->easy, CURLOPT_FORBID_REUSE, 0L);
    timer_clear(c->curl.loop, &t->timer);
    list_drop(&t->unread);
    list_drop(&t->link);
    metric_add(&in_flight, -1);
    t->op = NULL;
    t->rq = NULL;
    t->reply = NULL;
    buf_done(&t->piece);
    list_push(&c->spare, &t->link);
    c->n_spare++;
}

static void count(enum err_kind kind, int status)
{
    enum outcome got = kind == ERR_NONE        ? status / 100 == 2 ? GOT_OK : GOT_STATUS
                       : kind == ERR_IO        ? GOT_IO
                       : kind == ERR_UNKNOWN   ? GOT_UNKNOWN
                       : kind == ERR_TIMEOUT   ? GOT_TIMEOUT
                       : kind == ERR_CANCELLED ? GOT_CANCEL
                                               : GOT_OTHER;
    metric_add(&outcomes[got], 1);
}

/* The end but for cancelling. why->kind ERR_NONE: success. */
static void transfer_end(struct transfer *t, const struct err *why)
{
    struct op *op = t->op;
    t->reply->total_ms = (uint32_t)(clock_ms() - t->began_ms);
    count(why->kind, t->reply->status);
    transfer_release(t);
    if (why->kind == ERR_NONE)
        op_finish(op);
    else
        op_fail(op, why);
}

static bool transfer_sent(const struct transfer *t)
{
    long bytes = 0;
    curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &bytes);
    return t->n_sends > 1 || (t->n_sends == 1 && bytes > 0);
}

static void on_transfer_timer(struct timer *timer)
{
    struct transfer *t = container_of(timer, struct transfer, timer);
    uint64_t now = clock_ms();
    if (now < transfer_due(t)) {
        transfer_arm(t);
        return;
    }
    struct err why;
    if (now >= t->began_ms + t->total_ms)
        err_set(&why, ERR_TIMEOUT, "not finished within %u ms", t->total_ms);
    else
        err_set(&why, ERR_TIMEOUT, "%s within %u ms", phase_text[t->phase],
                t->patience_ms[t->phase]);
    t->reply->sent = transfer_sent(t);
    transfer_end(t, &why);
}

static void request_drop(struct op *op)
{
    struct transfer *t = op->impl;
    t->op = NULL;
    count(ERR_CANCELLED, 0);
    if (!t->delivering) transfer_release(t);
}

static const struct op_kind request_kind = { "http.request", request_drop };

static enum err_kind failure_kind(const struct transfer *t, CURLcode rc)
{
    switch (rc) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CLIENTCERT: return ERR_AUTH;
    case CURLE_URL_MALFORMAT:
    case CURLE_BAD_FUNCTION_ARGUMENT: return ERR_CONF;
    case CURLE_UNSUPPORTED_PROTOCOL: return t->n_sends ? ERR_PROTO : ERR_CONF;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING: return ERR_PROTO;
    case CURLE_WRITE_ERROR: return ERR_LIMIT;
    default: return t->reply->sent ? ERR_UNKNOWN : ERR_IO;
    }
}

static void transfer_done(struct transfer *t, CURLcode rc)
{
    struct err why = ERR_INIT;
    t->finished = true;
    t->reply->sent = transfer_sent(t);
    if (t->guarded && rc != CURLE_OK)
        err_set(&why, ERR_REFUSED, "the host's address is not one that may be asked");
    else if (rc == CURLE_WRITE_ERROR && t->too_large)
        err_set(&why, ERR_LIMIT, "the answer is larger than %zu bytes", t->body_max);
    else if (rc == CURLE_ABORTED_BY_CALLBACK)
        err_set(&why, ERR_UNKNOWN, "the connection was lost after the request was sent");
    else if (rc != CURLE_OK && !(rc == CURLE_WRITE_ERROR && t->clipped))
        err_set(&why, failure_kind(t, rc), "%s", t->error[0] ? t->error : curl_easy_strerror(rc));
    transfer_end(t, &why);
}

/* -- what curl calls for a transfer; none of it leaves this file -- */

/* Through a proxy the address is the proxy's. */
static bool is_guarded(const struct transfer *t)
{
    return t->rq->guard && !*t->client->proxy;
}

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)purpose;
    struct transfer *t = ctx;
    t->guarded = is_guarded(t) && !t->rq->guard(&a->addr);
    return t->guarded ? CURL_SOCKET_BAD : curl_loop_socket(&t->client->curl, a);
}

/* A connection that another request made, who may have had no guard. */
static bool peer_allowed(const struct transfer *t, const char *peer)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
    if (!is_guarded(t)) return true;
    if (inet_pton(AF_INET, peer, &v4.sin_addr) == 1)
        return t->rq->guard((const struct sockaddr *)&v4);
    return inet_pton(AF_INET6, peer, &v6.sin6_addr) == 1 &&
           t->rq->guard((const struct sockaddr *)&v6);
}

/*
 * A connection is there and the request is about to go out. The second time curl repeats it by
 * itself, because a reused connection broke without an answer: the peer may have acted on it.
 */
static int on_ready(void *ctx, char *peer, char *local, int peer_port, int local_port)
{
    (void)local, (void)peer_port, (void)local_port;
    struct transfer *t = ctx;
    t->guarded = !peer_allowed(t, peer);
    if (t->guarded) return CURL_PREREQFUNC_ABORT;
    const char *method = t->rq->method;
    bool repeatable = strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0;
    if (t->n_sends > 0 && !repeatable) return CURL_PREREQFUNC_ABORT;
    t->n_sends++;
    transfer_enter(t, WAITING);
    return CURL_PREREQFUNC_OK;
}

static void keep(char *to, size_t cap, struct str value)
{
    value = str_head(value, cap - 1);
    memcpy(to, value.p, value.n);
    to[value.n] = '\0';
}

/* A status line: the first of several when informational ones (1xx) come before it. */
static void reply_begins(struct transfer *t)
{
    struct http_reply *r = t->reply;
    if (t->phase != READING) r->first_byte_ms = (uint32_t)(clock_ms() - t->began_ms);
    transfer_enter(t, READING);
    buf_clear(&r->head);
    r->head.max = HEAD_MAX;
    r->content_type[0] = r->retry_after[0] = r->retry_after_ms[0] = r->should_retry[0] = '\0';
    long status = 0;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    r->status = (int)status;
    r->body.max = status / 100 == 2 ? t->body_max : ERROR_BODY_MAX;
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx)
{
    (void)size;
    struct transfer *t = ctx;
    struct http_reply *r = t->reply;
    struct str value = str_from(p, n);
    if (str_starts(value, STR("HTTP/"))) {
        reply_begins(t);
        return n;
    }
    if (t->rq->keep_head) buf_add(&r->head, value);
    struct str name = str_cut(&value, ':');
    value = str_trim(value);
    if (str_eq_nocase(name, STR("content-type")))
        keep(r->content_type, sizeof(r->content_type), value);
    else if (str_eq_nocase(name, STR("retry-after")))
        keep(r->retry_after, sizeof(r->retry_after), value);
    else if (str_eq_nocase(name, STR("retry-after-ms")) ||
             str_eq_nocase(name, STR("x-ms-retry-after-ms"))) /* Azure */
        keep(r->retry_after_ms, sizeof(r->retry_after_ms), value);
    else if (str_eq_nocase(name, STR("x-should-retry")))
        keep(r->should_retry, sizeof(r->should_retry), value);
    return n;
}

/* Returning less than n ends the transfer with CURLE_WRITE_ERROR. */
static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    (void)size;
    struct transfer *t = ctx;
    struct str bytes = str_from(p, n);
    bool good = t->reply->status / 100 == 2;
    t->since_ms = clock_ms();
    if (good && t->rq->on_data) {
        t->body_bytes += n;
        t->too_large = t->body_bytes > t->body_max || !buf_add(&t->piece, bytes);
        if (list_empty(&t->unread)) list_push(&t->client->unread, &t->unread);
        return t->too_large ? 0 : n;
    }
    if (buf_add(&t->reply->body, bytes)) return n;
    t->too_large = good;
    t->clipped = !good; /* of an error page the beginning is enough */
    if (!good) buf_add(&t->reply->body, str_head(bytes, t->reply->body.max - t->reply->body.n));
    return 0;
}

/* -- driving curl -- */

/* Of HTTP/2 one read has pieces for many already, and some of those may not wait. */
static void transfer_rest(struct transfer *t)
{
    long version = 0;
    curl_easy_getinfo(t->easy, CURLINFO_HTTP_VERSION, &version);
    if (version < CURL_HTTP_VERSION_2_0) curl_loop_rest(&t->client->curl, GATHER_MS);
}

static void transfer_deliver(struct transfer *t)
{
    struct err why = ERR_INIT;
    list_drop(&t->unread);
    t->delivering = true;
    enum err_kind kind = t->rq->on_data(t->rq->ctx, buf_str(&t->piece), &why);
    t->delivering = false;
    buf_done(&t->piece); /* the next one may be long in coming */
    if (!t->op) {
        transfer_release(t);
    } else if (kind != ERR_NONE) {
        why.kind = kind;
        t->reply->sent = true;
        transfer_end(t, &why);
    } else if (t->rq->gathers && loop_is_busy(t->client->curl.loop)) {
        transfer_rest(t);
    }
}

static bool client_settle(struct curl_loop *cl)
{
    struct http_client *c = container_of(cl, struct http_client, curl);
    bool others_ran = !list_empty(&c->unread);
    while (!list_empty(&c->unread))
        transfer_deliver(list_first(&c->unread, struct transfer, unread));

    int n;
    for (CURLMsg *m; (m = curl_multi_info_read(cl->multi, &n));) {
        struct transfer *t;
        CURLcode rc = m->data.result; /* *m goes away with the handle */
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &t);
        transfer_done(t, rc);
    }
    if (c->n_spare > SPARE_MAX) { /* one a run is enough, and nobody holds it */
        struct transfer *t = list_first(&c->spare, struct transfer, link);
        list_drop(&t->link);
        c->n_spare--;
        transfer_free(t);
    }
    return others_ran;
}

/* -- setting up -- */

static void set_tls(CURL *e, const struct http_client *c)
{
    if (*c->ca_file) curl_easy_setopt(e, CURLOPT_CAINFO, c->ca_file);
    if (*c->client_cert) curl_easy_setopt(e, CURLOPT_SSLCERT, c->client_cert);
    if (*c->client_key) curl_easy_setopt(e, CURLOPT_SSLKEY, c->client_key);
    curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
}

static struct transfer *transfer_new(struct http_client *c)
{
    struct transfer *t = mem_new(struct transfer);
    CURL *e = curl_easy_init();
    if (!e) abort();
    *t = (struct transfer){ .client = c, .easy = e, .timer.fire = on_transfer_timer };
    list_init(&t->unread);
    buf_init(&t->piece, PIECE_MAX);
    buf_init(&t->lines, HEADERS_MAX);
    buf_init(&t->url, HEADERS_MAX);
    curl_easy_setopt(e, CURLOPT_PRIVATE, t);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* else a pending DNS query blocks a cancel */
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    /* No CURLOPT_CONNECTTIMEOUT_MS: it lies in curl's tree of timers as long as the request lasts,
     * and is moved with every read. The five minutes that it is otherwise are later than ours. */
    curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(e, CURLOPT_PROXY, c->proxy);
    curl_easy_setopt(e, CURLOPT_USERAGENT, c->user_agent);
    /* Some servers compress without being asked; curl unpacks only what it has asked for. */
    curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->error);
    curl_loop_adopt(&c->curl, e);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
    curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_ready);
    curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
    set_tls(e, c);
    return t;
}

static struct transfer *transfer_take(struct http_client *c)
{
    if (list_empty(&c->spare)) return transfer_new(c);
    struct transfer *t = list_first(&c->spare, struct transfer, link);
    list_drop(&t->link);
    c->n_spare--;
    return t;
}

static bool line_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') return false;
    return true;
}

/* Add "name: value" and the node that points to it. There is room already: nothing moves. */
static void set_header(struct transfer *t, size_t i, struct http_header h)
{
    t->nodes[i].data = t->lines.p + t->lines.n;
    t->nodes[i].next = &t->nodes[i + 1];
    buf_add(&t->lines, h.name);
    buf_add(&t->lines, h.value.n ? STR(": ") : STR(";")); /* curl's way to send an empty one */
    buf_add(&t->lines, h.value);
    buf_add_char(&t->lines, '\0');
}

static bool set_headers(struct transfer *t, const struct http_request *rq)
{
    size_t bytes = 1, n = rq->n_headers;
    for (size_t i = 0; i < n; i++) {
        if (!line_ok(rq->headers[i].name) || !line_ok(rq->headers[i].value)) return false;
        bytes += rq->headers[i].name.n + rq->headers[i].value.n + sizeof(": ");
    }
    buf_clear(&t->lines);
    if (!buf_room(&t->lines, bytes)) return false;
    if (n + 1 > t->nodes_cap) {
        t->nodes_cap = n + 8;
        t->nodes = mem_grow(t->nodes, t->nodes_cap * sizeof(*t->nodes));
    }
    for (size_t i = 0; i < n; i++) set_header(t, i, rq->headers[i]);
    static char no_expect[] = "Expect:"; /* a round trip for large bodies, to no use */
    t->nodes[n] = (struct curl_slist){ .data = no_expect };
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->nodes);
    return true;
}

static void set_method(struct transfer *t, const struct http_request *rq)
{
    bool post = strcmp(rq->method, "POST") == 0, head = strcmp(rq->method, "HEAD") == 0;
    bool plain = post || head || (strcmp(rq->method, "GET") == 0 && !rq->body.n);
    curl_easy_setopt(t->easy, CURLOPT_HTTPGET, 1L);
    if (head) curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
    if (post || rq->body.n) {
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)rq->body.n);
        curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, rq->body.n ? rq->body.p : "");
    }
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, plain ? NULL : rq->method);
}

static void set_url(struct transfer *t, const char *url)
{
    if (str_eq(buf_str(&t->url), str_of(url))) return;
    buf_clear(&t->url);
    buf_add(&t->url, str_of(url));
    curl_easy_setopt(t->easy, CURLOPT_URL, url);
    /* Wait for HTTP/2 on a connection under way instead of opening one for each request. */
    curl_easy_setopt(t->easy, CURLOPT_PIPEWAIT, (long)str_starts(str_of(url), STR("https:")));
}

static void transfer_prepare(struct transfer *t, struct op *op, const struct http_request *rq,
                             struct http_reply *ret)
{
    t->op = op;
    t->rq = rq;
    t->reply = ret;
    t->began_ms = clock_ms();
    t->patience_ms[CONNECTING] = rq->connect_ms ?: CONNECT_MS;
    t->patience_ms[WAITING] = rq->first_byte_ms ?: FIRST_BYTE_MS;
    t->patience_ms[READING] = rq->idle_ms ?: IDLE_MS;
    t->total_ms = rq->total_ms ?: TOTAL_MS;
    t->body_max = rq->reply_max ? rq->reply_max : REPLY_MAX;
    t->body_bytes = 0;
    t->n_sends = 0;
    t->too_large = t->clipped = t->finished = t->guarded = false;
    curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, rq->on_data ? STREAM_BYTES : READ_BYTES);
    curl_easy_setopt(t->easy, CURLOPT_NOPROXY, rq->guard ? "" : "localhost,127.0.0.1,::1");
    t->error[0] = '\0';
    buf_init(&ret->body, t->body_max);
}

static enum err_kind conf_check(const struct http_client_conf *conf, struct err *why)
{
    const char *const files[] = { conf->ca_file, conf->client_cert, conf->client_key };
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
        if (*files[i] && access(files[i], R_OK) != 0)
            return err_set(why, ERR_CONF, "%s: cannot be read", files[i]);
    return ERR_NONE;
}

enum err_kind http_client_open(struct loop *loop, const struct http_client_conf *conf,
                               struct http_client **ret, struct err *why)
{
    if (conf_check(conf, why) != ERR_NONE) return ERR_CONF;
    static bool ready;
    if (!ready) ready = curl_global_init(CURL_GLOBAL_ALL) == CURLE_OK;
    struct http_client *c = mem_new(struct http_client);
    if (!ready || !curl_loop_open(&c->curl, loop, client_settle)) {
        free(c);
        return err_set(why, ERR_BUG, "libcurl cannot be initialised");
    }
    c->ca_file = mem_dup(str_of(conf->ca_file));
    c->client_cert = mem_dup(str_of(conf->client_cert));
    c->client_key = mem_dup(str_of(conf->client_key));
    c->proxy = mem_dup(str_of(conf->proxy));
    c->user_agent = mem_dup(str_of(conf->user_agent));
    list_init(&c->live);
    list_init(&c->spare);
    list_init(&c->unread);
    /* By default curl keeps only four times as many idle connections as requests are under way. */
    curl_multi_setopt(c->curl.multi, CURLMOPT_MAXCONNECTS, (long)conf->connections_max);
    curl_multi_setopt(c->curl.multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)conf->connections_max);
    curl_multi_setopt(c->curl.multi, CURLMOPT_MAX_CONCURRENT_STREAMS, STREAMS_A_CONN);
    *ret = c;
    return ERR_NONE;
}

void http_client_close(struct http_client *c)
{
    struct err why;
    err_set(&why, ERR_CANCELLED, "shutting down");
    list_each (it, next, &c->live) transfer_end(container_of(it, struct transfer, link), &why);
    list_each (it, next, &c->spare) transfer_free(container_of(it, struct transfer, link));
    curl_loop_close(&c->curl);
    free(c->ca_file);
    free(c->client_cert);
    free(c->client_key);
    free(c->proxy);
    free(c->user_agent);
    free(c);
}

void http_request(struct http_client *c, struct op *op, const struct http_request *rq,
                  struct http_reply *ret)
{
    struct transfer *t = transfer_take(c);
    transfer_prepare(t, op, rq, ret);
    list_push(&c->live, &t->link);
    metric_add(&in_flight, 1);
    op_begin(op, &request_kind, t, (uint64_t)t->total_ms + DEADLINE_SLACK);
    set_url(t, rq->url);
    set_method(t, rq);
    if (!set_headers(t, rq)) {
        struct err why;
        err_set(&why, ERR_CONF, "a header is too long or has a line break in it");
        transfer_end(t, &why);
        return;
    }
    curl_multi_add_handle(c->curl.multi, t->easy);
    transfer_enter(t, CONNECTING);
}
