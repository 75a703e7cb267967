/*
 * pg_dial: one attempt to connect. Host names are resolved by the loop, because libpq would block;
 * each address becomes a host of its own, and libpq tries them in order.
 */
#include "core/net/pg_impl.h"

#include "core/base/mem.h"

#include <netdb.h>

#define HOSTS_BYTES_MAX 8192
#define ADDRESSES_MAX   4 /* of one name */

struct pg_watch {
    uv_poll_t poll;
    int events;
    void (*ready)(void *ctx, int events);
    void *ctx;
};

struct pg_lookup {
    uv_getaddrinfo_t request;
    struct pg_dial *dial; /* NULL: given up */
    struct str port;
};

/* ---- watch ---- */

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct pg_watch *w = container_of(h, struct pg_watch, poll);

    /*
     * A poll error: let libpq try, it finds out what is wrong; perhaps not at once, when the
     * server's last words came together with the end. libuv has stopped the handle.
     */
    if (status < 0) uv_poll_start(h, w->events, on_poll);
    w->ready(w->ctx, status < 0 ? UV_READABLE | UV_WRITABLE : events);
}

static void on_watch_closed(uv_handle_t *h)
{
    free(container_of((uv_poll_t *)h, struct pg_watch, poll));
}

struct pg_watch *pg_watch_open(struct loop *loop, int fd, void (*ready)(void *ctx, int events),
                               void *ctx)
{
    struct pg_watch *w = mem_new(struct pg_watch);

    w->ready = ready;
    w->ctx = ctx;
    if (uv_poll_init(&loop->uv, &w->poll, fd) == 0) return w;
    free(w);
    return NULL;
}

void pg_watch_want(struct pg_watch *w, int events)
{
    if (events == w->events) return; /* libuv would leave epoll and enter it again */
    w->events = events;
    if (events)
        uv_poll_start(&w->poll, events, on_poll);
    else
        uv_poll_stop(&w->poll);
}

void pg_watch_close(struct pg_watch *w)
{
    if (w) uv_close((uv_handle_t *)&w->poll, on_watch_closed);
}

/* ---- dial ---- */

static void dial_end(struct pg_dial *d, PGconn *pq, const struct err *why)
{
    if (pq) d->pq = NULL;
    pg_dial_stop(d);
    d->done(d, pq, why);
}

static void dial_fail(struct pg_dial *d, enum err_kind kind, const char *what)
{
    struct err why;

    if (d->pq && PQconnectionNeedsPassword(d->pq)) kind = ERR_AUTH;
    pg_pq_error(d->pq, &why, kind, what);
    dial_end(d, NULL, &why);
}

static void on_timeout(struct timer *t)
{
    struct err why;

    err_set(&why, ERR_IO, "pg: connecting took too long");
    dial_end(container_of(t, struct pg_dial, timer), NULL, &why);
}

static void on_socket(void *ctx, int events);

/* libpq may have closed its socket and opened another, for the next address or without TLS. */
static bool dial_watch(struct pg_dial *d, int events)
{
    if (d->watch && d->fd != PQsocket(d->pq)) {
        pg_watch_close(d->watch);
        d->watch = NULL;
    }
    d->fd = PQsocket(d->pq);
    if (!d->watch) d->watch = pg_watch_open(d->loop, d->fd, on_socket, d);
    if (d->watch) pg_watch_want(d->watch, events);
    return d->watch != NULL;
}

static void on_socket(void *ctx, int events)
{
    struct pg_dial *d = ctx;
    (void)events;

    /* Off before libpq closes it: the new socket may get the old one's number. */
    pg_watch_want(d->watch, 0);
    switch (PQconnectPoll(d->pq)) {
    case PGRES_POLLING_OK: dial_end(d, d->pq, NULL); return;
    case PGRES_POLLING_READING:
        if (dial_watch(d, UV_READABLE)) return;
        break;
    case PGRES_POLLING_WRITING:
        if (dial_watch(d, UV_WRITABLE)) return;
        break;
    default: break;
    }
    dial_fail(d, ERR_IO, "cannot connect");
}

static void dial_connect(struct pg_dial *d, const struct pg_hosts *hosts)
{
    d->pq = pg_url_connect(d->url, hosts, d->statement_timeout_ms);
    if (!d->pq || PQstatus(d->pq) == CONNECTION_BAD || !dial_watch(d, UV_WRITABLE))
        dial_fail(d, ERR_IO, "cannot connect");
}

