/*
 * history - what people see of their conversations where the platform keeps none: in the browser.
 *
 * A thread is a place (channel, place, thread) with all its conversations, since /new begins
 * another one in the same place. Everything here is bound to a place: who asks can only reach what
 * is theirs.
 */
#pragma once
#include "core/store/store.h"

struct thread {
    struct str channel, place, thread; /* borrowed until the op ends */
};

/*
 * The threads of a place, pinned ones and the latest first, hidden ones not. Rows: thread, title
 * ("" = none given), first words, last activity in ms, pinned.
 */
void store_threads(struct store *s, struct op *op, struct str channel, struct str place,
                   int64_t limit, struct pg_rows *rows);

struct thread_page {
    struct uuid before, after; /* message ids; both nil = the newest, at most one may be set */
    int64_t limit;
    int64_t bytes_max; /* of all contents; one message always comes */
};

#define THREAD_TEXT_MAX 200000 /* characters of one message; the rest is cut */

/*
 * Messages of a thread, from the page's end on: the newest first, or with `after` the oldest first.
 * Rows: id, from the person, notice, content, how many there would have been (limit + 1 = more).
 */
void store_thread_messages(struct store *s, struct op *op, const struct thread *t,
                           const struct thread_page *page, struct pg_rows *rows);

/* What waits or is being answered in a thread, oldest first. Rows: request, message, status, the
 * page's id of the message. Of a question whether a tool may be called that is open: the request
 * that asks, the message that does, "asks". */
void store_thread_open(struct store *s, struct op *op, const struct thread *t,
                       struct pg_rows *rows);

/* Changes; rows->n_affected = 0: there is no such thread. title: "" = back to the first words. */
void store_thread_rename(struct store *s, struct op *op, const struct thread *t, struct str title,
                         struct pg_rows *rows);
void store_thread_pin(struct store *s, struct op *op, const struct thread *t, bool pinned,
                      struct pg_rows *rows);
void store_thread_hide(struct store *s, struct op *op, const struct thread *t,
                       struct pg_rows *rows);
