/*
 * turn - one answer: claim the request, think, keep, deliver. Read turn.c top to bottom.
 */
#pragma once
#include "core/base/arena.h"
#include "core/cache/context.h"
#include "core/cache/rate.h"
#include "core/chat/delivery.h"
#include "core/chat/editor.h"
#include "core/chat/lane.h"
#include "core/chat/news.h"
#include "core/chat/reuse.h"
#include "core/chat/switches.h"
#include "core/chat/toolbox.h"
#include "core/flag/experiment.h"
#include "core/model/route.h"
#include "core/store/budget.h"
#include "core/store/request.h"

enum turn_stop {
    TURN_GOES_ON,
    TURN_STOPPED /* by the person */,
    TURN_INTERRUPTED /* by a newer message */
};

extern const struct flow_kind turn_flow;

#define TURN_TOOK_MAX 24

struct turn {
    struct flow flow;
    struct chat *chat;
    struct models *models; /* those of its beginning, until its end; not the chat's, which change */
    struct lane *lane;     /* NULL: an urgent request, beside the lanes */
    struct channel *channel;
    struct arena arena;     /* everything of this turn */
    char id[UUID_TEXT_MAX]; /* the request's: in every log line */
    uint64_t began_ms;
    uint64_t renewed_ms; /* its lease: as it began, and since then by the keeper */
    uint64_t leasing_ms; /* when the step's statement was sent that takes or prolongs it */
    uint64_t leased_ms;  /* and the last one that did; 0 = somebody else has it */

    struct str configured; /* as in chat, when it began */
    struct uuid conversation, urgent;
    struct uuid
        next; /* /new: the conversation that goes on when this turn is over; nil = none waits */
    struct claimed request; /* strings live in claim_rows */
    struct pg_rows claim_rows, rows;
    struct flag_who who; /* whose flags are asked for, see switches.h */
    struct switched switched;
    struct news news; /* it came by a webhook, if there is a name in it */
    const struct command *command;
    struct str query;   /* with everything merged into it */
    struct str answers; /* "{uuid,...}" */
    struct pictures {
        struct model_picture *v; /* what they sent along */
        size_t n;
    } pictures;
    struct str code; /* for an admin, of somebody who was not let in yet */
    bool asks;       /* the command has a question for the model: `query` */
    bool anew;       /* of the last exchange: it is not history for this one */

    struct experiment_uses trial; /* what is tried on it */

    struct rate_answer rate;
    int limit;           /* that is asked for */
    uint32_t limited_ms; /* until they may write again */
    struct context_read context;
    struct reuse reuse;
    const struct model *model; /* that answers; while none does, the first of the route */
    struct model_answer answer;
    struct route_log asked;        /* all that were asked for it */
    struct model_ask *summary_ask; /* for a summary of the older half, when it is time; compact.h */
    struct model_answer summary;
    struct route_log summary_asked;
    int64_t compacting;               /* up to which message; 0 = nothing */
    const struct model_ask *question; /* as the model got it that was asked last */
    struct counted {                  /* the last one whose tokens the model counted */
        const struct model *by;
        int64_t tokens, estimated;
    } counted;
    struct toolbox toolbox;
    struct permit {
        bool asks; /* this turn ends with a question whether a tool may be called */
        /* Or it has the answer to an earlier one's: */
        struct str saved; /* by permit_save; "" = none */
        bool yes;
        bool pressed;      /* it came by a button */
        struct uuid asked; /* the request whose question it is about; nil = the open one */
        struct permit_closing *closing; /* the buttons go; NULL = there are none */
    } permit;
    uint64_t asked_ms;
    struct step_took {
        const char *step;
        int64_t ms;        /* each time together */
    } took[TURN_TOOK_MAX]; /* what took time, see receipt.h */
    size_t n_took;
    struct bill_line {
        struct uuid id;
        const struct model *model;
        struct model_usage usage;
        int64_t cost;        /* nano; COST_UNKNOWN = the model has no price */
        const char *version; /* of the price */
        const char *failed;  /* the kind of it, where it wrote nothing; NULL = it answered */
        struct bill_line *next;
    } * bill; /* what was asked so far, the last one first */
    size_t n_bill;
    struct budget_rows budget;
    struct uuid reservation; /* nil = nothing is set aside */
    bool set_aside;          /* at least for the first question */
    bool asked_noted;        /* that the question went out */
    struct pg_rows no_room;  /* the budget that a further one does not fit into */
    int price_waits;
    bool waits_for_prices;
    size_t history_seen, history_summarised, history_left_out; /* messages */
    struct timer typing;

    struct str reply; /* what the person gets */
    bool notice;      /* it comes from Parley itself */
    const char *outcome, *reason;
    bool prepared;     /* parts and ids of the reply are made */
    bool shorter;      /* the question: it was too long for a model */
    bool keep_missed;  /* the request was not ours to keep, at the first look */
    struct str parts;  /* JSON for the store */
    int message_count; /* of the conversation, after keep */

    struct editor editor;
    struct delivery *delivery; /* NULL: there is no reply yet */
    enum turn_stop stop;
    unsigned missed_renewals;
    bool done; /* the request is finished, or not ours */
    bool more; /* another one waits behind it */
};

/* For steps that are in files of their own. */
static inline struct turn *turn_of(struct flow *f)
{
    return container_of(f, struct turn, flow);
}

/*
 * urgent   nil, or the one request to run beside the conversation's lane (then lane is NULL)
 * taken    rows of a store_accept that has claimed the request; moved. NULL = it is to be claimed
 * since    when that was asked for, by clock_ms: the lease is not younger; no matter without it
 */
void turn_start(struct chat *chat, struct lane *lane, struct uuid conversation, struct uuid urgent,
                struct pg_rows *taken, uint64_t since);

/* End the answer here: what is written is kept and delivered. False: too late, or nothing to stop.
 * A turn that does not ask the model yet will not. */
bool turn_stop(struct turn *t);

/* Ask the question anew, together with what has come since. No-op unless the model is writing. */
void turn_interrupt(struct turn *t);

/*
 * Whether the request is certainly still ours, by our own clock. What PostgreSQL cannot fence, an
 * edit or a message to the platform, asks this first: a process that was stopped for longer than
 * its lease wakes up in the middle of its work, and another one has answered meanwhile.
 */
bool turn_holds(const struct turn *t);

/* The lease passed to another process: stop without writing anything. */
void turn_lost(struct turn *t);

/* For commands: the model is to answer `query` once more, which the last exchange was about. */
void turn_ask_anew(struct turn *t, struct str query, struct str answers, struct str pictures);

/* For commands: the reply, as a notice of ours. */
void turn_say(struct turn *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Who answers here: the conversation's choice, the person's, the channel's, the process's. */
const struct route *turn_route(const struct turn *t);

/* Who asks for it: for whom, and who hears that a model is asked and what took time. What is asked,
 * and what becomes of the answer, is missing. */
struct route_asker turn_asker(struct turn *t);

/* Its line in the log, and its metrics. From the turn's end. */
void turn_log(const struct turn *t);

struct outbound turn_outbound(const struct turn *t); /* place and ids filled in */
