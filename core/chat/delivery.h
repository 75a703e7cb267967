/*
 * delivery - the parts of a kept reply, sent in order, each marked before and recorded after; the
 * first is marked as it is kept. A child flow of the turn.
 */
#pragma once
#include "core/chat/channel.h"
#include "core/loop/flow.h"
#include "core/store/delivery.h"

struct turn;

struct delivery_part {
    struct uuid id;
    struct str text;
    int attempts;
    int64_t wait_ms;
    bool open;    /* still to send */
    bool marked;  /* by the commit that kept the reply */
    bool unknown; /* perhaps sent, by us or by a process that died */
};

struct delivery {
    struct flow flow;
    struct turn *turn;
    struct delivery_part *parts;
    int n_parts, at;
    struct pg_rows rows;
    struct uuid message; /* the stored reply; nil when another process kept it */
    struct outbound out;
    struct sent sent;
    struct delivery_result result;
    bool preview_gone; /* it cannot be edited any more: send part 0 as a message */
};

extern const struct flow_kind delivery_flow;

/*
 * Cut the turn's reply into parts for its channel: once. Returns them as the store wants them:
 * JSON, in the turn's arena. They are sent by flow_call(&t->flow, &t->delivery->flow,
 * &delivery_flow).
 */
struct str delivery_cut(struct delivery *d, struct turn *t);

/* A reply that another process kept: the same call, but the parts come from the store. */
void delivery_resume(struct delivery *d, struct turn *t);
