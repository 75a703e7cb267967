/* picture: see picture.h. */
#include "core/chat/picture.h"

#include "core/chat/turn.h"
#include "core/store/attachment.h"

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

enum flow_rc pictures_start(struct turn *t)
{
    _cleanup_(buf_done) struct buf ids = BUF_INIT(4096);
    struct uuid id;
    if (!anybody_sees(turn_route(t))) return FLOW_NEXT;
    for (size_t i = 0; i < t->pictures.n; i++) {
        struct str ref = str_skip(t->pictures.v[i].url, sizeof(ATTACHMENT_REF) - 1);
        if (is_kept_here(&t->pictures.v[i]) && uuid_parse(ref, &id))
            buf_addf(&ids, "%c%.*s", ids.n ? ',' : '{', STR_ARG(ref));
    }
    if (!ids.n || ids.full) return FLOW_NEXT;
    buf_add_char(&ids, '}');
    store_attachments(t->chat->store, &t->flow.op, arena_dup(&t->arena, buf_str(&ids)), &t->rows);
    return FLOW_WAIT;
}

static bool load(struct turn *t, struct model_picture *p)
{
    struct uuid id;
    if (!is_kept_here(p)) return true;
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

void pictures_loaded(struct turn *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->pictures.n; i++) {
        struct model_picture p = t->pictures.v[i];
        if (load(t, &p)) t->pictures.v[n++] = p;
    }
    t->pictures.n = n;
}
