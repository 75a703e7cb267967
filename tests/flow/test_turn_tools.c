/*
 * Models that call tools, over the same fakes as test_turn.c: the loop, its ends, the person's yes,
 * and every op of it failing once.
 */
#include "tests/flow/turn_world.h"

static void ask_with_tools(int n_rounds)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.n_rounds = n_rounds;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.rq[0].status, ENDED);
}

Test(tools, a_call_is_made_and_its_result_told)
{
    ask_with_tools(1);
    cr_assert_eq(w.n_asked, 2);
    cr_assert_eq(w.n_calls, 1);
    cr_assert_str_eq(w.result, "result 1");
    cr_assert_str_eq(w.kept_told, "[1]");
    cr_assert_eq(n_shown("The answer."), 1);
    cr_assert(strstr(w.receipt, "\"tools\":[{\"name\":\"srv__do\""), "%s", w.receipt);
    world_close();
}

/* Four at once, and what they return in the order of the calls, whichever was there first. */
Test(tools, calls_are_made_at_once)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.n_together = 6;
    w.n_rounds = 1;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_most, 4);
    cr_assert_str_eq(w.told,
                     "c1:result 4 c2:result 3 c3:result 2 c4:result 1 c5:result 6 c6:result 5 ");
    cr_assert_eq(n_shown("The answer."), 1);
    world_close();
}

/* What a person was asked about happens in the order that they were shown. */
Test(tools, calls_that_needed_a_yes_are_made_one_after_the_other)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.n_together = 3;
    w.n_rounds = 1;
    w.tool_guarded = true;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 10000);
    say("e2", "/tool yes");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_most, 1);
    cr_assert_str_eq(w.told, "c1:result 1 c2:result 2 c3:result 3 ");
    world_close();
}

Test(tools, stopped_while_several_calls_are_made)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.n_together = 6;
    w.n_rounds = 1;
    say("e1", "What is it?");
    while (w.n_under_way < 4) loop_run_for(&w.loop, 1);
    loop_run_for(&w.loop, 65); /* one has been answered */
    cr_assert_eq(w.n_calls, 1);
    cr_assert(turn_stop(lane_running(&w.chat, w.conversation)));
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_calls, 1);
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(w.rq[0].status, ENDED);
    world_close();
}

Test(tools, the_text_before_the_calls_stays)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.n_rounds = 1;
    w.n_pieces = 1;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 10000);
    cr_assert_str_eq(w.screen[0].text, "Well, \n\nWell, The answer.");
    world_close();
}

Test(tools, an_invented_name_is_told_to_the_model)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.n_rounds = 1;
    w.called = "srv__un known\n";
    say("e1", "What is it?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_calls, 0);
    cr_assert_str_eq(w.result, "There is no tool named srv__un_known_. Call one of: srv__do.");
    cr_assert_eq(n_shown("The answer."), 1);
    world_close();
}

/* The same tool is told when another model takes over, but not what the first one signed. */
Test(tools, what_a_model_signed_is_not_shown_to_another)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    route.n = 2;
    w.n_rounds = 1;
    say("e1", "What is it?");
    while (w.n_calls == 0) loop_run_for(&w.loop, 1);
    w.n_model_errors = 1;
    w.model_error = ERR_IO;
    loop_run_for(&w.loop, 10000);
    cr_assert_str_eq(w.last_model, "second");
    cr_assert_str_eq(w.result, "result 1");
    cr_assert_str_eq(w.kept_told, "");
    cr_assert_eq(n_shown("The answer."), 1);
    route.n = 1;
    world_close();
}

Test(tools, the_last_round_is_for_an_answer)
{
    ask_with_tools(9);
    cr_assert_eq(w.n_calls, 8);
    cr_assert_eq(w.n_asked, 10);
    cr_assert(strstr(w.result, "No more tools can be called"));
    cr_assert_eq(n_shown("The answer."), 1);
    world_close();
}

Test(tools, calling_on_and_on_is_ended)
{
    ask_with_tools(100);
    cr_assert_eq(w.n_asked, 10);
    cr_assert_eq(n_shown("_(stopped: the model kept calling tools"), 1);
    world_close();
}

