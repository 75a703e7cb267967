/*
 * Money of an answer that needs more than one model: what the half of the first one cost and what
 * the next one may cost have to fit in together. And every op of it failing once.
 */
#include "tests/flow/turn_world.h"

/* Two models under a budget; the first one fails after three pieces. */
static void begin(enum trouble trouble, int at, int midway)
{
    world_open(trouble, at, 0);
    w.chat.budgets = (struct budgets){ .v = { { BUDGET_PERSON, "", NANO_A_DOLLAR, 0 } }, .n = 1 };
    route.n = 2;
    route.midway = midway;
    w.n_pieces = 3;
    w.n_model_errors = 1;
    w.model_error = ERR_UNKNOWN;
    chat_start(&w.chat);
    say("e1", "What is it?");
}

static void end(void)
{
    route.n = 1;
    route.midway = ROUTE_REPLACE;
    world_close();
}

static int64_t set_aside_for_the_next(int midway)
{
    begin(NO_TROUBLE, 0, midway);
    while (w.n_asked == 0) loop_run_for(&w.loop, 1);
    int64_t before = w.set_aside;
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.n_asked, 2);
    cr_assert_eq(w.rq[0].status, ENDED);
    int64_t more = w.set_aside - before;
    end();
    return more;
}

Test(money, the_half_is_set_aside_beside_the_whole)
{
    /* 20 tokens read and 30 written, a billionth of a dollar each, up to what PostgreSQL keeps */
    cr_assert_eq(set_aside_for_the_next(ROUTE_REPLACE), 50);
    cr_assert_gt(set_aside_for_the_next(ROUTE_CONTINUE), 50, "it reads the half, too");
}

Test(money, a_failure_that_cost_nothing_needs_no_more)
{
    begin(NO_TROUBLE, 0, ROUTE_REPLACE);
    w.n_pieces = 0;
    while (w.n_asked == 0) loop_run_for(&w.loop, 1);
    w.no_money = true; /* nobody is asked for any */
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.n_asked, 2);
    cr_assert_eq(n_shown("The answer."), 1);
    end();
}

Test(money, without_money_the_half_is_kept)
{
    for (int midway = ROUTE_REPLACE; midway <= ROUTE_CONTINUE; midway++) {
        begin(NO_TROUBLE, 0, midway);
        while (w.n_asked == 0) loop_run_for(&w.loop, 1);
        w.no_money = true;
        loop_run_for(&w.loop, 60000);
        cr_assert_eq(w.n_asked, 1);
        cr_assert_eq(n_shown("Well, Well, Well, \n\n_(the model failed here, and a budget"), 1);
        cr_assert_eq(w.settled, 50);
        cr_assert(strstr(w.receipt, "\"no_money\":true"), "%s", w.receipt);
        cr_assert_not(strstr(w.receipt, "\"midway\":\"replaced\""), "%s", w.receipt);
        end();
    }
}

Test(money, the_half_is_paid_for_whoever_rests)
{
    begin(NO_TROUBLE, 0, ROUTE_REPLACE);
    w.second_rests = true;
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.n_asked, 2, "the last resort is asked, and nobody twice");
    cr_assert_str_eq(w.last_model, "second");
    cr_assert_geq(w.settled, 50);
    cr_assert(strstr(w.costs, "\"model\":\"fake\",\"prompt\":20,\"completion\":30"), "%s", w.costs);
    end();
}

Test(money, that_the_question_goes_out_is_noted_once)
{
    begin(NO_TROUBLE, 0, ROUTE_REPLACE);
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.n_asked, 2);
    cr_assert_eq(w.n_asked_noted, 1);
    w.n_asked_noted = 0;
    w.no_money = true;
    say("e2", "And now?");
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.n_asked_noted, 0);
    end();
}

/* PostgreSQL fails at the settlement, and is there again for the reply. */
Test(money, a_settlement_that_failed_is_made_up_for)
{
    begin(NO_TROUBLE, 0, ROUTE_REPLACE);
    while (w.n_asked < 2) loop_run_for(&w.loop, 1);
    struct turn *t = lane_running(&w.chat, w.conversation);
    while (strcmp(flow_at(&t->flow), "ask") == 0) {
        w.trouble = FAIL_BEFORE;
        w.trouble_at = w.n_ops + 1; /* the next one is the settlement */
        loop_run_for(&w.loop, 1);
    }
    w.settled = -1;
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.rq[0].status, ENDED);
    cr_assert_geq(w.settled, 50);
    end();
}

/* ---- the summary of an older part ---- */

/* A conversation that is due for one, and a question. The next so many reservations are lost. */
static void ask_in_a_long_conversation(int n_reserves_lost)
{
    world_open(NO_TROUBLE, 0, 0);
    w.chat.budgets = (struct budgets){ .v = { { BUDGET_PERSON, "", NANO_A_DOLLAR, 0 } }, .n = 1 };
    w.chat.conf.compact = true;
    w.chat.conf.history_messages = 8;
    w.n_before = 8;
    w.n_reserves_lost = n_reserves_lost;
    chat_start(&w.chat);
    say("e1", "What is it?");
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.rq[0].status, ENDED);
}

Test(money, a_summary_is_written_and_kept)
{
    ask_in_a_long_conversation(0);
    cr_assert_eq(w.n_asked, 2);
    cr_assert_str_neq(w.summary, "");
    cr_assert_gt(w.summary_until, 0);
    end();
}

Test(money, without_postgresql_for_its_money_there_is_no_summary)
{
    ask_in_a_long_conversation(1);
    cr_assert_eq(w.n_asked, 1, "the question, whose own money was set aside");
    cr_assert_str_eq(w.asked, "What is it?");
    cr_assert_str_eq(w.summary, "");
    cr_assert_gt(w.set_aside, 0);
    cr_assert_eq(n_shown("The answer."), 1);
    end();
}

Test(money, torture_of_a_failover)
{
    begin(NO_TROUBLE, 0, ROUTE_REPLACE);
    loop_run_for(&w.loop, 300000);
    int n_ops = w.n_ops > 30 ? 30 : w.n_ops; /* the keeper's never end */
    end();
    for (int at = 1; at <= n_ops; at++)
        for (enum trouble trouble = FAIL_BEFORE; trouble <= LIMITED; trouble++) {
            begin(trouble, at, ROUTE_REPLACE);
            loop_run_for(&w.loop, 300000);
            cr_assert_eq(w.rq[0].status, ENDED, "op %d trouble %d", at, trouble);
            cr_assert_geq(w.n_screen, 1, "op %d trouble %d", at, trouble);
            cr_assert_eq(w.chat.lanes.n, 0);
            end();
        }
}

Test(money, closing_at_every_wait_leaves_nothing)
{
    for (int at = 2; at <= 20; at++) {
        begin(HANG, at, ROUTE_REPLACE);
        loop_run_for(&w.loop, 5000);
        end();
    }
}
