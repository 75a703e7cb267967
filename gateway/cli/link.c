/* link: see link.h. */
#include "gateway/cli/link.h"
#include "core/base/fault.h"
#include "core/base/log.h"
#include "core/base/mem.h"
#include "core/base/rand.h"
#include "core/net/sign.h"
#include "gateway/admin/key.h"
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define KEY_MAX     4096
#define ANSWER_MAX  (16u << 20)
#define ASK_MS      60000
#define KEY_MADE_BY "{\"made_by\": \"the command line\"}"

/* ---- where ---- */

static const char *reachable(const char *address)
{
    if (strcmp(address, "0.0.0.0") == 0) return "127.0.0.1";
    return strcmp(address, "::") == 0 ? "::1" : address;
}

enum err_kind cli_link_url(const struct http_server_conf *http, char *ret, size_t size,
                           struct err *why)
{
    const char *address = reachable(http->address);
    struct str public_url = str_of(http->public_url);
    bool six = strchr(address, ':') != NULL;
    while (str_ends(public_url, STR("/"))) public_url.n--;
    if (*http->tls_cert && !public_url.n)
        return err_set(why, ERR_CONF,
                       "the gateway has a certificate, but http.public_url does not "
                       "say for which name: set it, or give --url");
    if (!*http->tls_cert && http->port == 0)
        return err_set(why, ERR_CONF, "http.port = 0 is any free port: give --url");
    if (*http->tls_cert)
        snprintf(ret, size, "%.*s", STR_ARG(public_url));
    else
        snprintf(ret, size, "http://%s%s%s:%d", six ? "[" : "", address, six ? "]" : "",
                 (int)http->port);
    return ERR_NONE;
}

static enum err_kind set_url(struct cli_link *link, const char *given, struct err *why)
{
    char base[500];
    if (!given) {
        if (cli_link_url(&link->app.settings->http, base, sizeof base, why)) return why->kind;
        given = base;
    }
    struct str url = str_of(given);
    while (str_ends(url, STR("/"))) url.n--;
    bool web = str_starts(url, STR("http://")) || str_starts(url, STR("https://"));
    if (!web || url.n >= sizeof base)
        return err_set(why, ERR_CONF, "--url: http:// or https:// is needed");
    snprintf(link->url, sizeof link->url, "%.*s" ADMIN_PATH, STR_ARG(url));
    return ERR_NONE;
}

/* ---- a key that was given ---- */

static enum err_kind read_key_file(struct cli_link *link, const char *path, struct err *why)
{
    char text[KEY_MAX];
    FILE *file = fopen(path, "re");
    if (!file) return err_set(why, ERR_CONF, "--key-file: %.100s: %m", path);
    struct str key = str_trim(str_from(text, fread(text, 1, sizeof text, file)));
    (void)fclose(file);
    if (!key.n || key.n == sizeof text)
        return err_set(why, ERR_CONF, "--key-file: %.100s holds no key", path);
    link->key = mem_dup(key);
    return ERR_NONE;
}

static bool printable(const char *key)
{
    for (; *key; key++)
        if (*key <= ' ' || *key > '~') return false;
    return true;
}

static enum err_kind set_key(struct cli_link *link, const char *file, struct err *why)
{
    const char *given = getenv("PARLEY_KEY"); /* NOLINT(concurrency-mt-unsafe): no threads yet */
    if (file && read_key_file(link, file, why)) return why->kind;
    if (!file && given) link->key = mem_dup(str_of(given));
    if (link->key && !printable(link->key))
        return err_set(why, ERR_CONF, "this is no key: it begins with parley_ and has no spaces");
    if (link->key) log_secret(str_of(link->key));
    return ERR_NONE;
}

/* ---- a key of our own ---- */

static const struct pg_stmt make_stmt = {
    "cli_key_make",
    "WITH old AS (DELETE FROM api_keys WHERE metadata = $5 AND expires_at < now())"
    " INSERT INTO api_keys (id, key_hash, key_prefix, name, role, permissions, expires_at, metadata)"
    " VALUES ($1, $2, $3, $4, 'admin', '[\"*\"]', now() + interval '1 minute', $5)"
};
static const struct pg_stmt renew_stmt = {
    "cli_key_renew", "UPDATE api_keys SET expires_at = now() + interval '1 minute' WHERE id = $1"
};
static const struct pg_stmt drop_stmt = { "cli_key_drop", "DELETE FROM api_keys WHERE id = $1" };

static enum err_kind query(struct cli_link *link, const struct pg_stmt *stmt,
                           const struct pg_value *values, size_t n, struct err *why)
{
    struct op op;
    op_init(&op, &link->app.loop, on_app_op);
    pg_query(link->app.pg, &op, stmt, values, n, NULL);
    if (!app_wait(&link->app, &op)) return ERR_NONE;
    const char *down = pg_down_reason(link->app.pg);
    *why = op.err;
    if (*down) return err_set(why, ERR_IO, "postgres: %s", down);
    return err_add(why, "postgres: ");
}

static void name_us(char *ret, size_t size)
{
    char host[64] = "";
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): no other thread asks */
    const struct passwd *user = getpwuid(geteuid());
    gethostname(host, sizeof host - 1);
    snprintf(ret, size, "cli %s@%s", user ? user->pw_name : "somebody", host);
}

