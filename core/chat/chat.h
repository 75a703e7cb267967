/*
 * chat - what channels call. The way of a message: chat_accept (intake.c) -> lane.c -> turn.c ->
 * delivery.
 */
#pragma once
#include "core/base/conf.h"
#include "core/base/map.h"
#include "core/chat/budget.h"
#include "core/chat/channel.h"
#include "core/loop/flow.h"

struct cache_rate;
struct experiment_set;
struct flags;
struct models;
struct mcp_conf;
struct tools;
struct eraser;
struct keeper;
struct lane;
struct turn;

/* What to do about a message that may or may not have reached a platform which cannot be asked. */
enum unknown_policy {
    UNKNOWN_NOTICE, /* say so, and offer /again */
    UNKNOWN_RESEND, /* send again: the person may see it twice */
    UNKNOWN_HOLD,   /* keep it for an admin */
};

struct chat_conf {
    const char *model; /* the default model's name; "" = the first configured */
    const char *system_prompt;
    int queue;               /* enum queue_mode */
    int64_t merge_ms;        /* how long merge waits for more */
    int64_t rate_per_minute; /* a person; 0 = no limit */
    int64_t rate_ip_per_minute;
    int64_t history_messages, history_tokens;
    bool compact;
    int64_t picture_max; /* bytes of one that is fetched */
    int64_t pictures_max;
    struct conf_list picture_hosts; /* may be private, and without TLS */
    int64_t message_max; /* bytes of one inbound text; the rest is cut and the person is told */
    int64_t turns_max;   /* turns running in this process */
    int64_t lease_ms;
    int64_t expire_ms; /* a message older than this is not answered but told so */
    int64_t preview_after_ms;
    int64_t send_attempts;
    int cache; /* enum reuse_scope */
    int64_t cache_ttl_ms;
    int unknown_outcome; /* enum unknown_policy */
};
extern const struct conf_field chat_conf_fields[];

struct chat {
    struct loop *loop;
    struct store *store;
    struct redis *redis;
    struct models *models_now;  /* for turns that begin; one that runs has models of its own */
    struct tools *tools;        /* that models may call; NULL: none */
    const struct mcp_conf *mcp; /* how, if there are any */
    struct chat_conf conf;
    struct cache_rate *rate;
    struct flags *flags;  /* NULL: none is set */
    const char *owner;    /* this process's unique name: the lease owner */
    struct list channels; /* struct channel.link */
    struct map lanes;     /* struct lane, by conversation */
    struct list ready;    /* lanes that wait for a free place (conf.turns_max) */
    struct list turns;    /* struct flow.link of running turns */
    struct list intakes;
    size_t n_running;
    size_t n_beginning; /* intakes whose turn may begin at once: they have a place, too */
    bool draining;
    struct keeper *keeper;
    struct eraser *eraser;
    struct budgets budgets;
    struct str configured; /* JSON: versions of configurations in force; "" = the file decides */
    const struct experiment_set *experiments; /* NULL: none runs */
    struct str public_url; /* where the world reaches this process, for addresses in answers */
};

/* Borrows everything for its life; conf is copied. */
void chat_open(struct chat *chat, struct loop *loop, struct store *store, struct redis *redis,
               struct models *models, const struct chat_conf *conf, const char *owner);
/* The tables are there: look for work that an earlier process left, and keep looking. */
void chat_start(struct chat *chat);
/* SIGHUP: what is running keeps what it began with. */
void chat_reload(struct chat *chat, const struct chat_conf *conf);
/* Start no more turns; what waits is left to other processes, or to the next start. */
void chat_drain(struct chat *chat);
bool chat_idle(const struct chat *chat); /* no turn, no intake */
/* Hand running turns over to other processes: their requests go back into the queue. Then the loop
 * drains. */
void chat_hand_over(struct chat *chat);
void chat_close(struct chat *chat); /* ends what still runs, silently */

/* Before chat_start. ch: borrowed until chat_close; its name is not taken. */
void chat_channel_add(struct chat *chat, struct channel *ch);
struct channel *chat_channel(const struct chat *chat, struct str name); /* NULL: no such */

/* The queue mode in force for a channel: never QUEUE_DEFAULT. */
int channel_queue(const struct chat *chat, const struct channel *ch);

/* intake.c: for tools that list the steps of all flows. */
extern const struct flow_kind intake_flow;

/* Result of chat_accept. */
struct accepted {
    bool duplicate; /* seen before: acknowledge and do nothing */
    bool changed;   /* INBOUND_EDIT, INBOUND_DELETE: the message waited still */
    struct uuid request, conversation, message;
};

/*
 * Take one event into PostgreSQL. Acknowledge to the platform only after `op` has succeeded.
 * in       copied inside the call; a text longer than message_max is cut
 * ret      may be NULL
 * op       ERR_IO / ERR_TIMEOUT / ERR_UNKNOWN: not known to be stored, do not acknowledge (the
 * platform will repeat, which is harmless). ERR_LIMIT: too much at once, with retry_after_ms.
 * ERR_PROTO: cannot be stored however often it comes: acknowledge, and drop it with a log line.
 * Cancel: it may or may not be stored.
 */
void chat_accept(struct chat *chat, struct op *op, struct channel *ch, const struct inbound *in,
                 struct accepted *ret);
