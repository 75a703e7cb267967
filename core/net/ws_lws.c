/*
 * libwebsockets on our loop, see ws_lws.h.
 */
#include "core/net/ws_lws.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <sys/resource.h>

#define WRITES_A_TURN 16
#define NEVER_S       3600
#define FD_TABLE_MAX                                                             \
    131072 /* above it libwebsockets' table by fd (24 bytes each) costs too much \
            */
#define FD_SEARCH_MAX 16384

struct message {
    struct list link;
    size_t n;
    unsigned char bytes[]; /* LWS_PRE for the frame's head, then n */
};

static void on_lws_log(int level, const char *line)
{
    (void)level;
    log_debug("ws", "libwebsockets says", "text=%s", log_quote(str_trim(str_of(line))));
}

static unsigned fd_limit(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files)) return FD_SEARCH_MAX;
    return files.rlim_cur <= FD_TABLE_MAX ? (unsigned)files.rlim_cur : FD_SEARCH_MAX;
}

static void look(uv_handle_t *h, void *arg)
{
    bool *found = arg;
    if (uv_is_closing(h)) *found = true;
}

static void on_reaper_closed(uv_handle_t *h)
{
    struct ws_lws *l = h->data;
    l->gone(l);
}

/*
 * Destroyed here, for no callback of libwebsockets is under way now. Its handles close over several
 * turns, each from the close callback of the one before, and it tells nobody when the last is
 * through: then nothing in the loop is closing any more.
 */
static void on_reap(uv_idle_t *h)
{
    struct ws_lws *l = h->data;
    bool closing = false;

    if (l->ctx && !l->destroyed) {
        l->destroyed = true;
        lws_context_destroy(l->ctx);
        return;
    }
    uv_walk(h->loop, look, &closing);
    if (closing) return;
    if (l->ctx) lws_context_destroy(l->ctx);
    uv_close((uv_handle_t *)h, on_reaper_closed);
}

void ws_lws_init(struct ws_lws *l, struct loop *loop)
{
    l->loop = loop;
    uv_idle_init(&loop->uv, &l->reaper);
    l->reaper.data = l;
}

bool ws_lws_start(struct ws_lws *l, struct lws_context_creation_info *info)
{
    void *loops[] = { &l->loop->uv };

    info->options |= LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                     LWS_SERVER_OPTION_SKIP_SERVER_CANONICAL_NAME |
                     LWS_SERVER_OPTION_DISABLE_OS_CA_CERTS;
    info->foreign_loops = loops;
    info->fd_limit_per_thread = fd_limit();
    info->timeout_secs = info->connect_timeout_secs = NEVER_S;
    info->pcontext = &l->ctx;
    lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
    l->ctx = lws_create_context(info);
    l->vhost = l->ctx ? lws_create_vhost(l->ctx, info) : NULL;
    if (!l->vhost)
        log_error("ws", "libwebsockets does not start, no WebSockets", "ctx=%d", !!l->ctx);
    return l->vhost != NULL;
}

void ws_lws_close(struct ws_lws *l, void (*gone)(struct ws_lws *l))
{
    l->gone = gone;
    uv_idle_start(&l->reaper, on_reap);
}

static void on_left_closed(uv_handle_t *h)
{
    free(h);
}

static void close_left(uv_handle_t *h, void *wsi)
{
    if (h->type == UV_POLL && h->data == wsi && !uv_is_closing(h)) uv_close(h, on_left_closed);
}

/* 4.1 and 4.3 close such a socket themselves and forget its poll handle, see connect_3. */
void ws_lws_sweep(struct ws_lws *l, struct lws *wsi)
{
    uv_walk(&l->loop->uv, close_left, wsi);
}

void ws_queue_init(struct ws_queue *q)
{
    list_init(&q->messages);
    q->n = q->n_in_lws = 0;
}

void ws_queue_done(struct ws_queue *q)
{
    list_each (it, next, &q->messages) free(container_of(it, struct message, link));
}

void ws_queue_push(struct ws_queue *q, struct str text)
{
    struct message *m = mem_grow(NULL, sizeof *m + LWS_PRE + text.n);

    m->n = text.n;
    memcpy(m->bytes + LWS_PRE, text.p, text.n);
    list_push(&q->messages, &m->link);
    q->n += text.n;
}

/* False: the connection is broken. */
static bool write_next(struct ws_queue *q, struct lws *wsi)
{
    struct message *m = list_first(&q->messages, struct message, link);
    int n = lws_write(wsi, m->bytes + LWS_PRE, m->n, LWS_WRITE_TEXT);

    if (lws_partial_buffered(wsi))
        q->n_in_lws = m->n;
    else
        q->n -= m->n;
    list_drop(&m->link);
    free(m);
    return n >= 0;
}

static bool write_ping(struct lws *wsi)
{
    unsigned char ping[LWS_PRE + 4];

    /* libwebsockets 4.1 keeps an empty pong to itself. */
    memcpy(ping + LWS_PRE, "ping", 4);
    return lws_write(wsi, ping + LWS_PRE, 4, LWS_WRITE_PING) >= 0;
}

enum ws_written ws_queue_write(struct ws_queue *q, struct lws *wsi, bool ping)
{
    q->n -= q->n_in_lws;
    q->n_in_lws = 0;
    if (ping && !write_ping(wsi)) return WS_WRITTEN_BROKEN;
    for (int i = 0; i < WRITES_A_TURN && !list_empty(&q->messages); i++) {
        if (lws_partial_buffered(wsi)) break;
        if (!write_next(q, wsi)) return WS_WRITTEN_BROKEN;
    }
    if (list_empty(&q->messages) && !lws_partial_buffered(wsi)) return WS_WRITTEN_ALL;
    lws_callback_on_writable(wsi);
    return WS_WRITTEN_SOME;
}
