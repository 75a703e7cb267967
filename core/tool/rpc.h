/*
 * rpc - the messages of the Model Context Protocol: JSON-RPC out and in, for both of its eras.
 * Pure.
 *
 * Modern (2026-07-28): each request says its version, there is no session. Legacy (before): a
 * handshake by `initialize`, a session. https://modelcontextprotocol.io/specification
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/json.h"

#define RPC_MODERN_VERSION "2026-07-28"
#define RPC_LEGACY_VERSION "2025-11-25" /* what a handshake begins with */

enum rpc_era { RPC_ERA_UNKNOWN, RPC_ERA_MODERN, RPC_ERA_LEGACY };

/* A version as static text, and its era; NULL: not one that we speak. */
const char *rpc_version_find(struct str text, enum rpc_era *ret);
/* The newest of an array of versions that we speak; NULL: none. */
const char *rpc_version_best(struct json *list, enum rpc_era *ret);

/* Errors that only a modern server knows. */
#define RPC_HEADER_MISMATCH     (-32020)
#define RPC_MISSING_CAPABILITY  (-32021)
#define RPC_UNSUPPORTED_VERSION (-32022)

/*
 * Each appends one message without a line end inside.
 * id       of a request, > 0
 * version  modern: goes into _meta. NULL: legacy, there is none
 */
void rpc_put_discover(struct buf *to, int64_t id, const char *version);
void rpc_put_initialize(struct buf *to, int64_t id);
void rpc_put_initialized(struct buf *to);
void rpc_put_list(struct buf *to, int64_t id, struct str cursor, const char *version);
void rpc_put_call(struct buf *to, int64_t id, struct str name, struct json *arguments,
                  const char *version);
void rpc_put_cancelled(struct buf *to, int64_t id, const char *reason);
/* The answer to a request of the server's: a ping is well, of anything else we know nothing. */
void rpc_put_reply(struct buf *to, struct json *id, struct str method);

enum rpc_what { RPC_RESULT, RPC_ERROR, RPC_NOTE, RPC_REQUEST };

struct rpc_message {
    enum rpc_what what;
    struct json *doc; /* owns all the rest */
    int64_t id;       /* of an answer: whose; 0: it does not say, or it is none of ours */
    struct json *raw_id;
    struct str method; /* of a note or a request */
    struct json *body; /* the result, the error's data, or the params; may be NULL */
    int64_t code;      /* of an error */
    struct str text;   /* of an error */
};
/* ERR_PROTO: not JSON, or no message. Free with rpc_message_done. */
enum err_kind rpc_parse(struct str text, struct rpc_message *ret, struct err *why);
void rpc_message_done(struct rpc_message *m); /* zeroed is fine */

/* An answer that is an error, as an error: ERR_REFUSED, with the server's text. */
enum err_kind rpc_refusal(const struct rpc_message *m, struct err *why);
/* It is the error of a modern server. */
bool rpc_is_modern_error(const struct rpc_message *m);

/*
 * A text as the value of an HTTP header: itself, or =?base64?...?= where it is no plain ASCII, has
 * spaces at its ends, or looks like such a thing.
 */
struct str rpc_header_value(struct arena *a, struct str text);
