/*
 * A second model beside one that is slow to begin, over the fakes of test_turn.c: who answers, what
 * it costs, and every op of it failing once.
 */
#include "core/model/hedge.h"
#include "core/model/models.h"
#include "tests/flow/turn_world.h"

#define DELAY 500

static struct models models;

/* slow_ms: of the first two questions to models. */
static void race(enum trouble trouble, int at, int first_ms, int second_ms)
{
    world_open(trouble, at, 0);
    models = (struct models){ .loop = &w.loop };
    w.chat.models_now = &models;
    route.n = 2;
    route.hedge = true;
    route.hedge_percentile = 95;
    route.hedge_delay_ms = DELAY;
    route.hedge_budget = 5;
    w.slow_ms[0] = first_ms;
    w.slow_ms[1] = second_ms;
}

static void with_budget(void)
{
    w.chat.budgets = (struct budgets){ .v = { { BUDGET_PERSON, "", NANO_A_DOLLAR, 0 } }, .n = 1 };
}

static void ask(void)
{
    say("e1", "What is it?");
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.rq[0].status, ENDED);
}

static void end(void)
{
    world_close();
    hedges_free(models.hedges);
    route.n = 1;
    route.hedge = false;
}

static int n_times(const char *in, const char *what)
{
    int n = 0;
    for (; (in = strstr(in, what)); in++) n++;
    return n;
}

Test(hedge, who_is_quicker_answers)
{
    race(NO_TROUBLE, 0, 5000, 0);
    ask();
    cr_assert_eq(w.n_asked, 2);
    cr_assert_eq(n_shown("The answer."), 1);
    cr_assert(strstr(w.receipt, "\"model\":\"second\",\"asked\":["), "%s", w.receipt);
    cr_assert_eq(n_times(w.receipt, "\"lost\":true"), 1, "%s", w.receipt);
    cr_assert_lt(strstr(w.receipt, "\"lost\""), strstr(w.receipt, "\"hedge\""),
                 "the slow one first");
    cr_assert_eq(n_times(w.costs, "\"id\""), 1, "the fake said nothing of its own: %s", w.costs);
    cr_assert(strstr(w.costs, "\"model\":\"fake\",\"prompt\":20,\"completion\":0"), "%s", w.costs);
    cr_assert(strstr(w.costs, "\"estimated\":true"), "%s", w.costs);
    end();
}

Test(hedge, the_first_one_may_still_be_quicker)
{
    race(NO_TROUBLE, 0, DELAY + 300, 1000);
    ask();
    cr_assert_eq(w.n_asked, 2);
    cr_assert_eq(n_shown("The answer."), 1);
    cr_assert(strstr(w.receipt, "\"model\":\"fake\",\"asked\":["), "%s", w.receipt);
    cr_assert_lt(strstr(w.receipt, "\"hedge\""),
                 strstr(w.receipt, "\"model\":\"fake\",\"backend\""), "who answers stands last");
    cr_assert(strstr(w.costs, "\"model\":\"second\",\"prompt\":20,\"completion\":0"), "%s",
              w.costs);
    end();
}

Test(hedge, nobody_is_asked_beside_a_quick_one)
{
    race(NO_TROUBLE, 0, DELAY - 50, 0);
    ask();
    cr_assert_eq(w.n_asked, 1);
    end();
}

Test(hedge, nobody_is_asked_who_rests_or_has_a_row)
{
    race(NO_TROUBLE, 0, 5000, 0);
    w.second_rests = true;
    ask();
    cr_assert_eq(w.n_asked, 1);
    end();
    race(NO_TROUBLE, 0, 5000, 0);
    second_model.running_max = 1;
    ask();
    cr_assert_eq(w.n_asked, 1);
    second_model.running_max = 0;
    end();
}

Test(hedge, a_route_of_one_model_asks_it_again)
{
    race(NO_TROUBLE, 0, 5000, 0);
    route.n = 1;
    ask();
    cr_assert_eq(w.n_asked, 2);
    cr_assert_str_eq(w.last_model, "fake");
    cr_assert_eq(n_shown("The answer."), 1);
    end();
}

Test(hedge, money_is_set_aside_for_both)
{
    race(NO_TROUBLE, 0, 5000, 0);
    with_budget();
    ask();
    cr_assert_eq(w.set_aside, 2 * (24 + 1000));
    cr_assert_eq(w.n_asked, 2);
    end();
}

Test(hedge, without_money_there_is_no_second_one)
{
    race(NO_TROUBLE, 0, 5000, 0);
    with_budget();
    say("e1", "What is it?");
    while (w.n_asked == 0) loop_run_for(&w.loop, 1);
    w.no_money = true;
    loop_run_for(&w.loop, 60000);
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(n_shown("The answer."), 1);
    cr_assert_not(strstr(w.receipt, "no_money"), "nobody misses it");
    end();
}

