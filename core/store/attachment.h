/*
 * attachment - files that people send on the web page. Other platforms keep theirs.
 */
#pragma once
#include "core/store/store.h"

#define ATTACHMENTS_UNSENT_MAX 20            /* of one person; each goes after a day */
#define ATTACHMENT_REF         "attachment:" /* + id: how a message's pictures name one */

struct attachment_row {
    struct uuid id;
    struct str channel, face; /* whose */
    struct str name, mime;
    struct str base64;
};
/* n_affected: 0 = they have too many already that were not sent. */
void store_attachment(struct store *s, struct op *op, const struct attachment_row *row,
                      struct pg_rows *rows);
/*
 * They go out with a message. Repeating it changes nothing.
 * ids      "{uuid,...}"
 * Rows, in the order of the ids: id, name, mime, bytes; those that are not this person's are left
 * out.
 */
void store_attachments_send(struct store *s, struct op *op, struct str channel, struct str face,
                            struct str ids, struct pg_rows *rows);
/* Rows: id, mime, base64. */
void store_attachments(struct store *s, struct op *op, struct str ids, struct pg_rows *rows);
