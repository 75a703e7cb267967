/*
 * channel - all that the core knows of a platform. A platform is a folder under channels/ and one
 * line in gateway/channels.c; channels/README.md says how to write one.
 */
#pragma once
#include "core/base/conf.h"
#include "core/base/err.h"
#include "core/base/utf8.h"
#include "core/base/uuid.h"
#include "core/loop/op.h"

struct chat;
struct news;
struct http_client;
struct http_server;
struct redis;
struct store;
struct ws_clients;

/* Where a conversation happens, in the platform's own ids. Unused parts are "". */
struct place {
    struct str workspace, channel, thread;
};

enum inbound_kind {
    INBOUND_MESSAGE, /* somebody wrote to us */
    INBOUND_EDIT,    /* they changed a message; honoured while it waits, `message_id` says which */
    INBOUND_DELETE,  /* they took a message back; the same */
    INBOUND_MOVED,   /* the place has a new channel id: `moved_to` */
    INBOUND_VOTE,    /* what they think of an answer: `message_id` is ours, `vote` says what */
    INBOUND_NEWS,    /* nobody wrote it: a webhook, `news` says what becomes of it */
};

struct attachment {
    struct str kind;            /* "photo", "voice", "document" ... */
    struct str name, mime, ref; /* ref: how the adapter can fetch it later */
    /* Where it can be had for a model to look at: https, or CHANNEL_PICTURE and what the type's
     * `picture` understands; "" = nowhere, or it is no picture. Kept, so it holds no secret. */
    struct str url;
    int64_t bytes;
};

/* One event of a platform, parsed. All strings are valid UTF-8 without U+0000 and borrowed. */
struct inbound {
    enum inbound_kind kind;
    struct str event_id; /* unique within the channel account, stable over the platform's retries */
    struct place where;
    bool direct; /* one person and us; else a group */
    struct {
        struct str id, username, display_name;
    } from;
    struct str message_id; /* the platform's */
    struct str text;       /* without the mention of us; may be empty when there are attachments */
    const struct attachment *attachments;
    size_t n_attachments;
    struct str album; /* messages with the same one were sent as one; "" = alone */
    struct str moved_to;
    struct str ip;   /* for limits; "" where the platform hides it */
    int vote;        /* -1 or 1 */
    bool taken_back; /* that vote does not count any more */
    int64_t late_ms; /* found so long after it was written, when a gap was filled; 0 = in time */
    /*
     * What the adapter needs to answer this message and no other, e.g. a slash command's token; it
     * comes back with each outbound. Secrets are sealed (net/sign.h). At most TICKET_MAX bytes.
     */
    struct str ticket;
    const struct news *news;
};

#define TICKET_MAX      1024
#define CHANNEL_PICTURE "channel:" /* + ref: a picture that only its channel can fetch */

struct outbound {
    struct place where;
    struct str text;     /* Markdown, within text_max as split by the core */
    struct str reply_to; /* the platform's id of the message that is answered; "" = none */
    struct str
        edits; /* the platform's id of a message of ours to change instead of sending; "" = send */
    struct uuid delivery;                       /* the row: idempotency keys derive from it */
    struct uuid request, conversation, message; /* message: the stored reply; nil in a preview */
    int part, n_parts;                          /* 0-based */
    bool preview;                               /* not the end: more text follows */
    struct str so_far; /* of a preview: the text without the mark at its end */
    struct str person; /* the platform's id of whom it is for; "" = not known */
    bool notice;       /* from Parley itself, not from a model */
    bool asks;         /* that person, whether a tool may be called: press.h has the buttons */
    bool no_votes;     /* nobody is asked what they think of it */
    struct str ticket; /* of the message that is answered; "" = none */
    bool repeated;     /* an earlier try may have arrived: look before it is sent again */
};

struct sent {
    char message_id[64]; /* the platform's; "" where it has none */
    char moved_to[64];   /* the place's channel id is now this; "" = as before */
};

enum {
    CHANNEL_CAN_EDIT = 1, /* previews by editing a message */
    CHANNEL_CAN_TYPE = 2,
    CHANNEL_KEYED = 4, /* sending twice under one outbound.delivery shows one message */
};

