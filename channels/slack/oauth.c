/*
 * oauth - two routes; a record for each person who comes back with a code.
 */
#include "channels/slack/oauth.h"

#include "channels/slack/api.h"
#include "channels/slack/scopes.h"
#include "channels/slack/team.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/chat/chat.h"
#include "core/net/http_form.h"
#include "core/net/http_server.h"
#include "core/net/sign.h"
#include "core/store/installation.h"

#define STATE_MS      600000
#define JOBS_MAX      32
#define OAUTH_PATH    128
#define NONCE_HEX     32
#define COOKIE        "parley_slack_install"
#define AUTHORIZE_URL "https://slack.com/oauth/v2/authorize"

struct slack_oauth {
    struct slack *bot;
    struct http_route install, back;
    char install_path[OAUTH_PATH], back_path[OAUTH_PATH];
    struct list jobs;
};

struct job {
    struct list link;
    struct slack_oauth *oauth;
    struct http_in *in; /* NULL: the person has left */
    struct op op;
    struct slack_reply reply;
    struct buf form, sealed;
    struct slack_team team;
};

static void say(struct http_in *in, int status, const char *text)
{
    http_answer(in, status, "text/plain; charset=utf-8", str_of(text));
}

static struct str public_base(const struct slack *s)
{
    return s->channel.host->chat->public_url;
}

static void put_redirect(const struct slack_oauth *oauth, struct buf *to)
{
    _cleanup_(buf_done) struct buf url = BUF_INIT(2048);
    buf_addf(&url, "%.*s%s", STR_ARG(public_base(oauth->bot)), oauth->back_path);
    http_form_put(to, buf_str(&url));
}

/* --- the state --- */

static bool state_seal(const struct slack *s, const char *nonce, struct buf *to)
{
    _cleanup_(buf_done) struct buf plain = BUF_INIT(256);
    int64_t until_ms = clock_wall_ms() + STATE_MS;
    buf_addf(&plain, "[%lld,\"%s\"]", (long long)until_ms, nonce);
    return sign_seal(s->seal, buf_str(&plain), to);
}

/* Ours, not too old, and of this browser. */
static bool state_is_good(const struct slack *s, struct str state, struct str nonce)
{
    _cleanup_(buf_done) struct buf plain = BUF_INIT(256);
    struct json *doc = NULL;
    struct str kept = STR_NONE;
    int64_t until_ms = 0;
    if (!sign_open(s->seal, state, &plain) || json_parse(buf_str(&plain), &doc, NULL)) return false;
    bool good = json_i64(json_at(doc, 0), &until_ms) && until_ms > clock_wall_ms() &&
                json_str(json_at(doc, 1), &kept) && kept.n && sign_equal(kept, nonce);
    json_free(doc);
    return good;
}

static struct str cookie_of(const struct http_in *in)
{
    struct str rest = http_in_header(in, "Cookie");
    while (rest.n) {
        struct str value = str_trim(str_cut(&rest, ';')), name = str_cut(&value, '=');
        if (str_eq(name, STR(COOKIE))) return value;
    }
    return STR_NONE;
}

/* --- there --- */

static void on_install(struct http_route *route, struct http_in *in)
{
    struct slack_oauth *oauth = container_of(route, struct slack_oauth, install);
    struct slack *s = oauth->bot;
    char nonce[NONCE_HEX + 1];
    _cleanup_(buf_done) struct buf url = BUF_INIT(4096), state = BUF_INIT(512),
                                   cookie = BUF_INIT(512);
    rand_hex(nonce, NONCE_HEX / 2);
    state_seal(s, nonce, &state);
    buf_add_cstr(&url, AUTHORIZE_URL "?client_id=");
    http_form_put(&url, str_of(s->client_id));
    buf_add_cstr(&url, "&scope=");
    http_form_put(&url, STR(SLACK_SCOPES));
    buf_add_cstr(&url, "&redirect_uri=");
    put_redirect(oauth, &url);
    buf_addf(&url, "&state=%.*s", STR_ARG(buf_str(&state)));
    buf_addf(&cookie, COOKIE "=%s; Path=%s; Max-Age=%d; HttpOnly; SameSite=Lax%s", nonce,
             oauth->back_path, STATE_MS / 1000,
             str_starts(public_base(s), STR("https://")) ? "; Secure" : "");
    const struct http_header headers[] = { { STR("Location"), buf_str(&url) },
                                           { STR("Set-Cookie"), buf_str(&cookie) },
                                           { STR("Cache-Control"), STR("no-store") } };
    http_answer_with(in, 302, headers, 3, STR_NONE);
}

/* --- and back --- */

static void job_free(struct job *j)
{
    op_cancel(&j->op);
    list_drop(&j->link);
    slack_reply_done(&j->reply);
    buf_done(&j->form);
    buf_done(&j->sealed);
    free(j);
}

static void on_gone(struct http_in *in)
{
    ((struct job *)in->user)->in = NULL;
}

static void job_end(struct job *j, int status, const char *text)
{
    if (j->in) say(j->in, status, text);
    job_free(j);
}

static void on_stored(struct op *op)
{
    struct job *j = container_of(op, struct job, op);
    struct slack *s = j->oauth->bot;
    if (op->err.kind) {
        log_error(s->channel.name, "an installation could not be stored", "workspace=%s text=%s",
                  j->team.id, log_quote(str_of(op->err.msg)));
        job_end(j, 503, "The installation could not be stored. Please begin again.");
        return;
    }
    slack_team_put(s, &j->team);
    log_info(s->channel.name, "a workspace has installed the app", "workspace=%s", j->team.id);
    job_end(j, 200, "Installed. You can close this page and write to the app in Slack.");
}

