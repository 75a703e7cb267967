/*
 * frame - payloads of the gateway as they come off the wire, piece by piece
 * (docs.discord.com/developers/events/gateway#gateway-events). Pure.
 *
 * Most of what Discord sends is not for us, and some of it is huge: as soon as the head of a
 * payload
 * ("t", "s", "op", which come before "d") says so, the rest is forgotten as it comes.
 */
#pragma once
#include "core/base/buf.h"
#include "core/base/err.h"
#include "core/base/json.h"

#define DISCORD_FRAME_MAX ((size_t)4 << 20) /* of a payload that we look at */

struct discord_frame {
    int64_t op;      /* -1: none came */
    int64_t seq;     /* 0: none came */
    char type[48];   /* the event's name; "" = none */
    bool skipped;    /* nobody wants it: there is no text */
    struct str text; /* the whole payload, until the next piece is fed */
};

struct discord_frames {
    struct discord_frame now;
    struct buf text;
    bool decided;                    /* the head is known, or will be from the whole only */
    bool ended;                      /* the text is of the payload before */
    bool (*wanted)(struct str type); /* of dispatched events: is it worth keeping? */
};

void discord_frames_init(struct discord_frames *f, bool (*wanted)(struct str type));
void discord_frames_done(struct discord_frames *f);

/* The next piece of the payload. Over DISCORD_FRAME_MAX it counts as skipped. */
void discord_frames_feed(struct discord_frames *f, struct str piece);

/*
 * The payload is whole.
 * ret      what is known of it; its text lives until the next piece
 * ERR_PROTO: not even the outline of one; nothing in *ret can be trusted.
 */
enum err_kind discord_frames_end(struct discord_frames *f, struct discord_frame *ret,
                                 struct err *why);

/* Does the object `text` have the key at its top level? Of text that is no JSON it tells nothing.
 */
bool discord_has_key(struct str text, const char *key);
/* The value of the key "d" of a whole payload, as it stands there; "" = none. */
struct str discord_frame_data(struct str text);
