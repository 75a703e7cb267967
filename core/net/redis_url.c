/*
 * Reads a Redis URL. The texts of its errors never quote what may hold a password.
 */
#include "core/net/redis_url.h"
#include "core/base/mem.h"
#include "core/base/str.h"

#define REDIS_PORT    6379
#define REDIS_DB_MAX  65535
#define UNIX_PATH_MAX 107 /* sun_path without its NUL */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* NULL: a broken escape, or a NUL, which no C string can carry. */
static char *percent_decode(struct str s)
{
    char *out = mem_alloc(s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%') {
            int high = i + 2 < s.n ? hex_value(s.p[i + 1]) : -1;
            int low = i + 2 < s.n ? hex_value(s.p[i + 2]) : -1;
            if (high < 0 || low < 0) goto broken;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (c == '\0') goto broken;
        out[n++] = c;
    }
    return out;
broken:
    free(out);
    return NULL;
}

static enum err_kind parse_db(struct str s, int64_t *ret, struct err *why)
{
    int64_t db;

    if (!str_i64(s, &db) || db < 0 || db > REDIS_DB_MAX)
        return err_set(why, ERR_CONF, "redis url: the database is a number of 0 to %d",
                       REDIS_DB_MAX);
    *ret = db;
    return ERR_NONE;
}

static enum err_kind parse_query(struct str query, struct redis_target *t, struct err *why)
{
    while (query.n) {
        struct str value = str_cut(&query, '&');
        struct str key = str_cut(&value, '=');
        if (!str_eq(key, STR("db")))
            return err_set(why, ERR_CONF,
                           "redis url: only ?db=N is known behind the question mark");
        if (parse_db(value, &t->db, why)) return ERR_CONF;
    }
    return ERR_NONE;
}

/* "user:password", "user" or ":password" */
static enum err_kind parse_credentials(struct str s, struct redis_target *t, struct err *why)
{
    struct str password = s;
    struct str user = str_cut(&password, ':');

    free(t->user);
    free(t->password);
    t->user = percent_decode(user);
    t->password = percent_decode(password);
    if (!t->user || !t->password)
        return err_set(why, ERR_CONF, "redis url: bad percent escape in user or password");
    return ERR_NONE;
}

static enum err_kind parse_host(struct str s, struct redis_target *t, struct err *why)
{
    struct str host = s, port = STR_NONE;
    uint64_t number = REDIS_PORT;

    if (str_starts(s, STR("["))) {
        size_t end = str_find_char(s, ']');
        if (end == SIZE_MAX) return err_set(why, ERR_CONF, "redis url: '[' without ']'");
        host = str_from(s.p + 1, end - 1);
        port = str_skip(s, end + 1);
        if (port.n && !str_starts(port, STR(":")))
            return err_set(why, ERR_CONF, "redis url: junk behind ']'");
        port = str_skip(port, 1);
    } else if (str_find_char(s, ':') != SIZE_MAX) {
        port = s;
        host = str_cut(&port, ':');
    }
    if (!host.n) return err_set(why, ERR_CONF, "redis url: no host");
    if (port.n && (!str_u64(port, &number) || number == 0 || number > UINT16_MAX))
        return err_set(why, ERR_CONF, "redis url: the port is a number of 1 to 65535");
    t->port = (uint16_t)number;
    free(t->host);
    t->host = mem_dup(host);
    return ERR_NONE;
}

static enum err_kind parse_tcp(struct str rest, struct redis_target *t, struct err *why)
{
    struct str db = rest;
    struct str host = str_cut(&db, '/');

    if (parse_host(host, t, why)) return ERR_CONF;
    return db.n ? parse_db(db, &t->db, why) : ERR_NONE;
}

static enum err_kind parse_unix(struct str rest, struct redis_target *t, struct err *why)
{
    free(t->path);
    t->path = percent_decode(rest);
    if (!t->path) return err_set(why, ERR_CONF, "redis url: bad percent escape in the path");
    if (t->path[0] != '/')
        return err_set(why, ERR_CONF, "redis url: a unix socket has an absolute path: unix:///...");
    if (strlen(t->path) > UNIX_PATH_MAX)
        return err_set(why, ERR_CONF, "redis url: the socket's path is longer than %d bytes",
                       UNIX_PATH_MAX);
    return ERR_NONE;
}

static enum err_kind parse_scheme(struct str *url, struct redis_target *t, bool *ret_unix,
                                  struct err *why)
{
    static const struct {
        const char *prefix;
        bool tls, local;
    } schemes[] = {
        { "redis://", false, false },
        { "rediss://", true, false },
        { "unix://", false, true },
        { "redis+unix://", false, true },
    };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct str prefix = str_of(schemes[i].prefix);
        if (!str_starts_nocase(*url, prefix)) continue;
        *url = str_skip(*url, prefix.n);
        t->tls = schemes[i].tls;
        *ret_unix = schemes[i].local;
        return ERR_NONE;
    }
    return err_set(why, ERR_CONF,
                   "redis url: begins with redis://, rediss://, unix:// or redis+unix://");
}

/* The last '@' before the path ends the credentials: a password may hold one that is not escaped.
 */
static struct str cut_credentials(struct str *rest)
{
    size_t at = SIZE_MAX;

    for (size_t i = 0; i < rest->n && rest->p[i] != '/'; i++)
        if (rest->p[i] == '@') at = i;
    if (at == SIZE_MAX) return STR_NONE;
    struct str credentials = str_head(*rest, at);
    *rest = str_skip(*rest, at + 1);
    return credentials;
}

static enum err_kind parse_all(struct str url, struct redis_target *t, struct err *why)
{
    bool local = false;

    if (parse_scheme(&url, t, &local, why)) return ERR_CONF;
    struct str query = url;
    struct str rest = str_cut(&query, '?');
    struct str credentials = cut_credentials(&rest);
    if (parse_credentials(credentials, t, why)) return ERR_CONF;
    if ((local ? parse_unix : parse_tcp)(rest, t, why)) return ERR_CONF;
    return parse_query(query, t, why);
}

enum err_kind redis_url_parse(const char *url, struct redis_target *ret, struct err *why)
{
    struct redis_target t = { .host = mem_dup(STR_NONE), .path = mem_dup(STR_NONE) };

    if (parse_all(str_of(url), &t, why)) {
        redis_target_done(&t);
        return ERR_CONF;
    }
    *ret = t;
    return ERR_NONE;
}

void redis_target_done(struct redis_target *t)
{
    free(t->host);
    free(t->path);
    free(t->user);
    free(t->password);
    *t = (struct redis_target){ .host = NULL };
}
