/*
 * tls - the server side of TLS over memory, by OpenSSL: cipher text in, plain text out, and back.
 * TLS 1.2 and 1.3. Knows no sockets.
 */
#pragma once
#include "core/base/err.h"
#include "core/base/str.h"

struct tls; /* certificate and key */
/* ERR_CONF: a file that cannot be read, or a key that does not fit the certificate. */
enum err_kind tls_open(const char *cert_file, const char *key_file, struct tls **ret,
                       struct err *why);
void tls_close(struct tls *t); /* its connections may live on; NULL is fine */

struct tls_conn;
struct tls_conn *tls_conn_new(struct tls *t);
void tls_conn_free(struct tls_conn *c); /* NULL is fine */

void tls_feed(struct tls_conn *c, struct str cipher);
enum tls_read { TLS_READ_SOME, TLS_READ_MORE, TLS_READ_END, TLS_READ_BAD };
/* Plain text of what was fed. SOME: *ret_n bytes; MORE: feed first; END: the peer said goodbye. */
enum tls_read tls_read(struct tls_conn *c, char *into, size_t max, size_t *ret_n);
/* Encrypt; the cipher text waits in tls_pending. False before the handshake is through. */
bool tls_write(struct tls_conn *c, struct str plain);
void tls_goodbye(struct tls_conn *c); /* close_notify */

struct str tls_pending(struct tls_conn *c); /* to be sent; valid until the next call */
void tls_sent(struct tls_conn *c);          /* all of it was taken */
/* Why TLS_READ_BAD, for a log line. */
const char *tls_reason(char ret[120]);
