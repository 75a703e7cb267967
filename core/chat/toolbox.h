/*
 * toolbox - a question whose model may call tools: ask, make the calls that it wants, ask again
 * with what they returned, until it answers in words. Likewise one whose model may pause in the
 * middle of its answer: it is asked to go on, with what it has said.
 *
 * A call may be made twice: when this process dies, the next one answers the message from its
 * beginning. Nothing that was begun is known then but to the tool's server.
 */
#pragma once
#include "core/model/route.h"
#include "core/tool/tools.h"

#define TOOLBOX_LOG_MAX 64

struct turn;

/* What the turn knows of its tools; in the memory of the turn. */
struct toolbox {
    const struct model_tool *tools; /* that are offered */
    size_t n_tools;
    int64_t tokens; /* that their definitions cost */
    /* What was said between model and tools: a model's message with calls, then its results. */
    struct model_message *messages;
    const char **by; /* which model wrote it; "" for a result */
    size_t n, room;
    int64_t rounds;
    size_t result_bytes;
    struct toolbox_line { /* for the receipt */
        struct str name;
        uint32_t ms;
        bool failed;
    } * log; /* at most TOOLBOX_LOG_MAX; NULL = none was called */
    size_t n_log;
    const char *mark;    /* for the person: why it ended before the model did; NULL = it did not */
    struct str question; /* for the person: may these calls be made? "" = no such question */
};

/*
 * As route_ask for the turn's route, with the tools of the turn's channel. Into t->answer (the text
 * of all rounds), t->asked (a line a model and outcome) and t->toolbox, which begins anew.
 * asker  copied; its `ask` puts toolbox_messages into the question
 * op     as route_ask; also succeeds with t->toolbox.question or mark set
 * Cancel ends what is under way; t->answer keeps the text so far.
 */
void toolbox_ask(struct turn *t, struct op *op, const struct route_asker *asker);
/* Whether tools are offered in this turn, if there are any by the time that it is asked. */
bool toolbox_offers(const struct turn *t);
/* Those that are known now, into t->toolbox: a part of the question, and of what it costs. */
void toolbox_look(struct turn *t);
/* What was said so far, as this model can take it: signatures of another one's are left out. In the
 * turn's memory. */
const struct model_message *toolbox_messages(struct turn *t, const struct model *m);
/* Append to it; what `m` points to stays as long as the turn. */
void toolbox_add(struct turn *t, const struct model_message *m, const char *by);
