/*
 * tls_client - what a client of TLS trusts, for a library that drives OpenSSL itself.
 */
#pragma once
#include "core/base/err.h"

struct ssl_ctx_st; /* OpenSSL's SSL_CTX */
/*
 * TLS 1.2 and 1.3, the peer's certificate is checked.
 * ca_file  PEM, trusted besides the system's authorities; "" = only those
 * ERR_CONF: it cannot be read.
 */
enum err_kind tls_client_open(const char *ca_file, struct ssl_ctx_st **ret, struct err *why);
void tls_client_close(struct ssl_ctx_st *ctx); /* its connections may live on; NULL is fine */

/* Why a certificate is refused. store_ctx: the X509_STORE_CTX that a verify callback was given. */
const char *tls_client_refusal(void *store_ctx);
