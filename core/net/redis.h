/*
 * redis - one command connection and one subscriber connection, on the loop, by hiredis.
 *
 * Redis is disposable: a command fails fast (ERR_IO) while there is no connection, the oldest
 * command's deadline passing drops the connection (RESP cannot skip a reply), and the driver
 * reconnects with back-off for ever. What is sent in one turn of the loop goes out in one write.
 */
#pragma once
#include "core/base/conf.h"
#include "core/base/str.h"
#include "core/loop/op.h"

struct redis_conf {
    /* redis://[user:pass@]host[:port][/db], rediss://..., unix:///path/to.sock[?db=0] */
    const char *url;
    const char *password; /* secret; wins over the URL's; "" = the URL's, if any */
    const char *ca_file;  /* rediss:// only; "" = the system's */
    const char *client_cert, *client_key;
    int64_t connect_timeout_ms, command_timeout_ms;
    int64_t queue_max; /* commands in flight */
};
extern const struct conf_field redis_conf_fields[];

struct redis;
/*
 * Begins connecting and returns at once; redis_watch tells when the connection is there.
 * conf     copied
 * ERR_CONF: bad URL or certificate, or rediss:// where the installed hiredis has no TLS.
 */
enum err_kind redis_open(struct loop *loop, const struct redis_conf *conf, struct redis **ret,
                         struct err *why);
/* Fails what is in flight (ERR_UNKNOWN) and ends every subscription; then run the loop until it
 * drains. `r` is invalid from here on. */
void redis_close(struct redis *r);
bool redis_is_up(const struct redis *r);
uint64_t redis_timeout_ms(const struct redis *r); /* no command lasts longer */
struct loop *redis_loop(const struct redis *r);

/*
 * Call `on_change` from the loop whenever the command connection came up (why = NULL) or was lost
 * (why = the reason), and after each failed try to connect. One watcher; it says in the log what
 * this floor does not.
 */
void redis_watch(struct redis *r, void (*on_change)(void *ctx, const struct err *why), void *ctx);

/* A reply, copied out of hiredis: a small tree. Zero-initialise; redis_reply_done frees (harmless
 * twice). REDIS_ERROR only inside an array: as a whole reply it fails the op. */
enum redis_type { REDIS_NIL, REDIS_STRING, REDIS_INT, REDIS_ARRAY, REDIS_STATUS, REDIS_ERROR };
struct redis_reply {
    enum redis_type type;
    int64_t i;
    struct str s; /* owned by the root; NUL-terminated behind the view */
    size_t n;
    struct redis_reply *v;
    void *owner;
};
void redis_reply_done(struct redis_reply *reply);
/* The i-th element as an integer (digits in a string count); `otherwise` when it is not one. */
int64_t redis_reply_int(const struct redis_reply *array, size_t i, int64_t otherwise);
/* The i-th element as a string; "" when it is not one. */
struct str redis_reply_str(const struct redis_reply *array, size_t i);

#define REDIS_ARGS_MAX 128
/*
 * Run one command. Not for blocking commands nor SUBSCRIBE: they would stall everyone.
 * args    0 < n <= REDIS_ARGS_MAX, copied inside the call
 * ret     filled on success; may be NULL
 * op      ERR_IO: no connection (at once). ERR_TIMEOUT. ERR_UNKNOWN: connection lost after sending.
 *         ERR_REFUSED: an error reply (WRONGTYPE, OOM ...), its text in the err.
 *         ERR_LIMIT: queue_max commands, or too many bytes, are in flight.
 * Cancel: the reply is dropped.
 */
void redis_cmd(struct redis *r, struct op *op, const struct str *args, size_t n,
               struct redis_reply *ret);

/* Fire and forget: for sliding lives and the like; failures are counted only. */
void redis_send(struct redis *r, const struct str *args, size_t n);

/*
 * A script is a static object. Its text goes out the first time on each connection, so that scripts
 * run in the order they were asked for; then EVALSHA, and EVAL again after NOSCRIPT (SCRIPT FLUSH).
 */
struct redis_script {
    const char *name;
    const char *lua;
    char sha1[41];     /* the driver's, as is */
    uint64_t known_to; /* the connection that has seen the text */
};
/* As redis_cmd; n_keys + n_args <= REDIS_ARGS_MAX. op may be NULL: fire and forget. */
void redis_eval(struct redis *r, struct op *op, struct redis_script *script, const struct str *keys,
                size_t n_keys, const struct str *args, size_t n_args, struct redis_reply *ret);

/*
 * Pub/sub: `on_message` for every message on `channel`, and once with an empty payload after each
 * (re)connect, because messages may have been missed in between. It is called from the loop and may
 * subscribe, unsubscribe and close. The subscription lives until redis_unsubscribe.
 */
struct redis_sub {
    struct list link;
    const char *channel;
    void (*on_message)(struct redis_sub *sub, struct str payload);
    bool told; /* the driver's: the empty payload of this connection was delivered */
};
/* sub     borrowed until redis_unsubscribe or redis_close, with its channel */
void redis_subscribe(struct redis *r, struct redis_sub *sub);
void redis_unsubscribe(struct redis *r, struct redis_sub *sub); /* no-op when not subscribed */
void redis_publish(struct redis *r, const char *channel, struct str payload); /* best effort */