static void copy(char *ret, size_t cap, struct json *from, const char *key)
{
    struct str v = STR_NONE;
    json_get_str(from, key, &v);
    snprintf(ret, cap, "%.*s", STR_ARG(v));
}

static void on_token(struct op *op)
{
    struct job *j = container_of(op, struct job, op);
    struct slack *s = j->oauth->bot;
    struct json *doc = j->reply.doc, *team = json_get(doc, "team");
    struct str scopes = STR_NONE;
    if (op->err.kind) {
        log_warn(s->channel.name, "an installation failed", "text=%s",
                 log_quote(str_of(op->err.msg)));
        job_end(j, 400, "Slack did not confirm the installation. Please begin again.");
        return;
    }
    copy(j->team.id, sizeof(j->team.id), team, "id");
    copy(j->team.title, sizeof(j->team.title), team, "name");
    copy(j->team.user, sizeof(j->team.user), doc, "bot_user_id");
    copy(j->team.token, sizeof(j->team.token), doc, "access_token");
    json_get_str(doc, "scope", &scopes);
    if (!j->team.id[0] || !j->team.user[0] || !j->team.token[0]) {
        job_end(j, 400,
                "Slack named no workspace: the app cannot be installed for a whole "
                "organization at once.");
        return;
    }
    log_secret(str_of(j->team.token));
    slack_token_seal(s, str_of(j->team.token), &j->sealed);
    const struct installation in = { .channel = str_of(s->channel.name),
                                     .workspace = str_of(j->team.id),
                                     .title = str_of(j->team.title),
                                     .bot_user = str_of(j->team.user),
                                     .bot = str_of(j->team.bot),
                                     .token = buf_str(&j->sealed),
                                     .scopes = scopes };
    op_init(&j->op, s->channel.host->loop, on_stored);
    store_installation_put(s->channel.host->store, &j->op, &in);
}

static void ask_for_token(struct slack_oauth *oauth, struct http_in *in, struct str code)
{
    struct slack *s = oauth->bot;
    struct job *j = mem_new(struct job);
    j->oauth = oauth;
    j->in = in;
    in->user = j;
    in->on_gone = on_gone;
    buf_init(&j->form, 8192);
    buf_init(&j->sealed, 1024);
    list_push(&oauth->jobs, &j->link);
    buf_add_cstr(&j->form, "code=");
    http_form_put(&j->form, code);
    buf_add_cstr(&j->form, "&client_id=");
    http_form_put(&j->form, str_of(s->client_id));
    buf_add_cstr(&j->form, "&client_secret=");
    http_form_put(&j->form, str_of(s->client_secret));
    buf_add_cstr(&j->form, "&redirect_uri=");
    put_redirect(oauth, &j->form);
    const struct slack_call call = { .method = "oauth.v2.access",
                                     .body = buf_str(&j->form),
                                     .form = true };
    op_init(&j->op, s->channel.host->loop, on_token);
    slack_call(s, &j->op, &call, &j->reply);
}

static void on_back(struct http_route *route, struct http_in *in)
{
    struct slack_oauth *oauth = container_of(route, struct slack_oauth, back);
    _cleanup_(buf_done) struct buf code = BUF_INIT(512), state = BUF_INIT(512),
                                   error = BUF_INIT(128);
    if (http_in_query(in, "error", &error)) {
        say(in, 400, "The installation was called off in Slack.");
    } else if (!http_in_query(in, "state", &state) ||
               !state_is_good(oauth->bot, buf_str(&state), cookie_of(in))) {
        say(in, 403,
            "This is no installation that was begun here in the last ten minutes. Please "
            "begin again.");
    } else if (!http_in_query(in, "code", &code)) {
        say(in, 400, "Slack sent no code. Please begin again.");
    } else if (list_length(&oauth->jobs) >= JOBS_MAX) {
        say(in, 503, "Too many installations at once. Please try again in a moment.");
    } else {
        ask_for_token(oauth, in, buf_str(&code));
    }
}

/* --- life --- */

static void route_add(struct slack_oauth *oauth, struct http_route *route, const char *path,
                      void (*handle)(struct http_route *, struct http_in *))
{
    *route = (struct http_route){ .method = "GET", .path = path, .handle = handle };
    list_init(&route->link);
    http_route_add(oauth->bot->channel.host->server, route);
}

void slack_oauth_open(struct slack *s)
{
    struct slack_oauth *oauth = mem_new(struct slack_oauth);
    oauth->bot = s;
    list_init(&oauth->jobs);
    snprintf(oauth->install_path, OAUTH_PATH, "/hooks/slack/%s/install", s->channel.name);
    snprintf(oauth->back_path, OAUTH_PATH, "/hooks/slack/%s/oauth", s->channel.name);
    route_add(oauth, &oauth->install, oauth->install_path, on_install);
    route_add(oauth, &oauth->back, oauth->back_path, on_back);
    s->oauth = oauth;
}

void slack_oauth_close(struct slack *s)
{
    struct slack_oauth *oauth = s->oauth;
    if (!oauth) return;
    http_route_drop(&oauth->install);
    http_route_drop(&oauth->back);
    while (!list_empty(&oauth->jobs))
        job_end(list_first(&oauth->jobs, struct job, link), 503,
                "Shutting down. Please begin again.");
    free(oauth);
    s->oauth = NULL;
}
