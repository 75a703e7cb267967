/*
 * socket: one WebSocket of a page. Admits it, counts what it sends, hands each frame on.
 *
 * A person is known here only while a socket of theirs is open.
 */
#include "channels/web/web_impl.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include <stdio.h>

#define BURST_SECONDS 5
#define REFUSED_MAX   200          /* frames in a row over the limit: that is no page of ours */
#define SESSION_LIFE  "2592000000" /* 30 d, in ms */

static struct web_person *person_of(struct map_node *node)
{
    return node ? container_of(node, struct web_person, node) : NULL;
}

struct web_person *web_person_find(const struct web *w, struct str identity)
{
    return person_of(map_get(&w->people, identity));
}

static struct web_person *person_get(struct web *w, const char *identity)
{
    struct web_person *p = web_person_find(w, str_of(identity));
    if (p) return p;
    p = mem_new(struct web_person);
    memcpy(p->id, identity, sizeof(p->id));
    list_init(&p->sockets);
    map_put(&w->people, &p->node, str_of(p->id));
    return p;
}

/* When they were last here, for who looks into Redis; the cookie alone says who they are. */
static void note_session(const struct web *w, const char *identity)
{
    char key[64], now[24];
    snprintf(key, sizeof(key), "session:%s", identity);
    snprintf(now, sizeof(now), "%lld", (long long)clock_wall_ms());
    const struct str set[] = {
        STR("HSET"), str_of(key), STR("channel"), str_of(w->channel.name), STR("last_activity_ms"),
        str_of(now)
    };
    const struct str live[] = { STR("PEXPIRE"), str_of(key), STR(SESSION_LIFE) };
    redis_send(w->channel.host->redis, set, sizeof(set) / sizeof(*set));
    redis_send(w->channel.host->redis, live, sizeof(live) / sizeof(*live));
}

/* ---- life ---- */

static int on_accept(struct http_route *route, const struct http_in *in, void **ret_user)
{
    struct web *w = container_of(route, struct web, socket.http);
    char identity[SESSION_IDENTITY_MAX];
    if (w->channel.paused) return 503;
    int status = access_check(w, in, identity);
    if (status) return status;
    struct web_person *p = web_person_find(w, str_of(identity));
    if (p && p->n_sockets >= (size_t)w->person_connections_max) return 429;

    struct web_socket *s = mem_new(struct web_socket);
    s->web = w;
    s->person = person_get(w, identity);
    s->tokens = (double)(w->frames_per_second * BURST_SECONDS);
    s->tokens_at_ms = clock_ms();
    snprintf(s->ip, sizeof(s->ip), "%.*s", STR_ARG(in->peer));
    s->flush.fire = web_growing_due;
    list_push(&s->person->sockets, &s->link);
    s->person->n_sockets++;
    *ret_user = s;
    return 0;
}

static void on_open(struct ws_conn *conn, void *user)
{
    struct web_socket *s = user;
    s->conn = conn;
    note_session(s->web, s->person->id);
    channel_heard(&s->web->channel);
    log_debug(s->web->channel.name, "page connected", "identity=%s ip=%s", s->person->id, s->ip);
}

static void on_closed(void *user)
{
    struct web_socket *s = user;
    struct web_person *p = s->person;
    log_debug(s->web->channel.name, "page left", "identity=%s ip=%s", p->id, s->ip);
    web_jobs_leave(s);
    list_drop(&s->link);
    if (--p->n_sockets == 0) {
        map_drop(&s->web->people, &p->node);
        free(p);
    }
    web_growing_left(s);
    free(s);
}

/* ---- frames ---- */

void web_socket_error(struct web_socket *s, const char *id, const struct err *why)
{
    struct json_out o = web_frame(s->web, "error");
    if (*id) json_field_str(&o, "id", str_of(id));
    json_field_str(&o, "kind", str_of(err_rule(why->kind)->name));
    json_field_str(&o, "text", str_of(why->msg));
    /* Absent: the same frame will never do. */
    if (why->retry_after_ms) json_field_i64(&o, "retry_ms", why->retry_after_ms);
    web_frame_send(s, &o);
}

/* A token bucket: a page that is in order never gets near it. */
static bool take_token(struct web_socket *s)
{
    uint64_t now = clock_ms();
    double rate = (double)s->web->frames_per_second;
    s->tokens += (double)(now - s->tokens_at_ms) / 1000 * rate;
    s->tokens_at_ms = now;
    if (s->tokens > rate * BURST_SECONDS) s->tokens = rate * BURST_SECONDS;
    if (s->tokens < 1) return false;
    s->tokens -= 1;
    return true;
}

static void refuse_flood(struct web_socket *s, struct str frame)
{
    struct web_in in;
    struct json *doc;
    struct err why = ERR_INIT;
    if (++s->n_refused == REFUSED_MAX) {
        log_warn(s->web->channel.name, "page floods, closing it", "identity=%s ip=%s",
                 s->person->id, s->ip);
        ws_close(s->conn, 1008, "too many messages");
        return;
    }
    if (s->n_refused > REFUSED_MAX) return;
    web_in_parse(frame, &in, &doc, &why); /* for the id, so that a message is tried again */
    json_free(doc);
    err_set(&why, ERR_LIMIT, "That is too much at once. It is tried again in a moment.");
    why.retry_after_ms = 1000;
    web_socket_error(s, in.id, &why);
}

static void on_message(struct ws_conn *conn, void *user, struct str frame)
{
    (void)conn;
    struct web_socket *s = user;
    struct web_in in;
    struct json *doc;
    struct err why = ERR_INIT;
    channel_heard(&s->web->channel);
    if (!take_token(s)) {
        refuse_flood(s, frame);
        return;
    }
    s->n_refused = 0;
    if (web_in_parse(frame, &in, &doc, &why)) {
        log_debug(s->web->channel.name, "bad frame", "identity=%s text=%s", s->person->id,
                  log_quote(str_of(why.msg)));
        web_socket_error(s, in.id, &why);
        return;
    }
    if (in.verb == WEB_PING) {
        struct json_out o = web_frame(s->web, "pong");
        web_frame_send(s, &o);
        json_free(doc);
        return;
    }
    web_job_start(s, &in, doc);
}

const struct ws_handler web_socket_handler = {
    .accept = on_accept,
    .open = on_open,
    .message = on_message,
    .closed = on_closed,
};
