/*
 * The client's side of TLS, see tls_client.h. Names in certificates are checked by whoever knows
 * them, a connection at a time.
 */
#include "core/net/tls_client.h"
#include "core/net/tls.h"
#include <openssl/err.h>
#include <openssl/ssl.h>

enum err_kind tls_client_open(const char *ca_file, struct ssl_ctx_st **ret, struct err *why)
{
    char text[120];
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (!ctx) return err_set(why, ERR_BUG, "TLS: %s", tls_reason(text));
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    ERR_clear_error();
    if (SSL_CTX_set_default_verify_paths(ctx) != 1)
        err_set(why, ERR_CONF, "the system's certificates: %s", tls_reason(text));
    else if (*ca_file && SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1)
        err_set(why, ERR_CONF, "ca_file %s: %s", ca_file, tls_reason(text));
    else {
        *ret = ctx;
        return ERR_NONE;
    }
    SSL_CTX_free(ctx);
    return ERR_CONF;
}

void tls_client_close(struct ssl_ctx_st *ctx)
{
    SSL_CTX_free(ctx); /* counted: connections hold it */
}

const char *tls_client_refusal(void *store_ctx)
{
    return X509_verify_cert_error_string(X509_STORE_CTX_get_error(store_ctx));
}
