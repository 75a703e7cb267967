/*
 * redis_url - where a Redis is and how to get in, read from a URL. Pure.
 */
#pragma once
#include "core/base/err.h"
#include <stdint.h>

struct redis_target {
    char *host; /* "" for a unix socket; an IPv6 address is without its brackets */
    char *path; /* of the unix socket; "" otherwise */
    char *user, *password;
    int64_t db;
    uint16_t port;
    bool tls;
};

/*
 * redis:// and rediss://[user[:password]@]host[:port][/db], unix:// and
 * redis+unix://[user[:password]@]/path; user, password and path are percent-decoded; ?db=N works
 * with all of them. ret: free with redis_target_done. ERR_CONF: what is wrong, without a word of
 * the credentials.
 */
enum err_kind redis_url_parse(const char *url, struct redis_target *ret, struct err *why);
void redis_target_done(struct redis_target *t);
