/*
 * wire - how messages get to one tool server and back: over HTTP or over a program's standard input
 * and output. It carries; what the messages mean is server.c's.
 */
#pragma once
#include "core/loop/child.h"
#include "core/net/http_client.h"
#include "core/tool/rpc.h"

#define WIRE_MESSAGE_MAX ((size_t)1024 * 1024) /* json-c takes 9 ms for it: the loop's patience */
#define WIRE_SESSION_MAX 256

/* One message to send. */
struct wire_ask {
    int64_t id;         /* of a request; 0 = a notification: no answer comes */
    const char *method; /* "tools/call"; a static text, as is version */
    struct str body;    /* copied */
    uint32_t timeout_ms;
    /* HTTP only, and copied: */
    const char *version; /* the header; NULL = not agreed upon yet */
    bool modern;         /* the modern era's headers */
    struct str name;     /* of the tool that is called */
    const struct http_header *headers;
    size_t n_headers;
};

struct wire_answer {
    int status;                 /* of HTTP; 0 elsewhere, or if none came */
    struct rpc_message message; /* rpc_message_done; an answer, or an error without an id */
};

/* Who uses it. Called from the loop. on_note must not call back. */
struct wire_user {
    void (*on_note)(void *ctx, struct str method); /* the server notifies */
    void (*on_gone)(void *ctx); /* it ended by itself; call wire_close, now or later */
    void *ctx;
};

struct wire;
struct wire_type {
    void (*ask)(struct wire *w, struct op *op, const struct wire_ask *ask, struct wire_answer *ret);
    void (*end)(struct wire *w, struct op *op);
    void (*close)(struct wire *w);
};

struct wire {
    const struct wire_type *type;
    struct loop *loop;
    struct wire_user user;
    char session[WIRE_SESSION_MAX]; /* of HTTP's legacy era, as the server named it; "" = none */
};

/*
 * ask   borrowed for the call
 * ret   zero-initialised, alive until the op ends; the message is set on success
 * op    succeeds with the answer, which may be an error of the protocol. Fails with
 *         ERR_IO       it did not go out: safe to repeat
 *         ERR_UNKNOWN  it went out, and no answer came
 *         ERR_TIMEOUT, ERR_LIMIT (a message over WIRE_MESSAGE_MAX), ERR_PROTO
 *         ERR_AUTH, ERR_NOT_FOUND, ERR_REFUSED: by the HTTP status, which is in ret->status
 * Cancel and timeout tell the server that the answer is not wanted.
 */
static inline void wire_ask(struct wire *w, struct op *op, const struct wire_ask *ask,
                            struct wire_answer *ret)
{
    w->type->ask(w, op, ask, ret);
}
/* Say goodbye, if there is a session: a second at most. How it ends says nothing. */
static inline void wire_end(struct wire *w, struct op *op)
{
    w->type->end(w, op);
}
/* What is under way fails with ERR_UNKNOWN, without a word to the server. NULL is fine. */
static inline void wire_close(struct wire *w)
{
    if (w) w->type->close(w);
}

struct wire_http_conf {
    const char *url;
    const struct http_header *headers; /* of the configuration */
    size_t n_headers;
    bool (*guard)(const struct sockaddr *to); /* as http_request.guard */
};
/* conf     outlives the wire, with all it points to */
struct wire *wire_http_open(struct loop *loop, struct http_client *http,
                            const struct wire_http_conf *conf, const struct wire_user *user);

/*
 * The protocol's first way over HTTP (2024-11-05, deprecated): one stream that stays open brings
 * all answers, and says where to send requests. It must be the same origin.
 */
struct wire *wire_sse_open(struct loop *loop, struct http_client *http,
                           const struct wire_http_conf *conf, const struct wire_user *user);

struct wire_program {
    const char *const *argv, *const *env; /* these, and the next two, as in child_conf */
    const char *directory;
    struct child_limits limits;
    const char *log_name; /* for what it writes to standard error */
};
/* program  borrowed for the call. ERR_CONF: it cannot be started. */
enum err_kind wire_stdio_open(struct loop *loop, const struct wire_program *program,
                              const struct wire_user *user, struct wire **ret, struct err *why);
