/*
 * One OpenSSL object a connection between two memory BIOs. The buffers of an idle connection are
 * given back (SSL_MODE_RELEASE_BUFFERS), renegotiation is off, ALPN answers http/1.1.
 */
#include "core/net/tls.h"
#include "core/base/mem.h"
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>

struct tls {
    SSL_CTX *ctx;
};

struct tls_conn {
    SSL *ssl;
    BIO *in, *out; /* owned by ssl */
};

/* The first of OpenSSL's errors, and forget the rest: the queue belongs to the whole thread. */
static const char *reason(char ret[120])
{
    unsigned long code = ERR_get_error();
    const char *text = code ? ERR_reason_error_string(code) : NULL;

    snprintf(ret, 120, "%s", text ? text : "unknown error");
    ERR_clear_error();
    return ret;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *in, unsigned in_n, void *ctx)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    (void)ssl, (void)ctx;

    if (SSL_select_next_proto(&chosen, out_n, ours, sizeof ours - 1, in, in_n) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_NOACK;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

enum err_kind tls_open(const char *cert_file, const char *key_file, struct tls **ret,
                       struct err *why)
{
    char text[120];
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    if (!ctx) return err_set(why, ERR_BUG, "TLS: %s", reason(text));
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    ERR_clear_error();
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1)
        err_set(why, ERR_CONF, "tls_cert %s: %s", cert_file, reason(text));
    else if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        err_set(why, ERR_CONF, "tls_key %s: %s", key_file, reason(text));
    else if (SSL_CTX_check_private_key(ctx) != 1)
        err_set(why, ERR_CONF, "tls_key %s does not fit tls_cert %s", key_file, cert_file);
    else {
        struct tls *t = mem_new(struct tls);
        t->ctx = ctx;
        *ret = t;
        return ERR_NONE;
    }
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return ERR_CONF;
}

void tls_close(struct tls *t)
{
    if (!t) return;
    SSL_CTX_free(t->ctx); /* counted: connections hold it */
    free(t);
}

struct tls_conn *tls_conn_new(struct tls *t)
{
    struct tls_conn *c = mem_new(struct tls_conn);

    c->ssl = SSL_new(t->ctx);
    c->in = BIO_new(BIO_s_mem());
    c->out = BIO_new(BIO_s_mem());
    if (!c->ssl || !c->in || !c->out) abort(); /* as mem_alloc: out of memory */
    SSL_set_bio(c->ssl, c->in, c->out);
    SSL_set_accept_state(c->ssl);
    return c;
}

void tls_conn_free(struct tls_conn *c)
{
    if (!c) return;
    SSL_free(c->ssl);
    free(c);
}

void tls_feed(struct tls_conn *c, struct str cipher)
{
    BIO_write(c->in, cipher.p, (int)cipher.n);
}

enum tls_read tls_read(struct tls_conn *c, char *into, size_t max, size_t *ret_n)
{
    ERR_clear_error();
    int n = SSL_read(c->ssl, into, max > INT_MAX ? INT_MAX : (int)max);
    if (n > 0) {
        *ret_n = (size_t)n;
        return TLS_READ_SOME;
    }
    switch (SSL_get_error(c->ssl, n)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return TLS_READ_MORE;
    case SSL_ERROR_ZERO_RETURN: return TLS_READ_END;
    default: return TLS_READ_BAD;
    }
}

bool tls_write(struct tls_conn *c, struct str plain)
{
    ERR_clear_error();
    while (plain.n) {
        size_t n = plain.n > INT_MAX ? INT_MAX : plain.n;
        int wrote = SSL_write(c->ssl, plain.p, (int)n);
        if (wrote <= 0) return false;
        plain = str_skip(plain, (size_t)wrote);
    }
    return true;
}

void tls_goodbye(struct tls_conn *c)
{
    ERR_clear_error();
    SSL_shutdown(c->ssl);
}

struct str tls_pending(struct tls_conn *c)
{
    char *p = NULL;
    long n = BIO_get_mem_data(c->out, &p);
    return n > 0 ? str_from(p, (size_t)n) : STR_NONE;
}

void tls_sent(struct tls_conn *c)
{
    (void)BIO_reset(c->out);
}

const char *tls_reason(char ret[120])
{
    return reason(ret);
}