Test(hedge, both_are_paid_for_when_the_person_stops_it)
{
    race(NO_TROUBLE, 0, 5000, 5000);
    say("e1", "What is it?");
    while (w.n_asked < 2) loop_run_for(&w.loop, 1);
    cr_assert(turn_stop(lane_running(&w.chat, w.conversation)));
    loop_run_for(&w.loop, 10000);
    cr_assert_str_eq(w.rq[0].outcome, "cancelled");
    cr_assert_eq(n_times(w.costs, "\"prompt\":20"), 2, "%s", w.costs);
    cr_assert(strstr(w.costs, "\"model\":\"fake\"") && strstr(w.costs, "\"model\":\"second\""));
    end();
}

/* The first n of the two fail, in the order of their ends. */
static void fail(int n, int first_ms, int second_ms)
{
    race(NO_TROUBLE, 0, first_ms, second_ms);
    w.n_model_errors = n;
    w.model_error = ERR_IO;
    ask();
    cr_assert_eq(w.n_asked, 2);
}

Test(hedge, one_of_them_fails)
{
    fail(1, DELAY + 100, 1000);
    cr_assert_eq(n_shown("The answer."), 1);
    cr_assert(strstr(w.receipt, "\"model\":\"second\",\"asked\":["), "%s", w.receipt);
    cr_assert(strstr(w.receipt, "\"kind\":\"io\""), "%s", w.receipt);
    end();
    fail(1, DELAY + 1000, 100);
    cr_assert_eq(n_shown("The answer."), 1);
    cr_assert(strstr(w.receipt, "\"model\":\"fake\",\"asked\":["), "%s", w.receipt);
    end();
}

Test(hedge, both_of_them_fail)
{
    fail(2, DELAY + 100, 1000);
    cr_assert_eq(n_shown("I could not get an answer from the model second"), 1);
    end();
}

Test(hedge, who_has_begun_and_fails_hands_over_as_ever)
{
    race(NO_TROUBLE, 0, DELAY - 50, 0);
    w.n_pieces = 1;
    w.n_model_errors = 1;
    w.model_error = ERR_UNKNOWN;
    ask();
    cr_assert_str_eq(w.last_model, "second");
    cr_assert(strstr(w.receipt, "\"midway\":\"replaced\""), "%s", w.receipt);
    cr_assert_not(strstr(w.receipt, "\"hedge\""), "%s", w.receipt);
    end();
}

Test(hedge, rounds_of_tools_are_hedged_too)
{
    race(NO_TROUBLE, 0, 5000, 0);
    give_tools();
    w.n_rounds = 1;
    ask();
    cr_assert_eq(w.n_asked, 3);
    cr_assert_eq(w.n_calls, 1);
    cr_assert_eq(n_shown("The answer."), 1);
    cr_assert_eq(n_times(w.receipt, "\"lost\":true"), 1, "%s", w.receipt);
    cr_assert(strstr(w.costs, "\"model\":\"fake\",\"prompt\":20,\"completion\":0"), "%s", w.costs);
    end();
}

Test(hedge, so_many_and_no_more)
{
    char event[16];
    race(NO_TROUBLE, 0, 0, 0);
    for (int i = 0; i < 8; i++) {
        snprintf(event, sizeof event, "e%d", i);
        w.n_asked = 0;
        w.slow_ms[0] = 5000;
        say(event, "What is it?");
        loop_run_for(&w.loop, 60000);
        cr_assert_eq(w.n_asked, i == 0 ? 2 : 1, "question %d", i);
    }
    end();
}

static void begin(enum trouble trouble, int at)
{
    race(trouble, at, DELAY + 1000, 200);
    with_budget();
    chat_start(&w.chat);
    say("e1", "What is it?");
}

Test(hedge, torture)
{
    begin(NO_TROUBLE, 0);
    loop_run_for(&w.loop, 300000);
    int n_ops = w.n_ops > 25 ? 25 : w.n_ops; /* the keeper's never end */
    end();
    for (int at = 1; at <= n_ops; at++)
        for (enum trouble trouble = FAIL_BEFORE; trouble <= LIMITED; trouble++) {
            begin(trouble, at);
            loop_run_for(&w.loop, 300000);
            cr_assert_eq(w.rq[0].status, ENDED, "op %d trouble %d", at, trouble);
            cr_assert_geq(w.n_screen, 1, "op %d trouble %d", at, trouble);
            cr_assert_eq(w.chat.lanes.n, 0);
            end();
        }
}

Test(hedge, closing_at_every_wait_leaves_nothing)
{
    for (int at = 2; at <= 20; at++) {
        begin(HANG, at);
        loop_run_for(&w.loop, 5000);
        end();
    }
    for (int ms = 0; ms < 1000; ms += 40) {
        begin(NO_TROUBLE, 0);
        loop_run_for(&w.loop, (uint64_t)ms);
        end();
    }
}
