/*
 * http_json - a call of a platform's API, as an op: what comes back is JSON, and how a call got
 * lost says whether it may be made again.
 */
#pragma once
#include "core/base/json.h"
#include "core/net/http_client.h"

/* The caller's memory until the op ends. */
struct http_json {
    struct op inner, *outer;
    struct http_reply *reply;
    struct json **ret;
};
/*
 * rq, reply  as http_request
 * ret        the answer's body, free with json_free; NULL: it is no JSON. A long one is parsed on
 *            another thread.
 * op         succeeds with any status. ERR_IO: surely not done. ERR_UNKNOWN: perhaps done.
 *            ERR_REFUSED: the answer is larger than rq->reply_max.
 * Cancel: the outcome is unknown.
 */
void http_json(struct http_client *client, struct http_json *j, struct op *op,
               const struct http_request *rq, struct http_reply *reply, struct json **ret);
