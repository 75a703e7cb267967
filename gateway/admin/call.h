/*
 * call - one request to the admin API on its way: who asks, may they, is it well formed, do it,
 * answer. What an operation's own functions get to see.
 */
#pragma once
#include "core/base/arena.h"
#include "core/cache/rate.h"
#include "core/net/redis.h"
#include "gateway/admin/admin.h"
#include "gateway/admin/op.h"

struct admin_call {
    struct flow flow; /* linked in admin->calls */
    struct admin *admin;
    const struct admin_op *op;
    struct http_in *in;     /* NULL: nobody waits for the answer any more */
    struct str parts[4];    /* of the path: what stands for the {names}, in their order */
    struct str key;         /* as given; "" = none */
    struct str once;        /* the name under which idempotency keeps the answer; "" = none */
    struct arena arena;     /* until the call ends */
    struct buf actor, args; /* JSON objects: $1 and $2 of the SQL */
    struct json *given;     /* the arguments once more, without what `check` adds */
    int64_t limit;          /* rows of a page */
    struct pg_rows rows;
    struct redis_reply reply;
    void *mine; /* the operation's own, between run and ran */
    struct rate_answer rate;
    struct rate_ask rate_ask;
    struct pg_value values[6];
    int status; /* 0: not answered yet */
    const char *content_type;
    struct buf body;
    uint32_t retry_after_s; /* 0 = not said */
    char etag[24];          /* "" = none */
    const char *shown_name; /* a secret that is in this answer and nowhere else: a member's name */
    struct str shown;       /* and its value */
};

/* The answer: a JSON text, copied. FLOW_NEXT. */
enum flow_rc admin_answer(struct admin_call *call, int status, struct str json);
/*
 * The answer is a no: application/problem+json of RFC 9457.
 * field    which argument or header was wrong; "" = none in particular
 * Returns FLOW_STOP.
 */
enum flow_rc admin_problem(struct admin_call *call, int status, const char *field, const char *fmt,
                           ...) __attribute__((format(printf, 4, 5)));
/* The same from what PostgreSQL said: admin_fail's statuses, conflicts, or that it is away. */
enum flow_rc admin_problem_of(struct admin_call *call, const struct err *why);

/*
 * args.c: the arguments of the request, checked by the operation's table, into call->args.
 * False: admin_problem has been called.
 */
bool admin_args_read(struct admin_call *call);

/* A page that C writes: open, rows, close. next: what `after` will be; "" = there is no more. */
void admin_page_open(struct json_out *to);
void admin_page_close(struct json_out *to, struct str next);

/*
 * secret.c: a new secret for whoever asked: random bytes; with an Idempotency-Key always the same
 * ones for that key, so that a repeated request shows what the lost answer showed.
 * purpose  keeps the secrets of different things apart
 */
void admin_secret_new(const struct admin_call *call, const char *purpose, uint8_t ret[32]);
/* Show it in this answer, and in no other. name: the member's; text: copied. */
void admin_secret_show(struct admin_call *call, const char *name, struct str text);
/*
 * The secret of a webhook, for the database: into `more`, as "sealed". Without one that is given we
 * make one, in the form of Standard Webhooks, and show it as "secret".
 * key      to seal with
 * given    "" = none
 * Returns the secret, which lives as long as the call.
 */
struct str admin_secret_seal(struct admin_call *call, const char *purpose, const uint8_t key[32],
                             struct str given, struct json_out *more);

/* Begin a call; it answers `in` by itself. */
void admin_call_begin(struct admin *admin, const struct admin_op *op, struct http_in *in,
                      const struct str parts[4]);
extern const struct flow_kind admin_call_flow;
