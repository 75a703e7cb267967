/*
 * curl_loop - see curl_loop.h. uv_poll tells curl what is ready, a timer of ours tells it the time,
 * and the hook before the loop sleeps starts what was asked for in this turn.
 *
 * A connection is watched from its opening to its closing, not from request to request as curl
 * asks for: on a reused connection that saves five system calls a request.
 */
#include "core/net/curl_loop.h"
#include "core/base/mem.h"
#include "core/base/metric.h"
#include <unistd.h>

#define KICKS_A_TURN 8

struct curl_socket {
    uv_poll_t poll;
    struct curl_loop *cl;
    struct list changed;
    struct timer rest; /* armed: not watched until then */
    curl_socket_t fd;
    int want, watched; /* UV_READABLE | UV_WRITABLE: by curl, by libuv */
    bool connection;   /* to a peer; otherwise a pipe of curl's own */
    bool connected;    /* from now on curl closes it through us */
};

static struct metric connections = METRIC(METRIC_GAUGE, "parley_http_client_connections", "",
                                          "Open HTTP connections to others, idle ones included.");
static struct metric connects = METRIC(METRIC_COUNTER, "parley_http_client_connects_total", "",
                                       "HTTP connections to others ever opened.");

static struct metric rests =
    METRIC(METRIC_COUNTER, "parley_http_client_rests_total", "",
           "Times that a streaming connection was not read for a moment, because we were busy.");

static void on_poll(uv_poll_t *h, int status, int events);

/* Looked at before the loop sleeps. */
static void socket_changed(struct curl_socket *s)
{
    if (list_empty(&s->changed)) list_push(&s->cl->changed, &s->changed);
}

static void on_rested(struct timer *timer)
{
    socket_changed(container_of(timer, struct curl_socket, rest));
}

static struct curl_socket *socket_new(struct curl_loop *cl, curl_socket_t fd, bool connection)
{
    struct curl_socket *s = mem_new(struct curl_socket);
    *s = (struct curl_socket){
        .cl = cl, .fd = fd, .connection = connection, .rest.fire = on_rested
    };
    if (uv_poll_init_socket(&cl->loop->uv, &s->poll, fd) != 0) {
        free(s);
        return NULL;
    }
    s->poll.data = s;
    list_init(&s->changed);
    if ((size_t)fd >= cl->n_by_fd) {
        size_t n = ((size_t)fd + 64) & ~(size_t)63;
        cl->by_fd = mem_grow(cl->by_fd, n * sizeof(*cl->by_fd));
        memset(cl->by_fd + cl->n_by_fd, 0, (n - cl->n_by_fd) * sizeof(*cl->by_fd));
        cl->n_by_fd = n;
    }
    cl->by_fd[fd] = s;
    return s;
}

static struct curl_socket *socket_find(const struct curl_loop *cl, curl_socket_t fd)
{
    return (size_t)fd < cl->n_by_fd ? cl->by_fd[fd] : NULL;
}

static void on_poll_closed(uv_handle_t *h)
{
    free(h->data);
}

static void socket_free(struct curl_socket *s)
{
    list_drop(&s->changed);
    timer_clear(s->cl->loop, &s->rest);
    s->cl->by_fd[s->fd] = NULL;
    if (s->connection) metric_add(&connections, -1);
    uv_close((uv_handle_t *)&s->poll, on_poll_closed);
}

/* Only noted: curl changes its mind several times a turn, and each change would be a system call.
 */
static void socket_want(struct curl_socket *s, int want)
{
    s->want = want;
    timer_clear(s->cl->loop, &s->rest); /* something else begins */
    /* While it connects, curl asks for writing only. */
    if (want & UV_READABLE) s->connected = true;
    socket_changed(s);
}

static void socket_watch(struct curl_socket *s)
{
    int want = s->want;
    list_drop(&s->changed);
    /* Between two requests reading stays watched, which costs nothing until the peer closes. */
    if (!want) want = s->watched & UV_READABLE;
    if (timer_armed(&s->rest)) want = 0;
    if (want == s->watched) return;
    s->watched = want;
    if (want)
        uv_poll_start(&s->poll, want, on_poll);
    else
        uv_poll_stop(&s->poll);
}

void curl_loop_rest(struct curl_loop *cl, uint64_t ms)
{
    struct curl_socket *s = socket_find(cl, cl->driven);
    if (!s || s->want != UV_READABLE) return; /* closed, and another one may have its number */
    metric_add(&rests, 1);
    timer_set(cl->loop, &s->rest, ms);
    socket_changed(s);
}

/*
 * Curl 7.88 closes a socket that never got connected behind our back, and may get the same number
 * for the next address without a new word about what it waits for: the wish is inherited.
 */
