/* fetch: see fetch.h. */
#include "core/chat/fetch.h"

#include "core/base/mem.h"

#define URL_MAX  4096
#define SLACK_MS 1000 /* our own deadline comes last: the client knows more */

struct fetching {
    struct op inner, *outer;
    struct http_request rq;
    struct http_reply reply;
    struct buf url, *ret;
};

static void fetching_free(struct fetching *f)
{
    op_cancel(&f->inner);
    http_reply_done(&f->reply);
    buf_done(&f->url);
    free(f);
}

static void fetching_drop(struct op *op)
{
    fetching_free(op->impl);
}

static const struct op_kind fetching_kind = { "chat.fetch", fetching_drop };

/* What the client says may name hosts and addresses of our network. */
static const char *words_of(enum err_kind kind)
{
    switch (kind) {
    case ERR_LIMIT: return "it is too large";
    case ERR_TIMEOUT: return "it took too long";
    case ERR_REFUSED: return "its address is not a public one";
    default: return "its server could not be reached";
    }
}

static void judge(const struct fetching *f, struct err *why)
{
    int status = f->reply.status;
    *why = f->inner.err;
    if (why->kind)
        err_set(why, why->kind, "%s", words_of(why->kind));
    else if (status >= 300 && status < 400)
        err_set(why, ERR_REFUSED, "its server sends one elsewhere");
    else if (status != 200)
        err_set(why, ERR_REFUSED, "its server answered %d", status);
}

static void on_fetched(struct op *inner)
{
    struct fetching *f = container_of(inner, struct fetching, inner);
    struct err why = ERR_INIT;
    judge(f, &why);
    if (!why.kind) {
        buf_done(f->ret);
        *f->ret = f->reply.body;
        f->reply.body = (struct buf)BUF_INIT(0);
        op_finish(f->outer);
    } else {
        op_fail(f->outer, &why);
    }
    fetching_free(f);
}

void fetch_file(struct http_client *http, struct op *op, const struct fetch *f, struct buf *ret)
{
    struct fetching *x = mem_new(struct fetching);
    x->outer = op;
    x->ret = ret;
    x->url = (struct buf)BUF_INIT(URL_MAX);
    op_init(&x->inner, op->loop, on_fetched);
    op_begin(op, &fetching_kind, x, FETCH_MS + SLACK_MS);
    if (!f->url.n || !buf_add(&x->url, f->url)) {
        op_failf(op, ERR_REFUSED, "its address is none that is fetched");
        fetching_free(x);
        return;
    }
    x->rq = (struct http_request){
        .method = "GET",
        .url = x->url.p,
        .headers = f->headers,
        .n_headers = f->n_headers,
        .connect_ms = FETCH_MS,
        .first_byte_ms = FETCH_MS,
        .idle_ms = FETCH_MS,
        .total_ms = FETCH_MS,
        .reply_max = f->bytes_max,
        .guard = f->guard,
    };
    http_request(http, &x->inner, &x->rq, &x->reply);
}
