/*
 * Turns that give an old answer again, over the fakes of the turn's world: when a model is asked,
 * when it is not, and what happens when the lookup fails at any point. Invariants 3, 4, 8.
 */
#include "tests/flow/turn_world.h"

static void open_with(int scope)
{
    world_open(NO_TROUBLE, 0, 0);
    w.chat.conf.cache = scope;
}

static void ask(const char *event, const char *text)
{
    say(event, text);
    loop_run_for(&w.loop, 10000);
    cr_assert(list_empty(&w.chat.turns));
}

Test(reuse_turn, the_second_time_no_model_is_asked)
{
    open_with(REUSE_PERSON);
    ask("e1", "What is it?");
    cr_assert_str_eq(w.kept_answer, "The answer.");
    cr_assert_null(strstr(w.receipt, "cached"));
    ask("e2", "What is it?");
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(n_shown("The answer."), 2);
    cr_assert_not_null(strstr(w.receipt, "2026-01-02T03:04:05Z"));
    cr_assert_str_eq(w.costs, "[]");
    ask("e3", "What is that?");
    cr_assert_eq(w.n_asked, 2);
    world_close();
}

Test(reuse_turn, off_looks_nothing_up_and_keeps_nothing)
{
    open_with(REUSE_OFF);
    ask("e1", "What is it?");
    ask("e2", "What is it?");
    cr_assert_eq(w.n_asked, 2);
    cr_assert_eq(w.n_lookups, 0);
    cr_assert_str_empty(w.kept_answer);
    world_close();
}

Test(reuse_turn, regenerate_asks_and_replaces)
{
    open_with(REUSE_CHANNEL);
    ask("e1", "What is it?");
    strcpy(w.kept_answer, "The old one.");
    ask("e2", "/regenerate");
    cr_assert_eq(w.n_asked, 2);
    cr_assert_eq(w.n_lookups, 1, "of the first question");
    cr_assert_str_eq(w.kept_answer, "The answer.");
    world_close();
}

Test(reuse_turn, notices_and_refusals_are_not_kept)
{
    open_with(REUSE_PERSON);
    w.n_model_errors = 1;
    w.model_error = ERR_REFUSED;
    ask("e1", "What is it?");
    ask("e2", "/help");
    cr_assert_str_empty(w.kept_answer);
    world_close();
}

Test(reuse_turn, another_model_than_the_first_is_not_kept)
{
    open_with(REUSE_PERSON);
    route.n = 2;
    w.n_model_errors = 1;
    w.model_error = ERR_IO;
    ask("e1", "What is it?");
    cr_assert_str_eq(w.last_model, "second");
    cr_assert_eq(n_shown("The answer."), 1);
    cr_assert_str_empty(w.kept_answer);
    route.n = 1;
    world_close();
}

Test(reuse_turn, a_budget_is_not_touched_by_a_hit)
{
    open_with(REUSE_PERSON);
    w.chat.budgets = (struct budgets){ { { .who = BUDGET_PERSON, .day = 1000000000 } }, 1 };
    ask("e1", "What is it?");
    w.set_aside = w.settled = 0;
    w.no_money = true;
    ask("e2", "What is it?");
    cr_assert_eq(n_shown("The answer."), 2);
    cr_assert_eq(w.set_aside, 0);
    cr_assert_eq(w.settled, 0);
    world_close();
}

/* The op that looks up fails, hangs, or is lost: the model is asked, and soon. */
Test(reuse_turn, each_trouble_at_each_op)
{
    open_with(REUSE_PERSON);
    ask("e1", "What is it?");
    int n_ops = w.n_ops;
    world_close();
    for (int at = 1; at <= n_ops; at++) {
        for (enum trouble trouble = FAIL_BEFORE; trouble <= LIMITED; trouble++) {
            world_open(trouble, at, 0);
            w.chat.conf.cache = REUSE_PERSON;
            chat_start(&w.chat);
            say("e1", "What is it?");
            loop_run_for(&w.loop, 300000);
            cr_assert_eq(w.rq[0].status, ENDED, "op %d trouble %d", at, trouble);
            cr_assert_geq(w.n_screen, 1, "op %d trouble %d", at, trouble);
            cr_assert_eq(w.chat.lanes.n, 0);
            world_close();
        }
    }
}

static int op_of_the_lookup(void)
{
    for (int at = 1; at < 20; at++) {
        world_open(FAIL_BEFORE, at, 0);
        w.chat.conf.cache = REUSE_PERSON;
        ask("e1", "What is it?");
        bool found = w.n_asked == 1 && w.n_lookups == 0 && w.rq[0].attempt == 1;
        world_close();
        if (found) return at;
    }
    return 0;
}

Test(reuse_turn, a_slow_lookup_is_given_up)
{
    int at = op_of_the_lookup();
    cr_assert_gt(at, 0);
    world_open(HANG, at, 0);
    w.chat.conf.cache = REUSE_PERSON;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 150);
    cr_assert_eq(w.n_asked, 0, "it is waited for");
    loop_run_for(&w.loop, 150);
    cr_assert_eq(w.n_asked, 1);
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(n_shown("The answer."), 1);
    world_close();
}

/* A refusal ends the op inside the call: there is no deadline to shorten any more. */
Test(reuse_turn, a_lookup_that_is_refused_at_once_asks_the_model)
{
    open_with(REUSE_PERSON);
    w.queue_full = true;
    ask("e1", "What is it?");
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(n_shown("The answer."), 1);
    world_close();
}