curl_socket_t curl_loop_socket(struct curl_loop *cl, const struct curl_sockaddr *a)
{
    int fd = socket(a->family, a->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->protocol);
    if (fd < 0) return CURL_SOCKET_BAD;
    struct curl_socket *stale = socket_find(cl, fd);
    int want = stale ? stale->want : 0;
    if (stale) socket_free(stale);
    struct curl_socket *s = socket_new(cl, fd, true);
    if (!s) {
        close(fd);
        return CURL_SOCKET_BAD;
    }
    if (want) socket_want(s, want);
    metric_add(&connects, 1);
    metric_add(&connections, 1);
    return fd;
}

static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *a)
{
    (void)purpose;
    return curl_loop_socket(ctx, a);
}

static int on_close_socket(void *ctx, curl_socket_t fd)
{
    struct curl_socket *s = socket_find(ctx, fd);
    if (s) socket_free(s);
    return close(fd);
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *unused)
{
    (void)easy;
    (void)unused;
    struct curl_socket *s = socket_find(ctx, fd);
    if (what == CURL_POLL_REMOVE) {
        if (s && s->connected && s->connection)
            socket_want(s, 0);
        else if (s)
            socket_free(s);
        return 0;
    }
    if (!s) s = socket_new(ctx, fd, false);
    if (!s) return -1;
    socket_want(s, ((what & CURL_POLL_IN) ? UV_READABLE : 0) |
                       ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0));
    return 0;
}

static bool drive(struct curl_loop *cl, curl_socket_t fd, int events)
{
    int n_running;
    curl_multi_socket_action(cl->multi, fd, events, &n_running);
    cl->driven = fd;
    bool others_ran = cl->settle(cl);
    cl->driven = CURL_SOCKET_BAD;
    return others_ran;
}

static void on_poll(uv_poll_t *h, int status, int events)
{
    struct curl_socket *s = h->data;
    if (status < 0) s->watched = 0; /* libuv has stopped it */
    if (!s->want) {
        /* An idle connection was closed by its peer. Curl finds out when it wants to use it. */
        uv_poll_stop(h);
        s->watched = 0;
        return;
    }
    if (status < 0) socket_want(s, s->want);
    events &= s->want;
    int flags = (status < 0 ? CURL_CSELECT_ERR : 0) |
                ((events & UV_READABLE) ? CURL_CSELECT_IN : 0) |
                ((events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0);
    if (flags) drive(s->cl, s->fd, flags);
}

/* One millisecond late: a timer that curl finds early is not asked for again. */
static int on_timer_wish(CURLM *multi, long ms, void *ctx)
{
    (void)multi;
    struct curl_loop *cl = ctx;
    cl->kick = ms == 0;
    if (ms > 0)
        timer_set(cl->loop, &cl->timer, (uint64_t)ms + 1);
    else
        timer_clear(cl->loop, &cl->timer);
    return 0;
}

static void on_client_timer(struct timer *timer)
{
    container_of(timer, struct curl_loop, timer)->kick = true;
}

static void on_before_sleep(struct loop_hook *h)
{
    struct curl_loop *cl = container_of(h, struct curl_loop, before_sleep);
    bool others_ran = false;
    for (int i = 0; cl->kick && i < KICKS_A_TURN; i++) {
        cl->kick = false;
        others_ran |= drive(cl, CURL_SOCKET_TIMEOUT, 0);
    }
    /* Who ran may have asked for something whose own hook has been passed in this turn. */
    if (cl->kick || others_ran) loop_wake(cl->loop);
    list_each (it, next, &cl->changed) socket_watch(container_of(it, struct curl_socket, changed));
}

bool curl_loop_open(struct curl_loop *cl, struct loop *loop, bool (*settle)(struct curl_loop *cl))
{
    *cl = (struct curl_loop){ .loop = loop, .settle = settle, .driven = CURL_SOCKET_BAD };
    cl->multi = curl_multi_init();
    if (!cl->multi) return false;
    cl->timer.fire = on_client_timer;
    cl->before_sleep.run = on_before_sleep;
    list_init(&cl->changed);
    loop_hook_add(loop, &cl->before_sleep);
    curl_multi_setopt(cl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(cl->multi, CURLMOPT_SOCKETDATA, cl);
    curl_multi_setopt(cl->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(cl->multi, CURLMOPT_TIMERDATA, cl);
    return true;
}

void curl_loop_close(struct curl_loop *cl)
{
    curl_multi_cleanup(cl->multi); /* closes the idle connections through us */
    timer_clear(cl->loop, &cl->timer);
    loop_hook_drop(&cl->before_sleep);
    free(cl->by_fd);
}

void curl_loop_adopt(struct curl_loop *cl, CURL *easy)
{
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, cl);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
    curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, cl);
}
