/*
 * picture: see picture.h. One op a picture, all at once, and one for those in PostgreSQL. What
 * fails is told to the model in the question; only the database's failure is the turn's.
 */
#include "core/chat/picture.h"

#include "core/base/mem.h"
#include "core/chat/fetch.h"
#include "core/chat/turn.h"
#include "core/model/picture.h"
#include "core/net/address.h"
#include "core/net/sign.h"
#include "core/store/attachment.h"

#define LOOK_MS   FETCH_MS /* all of them together, however many calls each takes */
#define NOTES_MAX 16384
#define SHOWN_MAX 80

struct looking {
    struct turn *turn;
    struct op *outer, inner;
    struct op_join join;
    struct op *ops; /* of the pictures, and the last one of the store, if there are ids */
    struct buf *files;
    size_t n;
    struct str ids;
};

static bool is_kept_here(const struct model_picture *p)
{
    return str_starts(p->url, STR(ATTACHMENT_REF));
}

static bool anybody_sees(const struct route *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->v[i]->sees) return true;
    return false;
}

/* ---- getting them ---- */

static void fetch_address(struct turn *t, struct op *op, struct str url, struct buf *ret)
{
    const struct chat_conf *conf = &t->chat->conf;
    bool secure = str_starts_nocase(url, STR("https://"));
    bool plain = str_starts_nocase(url, STR("http://"));
    bool trusted = (secure || plain) && address_host_listed(url, &conf->picture_hosts);
    const struct fetch f = { .url = secure || trusted ? url : STR_NONE,
                             .bytes_max = (size_t)conf->picture_max,
                             .guard = trusted ? NULL : address_is_public };
    fetch_file(t->channel->host->http, op, &f, ret);
}

static void begin_one(size_t i, struct op *child, void *ctx)
{
    struct looking *l = ctx;
    struct turn *t = l->turn;
    struct str url = i < l->n ? t->pictures.v[i].url : STR_NONE;
    if (i == l->n) {
        store_attachments(t->chat->store, child, l->ids, &t->rows);
    } else if (i >= (size_t)t->chat->conf.pictures_max || str_starts(url, STR(ATTACHMENT_REF))) {
        op_sleep(child, 0);
    } else if (!str_starts(url, STR(CHANNEL_PICTURE))) {
        fetch_address(t, child, url, &l->files[i]);
    } else if (t->channel->type->picture) {
        t->channel->type->picture(t->channel, child, str_skip(url, sizeof(CHANNEL_PICTURE) - 1),
                                  &l->files[i]);
    } else {
        op_sleep(child, 0);
    }
}

/* ---- what became of them ---- */

/* The last part of its address, which people may recognise, without what follows a "?". */
static struct str name_of(struct arena *a, struct str url, size_t i)
{
    struct str path = str_head(url, str_find_char(url, '?'));
    size_t from = path.n;
    while (from && path.p[from - 1] != '/') from--;
    struct str name = str_head(str_skip(path, from), SHOWN_MAX);
    if (!str_starts_nocase(url, STR("http")) || !name.n) return arena_printf(a, "%zu", i + 1);
    return utf8_cleaned(a, name);
}

/* NULL: it is loaded. */
static const char *take(struct looking *l, size_t i, struct model_picture *p)
{
    struct arena *a = &l->turn->arena;
    struct str file = buf_str(&l->files[i]);
    const char *type = picture_type(file);
    const struct err *why = &l->ops[i].err;
    if (i >= (size_t)l->turn->chat->conf.pictures_max) return "there are too many";
    if (why->kind == ERR_CANCELLED || why->kind == ERR_TIMEOUT) return "it took too long";
    if (why->kind) return arena_cstr(a, str_of(why->msg));
    if (file.n > (size_t)l->turn->chat->conf.picture_max) return "it is too large";
    if (!type) return "it is no picture";
    _cleanup_(buf_done) struct buf b = BUF_INIT(file.n / 3 * 4 + 8);
    sign_base64(file, &b);
    *p = (struct model_picture){ .type = str_of(type), .data = arena_dup(a, buf_str(&b)) };
    return NULL;
}

