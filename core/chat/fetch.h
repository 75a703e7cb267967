/*
 * fetch - a file that somebody sent along, from where it lies, as bounded bytes.
 */
#pragma once
#include "core/base/buf.h"
#include "core/loop/op.h"
#include "core/net/http_client.h"

#define FETCH_MS 10000 /* of one file, its name's resolution included */

struct fetch {
    struct str url;                    /* never logged: it may hold a token */
    const struct http_header *headers; /* borrowed until the op ends, with all they point to */
    size_t n_headers;
    size_t bytes_max;
    bool (*guard)(const struct sockaddr *to); /* as http_request.guard */
};

/*
 * f        copied, except for its headers
 * ret      empty; its content is replaced. The caller's to free, also after a failure
 * op       succeeds with a 200 and its whole body. Else err.msg is a few words for a model, without
 *          any part of the address: ERR_LIMIT larger than bytes_max, ERR_TIMEOUT, ERR_REFUSED by
 *          the guard, a redirect (none is followed) or any other status, ERR_IO
 * Cancel closes the connection.
 */
void fetch_file(struct http_client *http, struct op *op, const struct fetch *f, struct buf *ret);
