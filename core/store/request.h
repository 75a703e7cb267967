/*
 * request - the durable queue: a person's message taken in, claimed by one process, answered once.
 *
 * queued -> running -> sending -> answered | refused | cancelled | expired; queued -> merged (into
 * another's answer). Every write after the claim carries the attempt number: a process that lost
 * its lease changes nothing.
 */
#pragma once
#include "core/store/store.h"

extern const struct pg_batch_kind store_accept_kind, store_claim_kind, store_keep_kind;

/* One message to take in. Ids are made by the caller; strings borrowed for the call. */
struct request_new {
    struct uuid request, message, user,
        conversation; /* user, conversation: used if these are new */
    struct str channel_type, channel, event;
    struct str workspace, place, thread;
    struct str from, username, display_name;
    struct str platform_message, query, ip;
    /* JSON object: direct, attachments, and what the request keeps: ticket, late_ms, pictures */
    struct str metadata;
    bool command; /* not part of what a model sees */
    bool urgent;  /* runs beside the conversation's turn */
    /* Who begins to answer it at once, should nobody be busy in its conversation, and for how long
     * that is theirs; "" = it waits for a claim. */
    struct str owner;
    int64_t lease_ms;
};

struct request_ids {
    bool fresh; /* false: the event was here before; the ids are those of the first time */
    struct uuid request, conversation, message, user;
};

/* rows: read with store_accepted, and store_claimed, after the op has succeeded. */
void store_accept(struct store *s, struct op *op, const struct request_new *rq,
                  struct pg_rows *rows);
/* It would have begun at once, and another process was quicker in its conversation: it is not
 * stored, and is to come again without an owner. */
bool store_accept_outrun(const struct err *e);
/* False: nothing came back (the conversation ended in that very moment): try again. */
bool store_accepted(const struct pg_rows *rows, struct request_ids *ret);

/* Nano a day and a month; 0 = as configured. */
struct own_limits {
    int64_t day, month;
};

/* A claimed request with all that a turn needs. Strings live as long as `rows`. */
struct claimed {
    struct uuid request, conversation, user, message;
    int attempt;
    bool sending; /* a reply is kept already: only deliver it */
    bool urgent, stop_wanted;
    bool direct;     /* one person and us; else a group */
    bool approved;   /* an admin has let the person in */
    bool blocked;    /* an admin does not want them answered */
    struct uuid key; /* the API key by which it came; nil = by none */
    struct own_limits person_limits, key_limits;
    int message_count;
    int64_t age_ms;
    int64_t late_ms; /* it was found so long after it was written; 0 = in time */
    struct str channel_type, channel;
    struct str from; /* the platform's id of the person; "" = not known any more (linked since) */
    struct str workspace, place, thread;
    struct str query, platform_message, preview_message, ip;
    struct str model_override, preferred_model, outcome;
    struct str
        summary; /* of the conversation's messages up to the ordinal summary_until; "" = none */
    int64_t summary_until;
    bool summary_off;
    struct str ticket;   /* the adapter's, to answer this very message; "" = none */
    struct str pictures; /* JSON array of addresses; "" = none */
    struct str news;     /* it came by a webhook: JSON, see chat/news.h; "" = a person wrote it */
    struct str variants; /* JSON object: which they have of what experiment; "" = of none */
};

/*
 * Claim the next request of a conversation: one whose lease has run out or is our own, else the
 * oldest that waits. urgent   the request to claim when it is an urgent one; nil otherwise rows
 * none: nothing to do, or another process is at it
 */
void store_claim(struct store *s, struct op *op, struct uuid conversation, struct uuid urgent,
                 struct str owner, int64_t lease_ms, struct pg_rows *rows);
/* Of store_claim's rows or store_accept's. False: not claimed. */
bool store_claimed(const struct pg_rows *rows, struct claimed *ret);

/*
 * Merge what else waits in the conversation, up to the next command, webhook or message with a
 * ticket (which wants an answer of its own), into `request`, and list everything merged into it,
 * oldest first. Rows: query, message id, pictures.
 */
void store_merge(struct store *s, struct op *op, const struct claimed *c, struct pg_rows *rows);

/*
 * Renew the leases of running turns. requests: "{uuid,uuid,...}". Rows: of those that are not ours
 * any more, or wanted to stop: id, and which (true = not ours).
 */
void store_renew(struct store *s, struct op *op, struct str requests, struct str owner,
                 int64_t lease_ms, struct pg_rows *rows);

/* Put a running request back into the queue (interrupted, or handed over at drain). */
void store_requeue(struct store *s, struct op *op, struct uuid request, int attempt);

/* The reply as it is kept: message, usage and deliveries in one transaction. */
struct reply_row {
    struct uuid request, reply, conversation;
    int attempt;
    struct str query;   /* what was asked, with everything merged */
    struct str answers; /* "{uuid,...}": the person's messages */
    struct str content; /* the whole reply; "" = none: the request ends at once as `outcome` */
    bool notice;        /* from Parley itself: not part of what a model sees */
    struct str outcome, reason, model;
    int64_t prompt_tokens, completion_tokens, latency_ms; /* tokens -1 = unknown */
    struct str parts; /* JSON: [{"id": uuid, "part": 0, "text": "..."}, ...] */
    int n_parts;
    struct str costs;   /* JSON: [{"id", "provider", "model", "prompt", ..., "cost"}, ...] */
    struct str receipt; /* JSON object: how the reply came about */
    /* JSON: [{"experiment", "variant", "person", "fresh", "failed", "stopped", "first_token_ms"}]:
     * what was tried on it; fresh = it is to be the unit's from now on */
    struct str exposures;
    int64_t lease_ms; /* renewed */
};

/*
 * Rows: the conversation's new message_count. None: not ours any more, nothing was written. The
 * first part is "sending" from here on, as by store_mark. Safe to repeat: what was kept under the
 * same reply by the same attempt is answered as the first time, and nothing is written.
 */
void store_keep(struct store *s, struct op *op, const struct reply_row *r, struct pg_rows *rows);

/* Remember which message of ours shows the growing answer, so that whoever goes on can edit it. */
void store_preview(struct store *s, struct op *op, struct uuid request, int attempt,
                   struct str platform_message);

/* Ask whoever runs this conversation's turn to stop. Rows: one for each running request. */
void store_stop(struct store *s, struct op *op, struct uuid conversation, struct pg_rows *rows);

/*
 * Work that nobody is doing: waiting for more than `idle_ms`, or with a lease that has run out.
 * channels: "{a,b}", those that this process has. Rows: conversation, request, urgent.
 */
void store_sweep(struct store *s, struct op *op, struct str channels, int64_t idle_ms,
                 int64_t limit, struct pg_rows *rows);

/* One row: requests open, age of the oldest in ms (0 = none). */
void store_backlog(struct store *s, struct op *op, struct pg_rows *rows);
