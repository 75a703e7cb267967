/*
 * What a webhook brings, over a fake database, model and platform: said or asked once, whatever
 * fails, and without what is for people only. Invariants 3, 4, 5, 8.
 */
#include "tests/flow/turn_world.h"

#define TEXT   "**Alice** pushed"
#define ANSWER "The answer."

static enum err_kind bring_once(const char *event, bool says, const char *text)
{
    struct op op;
    const struct news news = { .name = STR("deploys"), .says = says, .text = str_of(text) };
    const struct inbound in = { .kind = INBOUND_NEWS,
                                .event_id = str_of(event),
                                .where = { .channel = STR("1") },
                                .text = says ? STR("[news]") : str_of(text),
                                .news = &news };
    struct accepted accepted;
    op_init(&op, &w.loop, nobody_waits);
    chat_accept(&w.chat, &op, &w.channel, &in, &accepted);
    while (op_busy(&op)) loop_run_for(&w.loop, 1);
    return op.err.kind;
}

/* A sender that gets no 2xx repeats it. */
static void bring(const char *event, bool says, const char *text)
{
    for (int tries = 0; tries < 5; tries++)
        if (bring_once(event, says, text) == ERR_NONE) return;
    cr_assert_fail("never stored");
}

static void quiet(void)
{
    world_open(NO_TROUBLE, 0, 0);
}
TestSuite(news, .init = quiet, .fini = world_close, .timeout = 120);

Test(news, is_said_as_it_is)
{
    bring("e1", true, TEXT);
    loop_run_for(&w.loop, 1000);
    cr_assert_eq(w.rq[0].status, ENDED);
    cr_assert_str_eq(w.rq[0].outcome, "answered");
    cr_assert_not(w.rq[0].notice, "it is history: people ask about it");
    cr_assert_str_eq(w.rq[0].query, "[news]");
    cr_assert_eq(w.n_screen, 1);
    cr_assert_str_eq(w.screen[0].text, TEXT);
    cr_assert_eq(w.n_asked, 0);
    cr_assert_str_eq(w.receipt, "{\"webhook\":\"deploys\"}");
}

Test(news, is_asked_of_a_model)
{
    bring("e1", false, "What does this mean?");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.rq[0].status, ENDED);
    cr_assert_str_eq(w.asked, "What does this mean?");
    cr_assert(str_starts(str_of(w.receipt), STR("{\"webhook\":\"deploys\",\"route\":")));
    cr_assert_eq(n_shown(ANSWER), 1);
}

/* Whoever can write an issue somewhere writes these texts. */
Test(news, is_no_command_and_calls_no_tools)
{
    give_tools();
    w.n_rounds = 1;
    bring("e1", false, "/forget");
    loop_run_for(&w.loop, 10000);
    cr_assert_eq(w.rq[0].status, ENDED);
    cr_assert_str_eq(w.asked, "/forget");
    cr_assert_eq(w.n_calls, 0);
    cr_assert_eq(n_shown(ANSWER), 1);
    bring("e2", true, "/new");
    loop_run_for(&w.loop, 1000);
    cr_assert_eq(n_shown("/new"), 1);
}

Test(news, has_no_limits_and_no_age)
{
    w.n_refusals = 9;
    w.channel.access = ACCESS_PAIRING;
    w.chat.conf.expire_ms = 1;
    for (int i = 0; i < 3; i++) {
        char event[8];
        snprintf(event, sizeof event, "e%d", i);
        bring(event, i % 2 == 0, "What is it?");
        w.rq[i].age_ms = 1000000;
    }
    loop_run_for(&w.loop, 10000);
    for (int i = 0; i < 3; i++) cr_assert_str_eq(w.rq[i].outcome, "answered");
    cr_assert_eq(w.n_refusals, 9, "nobody counted");
}

Test(news, is_not_merged_and_interrupts_nothing)
{
    w.chat.conf.queue = QUEUE_INTERRUPT;
    w.n_pieces = 3;
    say("e1", "one");
    loop_run_for(&w.loop, 1000); /* its answer is being written */
    bring("e2", true, TEXT);
    bring("e3", false, "What is it?");
    loop_run_for(&w.loop, 2500); /* until e3 is being asked */
    cr_assert_str_eq(w.asked, "What is it?");
    say("e4", "four");
    loop_run_for(&w.loop, 20000);
    cr_assert_eq(w.n_asked, 3);
    for (int i = 0; i < w.n_rq; i++) cr_assert_eq(w.rq[i].status, ENDED, "request %d", i);
    cr_assert_eq(n_shown(TEXT), 1);
    cr_assert_str_eq(w.asked, "four");
}

Test(news, a_sentence_cannot_be_stopped_and_an_answer_can)
{
    w.n_pieces = 100;
    bring("e1", false, "What is it?");
    loop_run_for(&w.loop, 2000);
    cr_assert(turn_stop(lane_running(&w.chat, w.conversation)));
    loop_run_for(&w.loop, 2000);
    cr_assert_str_eq(w.rq[0].outcome, "cancelled");
    bring("e2", true, TEXT);
    w.rq[1].stop_wanted = true;
    loop_run_for(&w.loop, 2000);
    cr_assert_str_eq(w.rq[1].outcome, "answered");
}

static int ops_of_a_good_run(bool says)
{
    bring("e1", says, TEXT);
    loop_run_for(&w.loop, 2000);
    int n = w.n_ops;
    cr_assert_eq(w.rq[0].status, ENDED);
    return n;
}

static void each_trouble_at_each_op(bool says, const char *shown)
{
    int n_ops = ops_of_a_good_run(says);
    cr_assert_geq(n_ops, 5);
    for (int at = 1; at <= n_ops; at++) {
        for (enum trouble trouble = FAIL_BEFORE; trouble <= LIMITED; trouble++) {
            world_close();
            world_open(trouble, at, CHANNEL_KEYED);
            chat_start(&w.chat);
            bring("e1", says, TEXT);
            loop_run_for(&w.loop, 300000);
            cr_assert_eq(w.rq[0].status, ENDED, "op %d trouble %d", at, trouble);
            cr_assert_geq(n_shown(shown), 1, "op %d trouble %d", at, trouble);
            cr_assert_eq(w.n_rq, 1);
        }
    }
}

Test(news, torture_of_what_is_said)
{
    each_trouble_at_each_op(true, TEXT);
}

Test(news, torture_of_what_is_asked)
{
    each_trouble_at_each_op(false, "");
}