static void ask_for_yes(const char *answer)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.n_rounds = 1;
    w.tool_guarded = true;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_calls, 0);
    cr_assert_eq(n_shown("May I call this tool?\n\n```\ndo of srv, with {}\n```"), 1);
    cr_assert(w.rq[0].notice);
    say("e2", answer);
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.rq[1].status, ENDED);
}

Test(tools, yes_goes_on_from_there)
{
    ask_for_yes("/tool yes");
    cr_assert_eq(w.n_calls, 1);
    cr_assert_eq(w.n_asked, 2, "the model is not asked what it has said already");
    cr_assert_str_eq(w.result, "result 1");
    cr_assert_str_eq(w.kept_told, "[1]");
    cr_assert_eq(n_shown("The answer."), 1);
    world_close();
}

Test(tools, no_is_told_to_the_model)
{
    ask_for_yes("/tool no");
    cr_assert_eq(w.n_calls, 0);
    cr_assert_str_eq(w.result, "The person refused this call.");
    cr_assert_eq(n_shown("The answer."), 1);
    world_close();
}

/* What the buttons say, and what becomes of the message that has them. */

static void press_after(const char *command)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.n_rounds = 1;
    w.tool_guarded = true;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 10000);
    strcpy(w.question_message, w.screen[0].id);
    strcpy(w.question_text, "May I?");
    say("e2", command);
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.rq[1].status, ENDED);
}

Test(tools, a_pressed_button_names_its_question)
{
    char id[UUID_TEXT_MAX];
    press_after("/tool yes 01a21694-fee0-7436-804c-7a08df49e6d0");
    uuid_text(&w.question_meant, id);
    cr_assert_str_eq(id, "01a21694-fee0-7436-804c-7a08df49e6d0");
    cr_assert_eq(w.n_calls, 1);
    cr_assert_str_eq(w.screen[0].text, "May I?\n\n_(allowed)_");
    world_close();
}

Test(tools, a_typed_answer_marks_the_question_too)
{
    press_after("/tool no");
    cr_assert(uuid_is_nil(&w.question_meant));
    cr_assert_str_eq(w.screen[0].text, "May I?\n\n_(refused)_");
    world_close();
}

Test(tools, a_pressed_button_without_a_question)
{
    press_after("/tool yes please");
    cr_assert_eq(n_shown("`/tool yes` lets me"), 1);
    cr_assert_eq(w.n_calls, 0);
    world_close();
}

Test(tools, a_mark_that_does_not_fit_is_left_out)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    say("e1", "hello");
    loop_run_for(&w.loop, 10000);
    strcpy(w.question_message, w.screen[0].id);
    memset(w.question_text, 'x', 3995);
    say("e2", "/tool yes 01a21694-fee0-7436-804c-7a08df49e6d0");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(strlen(w.screen[0].text), 3995);
    cr_assert_eq(n_shown("That question is no longer open."), 1);
    world_close();
}

Test(tools, a_second_press_says_nothing)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.decided = true;
    say("e1", "/tool yes 01a21694-fee0-7436-804c-7a08df49e6d0");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.rq[0].status, ENDED);
    cr_assert_eq(w.n_screen, 0);
    cr_assert_eq(w.n_calls, 0);
    world_close();
}

/* The answer does not wait for the mark, and a mark that is on its way does not outlive the turn.
 */
Test(tools, the_mark_may_fail)
{
    for (enum trouble trouble = FAIL_BEFORE; trouble <= HANG; trouble++)
        for (int at = 1; at <= 20; at++) {
            world_open(trouble, at, 0);
            give_tools();
            strcpy(w.saved, "{}");
            strcpy(w.question_message, "m9"); /* not on the screen: the platform does not know it */
            chat_start(&w.chat);
            say("e1", "/tool yes");
            loop_run_for(&w.loop, trouble == HANG ? 1000 : 300000);
            if (trouble != HANG) cr_assert_eq(w.rq[0].status, ENDED, "op %d", at);
            cr_assert_eq(shown_by_id(STR("m9")), NULL);
            world_close();
        }
}

