/*
 * delivery - the outbox: parts of a kept reply on their way to a platform.
 *
 * pending -> sending -> sent | pending (again later) | unknown (perhaps sent) | dead (never will
 * be). The first part begins as sending: who keeps a reply sends it.
 */
#pragma once
#include "core/store/store.h"

extern const struct pg_batch_kind store_mark_kind, store_record_kind;

/* Rows of a request's parts in order: id, part, n_parts, content, notice, status, attempts,
 * wait_ms, platform_message, whether it asks for a tool. */
void store_parts(struct store *s, struct op *op, struct uuid request, struct pg_rows *rows);

/*
 * About to send: no other process may any more. Fenced by the request's attempt; also renews its
 * lease. Rows: one if it is ours to send.
 */
void store_mark(struct store *s, struct op *op, struct uuid delivery, struct uuid request,
                int attempt, int64_t lease_ms, struct pg_rows *rows);

/* What became of it. That it was sent is a fact, so not fenced; all else is, and ending the
 * request. */
struct delivery_result {
    struct uuid delivery, request;
    int attempt;
    struct str status; /* sent, pending, unknown, dead */
    struct str platform_message, error;
    int64_t retry_ms; /* pending: not before this */
    bool last;        /* the request ends with its kept outcome, if it is still ours */
};

/* Rows: one; column 1 = another request waits in the conversation. */
void store_record(struct store *s, struct op *op, const struct delivery_result *d,
                  struct pg_rows *rows);
