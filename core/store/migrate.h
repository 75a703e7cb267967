/*
 * migrate - bring the database's tables up to date: forward only, numbered, checksummed, each in
 * one transaction.
 */
#pragma once
#include "core/store/store.h"

struct migrate_report {
    int n_known;   /* migrations this program carries */
    int n_applied; /* by this call */
    int n_pending; /* with dry_run: would be applied */
    char last[64]; /* name of the newest that is in the database now */
};

/*
 * Apply what is missing, and make the message partitions of the coming months. Safe when two
 * processes start at once. dry_run  only look ret      filled on success op       ERR_CONF: a
 * migration that was applied before has another text now, or the database is newer than this
 *          program (both named). ERR_REFUSED: the server refused a statement. ERR_IO: no
 * connection.
 */
void store_migrate(struct store *s, struct op *op, bool dry_run, struct migrate_report *ret);

/* Daily: partitions for the months ahead; drop months older than keep_months (0 = keep all). Rows:
 * names dropped. */
void store_partitions(struct store *s, struct op *op, int64_t keep_months, struct pg_rows *rows);
