/*
 * http_client_reply - what a reply of the HTTP client says.
 */
#include "core/net/http_client.h"

#include "core/base/clock.h"

#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>

void http_reply_done(struct http_reply *r)
{
    buf_done(&r->body);
    buf_done(&r->head);
}

struct str http_reply_header(const struct http_reply *r, const char *name)
{
    struct str rest = buf_str(&r->head);
    while (rest.n) {
        struct str value = str_cut(&rest, '\n');
        if (str_eq_nocase(str_cut(&value, ':'), str_of(name))) return str_trim(value);
    }
    return STR_NONE;
}

static uint32_t hint_ms(double ms)
{
    return ms > 0 && ms <= INT32_MAX ? (uint32_t)ceil(ms) : 0;
}

uint32_t http_retry_hint_ms(const struct http_reply *r)
{
    char *end;
    double ms = strtod(r->retry_after_ms, &end);
    if (end != r->retry_after_ms && hint_ms(ms)) return hint_ms(ms);
    double seconds = strtod(r->retry_after, &end);
    if (end != r->retry_after && !*end) return hint_ms(seconds * 1000);
    time_t at = curl_getdate(r->retry_after, NULL);
    return at == -1 ? 0 : hint_ms((double)at * 1000 - (double)clock_wall_ms());
}
