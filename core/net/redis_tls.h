/*
 * redis_tls - rediss://: TLS for a connection of hiredis, with the peer's name checked. Needs
 * hiredis 1.0 or newer (Debian 13); on older ones redis_tls_new says so.
 */
#pragma once
#include "core/net/redis.h"

struct redis_tls;
struct redisAsyncContext;

/*
 * host     the name or address the certificate must carry
 * ERR_CONF: no TLS in the installed hiredis, or a certificate or key that cannot be used.
 */
enum err_kind redis_tls_new(const struct redis_conf *conf, const char *host, struct redis_tls **ret,
                            struct err *why);
void redis_tls_free(struct redis_tls *tls); /* NULL is fine */

/* Begin TLS on a connection that is being made; false: ac's errstr says why. */
bool redis_tls_start(const struct redis_tls *tls, struct redisAsyncContext *ac);