Test(tools, neither_yes_nor_no)
{
    ask_for_yes("/tool perhaps");
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(n_shown("`/tool yes` lets me"), 1);
    world_close();
}

Test(tools, a_yes_that_comes_too_late)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    say("e1", "/tool yes");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(n_shown("There is no call of a tool"), 1);
    w.too_late = true;
    strcpy(w.saved, "{}");
    say("e2", "/tool yes");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(n_shown("That took too long"), 1);
    cr_assert_eq(w.n_asked, 0);
    world_close();
}

/* A damaged state is no reason to give no answer: the question is asked anew. */
Test(tools, what_was_kept_cannot_be_read)
{
    static const char *const damaged[] = { "{",
                                           "{}",
                                           "[]",
                                           "null",
                                           "{\"messages\":7}",
                                           "{\"messages\":[7]}",
                                           "{\"messages\":[{\"text\":\"x\"}]}",
                                           "{\"messages\":[{\"calls\":[]}]}" };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        world_open(NO_TROUBLE, 0, 0);
        give_tools();
        strcpy(w.saved, damaged[i]);
        say("e1", "/tool yes");
        loop_run_for(&w.loop, 10000);
        cr_assert_eq(n_shown("The answer."), 1, "%s", damaged[i]);
        cr_assert_eq(w.result[0], 0, "%s", damaged[i]);
        world_close();
    }
}

Test(tools, stopped_in_the_middle_of_a_call)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.n_rounds = 1;
    w.n_pieces = 1;
    say("e1", "What is it?");
    while (w.n_asked == 0 || w.n_rounds > 0) loop_run_for(&w.loop, 1);
    loop_run_for(&w.loop, 2); /* the call is on its way */
    cr_assert(turn_stop(lane_running(&w.chat, w.conversation)));
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_calls, 0);
    cr_assert_str_eq(w.screen[0].text, "Well, \n\n_(stopped)_");
    world_close();
}

/* Each round is paid for: the money of the first one is not enough for what follows. */
static void ask_under_a_budget(void)
{
    world_open(NO_TROUBLE, 0, 0);
    give_tools();
    w.chat.budgets = (struct budgets){ .v = { { BUDGET_PERSON, "", NANO_A_DOLLAR, 0 } }, .n = 1 };
    w.n_rounds = 1;
    say("e1", "What is it?");
    while (w.n_asked == 0) loop_run_for(&w.loop, 1);
}

Test(tools, money_is_set_aside_for_each_round)
{
    ask_under_a_budget();
    int64_t before = w.set_aside;
    loop_run_for(&w.loop, 10000);
    cr_assert_gt(w.set_aside, before);
    cr_assert_eq(n_shown("The answer."), 1);
    world_close();
}

Test(tools, a_budget_that_ends_between_two_rounds)
{
    ask_under_a_budget();
    w.no_money = true;
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_asked, 1);
    cr_assert_eq(n_shown("_(stopped: a budget is used up; `/budget`"), 1);
    world_close();
}

/* ---- pauses in the middle of an answer ---- */

/* As a backend of that kind, which needs no tools for it. */
static const struct model_type pausing = { .name = "fake", .pauses = true };

static void pause_open(int n_pauses)
{
    world_open(NO_TROUBLE, 0, 0);
    model.type = second_model.type = &pausing;
    w.n_pauses = n_pauses;
    say("e1", "What is it?");
}

static void pause_close(void)
{
    model.type = second_model.type = NULL;
    route.n = 1;
    world_close();
}

Test(tools, a_model_that_pauses_is_asked_to_go_on)
{
    pause_open(2);
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_asked, 3);
    cr_assert_str_eq(w.asked, "Half, ");
    cr_assert_str_eq(w.kept_told, "[2]");
    cr_assert_eq(w.n_screen, 1);
    cr_assert_str_eq(w.screen[0].text, "Half, Half, The answer.");
    cr_assert(strstr(w.receipt, "\"rounds\":3"), "%s", w.receipt);
    cr_assert(strstr(w.receipt, "\"finish\":\"complete\""), "%s", w.receipt);
    pause_close();
}

