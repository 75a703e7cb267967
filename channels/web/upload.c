/*
 * upload: a file that goes along with a message to come. POST /attachments?name=..., the bytes as
 * they are -> {"id": uuid, "kind": "photo" | "document", "name": ...}.
 */
#include "channels/web/web_impl.h"
#include "core/base/mem.h"
#include "core/model/picture.h"
#include "core/net/sign.h"
#include "core/store/attachment.h"

#define UPLOADS_MAX        16 /* at once */
#define UPLOADS_PER_MINUTE 60 /* from one address */
#define NAME_MAX_BYTES     200
#define MIME_MAX           127

struct upload {
    struct list link;
    struct web *web;
    struct http_in *in; /* NULL: the person has left */
    struct op op;
    struct rate_answer rate;
    struct pg_rows rows;
    struct buf name, base64;
    char identity[SESSION_IDENTITY_MAX];
    char mime[MIME_MAX + 1];
    struct uuid id;
};

static void upload_free(struct upload *u)
{
    op_cancel(&u->op);
    list_drop(&u->link);
    pg_rows_done(&u->rows);
    buf_done(&u->name);
    buf_done(&u->base64);
    free(u);
}

static void on_gone(struct http_in *in)
{
    upload_free(in->user);
}

static void refuse(struct upload *u, int status, const char *why)
{
    http_answer_error(u->in, status, "%s", why);
    upload_free(u);
}

const char *web_attachment_kind(struct str mime)
{
    return str_starts(mime, STR("image/")) ? "photo" : "document";
}

static void on_stored(struct op *op)
{
    struct upload *u = container_of(op, struct upload, op);
    if (op->err.kind) {
        refuse(u, 503, "not stored, try again");
    } else if (u->rows.n_affected == 0) {
        refuse(u, 429, "too many files that were not sent yet");
    } else {
        _cleanup_(buf_done) struct buf body = BUF_INIT(4096);
        struct json_out o = JSON_OUT(&body);
        json_open(&o, '{');
        web_put_uuid(&o, "id", u->id);
        json_field_str(&o, "kind", str_of(web_attachment_kind(str_of(u->mime))));
        json_field_str(&o, "name", buf_str(&u->name));
        json_close(&o, '}');
        http_answer(u->in, 200, "application/json", buf_str(&body));
        upload_free(u);
    }
}

static void on_counted(struct op *op)
{
    struct upload *u = container_of(op, struct upload, op);
    if (op->err.kind || !u->rate.allowed) {
        refuse(u, 429, "too many files at once, try again in a minute");
        return;
    }
    const struct attachment_row row = { .id = u->id,
                                        .channel = str_of(u->web->channel.name),
                                        .face = str_of(u->identity),
                                        .name = buf_str(&u->name),
                                        .mime = str_of(u->mime),
                                        .base64 = buf_str(&u->base64) };
    u->op.done = on_stored;
    store_attachment(u->web->channel.host->store, &u->op, &row, &u->rows);
}

/* What it is, by its bytes; a picture that models cannot look at is a document. */
static void put_mime(struct upload *u, const struct http_in *in)
{
    const char *picture = picture_type(in->body);
    struct str said = http_in_header(in, "Content-Type");
    bool plain = said.n > 0 && said.n <= MIME_MAX && !str_starts_nocase(said, STR("image/"));
    for (size_t i = 0; i < said.n; i++) plain = plain && said.p[i] > ' ' && said.p[i] < 127;
    if (picture)
        snprintf(u->mime, sizeof(u->mime), "%s", picture);
    else if (plain)
        snprintf(u->mime, sizeof(u->mime), "%.*s", STR_ARG(said));
    else
        snprintf(u->mime, sizeof(u->mime), "application/octet-stream");
}

/* Names end up in texts: one line, bounded, and without what would end the mark around them. */
static void put_name(struct upload *u, const struct http_in *in)
{
    _cleanup_(buf_done) struct buf given = BUF_INIT(4096);
    buf_init(&u->name, NAME_MAX_BYTES);
    http_in_query(in, "name", &given);
    struct str name = buf_str(&given);
    name = str_head(name, utf8_prefix(name, NAME_MAX_BYTES, TEXT_BYTES));
    for (size_t i = 0; i < name.n; i++) {
        bool bad = (unsigned char)name.p[i] < ' ' || strchr("[]\x7f", name.p[i]);
        buf_add_char(&u->name, bad ? ' ' : name.p[i]);
    }
    if (!str_trim(buf_str(&u->name)).n) {
        buf_clear(&u->name);
        buf_add_cstr(&u->name, "file");
    }
}

static int may_upload(const struct web *w, const struct http_in *in, char *ret_identity)
{
    if (w->channel.paused || list_length(&w->uploads) >= UPLOADS_MAX) return 503;
    return access_check(w, in, ret_identity);
}

void upload_post(struct http_route *route, struct http_in *in)
{
    struct web *w = container_of(route, struct web, upload);
    char identity[SESSION_IDENTITY_MAX];
    int status = may_upload(w, in, identity);
    if (status || !in->body.n) {
        http_answer_error(in, status ? status : 400, "%s",
                          !status         ? "an empty file"
                          : status == 503 ? "not now, try again"
                                          : "not from this page");
        return;
    }
    struct upload *u = mem_new(struct upload);
    u->web = w;
    u->in = in;
    u->id = uuid_v7();
    in->user = u;
    in->on_gone = on_gone;
    memcpy(u->identity, identity, sizeof(identity));
    put_mime(u, in);
    put_name(u, in);
    buf_init(&u->base64, in->body.n * 2 + 64);
    sign_base64(in->body, &u->base64);
    list_push(&w->uploads, &u->link);
    op_init(&u->op, w->channel.host->loop, on_counted);
    const struct rate_ask ask = { .scope = RATE_IP,
                                  .id = in->peer,
                                  .endpoint = "upload",
                                  .max = UPLOADS_PER_MINUTE,
                                  .window_ms = 60000 };
    cache_rate_take(w->channel.host->chat->rate, &u->op, &ask, &u->rate);
}

void uploads_drop(struct web *w)
{
    while (!list_empty(&w->uploads))
        refuse(list_first(&w->uploads, struct upload, link), 503, "closing");
}
