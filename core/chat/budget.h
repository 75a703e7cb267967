/*
 * budget - what may be spent: a person, a channel and all together, a day and a month (of UTC).
 * Money is set aside in PostgreSQL before a model is asked, and settled afterwards. Of a process
 * that died it is given back when its lease runs out, unless a model was asked: then it counts as
 * spent. Redis has no part in it.
 */
#pragma once
#include "core/base/conf.h"
#include "core/loop/flow.h"

#define BUDGETS_MAX 32

enum budget_for { BUDGET_PERSON, BUDGET_CHANNEL, BUDGET_ALL };

struct budget {
    int who;            /* enum budget_for */
    const char *name;   /* of the channel; "" = each */
    int64_t day, month; /* nano; 0 = no limit */
};
struct budgets {
    struct budget v[BUDGETS_MAX];
    size_t n;
};

/* The list "budgets" of the configuration. ERR_CONF names the key. */
enum err_kind budgets_read(struct conf_doc *doc, struct budgets *ret, struct err *why);
void budgets_example(struct buf *to); /* the list "budgets" of the example configuration */
struct budget_rows;
/* Those that a question touches which nobody asks in a channel: all together. In `a`. False: none.
 */
bool budgets_of_all(const struct budgets *b, struct arena *a, struct budget_rows *ret);

struct model;
struct model_ask;
struct pg_rows;
struct route_log;
struct turn;

/* Steps of the turn: set aside before the question; FLOW_NEXT: no budget is touched. */
enum flow_rc budget_reserve(struct turn *t);
/* The step only waited for the price list: once more, from its beginning. */
bool budget_waited(struct turn *t);
/* True: there is money. False: the reply says why not, and when there is some again. */
bool budget_reserved(struct turn *t);
/* The same for a question before that one, whose answer is for us; ask: borrowed for the call.
 * FLOW_STOP: a model of the route has no price. */
enum flow_rc budget_afford(struct turn *t, const struct model_ask *ask);
bool budget_has_room(struct turn *t); /* the step is done: for it, too? */
/*
 * For one more question of the same answer, with what those before it cost.
 * so_far  half an answer that it goes on with; "" = none
 * beside  who is asked one at the same time; NULL = nobody
 * log     of the question that is being asked, where it is not the turn's
 * rows    of the turn or longer; some = the budget that it does not fit into
 * FLOW_NEXT: no budget is touched.
 */
enum flow_rc budget_more(struct turn *t, struct op *op, struct str so_far,
                         const struct model *beside, const struct route_log *log,
                         struct pg_rows *rows);
/* A model is asked: noted in the background, once. */
void budget_asked(struct turn *t, const struct model *m);
/* The step after the question: what it cost takes the place of what was set aside. */
enum flow_rc budget_settle(struct flow *f);
/* Budgets that passed 80 or 100 percent are told to the person, under the answer, and to the admin,
 * in the log. */
enum flow_rc budget_settled(struct flow *f);
/* The latter, of the rows of store_budget_settle. */
void budget_alerts(const struct pg_rows *rows);
/* That is for budget_settle_late then: an answer is not held back for it. */
enum flow_rc budget_not_settled(struct flow *f);
/* The reply is kept now, and PostgreSQL there again. */
void budget_settle_late(struct turn *t);

/* For /budget. */
enum flow_rc budget_view(struct turn *t);
void budget_tell(struct turn *t);
