/*
 * TLS for hiredis by an SSL object of our own: hiredis' own context checks the chain but not the
 * name in the certificate (it got an option for that only in 1.4).
 */
#include "core/net/redis_tls.h"

#ifdef PARLEY_HIREDIS_SSL
#include "core/base/mem.h"
#include <arpa/inet.h>
#include <hiredis/async.h>
#include <hiredis/hiredis_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

struct redis_tls {
    SSL_CTX *ctx;
    char *host;
    bool is_address;
};

static enum err_kind refuse(struct err *why, const char *what, const char *file)
{
    char text[160];

    ERR_error_string_n(ERR_get_error(), text, sizeof(text));
    ERR_clear_error();
    return err_set(why, ERR_CONF, "redis: %s%s: %s", what, file, text);
}

static enum err_kind load_files(SSL_CTX *ctx, const struct redis_conf *conf, struct err *why)
{
    if (*conf->ca_file) {
        if (SSL_CTX_load_verify_locations(ctx, conf->ca_file, NULL) != 1)
            return refuse(why, "ca_file ", conf->ca_file);
    } else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
        return refuse(why, "the system's certificates", "");
    }
    if (!*conf->client_cert) return ERR_NONE;
    if (SSL_CTX_use_certificate_chain_file(ctx, conf->client_cert) != 1)
        return refuse(why, "client_cert ", conf->client_cert);
    if (SSL_CTX_use_PrivateKey_file(ctx, conf->client_key, SSL_FILETYPE_PEM) != 1)
        return refuse(why, "client_key ", conf->client_key);
    return ERR_NONE;
}

static bool is_address(const char *host)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

enum err_kind redis_tls_new(const struct redis_conf *conf, const char *host, struct redis_tls **ret,
                            struct err *why)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx) return refuse(why, "TLS", "");
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    if (load_files(ctx, conf, why)) {
        SSL_CTX_free(ctx);
        return ERR_CONF;
    }
    struct redis_tls *tls = mem_new(struct redis_tls);
    tls->ctx = ctx;
    tls->host = mem_dup(str_of(host));
    tls->is_address = is_address(host);
    *ret = tls;
    return ERR_NONE;
}

void redis_tls_free(struct redis_tls *tls)
{
    if (!tls) return;
    SSL_CTX_free(tls->ctx);
    free(tls->host);
    free(tls);
}

static bool expect_host(const struct redis_tls *tls, SSL *ssl)
{
    if (tls->is_address) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), tls->host) == 1;
    return SSL_set1_host(ssl, tls->host) == 1 && SSL_set_tlsext_host_name(ssl, tls->host) == 1;
}

bool redis_tls_start(const struct redis_tls *tls, struct redisAsyncContext *ac)
{
    SSL *ssl = SSL_new(tls->ctx);

    if (!ssl) return false;
    if (expect_host(tls, ssl) && redisInitiateSSL(&ac->c, ssl) == REDIS_OK) return true;
    SSL_free(ssl);
    return false;
}

#else

enum err_kind redis_tls_new(const struct redis_conf *conf, const char *host, struct redis_tls **ret,
                            struct err *why)
{
    (void)conf, (void)host, (void)ret;
    return err_set(why, ERR_CONF,
                   "redis: rediss:// needs hiredis 1.0 or newer with TLS, and this program was "
                   "built without: use redis:// through a tunnel (stunnel), or a unix socket");
}

void redis_tls_free(struct redis_tls *tls)
{
    (void)tls;
}

bool redis_tls_start(const struct redis_tls *tls, struct redisAsyncContext *ac)
{
    (void)tls, (void)ac;
    return false;
}

#endif
