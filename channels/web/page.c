/* page: the files of the page, carried inside the program. */
#include "channels/web/web_impl.h"
#include "core/net/sign.h"

#define ETAG_MAX 40
#define KEY_MAX  1024

/*
 * Scripts and styles only from us, nothing inline, nobody may frame us. The page's own script makes
 * no HTML out of text; trusted types have the browser see to that.
 */
static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

static const struct {
    const char *end, *type;
} types[] = {
    { ".html", "text/html; charset=utf-8" },         { ".js", "text/javascript; charset=utf-8" },
    { ".css", "text/css; charset=utf-8" },           { ".svg", "image/svg+xml" },
    { ".webmanifest", "application/manifest+json" },
};

static struct str type_of(struct str name)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (str_ends(name, str_of(types[i].end))) return str_of(types[i].type);
    return STR("application/octet-stream");
}

static const struct embedded_file *file_find(struct str name)
{
    for (const struct embedded_file *f = embedded_page; f->name; f++)
        if (str_eq(name, str_of(f->name))) return f;
    return NULL;
}

static void etag_of(const struct embedded_file *f, char ret[ETAG_MAX])
{
    uint8_t digest[32];
    sign_sha256(str_from((const char *)f->bytes, f->n), digest);
    ret[0] = '"';
    sign_hex(digest, 16, ret + 1);
    memcpy(ret + 33, "\"", 2);
}

bool page_answer(struct http_in *in, int status, struct str name)
{
    const struct embedded_file *f = file_find(name);
    if (!f) return false;
    char etag[ETAG_MAX];
    etag_of(f, etag);
    bool known = status == 200 && str_eq(http_in_header(in, "If-None-Match"), str_of(etag));
    const struct http_header headers[] = {
        { STR("Content-Type"), type_of(name) },
        { STR("Content-Security-Policy"), str_of(policy) },
        { STR("X-Content-Type-Options"), STR("nosniff") },
        { STR("Referrer-Policy"), STR("no-referrer") },
        { STR("Cross-Origin-Opener-Policy"), STR("same-origin") },
        { STR("Cross-Origin-Resource-Policy"), STR("same-origin") },
        /* Always asked for again, so that a new version is a new page; 304 keeps that cheap. */
        { STR("Cache-Control"), status == 200 ? STR("no-cache") : STR("no-store") },
        { STR("ETag"), str_of(etag) },
    };
    http_answer_with(in, known ? 304 : status, headers, sizeof(headers) / sizeof(*headers),
                     known ? STR_NONE : str_from((const char *)f->bytes, f->n));
    return true;
}

/* By a name that is not this machine's: see access.c. */
static void answer_stranger(const struct web *w, struct http_in *in)
{
    int port = http_server_port(w->channel.host->server);
    http_answer_error(in, 403,
                      "this chat is for its own machine: open http://127.0.0.1:%d there, or "
                      "configure a key for the web channel",
                      port);
}

void page_get(struct http_route *route, struct http_in *in)
{
    struct web *w = container_of(route, struct web, page);
    _cleanup_(buf_done) struct buf guess = BUF_INIT(KEY_MAX);
    if (!access_host_known(w, in)) {
        answer_stranger(w, in);
        return;
    }
    bool guessed = http_in_query(in, "key", &guess);
    if (*w->key && guessed && !access_granted(w, in)) {
        access_invite(w, in, buf_str(&guess));
        return;
    }
    if (guessed) { /* in already, or no key is needed */
        const struct http_header headers[] = { { STR("Location"), STR("/") } };
        http_answer_with(in, 303, headers, 1, STR_NONE);
        return;
    }
    bool granted = access_granted(w, in);
    page_answer(in, granted ? 200 : 401, granted ? STR("index.html") : STR("denied.html"));
}

/* Nothing in them is a secret. */
void assets_get(struct http_route *route, struct http_in *in)
{
    (void)route;
    struct str name = str_skip(in->path, strlen("/assets/"));
    if (str_ends(name, STR(".html")) || !page_answer(in, 200, name))
        http_answer_error(in, 404, "no such file");
}