Test(tools, pausing_over_and_over_is_ended)
{
    pause_open(100);
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_asked, 6);
    cr_assert_str_eq(w.screen[0].text, "Half, Half, Half, Half, Half, Half, \n\n"
                                       "_(stopped: the model paused over and over)_");
    pause_close();
}

/* What it said before means nothing to the other one: the half is what there is. */
Test(tools, no_other_model_goes_on_after_a_pause)
{
    route.n = 2;
    pause_open(1);
    while (w.n_asked < 2) loop_run_for(&w.loop, 1);
    w.n_model_errors = 1;
    w.model_error = ERR_IO;
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_asked, 2);
    cr_assert_str_eq(w.last_model, "fake");
    cr_assert_str_eq(w.screen[0].text, "Half, \n\n_(the connection to the model broke here)_");
    pause_close();
}

Test(tools, a_call_after_a_pause)
{
    world_open(NO_TROUBLE, 0, 0);
    model.type = &pausing;
    give_tools();
    w.n_pauses = w.n_rounds = 1;
    say("e1", "What is it?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_asked, 3);
    cr_assert_eq(w.n_calls, 1);
    cr_assert_str_eq(w.screen[0].text, "Half, \n\nThe answer.");
    pause_close();
}

Test(tools, money_is_set_aside_for_what_comes_after_a_pause)
{
    world_open(NO_TROUBLE, 0, 0);
    model.type = &pausing;
    w.chat.budgets = (struct budgets){ .v = { { BUDGET_PERSON, "", NANO_A_DOLLAR, 0 } }, .n = 1 };
    w.n_pauses = 2;
    say("e1", "What is it?");
    while (w.n_asked == 0) loop_run_for(&w.loop, 1);
    int64_t before = w.set_aside;
    while (w.n_asked == 1) loop_run_for(&w.loop, 1);
    cr_assert_gt(w.set_aside, before);
    w.no_money = true;
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.n_asked, 2);
    const char *shown = w.screen[0].text;
    cr_assert(strstr(shown, "Half, Half, \n\n_(stopped: a budget is used up"), "%s", shown);
    pause_close();
}

/* ---- every op failing once ---- */

static int begin(enum trouble trouble, int at, bool guarded)
{
    world_open(trouble, at, 0);
    give_tools();
    w.n_rounds = 2;
    w.n_together = 3;
    w.tool_guarded = guarded;
    chat_start(&w.chat);
    say("e1", "What is it?");
    loop_run_for(&w.loop, 300000);
    return w.n_ops;
}

static void each_trouble(bool guarded, const char *shown)
{
    int n_ops = begin(NO_TROUBLE, 0, guarded);
    world_close();
    n_ops = n_ops > 30 ? 30 : n_ops; /* the keeper's never end */
    for (int at = 1; at <= n_ops; at++)
        for (enum trouble trouble = FAIL_BEFORE; trouble <= LIMITED; trouble++) {
            begin(trouble, at, guarded);
            cr_assert_eq(w.rq[0].status, ENDED, "op %d trouble %d", at, trouble);
            cr_assert_geq(w.n_screen, 1, "op %d trouble %d", at, trouble);
            cr_assert_leq(n_shown(shown), 1, "op %d trouble %d", at, trouble);
            cr_assert_eq(w.chat.lanes.n, 0);
            world_close();
        }
}

Test(tools, torture_of_the_loop)
{
    each_trouble(false, "The answer.");
}

Test(tools, torture_of_the_question)
{
    each_trouble(true, "May I call");
}

Test(tools, closing_at_every_wait_leaves_nothing)
{
    for (int at = 1; at <= 30; at++) {
        world_open(HANG, at, 0);
        give_tools();
        w.n_rounds = 2;
        w.tool_guarded = at % 2;
        struct op op;
        const struct inbound in = { .event_id = STR("e1"),
                                    .where = { .channel = STR("1") },
                                    .text = STR("What is it?") };
        op_init(&op, &w.loop, nobody_waits);
        chat_accept(&w.chat, &op, &w.channel, &in, NULL);
        loop_run_for(&w.loop, 1000);
        op_cancel(&op);
        world_close();
    }
}