static bool hosts_add(struct pg_hosts *h, struct str name, struct str address, struct str port)
{
    if (h->n++ > 0) {
        buf_add_char(&h->names, ',');
        buf_add_char(&h->addresses, ',');
        buf_add_char(&h->ports, ',');
    }
    buf_add(&h->names, name);
    buf_add(&h->addresses, address);
    return buf_add(&h->ports, port) && !h->names.full && !h->addresses.full && !h->ports.full;
}

/* A directory of unix sockets; empty is libpq's default one. */
static bool is_path(struct str name)
{
    return name.n == 0 || *name.p == '/' || *name.p == '@';
}

static bool is_address(struct str name)
{
    char text[UV_MAXHOSTNAMESIZE];
    unsigned char ip[16];

    if (name.n >= sizeof(text)) return false;
    memcpy(text, name.p, name.n);
    text[name.n] = '\0';
    return uv_inet_pton(AF_INET, text, ip) == 0 || uv_inet_pton(AF_INET6, text, ip) == 0;
}

static void dial_resolve(struct pg_dial *d);

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *found)
{
    struct pg_lookup *l = container_of(request, struct pg_lookup, request);
    struct pg_dial *d = l->dial;
    struct str name = STR_NONE;
    int n = 0;

    if (d) {
        d->lookup = NULL;
        name = str_cut(&d->names_left, ',');
    }
    for (struct addrinfo *a = found; d && a && n < ADDRESSES_MAX; a = a->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, text, sizeof(text), NULL, 0, NI_NUMERICHOST))
            continue;
        if (hosts_add(&d->hosts, name, str_of(text), l->port)) n++;
    }
    uv_freeaddrinfo(found);
    free(l);
    (void)status; /* a name that is not found is one address less; none at all ends the attempt */
    if (d) dial_resolve(d);
}

static bool lookup_start(struct pg_dial *d, struct str name, struct str port)
{
    static const struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG };
    struct pg_lookup *l = mem_new(struct pg_lookup);
    char *text = mem_dup(name);

    l->dial = d;
    l->port = port;
    int failed = uv_getaddrinfo(&d->loop->uv, &l->request, on_resolved, text, NULL, &hints);
    free(text);
    if (failed)
        free(l);
    else
        d->lookup = l;
    return !failed;
}

/* Hosts one after the other; sockets and addresses need no look-up. */
static void dial_resolve(struct pg_dial *d)
{
    while (d->names_left.n) {
        struct str rest = d->names_left;
        struct str name = str_cut(&rest, ',');
        /* One port is for all hosts, else each has its own. */
        bool own_ports = str_find_char(d->ports_left, ',') != SIZE_MAX;
        struct str port = own_ports ? str_cut(&d->ports_left, ',') : d->ports_left;

        if (is_path(name) || is_address(name))
            hosts_add(&d->hosts, name, is_path(name) ? STR_NONE : name, port);
        else if (lookup_start(d, name, port))
            return;
        d->names_left = rest;
    }
    if (d->hosts.n > 0)
        dial_connect(d, &d->hosts);
    else
        dial_fail(d, ERR_IO, "cannot connect: host name not found");
}

void pg_dial_start(struct pg_dial *d)
{
    const char *names = pg_url_get(d->url, "host"), *ports = pg_url_get(d->url, "port");

    d->timer.fire = on_timeout;
    timer_set(d->loop, &d->timer, (uint64_t)d->timeout_ms);
    d->hosts.n = 0;
    buf_init(&d->hosts.names, HOSTS_BYTES_MAX);
    buf_init(&d->hosts.addresses, HOSTS_BYTES_MAX);
    buf_init(&d->hosts.ports, HOSTS_BYTES_MAX);
    d->names_left = str_of(names);
    d->ports_left = str_of(ports);
    if (!names || pg_url_get(d->url, "hostaddr"))
        dial_connect(d, NULL);
    else
        dial_resolve(d);
}

void pg_dial_stop(struct pg_dial *d)
{
    timer_clear(d->loop, &d->timer);
    if (d->lookup) {
        d->lookup->dial = NULL;
        uv_cancel((uv_req_t *)&d->lookup->request);
        d->lookup = NULL;
    }
    pg_watch_close(d->watch);
    d->watch = NULL;
    PQfinish(d->pq);
    d->pq = NULL;
    buf_done(&d->hosts.names);
    buf_done(&d->hosts.addresses);
    buf_done(&d->hosts.ports);
}