struct channel;
struct channel_type {
    const char *name; /* "telegram": `type` in the configuration, folder, log tag, metric label */
    const char *help; /* one sentence for the example configuration */
    const struct conf_field
        *fields; /* into this type's own struct, whose first member is struct channel */
    size_t size;
    uint32_t caps;
    size_t text_max; /* of one message, after formatting, with room to spare */
    enum text_unit text_unit;
    int64_t preview_ms, preview_group_ms; /* the shortest time between two edits of one preview */

    /* Begins connecting and registers HTTP routes; goes on by itself and says channel_up /
     * channel_down. */
    enum err_kind (*open)(struct channel *ch, struct err *why);
    void (*pause)(struct channel *ch); /* drain: take no more messages; sending still works */
    void (*close)(struct channel *ch); /* then the loop runs until it drains */

    /*
     * Send or edit one message. out: borrowed until the op ends.
     * op     ERR_LIMIT: retry_after_ms. ERR_IO: surely not sent. ERR_UNKNOWN: perhaps sent.
     * ERR_REFUSED: never will be. ERR_NOT_FOUND: the message to edit is gone. ERR_AUTH: our
     * credentials are no good. Cancel: the outcome is unknown.
     */
    void (*send)(struct channel *ch, struct op *op, const struct outbound *out, struct sent *ret);

    void (*typing)(struct channel *ch, const struct place *where); /* best effort; NULL = cannot */
    /*
     * The reply to a request so far, on every piece, for places that show it without edits (a web
     * page). NULL = cannot. Called with whole code points; `grown` is the new end of `so_far`.
     */
    void (*progress)(struct channel *ch, const struct place *where, struct uuid request,
                     struct str so_far, struct str grown);

    /*
     * Fetch what an attachment's url names behind CHANNEL_PICTURE, at most chat.picture_max bytes.
     * ref: borrowed for the call; it was stored, and is not to be trusted. ret: empty, the caller's
     * to free. Ends as fetch_file does. NULL = cannot.
     */
    void (*picture)(struct channel *ch, struct op *op, struct str ref, struct buf *ret);

    /* `parley check`: ask the platform who we are. ret_text: one line for the operator. NULL =
     * nothing to ask. */
    void (*check)(struct channel *ch, struct op *op, struct buf *ret_text);
};

/* Who may ask a model. */
enum channel_access {
    ACCESS_OPEN,
    ACCESS_PAIRING, /* whom an admin has let in: `parley approve CODE` */
};

enum queue_mode { QUEUE_WAIT, QUEUE_MERGE, QUEUE_INTERRUPT, QUEUE_DEFAULT };
extern const char *const queue_mode_words[];

/* What a channel may use of the process. */
struct channel_host {
    struct loop *loop;
    struct chat *chat;
    struct store *store;
    struct redis *redis;
    struct http_client *http;
    struct http_server *server; /* NULL in `parley check` */
    struct ws_clients *ws;
    const char *owner; /* this process's unique name, for leases */
};

/* Fields that every channel has; a type's own struct begins with it. */
struct channel {
    const struct channel_type *type;
    const char *name;        /* the account: "support"; unique; part of every key */
    const char *model;       /* the default model here; "" = the process's */
    int queue;               /* enum queue_mode; QUEUE_DEFAULT = chat.queue */
    int64_t rate_per_minute; /* a person; 0 = chat.rate_per_minute */
    int access;              /* enum channel_access */
    int64_t sockets_max;     /* WebSockets that people may hold open here */
    struct channel_host *host;
    bool opened, up, paused;
    struct err down_why;
    int64_t last_event_ms; /* clock_ms of the last thing heard from the platform */
    struct list link;
};
extern const struct conf_field
    channel_fields[]; /* the common ones: model, queue, rate_per_minute */

/* For adapters: state changes are logged once, here, and shown by /readyz and metrics. */
void channel_up(struct channel *ch);
void channel_down(struct channel *ch, const struct err *why);
void channel_heard(struct channel *ch); /* anything from the platform came in */
