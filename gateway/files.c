/* files: see files.h. */
#include "gateway/files.h"
#include <sys/resource.h>

#define FILES_BESIDES 256 /* listeners, Redis, logs, pipes of tools, sockets of bots */
#define FILES_TLS     3   /* of a WebSocket under TLS: the connection and the pair of ws_relay.c */

static uint64_t needed(const struct app *app)
{
    const struct settings *s = app->settings;
    int64_t each = *s->http.tls_cert ? FILES_TLS : 1;
    int64_t n =
        FILES_BESIDES + s->http.connections_max + s->client.connections_max + s->pg.pool_max;
    list_each (it, next, &app->chat.channels)
        n += container_of(it, struct channel, link)->sockets_max * each;
    return (uint64_t)n;
}

struct files files_raise(const struct app *app)
{
    struct files f = { .needed = needed(app) };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return f;
    rlim_t wanted = f.needed < limit.rlim_max ? f.needed : limit.rlim_max;
    if (limit.rlim_cur < wanted) {
        rlim_t before = limit.rlim_cur;
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit)) limit.rlim_cur = before;
    }
    f.allowed = limit.rlim_cur;
    return f;
}
