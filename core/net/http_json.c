/* http_json: see http_json.h. */
#include "core/net/http_json.h"
#include "core/loop/work_json.h"

#define PARSE_MS 60000 /* the limit of work_json */

/* What a lost exchange means depends on whether the request went out. */
static void fail(struct http_json *j, struct err why)
{
    if (why.kind == ERR_TIMEOUT) why.kind = j->reply->sent ? ERR_UNKNOWN : ERR_IO;
    if (why.kind == ERR_PROTO) why.kind = ERR_UNKNOWN;
    if (why.kind == ERR_LIMIT) why.kind = ERR_REFUSED;
    if (why.kind == ERR_AUTH) why.kind = ERR_IO; /* a certificate: not the platform's word */
    op_fail(j->outer, &why);
}

/* Text that is no JSON is an answer, too: its status counts. */
static void on_parsed(struct op *inner)
{
    op_finish(container_of(inner, struct http_json, inner)->outer);
}

static void on_http(struct op *inner)
{
    struct http_json *j = container_of(inner, struct http_json, inner);
    if (inner->err.kind) {
        fail(j, inner->err);
    } else if (j->reply->body.n > WORK_JSON_BYTES) {
        op_init(&j->inner, j->outer->loop, on_parsed);
        work_json_parse(&j->inner, &j->reply->body, j->ret);
    } else {
        json_parse(buf_str(&j->reply->body), j->ret, NULL);
        op_finish(j->outer);
    }
}

static void http_json_drop(struct op *op)
{
    op_cancel(&((struct http_json *)op->impl)->inner);
}

static const struct op_kind kind = { "http.json", http_json_drop };

void http_json(struct http_client *client, struct http_json *j, struct op *op,
               const struct http_request *rq, struct http_reply *reply, struct json **ret)
{
    *j = (struct http_json){ .outer = op, .reply = reply, .ret = ret };
    *ret = NULL;
    op_begin(op, &kind, j, (uint64_t)rq->total_ms + PARSE_MS);
    op_init(&j->inner, op->loop, on_http);
    http_request(client, &j->inner, rq, reply);
}