static void settle(struct looking *l)
{
    struct turn *t = l->turn;
    _cleanup_(buf_done) struct buf notes = BUF_INIT(NOTES_MAX);
    for (size_t i = 0; i < l->n; i++) {
        struct model_picture *p = &t->pictures.v[i];
        if (is_kept_here(p) && i < (size_t)t->chat->conf.pictures_max) continue;
        struct str name = name_of(&t->arena, p->url, i);
        const char *why = take(l, i, p);
        if (!why) continue;
        buf_addf(&notes, "\n[picture %.*s could not be loaded: %s]", STR_ARG(name), why);
        p->url = STR_NONE;
    }
    if (notes.n)
        t->query = arena_printf(&t->arena, "%.*s%.*s", STR_ARG(t->query), STR_ARG(buf_str(&notes)));
}

static void looking_free(struct looking *l)
{
    op_cancel(&l->inner);
    for (size_t i = 0; i < l->n; i++) buf_done(&l->files[i]);
    free(l);
}

static void looking_drop(struct op *op)
{
    looking_free(op->impl);
}

static const struct op_kind looking_kind = { "chat.pictures", looking_drop };

static void on_looked(struct op *inner)
{
    struct looking *l = container_of(inner, struct looking, inner);
    settle(l);
    bool failed = l->ids.n && l->ops[l->n].err.kind;
    if (failed) /* one that was not waited for any longer is late, not cancelled */
        op_fail(l->outer, inner->err.kind ? &inner->err : &l->ops[l->n].err);
    else
        op_finish(l->outer);
    looking_free(l);
}

/* ---- the step ---- */

static struct str kept_ids(struct turn *t)
{
    _cleanup_(buf_done) struct buf ids = BUF_INIT(4096);
    struct uuid id;
    for (size_t i = 0; i < t->pictures.n; i++) {
        struct str ref = str_skip(t->pictures.v[i].url, sizeof(ATTACHMENT_REF) - 1);
        if (is_kept_here(&t->pictures.v[i]) && uuid_parse(ref, &id))
            buf_addf(&ids, "%c%.*s", ids.n ? ',' : '{', STR_ARG(ref));
    }
    if (!ids.n || ids.full) return STR_NONE;
    buf_add_char(&ids, '}');
    return arena_dup(&t->arena, buf_str(&ids));
}

/* Told to the model, so that it does not answer as if there were none. */
static enum flow_rc leave_out(struct turn *t)
{
    t->query = arena_printf(&t->arena, "%.*s\n[pictures are switched off: %zu not shown]",
                            STR_ARG(t->query), t->pictures.n);
    t->pictures.n = 0;
    return FLOW_NEXT;
}

enum flow_rc pictures_start(struct flow *f)
{
    struct turn *t = turn_of(f);
    size_t n = t->pictures.n;
    if (!n || !anybody_sees(turn_route(t))) return FLOW_NEXT;
    if (!switch_on(t, FLAG_PICTURES)) return leave_out(t);
    struct looking *l = mem_new(struct looking);
    *l = (struct looking){ .turn = t, .outer = &t->flow.op, .n = n, .ids = kept_ids(t) };
    l->ops = arena_new_array(&t->arena, struct op, n + 1);
    l->files = arena_new_array(&t->arena, struct buf, n);
    op_init(&l->inner, t->chat->loop, on_looked);
    op_begin(l->outer, &looking_kind, l, LOOK_MS + 1000);
    op_join(&l->inner, &l->join, l->ops, n + (l->ids.n > 0), begin_one, l, LOOK_MS);
    return FLOW_WAIT;
}

static bool load(struct turn *t, struct model_picture *p)
{
    struct uuid id;
    if (!is_kept_here(p)) return p->data.n > 0;
    if (!uuid_parse(str_skip(p->url, sizeof(ATTACHMENT_REF) - 1), &id)) return false;
    for (int i = 0; i < t->rows.n; i++) {
        struct uuid found = pg_rows_uuid(&t->rows, i, 0);
        if (!uuid_eq(&found, &id)) continue;
        *p = (struct model_picture){ .type = arena_dup(&t->arena, pg_rows_str(&t->rows, i, 1)),
                                     .data = arena_dup(&t->arena, pg_rows_str(&t->rows, i, 2)) };
        return true;
    }
    return false;
}

enum flow_rc pictures_loaded(struct flow *f)
{
    struct turn *t = turn_of(f);
    size_t n = 0;
    for (size_t i = 0; i < t->pictures.n; i++) {
        struct model_picture p = t->pictures.v[i];
        if (load(t, &p)) t->pictures.v[n++] = p;
    }
    t->pictures.n = n;
    return FLOW_NEXT;
}
