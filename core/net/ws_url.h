/*
 * ws_url - where a WebSocket is, read from a URL. Pure.
 */
#pragma once
#include "core/base/err.h"
#include "core/base/str.h"

#define WS_HOST_MAX 100  /* bytes; longer ones libwebsockets would cut in its Host header */
#define WS_PATH_MAX 2000 /* bytes, with the query: likewise */

struct ws_url {
    bool tls;
    uint16_t port;
    char host[WS_HOST_MAX + 1];          /* an IPv6 address is without its brackets */
    char authority[WS_HOST_MAX + 2 + 7]; /* for the Host header and for logs: [::1]:8080 */
    char path[WS_PATH_MAX + 2];          /* with the query, "/" at least; it may be a secret */
};

/*
 * ws://host[:port][/path][?query] and wss://. ERR_CONF: what is wrong, without a word of the URL.
 * User names and fragments are refused, so are IPv6 addresses under TLS (libwebsockets cannot check
 * certificates against them).
 */
enum err_kind ws_url_parse(struct str url, struct ws_url *ret, struct err *why);