static enum err_kind make_key(struct cli_link *link, struct err *why)
{
    const struct settings *s = link->app.settings;
    uint8_t secret[32];
    char text[KEY_TEXT_MAX], hash[KEY_HASH_MAX], name[200];
    struct uuid id = uuid_v7();
    struct pg_conf pg = s->pg;
    pg.pool_min = pg.pool_max = 1;
    if (!*s->admin.secret)
        return err_set(why, ERR_CONF,
                       "%s: admin.secret is not set: without it there is no admin API",
                       link->app.conf_path);
    if (pg_open(&link->app.loop, &pg, &link->app.pg, why)) return err_add(why, "postgres: ");
    rand_bytes(secret, sizeof secret);
    key_text(secret, text);
    key_hash(str_of(s->admin.secret), str_of(text), hash);
    name_us(name, sizeof name);
    struct str rest = str_of(text);
    str_cut(&rest, '_');
    const struct pg_value values[] = { pg_uuid(id), pg_text(str_of(hash)),
                                       pg_text(str_cut(&rest, '_')), pg_text(str_of(name)),
                                       pg_json(STR(KEY_MADE_BY)) };
    if (query(link, &make_stmt, values, sizeof values / sizeof *values, why)) return why->kind;
    link->key = mem_dup(str_of(text));
    log_secret(str_of(link->key));
    uuid_text(&id, link->key_id);
    return ERR_NONE;
}

static enum err_kind with_key(struct cli_link *link, const struct pg_stmt *stmt, struct err *why)
{
    struct pg_value id = pg_text(str_of(link->key_id));
    return query(link, stmt, &id, 1, why);
}

/* ---- together ---- */

static enum err_kind find_conf(struct cli_link *link, const struct cli_line *line, bool must,
                               struct err *why)
{
    const char *path = settings_path(line->common[CLI_CONFIG]);
    if (!path && must)
        return err_set(why, ERR_CONF,
                       "which gateway? --config FILE on its machine, or PARLEY_URL and "
                       "PARLEY_KEY from elsewhere");
    link->app.conf_path = path;
    return settings_load(path, &link->app.settings, why);
}

static enum err_kind open_parts(struct cli_link *link, const struct cli_line *line, struct err *why)
{
    struct app *app = &link->app;
    const char *url = line->common[CLI_URL];
    if (!url) url = getenv("PARLEY_URL"); /* NOLINT(concurrency-mt-unsafe): no threads yet */
    bool open_to_all = !line->op->scope;
    if (set_key(link, line->common[CLI_KEY_FILE], why)) return why->kind;
    /* The configuration that lies here by chance belongs to another gateway than the URL. */
    if (url && !link->key && !open_to_all && !line->common[CLI_CONFIG])
        return err_set(why, ERR_CONF, "a key is needed: PARLEY_KEY or --key-file");
    if (url && !line->common[CLI_CONFIG]) {
        if (settings_load(NULL, &app->settings, why)) return why->kind;
    } else if (find_conf(link, line, !url, why)) {
        return why->kind;
    }
    if (set_url(link, url, why)) return why->kind;
    if (http_client_open(&app->loop, &app->settings->client, &app->client, why))
        return err_add(why, "client: ");
    if (link->key || open_to_all) return ERR_NONE;
    return make_key(link, why);
}

enum err_kind cli_link_open(struct cli_link *link, const struct cli_line *line, struct err *why)
{
    *link = (struct cli_link){ .key = NULL };
    signal(SIGPIPE, SIG_IGN);
    fault_setup();
    if (!sign_setup()) return err_set(why, ERR_BUG, "libsodium cannot be used");
    log_setup(LOG_ERROR, LOG_TEXT);
    loop_open(&link->app.loop);
    if (!open_parts(link, line, why)) return ERR_NONE;
    cli_link_close(link);
    return why->kind;
}

void cli_link_close(struct cli_link *link)
{
    struct err why;
    if (*link->key_id && with_key(link, &drop_stmt, &why))
        fprintf(stderr,
                "parley: the key of this command could not be removed, it expires within a "
                "minute: %s\n",
                why.msg);
    app_close(&link->app);
    free(link->key);
}

enum err_kind cli_link_ask(struct cli_link *link, const struct cli_line *line, struct str path,
                           struct str body, struct http_reply *ret, struct err *why)
{
    char url[9000], bearer[KEY_MAX + 8], match[60];
    struct http_header headers[4] = { { STR("Accept"), STR("application/json") } };
    size_t n = 1;
    struct op op;
    /* Pages may take longer than the minute of our key. */
    if (*link->key_id && link->asked && with_key(link, &renew_stmt, why)) return why->kind;
    link->asked = true;
    int len = snprintf(url, sizeof url, "%s%.*s", link->url, STR_ARG(path));
    if (len < 0 || (size_t)len >= sizeof url)
        return err_set(why, ERR_CONF, "these arguments are too large for an address");
    if (link->key) {
        snprintf(bearer, sizeof bearer, "Bearer %s", link->key);
        headers[n++] = (struct http_header){ STR("Authorization"), str_of(bearer) };
    }
    if (line->common[CLI_IF_MATCH]) {
        snprintf(match, sizeof match, "\"%.50s\"", line->common[CLI_IF_MATCH]);
        headers[n++] = (struct http_header){ STR("If-Match"), str_of(match) };
    }
    if (line->common[CLI_ONCE])
        headers[n++] =
            (struct http_header){ STR("Idempotency-Key"), str_of(line->common[CLI_ONCE]) };
    if (body.n) headers[n++] = (struct http_header){ STR("Content-Type"), STR("application/json") };
    const struct http_request rq = { .method = line->op->method,
                                     .url = url,
                                     .headers = headers,
                                     .n_headers = n,
                                     .body = body,
                                     .total_ms = ASK_MS,
                                     .reply_max = ANSWER_MAX };
    op_init(&op, &link->app.loop, on_app_op);
    http_request(link->app.client, &op, &rq, ret);
    if (!app_wait(&link->app, &op)) return ERR_NONE;
    *why = op.err;
    return why->kind;
}
