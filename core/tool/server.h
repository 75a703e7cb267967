/*
 * server - one configured tool server: connected when it is needed, its tools listed, calls made.
 *
 * Whether it speaks the modern or the legacy era of the protocol is found out once. A session that
 * was lost and a program that ended are begun anew, by the next one who needs them; a call that may
 * have been carried out is never repeated.
 */
#pragma once
#include "core/base/conf.h"
#include "core/flag/flag.h"
#include "core/tool/catalog.h"
#include "core/tool/wire.h"

#define SERVER_TIMEOUT_MAX_MS 600000

struct server_conf {
    const char *name;
    const char *url;                               /* "" = command */
    struct conf_list command;                      /* program and arguments */
    const char *token;                             /* sent as a bearer token; "" = none */
    struct conf_list headers;                      /* "Name: value" */
    const char *directory;                         /* where the program starts; "" = an empty one */
    int64_t memory_max, cpu_max_ms, processes_max; /* of the program; 0 = none */
    struct conf_list env; /* "NAME=value", or "NAME" for what our environment says */
    struct conf_list allow, approve, channels;
    int64_t timeout_ms, list_timeout_ms, result_max, tools_max;
    bool secure;               /* of the section: enable_mcp_security */
    bool insists;              /* the file itself says that it is on: no flag may switch it off */
    const struct flags *flags; /* NULL: as configured */
    const struct conf_list *commands; /* of the section */
    struct pins *pins;
};

struct pins;
struct server {
    struct server_conf conf;
    struct loop *loop;
    struct http_client *http;
    struct arena strings; /* of wire_conf, argv and env */
    struct wire_http_conf wire_conf;
    const char **argv, **env;
    struct wire *wire; /* NULL: none yet, or the program ended */
    enum rpc_era era;
    bool old_http;       /* it speaks the first way over HTTP: wire_sse_open */
    const char *version; /* agreed upon; NULL before */
    bool wire_secure;    /* it was made while security was on */
    bool up;             /* the handshake is done, the session is good */
    struct catalog catalog;
    bool listed, stale;
    uint64_t fresh_until_ms, spawned_at_ms;
    int64_t pins_revision; /* when it was listed */
    struct list calls, waiters;
    struct server_opening *opening; /* NULL: nobody is at it */
    unsigned n_failed;              /* times in a row */
    uint64_t retry_at_ms;
    struct err last; /* why it failed last */
    int64_t next_id;
};

/* conf     already checked; copied, its strings live as long as the server */
void server_init(struct server *s, struct loop *loop, struct http_client *http,
                 const struct server_conf *conf);
/* What is under way ends with ERR_CANCELLED. Then run the loop until it drains. */
void server_done(struct server *s);

/*
 * Have it connected and its tools listed. Finishes at once if that is so; several may wait.
 * op  fails with why it cannot be reached. After a failure it is left alone for a while, in which
 *     this fails at once.
 */
void server_ready(struct server *s, struct op *op);
/* Now: by the configuration and the flag. */
bool server_is_secure(const struct server *s);
/* Security came on while we run, and would not have let this server's address or program in. */
bool server_is_shut_out(const struct server *s);
/* Models may call it, by the configuration. */
bool server_allows(const struct server *s, const struct tool *t);
/* Security is on, and the definition is not the one that is in force: models get it no more. */
bool server_withholds(const struct server *s, const struct tool *t);

/*
 * Call one of its tools.
 * name, arguments  copied; arguments: a JSON object, "" = {}
 * to               appended to: text for the model, at most result_max and a few marks
 * ret_failed       the tool itself says that it failed
 * op  fails with ERR_NOT_FOUND (no such tool), ERR_REFUSED (the server's refusal, a changed
 *     definition, arguments that are no object), ERR_UNKNOWN (it may have been carried out),
 *     ERR_TIMEOUT, or why the server cannot be reached
 * Cancel tells the server.
 */
void server_call(struct server *s, struct op *op, struct str name, struct str arguments,
                 struct buf *to, bool *ret_failed);
/* End the session, if there is one. */
void server_end(struct server *s, struct op *op);
