/*
 * op - an operation of the admin API: one entry of a table says what it is called, what it takes,
 * what it answers and how it is done. From the tables come the routes, the checks of what is
 * given, the OpenAPI description, the commands of the command line, its completion and the manual.
 *
 * A subject is one file of this folder with one table, and one line in ops.c.
 */
#pragma once
#include "core/base/json.h"
#include "core/loop/flow.h"
#include "core/net/pg.h"

enum admin_kind {
    ADMIN_TEXT,   /* min..max bytes */
    ADMIN_INT,    /* min..max */
    ADMIN_NUMBER, /* min..max */
    ADMIN_BOOL,
    ADMIN_UUID,
    ADMIN_TIME,   /* RFC 3339 */
    ADMIN_WORD,   /* one of `words` */
    ADMIN_TEXTS,  /* a list of up to max strings */
    ADMIN_OBJECT, /* any JSON object */
    ADMIN_ANY,    /* any JSON */
};

#define ADMIN_REQUIRED 1u
#define ADMIN_NULLABLE 2u /* null is a value of its own: "none", where absent is "as it was" */
#define ADMIN_ONCE     4u /* a secret, in the answer to what made it and in no other */

struct admin_field {
    const char *name; /* NULL ends a table */
    enum admin_kind kind;
    unsigned flags;
    int64_t min, max; /* both 0: 1..1000 bytes of a text, any number, up to 100 texts */
    const char *const *words;
    const char *help; /* one sentence */
};
#define ADMIN_END    \
    {                \
        .name = NULL \
    }

/* What most subjects have, so that it reads the same in all of them. */
#define ADMIN_FIELD_ID                                      \
    {                                                       \
        "id", ADMIN_UUID, ADMIN_REQUIRED, .help = "Its id." \
    }
#define ADMIN_FIELD_NAME                                        \
    {                                                           \
        "name", ADMIN_TEXT, ADMIN_REQUIRED, .help = "Its name." \
    }
#define ADMIN_FIELD_VERSION                                           \
    {                                                                 \
        "version", ADMIN_INT, ADMIN_REQUIRED, .help = "For If-Match." \
    }
#define ADMIN_FIELD_CREATED_AT                                                \
    {                                                                         \
        "created_at", ADMIN_TIME, ADMIN_REQUIRED, .help = "When it was made." \
    }

/* What an answer is: a JSON object with these members, or a page of them. */
struct admin_type {
    const char *name;                 /* "Flag": the schema's name */
    const struct admin_field *fields; /* ADMIN_REQUIRED: always there; the first ones are a table's
                                         columns on the command line */
    /* A boolean member that says whether all is well: if not, the command's exit status is 1. */
    const char *verdict;
};

#define ADMIN_LIST      1u  /* pages of up to `limit` rows; `after` is given on by us */
#define ADMIN_CREATES   2u  /* answers 201 */
#define ADMIN_LIMIT_MAX 200 /* rows of a page */

struct admin_call;
struct admin_op {
    const char *id;     /* "flags.set": the command's words, the OpenAPI operationId */
    const char *method; /* GET, POST, PUT, PATCH, DELETE */
    const char *path;   /* under /admin/v1: "/flags/{name}" */
    const char *scope;  /* "flags:read"; NULL = everybody may, without a key */
    const char *summary;
    /* In the path those named there; else in the query (GET, DELETE) or in the body. */
    const struct admin_field *args;
    const struct admin_type *answer; /* NULL: 204 */
    unsigned flags;
    /*
     * ADMIN_LIST: the member of a row that it is ordered by and goes on after, unique. The SQL
     * gets $2->>'after' (that member's text, absent at the beginning) and $2->>'limit' (one more
     * than is shown, so that we see whether there is more).
     */
    const char *cursor;
    /*
     * After the table's own checks, before anything is done: what only C knows. It may add
     * arguments for the SQL to `more`. False: it has called admin_problem.
     */
    bool (*check)(struct admin_call *call, struct json *args, struct json_out *more);
    /*
     * Before it is done: SQL as `read`, no row = 404. Its row goes to `looked` (NULL: it
     * is enough that it is there), which may refuse. False: it has called admin_problem.
     */
    struct pg_stmt look;
    bool (*looked)(struct admin_call *call, struct str row);
    /*
     * One of three ways to do it. `read`: SQL of one jsonb column, $1 = the actor (key, user,
     * role, name, ip, user_agent), $2 = the arguments, both jsonb; no row = 404. `run`: in C, as a
     * step of a flow: FLOW_NEXT after admin_answer, FLOW_STOP after admin_problem, FLOW_WAIT when
     * it began call->flow.op, after whose success `ran` goes on (NULL: by 204). Neither: it changes
     * something, by the function admin_<id with _ for .>(actor jsonb, args jsonb) RETURNS jsonb, in
     * one transaction with its line in audit_logs. A row with a "version" is answered with an ETag;
     * If-Match comes in as "if_match", and admin_match() compares. Functions fail by
     * admin_fail(status, field, text).
     */
    struct pg_stmt read;
    enum flow_rc (*run)(struct admin_call *call);
    enum flow_rc (*ran)(struct admin_call *call);
    const char *push; /* after a change: tell all processes on this channel of Redis; NULL = none */
};

/* Each subject's table ends with an entry without id; this is the list of them, ended by NULL. */
extern const struct admin_op *const admin_ops[];

extern const struct admin_field admin_page_args[]; /* what every ADMIN_LIST takes besides */
/* Of operations on one thing: its {name}, or its {id}. */
extern const struct admin_field admin_name_args[];
extern const struct admin_field admin_id_args[];

bool admin_takes_body(const struct admin_op *op);
bool admin_in_path(const struct admin_op *op, const char *name); /* has its path a {name}? */
