/*
 * hook - webhooks in: which there are, and what comes in by one. Made and changed by the admin API.
 */
#pragma once
#include "core/store/request.h"

/* Strings live as long as the rows it was read from. */
struct hook_row {
    struct uuid user; /* who asks, when a model is asked */
    struct str name, kind;
    struct str secret, old_secret; /* sealed; "" = none, or none any more */
    struct str channel, workspace, place, thread;
    struct str template; /* "" = the ready ones */
    struct str events;   /* JSON array of names; [] = all */
    struct str mode, model;
    bool is_active;
};

/* Rows: one, or none. */
void store_hook(struct store *s, struct op *op, struct str name, struct pg_rows *rows);
bool store_hook_read(const struct pg_rows *rows, struct hook_row *ret);

/* An API key at the door, as migrations/0012_admin.sql wants it. */
struct hook_key {
    struct str hash, prefix, scope, ip, user_agent;
};
/* May it? The use is noted. One row: verdict, requests a minute (0 = not said), seconds to wait,
 * its id (nil: there is none). */
void store_hook_key(struct store *s, struct op *op, const struct hook_key *key,
                    struct pg_rows *rows);

/* What is particular to one. */
struct hook_news {
    struct str json; /* goes with the request: claimed.news */
    struct uuid key; /* the API key that it came with; nil = none */
    bool daily;      /* rq->event is a hash of the body: the same within a day is the same event */
};

/*
 * Take one in. As store_accept, whose rows it has, but for what a webhook does not have.
 * rq     user: the hook's; query: what history has as the question
 */
void store_accept_hook(struct store *s, struct op *op, const struct request_new *rq,
                       const struct hook_news *news, struct pg_rows *rows);
