/*
 * pg_url: the connection URL by libpq's own parser, and what we add to it: TLS by default over the
 * network, a statement timeout, UTC.
 */
#include "core/net/pg_impl.h"

#include "core/base/log.h"
#include "core/base/mem.h"

#include <inttypes.h>
#include <unistd.h>

#define PAIRS_MAX 80 /* libpq 15 knows 40 keywords, and we add a few */
#define SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

struct pairs {
    const char *keys[PAIRS_MAX + 1], *values[PAIRS_MAX + 1];
    size_t n;
};

/* Adds or replaces. */
static void pairs_set(struct pairs *p, const char *key, const char *value)
{
    size_t i = 0;
    while (i < p->n && strcmp(p->keys[i], key) != 0) i++;
    if (i == PAIRS_MAX) return;
    p->keys[i] = key;
    p->values[i] = value;
    if (i == p->n) p->n++;
}

static bool is_local(struct str host)
{
    return host.n == 0 || *host.p == '/' || *host.p == '@' || str_eq(host, STR("localhost")) ||
           str_eq(host, STR("::1")) || str_starts(host, STR("127."));
}

static bool all_local(const struct pg_url *u)
{
    const char *hosts = pg_url_get(u, "host");
    struct str left = str_of(hosts ? hosts : pg_url_get(u, "hostaddr"));

    while (left.n)
        if (!is_local(str_cut(&left, ','))) return false;
    return true;
}

/* libpq's default never verifies whom it talks to. */
static void tls_by_default(const struct pg_url *u, struct pairs *p)
{
    if (all_local(u) || pg_url_get(u, "sslmode")) return;
    pairs_set(p, "sslmode", "verify-full");
    if (!pg_url_get(u, "sslrootcert") && access(SYSTEM_CA, R_OK) == 0)
        pairs_set(p, "sslrootcert", SYSTEM_CA);
}

/* libpq would write them to standard error; and they may quote values. */
static void on_notice(void *ctx, const PGresult *r)
{
    const char *sqlstate = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    (void)ctx;
    log_debug("pg", "notice", "sqlstate=%s", sqlstate ? sqlstate : "");
}

enum err_kind pg_url_parse(const struct pg_conf *conf, struct pg_url *ret, struct err *why)
{
    char *text = NULL;
    PQconninfoOption *options = PQconninfoParse(conf->url, &text);

    if (!options) {
        /* libpq quotes the part it did not understand, which may be a password's. */
        bool quotable = !strpbrk(conf->url, "@") && !strstr(conf->url, "password");
        err_set(why, ERR_CONF, "pg: url: %.*s",
                STR_ARG(str_trim(str_of(quotable && text ? text : "not a connection string"))));
        PQfreemem(text);
        return ERR_CONF;
    }
    *ret = (struct pg_url){ .options = options };
    if (conf->password && *conf->password) ret->password = mem_dup(str_of(conf->password));
    if (ret->password) log_secret(str_of(ret->password));
    const char *password = pg_url_get(ret, "password");
    if (password) log_secret(str_of(password));
    return ERR_NONE;
}

void pg_url_done(struct pg_url *u)
{
    PQconninfoFree(u->options);
    free(u->password);
    *u = (struct pg_url){ 0 };
}

const char *pg_url_get(const struct pg_url *u, const char *key)
{
    for (const PQconninfoOption *o = u->options; o->keyword; o++)
        if (o->val && *o->val && !strcmp(o->keyword, key)) return o->val;
    return NULL;
}

PGconn *pg_url_connect(const struct pg_url *u, const struct pg_hosts *hosts,
                       int64_t statement_timeout_ms)
{
    struct pairs p = { .n = 0 };
    const char *own = pg_url_get(u, "options");
    _cleanup_(buf_done) struct buf options = BUF_INIT(4096);

    /*
     * Our statements touch a few rows by index each. A plan made while a table was small must not
     * scan it when it has grown: prepared statements keep their plans until statistics change, and
     * those come late. Bitmaps and materialised rows are ways to scan an index of all open requests
     * that looked short.
     */
    buf_addf(&options,
             "%s -c statement_timeout=%" PRId64 " -c TimeZone=UTC -c jit=off -c enable_seqscan=off"
             " -c enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off"
             " -c enable_material=off -c plan_cache_mode=force_generic_plan",
             own ? own : "", statement_timeout_ms);
    pairs_set(&p, "fallback_application_name", "parley");
    pairs_set(&p, "client_encoding", "UTF8");
    pairs_set(&p, "gssencmode", "disable"); /* looking for Kerberos tickets blocks */
    tls_by_default(u, &p);
    for (const PQconninfoOption *o = u->options; o->keyword; o++)
        if (o->val) pairs_set(&p, o->keyword, o->val);
    if (u->password) pairs_set(&p, "password", u->password);
    pairs_set(&p, "options", options.p);
    if (hosts) {
        pairs_set(&p, "host", hosts->names.p);
        pairs_set(&p, "hostaddr", hosts->addresses.p);
        pairs_set(&p, "port", hosts->ports.p);
    }
    PGconn *pq = PQconnectStartParams(p.keys, p.values, 0);
    if (pq) PQsetNoticeReceiver(pq, on_notice, NULL);
    return pq;
}
