/*
 * access: who may come in.
 *
 * Without a key the page is for this machine: a request by another name (a proxy, or a foreign page
 * whose name was made to point at us) is refused. The session cookie is strict, so a foreign site's
 * link arrives without it: hence it is never set by GET /, where it would replace the person's own,
 * but by the page itself, which always sends it.
 */
#include "channels/web/web_impl.h"
#include "core/base/json.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/chat/switches.h"
#include <stdio.h>

#define COOKIE_SESSION "parley_session"
#define COOKIE_ACCESS  "parley_access"
#define COOKIE_DAYS    400 /* as long as browsers keep one */
#define GUESSES_MAX    10  /* a minute and address */

static struct str cookie(const struct http_in *in, const char *name)
{
    return session_cookie(http_in_header(in, "Cookie"), name);
}

static bool origin_fits(const struct web *w, const struct http_in *in)
{
    return session_origin_fits(http_in_header(in, "Origin"), http_in_header(in, "Host"),
                               &w->origins);
}

bool access_host_known(const struct web *w, const struct http_in *in)
{
    return *w->key || session_host_local(http_in_header(in, "Host"));
}

bool access_granted(const struct web *w, const struct http_in *in)
{
    return !*w->key || session_access_valid(str_of(w->key), cookie(in, COOKIE_ACCESS));
}

int access_check(const struct web *w, const struct http_in *in,
                 char ret_identity[SESSION_IDENTITY_MAX])
{
    if (!access_host_known(w, in) || !origin_fits(w, in)) return 403;
    if (!access_granted(w, in)) return 401;
    return session_identity(cookie(in, COOKIE_SESSION), ret_identity) ? 0 : 401;
}

/* Whether the browser came by TLS, to us or to the proxy before us. */
static bool is_secure(const struct web *w, const struct http_in *in)
{
    return http_server_tls(w->channel.host->server) ||
           str_eq_nocase(http_in_header(in, "X-Forwarded-Proto"), STR("https"));
}

/*
 * same_site: Lax is enough for the key's cookie, which a link from elsewhere may use; it opens the
 * page, but no conversation.
 */
static void cookie_line(struct buf *to, const char *name, const char *value, const char *same_site,
                        bool secure)
{
    buf_addf(to, "%s=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=%s%s", name, value,
             COOKIE_DAYS * 86400, same_site, secure ? "; Secure" : "");
}

/* ---- the session ---- */

static void answer_session(const struct web *w, struct http_in *in, const char *token)
{
    _cleanup_(buf_done) struct buf line = BUF_INIT(512), body = BUF_INIT(4096);
    struct json_out o = JSON_OUT(&body);
    cookie_line(&line, COOKIE_SESSION, token, "Strict", is_secure(w, in));
    json_open(&o, '{');
    json_field_str(&o, "title", str_of(w->title));
    json_field_i64(&o, "text_max", w->channel.host->chat->conf.message_max);
    json_field_i64(&o, "frame_max", w->frame_max);
    const struct place anywhere = { STR_NONE, STR_NONE, STR_NONE };
    json_field_bool(&o, "votes",
                    switch_on_in(w->channel.host->chat, &w->channel, &anywhere, FLAG_VOTES));
    json_close(&o, '}');
    const struct http_header headers[] = {
        { STR("Content-Type"), STR("application/json") },
        { STR("Cache-Control"), STR("no-store") },
        { STR("Set-Cookie"), buf_str(&line) },
    };
    http_answer_with(in, 200, headers, 3, buf_str(&body));
}

void session_post(struct http_route *route, struct http_in *in)
{
    struct web *w = container_of(route, struct web, session);
    char token[SESSION_TOKEN_MAX], identity[SESSION_IDENTITY_MAX];
    if (w->channel.paused) {
        http_answer_error(in, 503, "restarting");
        return;
    }
    if (!access_host_known(w, in) || !origin_fits(w, in)) {
        http_answer_error(in, 403, "another page may not speak for this one (Origin, Host)");
        return;
    }
    if (!access_granted(w, in)) {
        http_answer_error(in, 401, "an invite link is needed");
        return;
    }
    struct str old = cookie(in, COOKIE_SESSION);
    if (session_identity(old, identity))
        snprintf(token, sizeof(token), "%.*s", STR_ARG(old));
    else
        session_token_make(token);
    answer_session(w, in, token);
}

/* ---- the invite link ---- */

/* A guess that waits for its turn. */
struct invite {
    struct op op;
    struct list link;
    struct web *web;
    struct http_in *in;
    bool right;
    struct rate_answer rate;
};

static void invite_free(struct invite *i)
{
    op_cancel(&i->op);
    list_drop(&i->link);
    free(i);
}

static void on_gone(struct http_in *in)
{
    invite_free(in->user);
}

/* The redirect takes the key out of the address bar. */
static void let_in(const struct web *w, struct http_in *in)
{
    char access[SESSION_ACCESS_MAX];
    _cleanup_(buf_done) struct buf line = BUF_INIT(512);
    session_access_make(str_of(w->key), access);
    cookie_line(&line, COOKIE_ACCESS, access, "Lax", is_secure(w, in));
    const struct http_header headers[] = {
        { STR("Location"), STR("/") },
        { STR("Cache-Control"), STR("no-store") },
        { STR("Referrer-Policy"), STR("no-referrer") },
        { STR("Set-Cookie"), buf_str(&line) },
    };
    http_answer_with(in, 303, headers, 4, STR_NONE);
}

static void on_counted(struct op *op)
{
    struct invite *i = container_of(op, struct invite, op);
    struct web *w = i->web;
    struct http_in *in = i->in;
    bool allowed = i->rate.allowed, right = i->right;
    invite_free(i);
    if (allowed && right) {
        let_in(w, in);
        return;
    }
    log_warn(w->channel.name, "wrong invite key", "ip=%.*s counted_out=%d", STR_ARG(in->peer),
             !allowed);
    page_answer(in, allowed ? 401 : 429, allowed ? STR("denied.html") : STR("slow.html"));
}

void access_invite(struct web *w, struct http_in *in, struct str guess)
{
    const struct rate_ask ask = { .scope = RATE_IP,
                                  .id = in->peer,
                                  .endpoint = "invite",
                                  .max = GUESSES_MAX,
                                  .window_ms = 60000 };
    struct invite *i = mem_new(struct invite);
    i->web = w;
    i->in = in;
    i->right = session_key_right(str_of(w->key), guess);
    in->user = i;
    in->on_gone = on_gone;
    list_push(&w->invites, &i->link);
    op_init(&i->op, w->channel.host->loop, on_counted);
    cache_rate_take(w->channel.host->chat->rate, &i->op, &ask, &i->rate);
}

void access_invites_drop(struct web *w)
{
    while (!list_empty(&w->invites)) {
        struct invite *i = list_first(&w->invites, struct invite, link);
        struct http_in *in = i->in;
        invite_free(i);
        http_answer_error(in, 503, "closing");
    }
}
