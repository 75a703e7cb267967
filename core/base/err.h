/*
 * err - one closed list of error kinds; the kind decides what happens, the text explains.
 *
 * A new kind needs a new decision (retry? dead letter? ask the user?), not a new cause. Causes go
 * in the text.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum err_kind {
    ERR_NONE,
    ERR_TIMEOUT,   /* no answer within the deadline */
    ERR_CANCELLED, /* we stopped it ourselves */
    ERR_IO,        /* the peer could not be reached, or went away before it took the request */
    ERR_UNKNOWN,   /* the peer may or may not have done it: never repeated blindly */
    ERR_PROTO,     /* the peer or the input does not follow the protocol */
    ERR_AUTH,      /* a credential was refused: nothing works until a human acts */
    ERR_REFUSED,   /* a final no to this one request: repeating it is pointless */
    ERR_LIMIT,     /* a limit of ours or theirs; retry_after_ms says when, 0 = not by waiting */
    ERR_NOT_FOUND,
    ERR_CONF, /* the configuration is wrong */
    ERR_BUG,  /* our fault */
    ERR_N,
};

#define ERR_MSG_MAX 240

struct err {
    enum err_kind kind;
    uint32_t retry_after_ms;
    char msg[ERR_MSG_MAX];
};

#define ERR_INIT         \
    {                    \
        .kind = ERR_NONE \
    }

/* What each kind means for whoever has to decide. */
struct err_rule {
    const char *name;      /* "timeout": metric label and log value */
    bool retry;            /* may the same request be tried again? */
    const char *user_text; /* what a person in the chat is told */
};
const struct err_rule *err_rule(enum err_kind kind);

/*
 * Set kind and text; returns kind, so that a function can end with `return err_set(why, ...)`.
 * why      may be NULL: nobody asked. An over-long text is cut.
 */
enum err_kind err_set(struct err *why, enum err_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Put context in front of the text ("telegram: " + text), once on the way up. Returns why->kind. */
enum err_kind err_add(struct err *why, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
