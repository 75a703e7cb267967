/*
 * news - what comes by a webhook instead of from a person: said as it is, or asked of a model
 * first.
 *
 * It is a request like any other: unique by its event, in the order of the conversation, leased,
 * delivered from the outbox. But it is no command, is not merged with anything, interrupts nothing
 * and is not interrupted, has no limit of messages a minute, expires never, and a model that is
 * asked with it gets no tools: whoever can write an issue somewhere must not be able to call them.
 */
#pragma once
#include "core/base/arena.h"
#include "core/base/uuid.h"

struct news {
    struct uuid user; /* the webhook's: pays for the answer */
    struct uuid key;  /* the API key that it came with, which pays, too; nil = none */
    struct str name;  /* of the webhook; "" = a person's message */
    bool says;        /* `text` is said as it is; else the inbound's text is a question */
    bool daily;       /* the event is a hash of the body: the same within a day is the same event */
    struct str text;  /* Markdown */
    struct str model; /* a route or model; "" = the place's */
};

/* JSON, in the arena: what the request keeps besides user and key. */
struct str news_write(struct arena *a, const struct news *news);
/* The opposite; "" gives one without a name. Strings are the arena's. */
void news_read(struct arena *a, struct str json, struct news *ret);

/*
 * What stands in the history as the question that it answers, so that a model can be asked about it
 * afterwards. In the arena.
 */
struct str news_question(struct arena *a, struct str name);
