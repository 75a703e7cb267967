/* store: the group-commit queues of the hot statements, opened and closed together. */
#include "core/store/store.h"
#include "core/store/delivery.h"
#include "core/store/request.h"

void store_open(struct store *s, struct loop *loop, struct pg *pg)
{
    s->loop = loop;
    s->pg = pg;
    s->accept = pg_batch_new(pg, &store_accept_kind);
    s->claim = pg_batch_new(pg, &store_claim_kind);
    s->keep = pg_batch_new(pg, &store_keep_kind);
    s->mark = pg_batch_new(pg, &store_mark_kind);
    s->record = pg_batch_new(pg, &store_record_kind);
}

void store_close(struct store *s)
{
    pg_batch_free(s->accept);
    pg_batch_free(s->claim);
    pg_batch_free(s->keep);
    pg_batch_free(s->mark);
    pg_batch_free(s->record);
}
