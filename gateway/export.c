/* export: a record a download. */
#include "gateway/export.h"

#include "core/base/mem.h"
#include "core/chat/person.h"
#include "core/net/sign.h"
#include "core/store/person.h"

#define DOWNLOADS_MAX 8 /* a document is held in memory while it is sent */

struct download {
    struct list link;
    struct http_in *in; /* NULL: the person has left */
    struct op op;
    struct pg_rows rows;
    char hash[65];
};

static void download_free(struct download *d)
{
    op_cancel(&d->op);
    list_drop(&d->link);
    pg_rows_done(&d->rows);
    free(d);
}

static void on_gone(struct http_in *in)
{
    ((struct download *)in->user)->in = NULL;
}

static void answer(struct download *d)
{
    static const struct http_header headers[] = {
        { { "Content-Type", 12 }, { "application/json", 16 } },
        { { "Content-Disposition", 19 }, { "attachment; filename=\"parley-export.json\"", 41 } },
        { { "Cache-Control", 13 }, { "no-store", 8 } },
        { { "Referrer-Policy", 15 }, { "no-referrer", 11 } },
    };
    if (d->op.err.kind)
        http_answer_error(d->in, 503, "not available now, try again");
    else if (d->rows.n == 0)
        http_answer_error(d->in, 404,
                          "this address works for an hour: ask for a new one with "
                          "/export");
    else
        http_answer_with(d->in, 200, headers, 4, pg_rows_str(&d->rows, 0, 0));
}

static void on_read(struct op *op)
{
    struct download *d = container_of(op, struct download, op);
    if (d->in) answer(d);
    download_free(d);
}

static void on_request(struct http_route *route, struct http_in *in)
{
    struct export_route *e = container_of(route, struct export_route, route);
    _cleanup_(buf_done) struct buf text = BUF_INIT(UUID_TEXT_MAX);
    struct uuid before = { .b = { 0 } };
    if (http_in_query(in, "before", &text) && !uuid_parse(buf_str(&text), &before)) {
        http_answer_error(in, 400, "before: not a UUID");
        return;
    }
    struct str token = str_skip(in->path, sizeof(EXPORT_PATH) - 1);
    uint8_t hash[32];
    if (list_length(&e->open) >= DOWNLOADS_MAX) {
        http_answer_error(in, 503, "too many downloads at once, try again");
        return;
    }
    struct download *d = mem_new(struct download);
    d->in = in;
    in->user = d;
    in->on_gone = on_gone;
    sign_sha256(token, hash);
    sign_hex(hash, sizeof hash, d->hash);
    list_push(&e->open, &d->link);
    op_init(&d->op, &e->app->loop, on_read);
    store_export(&e->app->store, &d->op, str_of(d->hash), before, &d->rows);
}

void export_open(struct export_route *e, struct app *app)
{
    *e = (struct export_route){ .app = app };
    list_init(&e->open);
    e->route =
        (struct http_route){ .method = "GET", .path = EXPORT_PATH "*", .handle = on_request };
    list_init(&e->route.link);
    http_route_add(app->server, &e->route);
}

void export_close(struct export_route *e)
{
    http_route_drop(&e->route);
    list_each (it, next, &e->open) {
        struct download *d = container_of(it, struct download, link);
        if (d->in) http_answer_error(d->in, 503, "shutting down, try again");
        download_free(d);
    }
}
